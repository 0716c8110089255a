"""Preloaded by each worker of a GPU pool: of the GPUs of its job, it sees its own alone.

A worker that is the only one of its job has all of them.
"""

from __future__ import annotations

import os
import re

from distributed import Worker


def dask_setup(worker: Worker) -> None:
    """Leave the GPU whose number in the job is that of the worker process.

    A job's workers are named ``NAME-0``, ``NAME-1`` ...; a single one is named ``NAME``.
    """
    own = own_share(os.environ.get("CUDA_VISIBLE_DEVICES", ""), str(worker.name))
    if own:
        os.environ["CUDA_VISIBLE_DEVICES"] = own


def own_share(visible: str, worker: str) -> str:
    """Return which of the comma-separated GPUs is that of a worker of this name.

    Some sites give whole nodes and name no GPUs; then they are numbered from 0.

    Examples
    --------
    >>> own_share("2,3", "gpu.7-1")
    '3'
    >>> own_share("2", "gpu.7")
    '2'
    >>> own_share("", "gpu.7-1")
    '1'
    """
    number = re.search(r"-(\d+)$", worker)
    if not number:
        return visible
    devices = [device for device in visible.split(",") if device]
    return devices[int(number[1]) % len(devices)] if devices else number[1]
