"""Pairs: which frames are compared with which."""

from __future__ import annotations

import numpy as np

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.stages.stage import Parameters, Stage


class PairParameters(Parameters):
    """Pairs are successive usable frames; there is nothing to set."""


def successive_pairs(frame_ok: np.ndarray) -> np.ndarray:
    """Return the indices (pair, 2) of successive usable frames.

    Examples
    --------
    >>> successive_pairs(np.array([True, False, True, True])).tolist()
    [[0, 2], [2, 3]]
    """
    usable = np.flatnonzero(frame_ok)
    return np.stack([usable[:-1], usable[1:]], axis=1)


def _create(run: Run, parameters: PairParameters) -> None:
    pairs = successive_pairs(run.read("frame_ok"))
    if not len(pairs):
        raise UemError(f"{run.path}: fewer than two usable frames, so no pair; see frame_flag")
    delays = run.read("time")
    sizes = run.sizes | {"pair": len(pairs)}
    run.put("frame_from", pairs[:, 0], sizes)
    run.put("frame_to", pairs[:, 1], sizes)
    start, end = delays[pairs].T
    run.put("time_from", start, sizes)
    run.put("time_to", end, sizes)
    run.put("pair_time", (start + end) / 2, sizes)


PAIRS = Stage(name="pairs", version=2, parameters=PairParameters, create=_create)
