"""What a campaign needs of memory and disk, known before the first task."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dask.utils import format_bytes

from uemdask.align.series_drift import WHOLE
from uemdask.cube.layout import FIELD, FRAMES, PAIRS, TILE
from uemdask.errors import FaultsError, UemError
from uemdask.execution.cluster import IDLE_WORKER, Capacity, Cluster
from uemdask.execution.run_plan import RunPlan
from uemdask.execution.status import run_status
from uemdask.regions import FRONT_HALO
from uemdask.stages import StageParameters

_PIXEL = 4  # bytes of a float32
_MIB = 2**20
#: A nanny ends a worker above this share of its memory.
_USABLE = 0.95
#: What the tasks of a stage read and write, in float32 frames of the run: measured on a simulated
#: run of 64 frames of 384 px.
_TRAFFIC = {
    "ingest": (0.6, 0.35),
    "align": (18.0, 0.02),
    "spectrum": (3.3, 0.5),
    "label": (3.5, 0.6),
    "train": (0.75, 0.0),
    "flow": (6.3, 0.85),
    "feature": (2.0, 0.0),
    "mode": (0.03, 0.0),
}


@dataclass(frozen=True)
class Need:
    """Memory of a stage's largest task, bytes, and the run that has it."""

    stage: str
    gpu: bool
    memory: float
    run: str = ""

    @property
    def worker(self) -> int:
        """Memory of a worker that does it, bytes."""
        return int(IDLE_WORKER + self.memory)


def needs_of(sizes: Mapping[str, int], parameters: StageParameters) -> list[Need]:
    """Return about how much memory the tasks of each stage take.

    Peaks above an idle worker, measured on runs of 40 to 300 frames of 256 to 2048 px; they grow
    with the region of a task, and only the tiles of `spectrum` and of the drift with the length of
    the run.
    """
    frames, height, width = sizes["time"], sizes["y"], sizes["x"]
    slab = min(frames, FRAMES) * height * width * _PIXEL
    tile = frames * min(height, TILE) * min(width, TILE) * _PIXEL
    field = PAIRS * min(height, FIELD) * min(width, FIELD) * _PIXEL
    fronts = min(height, TILE + 2 * FRONT_HALO) * min(width, TILE + 2 * FRONT_HALO) * _PIXEL
    series = frames * height * width * _PIXEL
    # A frame with what registers it and its slab; or a tile of all frames with the spectra of its
    # patches: 49 of 1,035 frequencies each, four complex copies, 512 MiB at most.
    tile_drifting = frames * min(height, WHOLE) * min(width, WHOLE) * _PIXEL
    spectra = min(frames * 49 * 1035 * 32, 2**29)
    drift = max((26 + FRAMES / 2) * height * width * _PIXEL, 3 * tile_drifting + spectra)
    training = min(parameters.train.memory * 2**30, 2.0 * series)
    return [
        Need("ingest", False, 2 * slab + 20 * _MIB),
        Need("align", False, drift + 50 * _MIB),
        Need("spectrum", False, 5 * tile + 20 * _MIB),
        Need("label", False, 22 * field + 10 * _MIB),
        Need("train", True, training + 350 * _MIB),
        Need("flow", True, 12 * field + 150 * _MIB),
        # Pair by pair; or the complex wave of 32 pairs of a tile, from the frames around them.
        Need("feature", False, max(13 * field, 5.5 * min(frames, 90) * fronts + 20 * _MIB)),
    ]


def traffic_of(sizes: Mapping[str, int], stage: str) -> tuple[float, float]:
    """Return about how many bytes the tasks of a stage read from files and write to them."""
    series = sizes["time"] * sizes["y"] * sizes["x"] * _PIXEL
    read, written = _TRAFFIC.get(stage, (0.0, 0.0))
    return read * series, written * series


def check_requirements(plans: Sequence[RunPlan], cluster: Cluster) -> list[str]:
    """Return what may be too little, one sentence each; refuse what is too little for certain.

    Raises
    ------
    FaultsError
        If a task needs more memory than a worker has, or the results more disk than is free.
    """
    faults, warnings = shortages(at_work(plans), cluster.capacity)
    if faults:
        raise FaultsError("before the first task", faults)
    return warnings


def at_work(plans: Sequence[RunPlan]) -> list[RunPlan]:
    """Return the runs that have something to do, of which the sizes can be known."""
    return [plan for plan in plans if plan.to_do and not plan.fault and _sizes_are_known(plan)]


def _sizes_are_known(plan: RunPlan) -> bool:
    try:
        return bool(plan.template.sizes)
    except (UemError, OSError):  # the run itself will say what is wrong with it, and stops no other
        return False


def shortages(
    plans: Sequence[RunPlan], capacity: Callable[[bool], Capacity]
) -> tuple[list[str], list[str]]:
    """Return what is too little for certain, and what may be: memory of workers, and disk."""
    faults: list[str] = []
    warnings: list[str] = []
    for need in largest_needs(plans):
        room = capacity(need.gpu)
        limit = _USABLE * room.memory
        if not room.memory or need.worker <= 0.8 * limit:
            continue
        text = (
            f"stage {need.stage} of run {need.run!r} takes about {format_bytes(need.worker)}, "
            f"and a worker of {room.place} has {format_bytes(room.memory)}; raise "
            f"'memory', or lower 'processes' (or 'workers'), in the cluster profile"
        )
        (faults if need.worker > limit else warnings).append(text)
    for folder, needed, free in disks(plans):
        if needed > free:
            text = (
                f"{folder}: the results take about {format_bytes(needed)} and "
                f"{format_bytes(free)} are free; make room, or give another 'output'"
            )
            # How far frames and flow can be compressed is known to a factor of two.
            (faults if needed > 2 * free else warnings).append(text)
    return faults, warnings


def largest_needs(plans: Sequence[RunPlan]) -> list[Need]:
    """Return for each stage the need of its most demanding run."""
    largest: dict[str, Need] = {}
    for run in plans:
        for need in needs_of(run.template.sizes, run.planned.parameters):
            before = largest.get(need.stage)
            if need.stage in run.computed and (before is None or need.memory > before.memory):
                largest[need.stage] = replace(need, run=run.planned.name)
    return list(largest.values())


def disks(plans: Sequence[RunPlan]) -> list[tuple[Path, int, int]]:
    """Return a folder of each file system with results: bytes that they take, bytes free."""
    totals: dict[int, tuple[Path, float]] = {}
    for run in plans:
        folder = _existing(run.planned.store.parent)
        device = os.stat(folder).st_dev
        _, before = totals.get(device, (folder, 0.0))
        # What is there already goes before it is made again; a whole run goes after.
        shares = {} if run.steps[0].how == "anew" else run_status(run.planned).shares
        needed = sum(
            traffic_of(run.template.sizes, stage)[1] * (1.0 - shares.get(stage, 0.0))
            for stage in run.computed
        )
        totals[device] = (folder, before + needed)
    return [
        (folder, int(total), shutil.disk_usage(folder).free) for folder, total in totals.values()
    ]


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
