"""What runs on a worker: one task, named by strings and numbers alone."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import cv2
import torch
from dask.system import CPU_COUNT

from uemdask.cube import Run
from uemdask.cube.layout import Region
from uemdask.errors import UemError
from uemdask.execution.cluster import name_of_worker, report_task_begin
from uemdask.execution.cluster.log_filters import filter_log
from uemdask.execution.traffic import Traffic
from uemdask.stages import STAGE_BY_NAME
from uemdask.stages.train import Start, TrainParameters, train_model


def run_task(
    store: str, made: str, stage: str, phase: str, region: str, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Do one region task and return its receipt, files, seconds, bytes moved where known, worker.

    Everything it needs is read from the store; everything it makes is written there, and on the
    disk when this returns. Doing it twice gives the same bytes.

    Raises
    ------
    UemError
        If the stage has been begun anew since; then this task is one of a driver that is gone.
    """
    begun, traffic = time.perf_counter(), Traffic()
    report_task_begin()
    _prepare(1)
    run, found = Run(store), STAGE_BY_NAME[stage]
    if run.identity(stage) != made:
        raise UemError(f"{store}: stage '{stage}' was begun anew; this task is out of date")
    with traffic:
        receipt = found.phase(phase).work(
            run, Region.from_key(region), found.parameters.model_validate(parameters)
        )
        files = run.take_checksums()
    return {
        "receipt": receipt,
        "files": files,
        "seconds": round(time.perf_counter() - begun, 3),
        **traffic.result,
        "worker": _where(),
    }


def train_task(
    stores: list[str],
    model: str,
    parameters: dict[str, Any],
    start: Start,
    digest: str,
    threads: int | None,
) -> dict[str, Any]:
    """Train one model on the labelled runs in `stores`; a checkpoint beside it is taken up.

    Without `threads`, all CPUs that this worker may use take part.
    """
    begun = time.perf_counter()
    report_task_begin()
    _prepare(threads or own_cpus())
    receipt = train_model(
        [Run(store) for store in stores],
        Path(model),
        TrainParameters.model_validate(parameters),
        start=start,
        digest=digest,
    )
    return receipt | {"seconds": round(time.perf_counter() - begun, 3), "worker": _where()}


def _where() -> str:
    """Return the name of this worker, such as ``gpu.0`` in the pool gpu, its host and process."""
    return f"{name_of_worker()} on {socket.gethostname()}:{os.getpid()}"


def _prepare(threads: int) -> None:
    """Set up this worker process; doing it for every task costs nothing."""
    limit_threads(threads)
    filter_log("distributed.worker")


def own_cpus() -> int:
    """Return how many CPUs this process may use: those of its Slurm task, affinity and cgroup."""
    task = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(int(task), CPU_COUNT) if task.isdecimal() and int(task) else CPU_COUNT


def limit_threads(count: int) -> None:
    """Give OpenCV and torch `count` threads; Dask runs one task a core and they would add to it."""
    cv2.setNumThreads(count)
    torch.set_num_threads(count)
