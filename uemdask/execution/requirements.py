"""What a campaign needs of memory and disk, known before the first task."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask.utils import format_bytes

from uemdask.cube import STAGES, Run
from uemdask.cube.layout import FIELD, FRAMES, PAIRS, TILE
from uemdask.errors import FaultsError, UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.cluster import Capacity, Cluster
from uemdask.readers import inspect_raw
from uemdask.stages import StageParameters

_PIXEL = 4  # bytes of a float32
_MIB = 2**20
#: A worker with everything imported and no task, bytes.
_WORKER = 400 * _MIB
#: A nanny ends a worker above this share of its memory.
_USABLE = 0.95
#: Store and ledger, in float32 frames of the run: measured on simulated runs of 256 to 512 px.
_STORE = 2.2
_STORE_AFTER_INGEST = 1.6


@dataclass(frozen=True)
class _Need:
    """Memory of a stage's largest task, bytes."""

    stage: str
    gpu: bool
    memory: float


def needs_of(sizes: Mapping[str, int], parameters: StageParameters) -> list[_Need]:
    """Return about how much memory the tasks of each stage take.

    Peaks above an idle worker, measured on runs of 60 and 120 frames of 256 and 512 px; they grow
    with the region of a task, and only the tiles of `spectrum` with the length of the run.
    """
    frames, height, width = sizes["time"], sizes["y"], sizes["x"]
    slab = min(frames, FRAMES) * height * width * _PIXEL
    tile = frames * min(height, TILE) * min(width, TILE) * _PIXEL
    field = PAIRS * min(height, FIELD) * min(width, FIELD) * _PIXEL
    series = frames * height * width * _PIXEL
    training = min(parameters.train.memory * 2**30, 2.0 * series)
    return [
        _Need("ingest", False, 2 * slab + 20 * _MIB),
        _Need("align", False, 8 * slab + 20 * _MIB),
        _Need("spectrum", False, 5 * tile + 20 * _MIB),
        _Need("label", False, 22 * field + 10 * _MIB),
        _Need("train", True, training + 350 * _MIB),
        _Need("flow", True, 12 * field + 150 * _MIB),
        _Need("feature", False, 25 * field),
    ]


def check_requirements(plan: Plan, cluster: Cluster, only: Sequence[str] = ()) -> list[str]:
    """Return what may be too little, one sentence each; refuse what is too little for certain.

    Raises
    ------
    FaultsError
        If a task needs more memory than a worker has, or the results more disk than is free.
    """
    wanted = [(planned, sizes) for planned in plan.runs if (sizes := _sizes(planned))]
    faults: list[str] = []
    warnings: list[str] = []
    for text, surely in _of_memory(wanted, cluster, only):
        (faults if surely else warnings).append(text)
    faults += _of_disk(wanted)
    if faults:
        raise FaultsError("before the first task", faults)
    return warnings


def _sizes(planned: PlannedRun) -> dict[str, int]:
    """Return the sizes of a run that has something to do; empty where they cannot be known."""
    try:
        run = Run(planned.store)
        if run.is_done("ingest"):
            return {} if all(run.is_done(stage) for stage in STAGES) else run.sizes
    except UemError:
        pass  # no store yet
    ingest = planned.parameters.ingest
    if not ingest.raw:
        return {}
    try:
        raw = inspect_raw(Path(ingest.raw), **ingest.model_dump(exclude={"raw"}))
    except (UemError, OSError):
        return {}  # the run itself will say what is wrong with it
    return {"time": len(raw.delays), "y": raw.shape[0], "x": raw.shape[1]}


def _of_memory(
    wanted: Sequence[tuple[PlannedRun, dict[str, int]]], cluster: Cluster, only: Sequence[str]
) -> list[tuple[str, bool]]:
    """Return for each stage its most demanding run, where that is near or over the limit."""
    largest: dict[str, tuple[_Need, PlannedRun]] = {}
    for planned, sizes in wanted:
        for need in needs_of(sizes, planned.parameters):
            if only and need.stage not in only:
                continue
            if need.stage not in largest or need.memory > largest[need.stage][0].memory:
                largest[need.stage] = (need, planned)
    found = []
    for need, planned in largest.values():
        capacity: Capacity = cluster.capacity(need.gpu)
        total, limit = _WORKER + need.memory, _USABLE * capacity.memory
        if not capacity.memory or total <= 0.8 * limit:
            continue
        text = (
            f"stage {need.stage} of run {planned.name!r} takes about {format_bytes(int(total))}, "
            f"and a worker of {capacity.place} has {format_bytes(capacity.memory)}; raise "
            f"'memory', or lower 'processes' (or 'workers'), in the cluster profile"
        )
        found.append((text, total > limit))
    return found


def _of_disk(wanted: Sequence[tuple[PlannedRun, dict[str, int]]]) -> list[str]:
    """Return which file systems have too little space for the results that go there."""
    totals: dict[int, tuple[Path, float]] = {}
    for planned, sizes in wanted:
        folder = _existing(planned.store.parent)
        device = os.stat(folder).st_dev
        share = _STORE_AFTER_INGEST if planned.store.exists() else _STORE
        series = sizes["time"] * sizes["y"] * sizes["x"] * _PIXEL
        _, before = totals.get(device, (folder, 0.0))
        totals[device] = (folder, before + share * series)
    faults = []
    for folder, total in totals.values():
        free = shutil.disk_usage(folder).free
        if total > free:
            faults.append(
                f"{folder}: the results take about {format_bytes(int(total))} and "
                f"{format_bytes(free)} are free; make room, or give another 'output'"
            )
    return faults


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
