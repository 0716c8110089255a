"""What each phase of each stage costs beside bare reading: ratios, measured in one run.

    python benchmarks/stages.py [--size 512] [--frames 120] [--wavelength 50]

A line is the work of all tasks of a phase on one thread, without Dask: CPU time, and how many times
that of reading and decoding the counts once, in slabs of whole frames, from the same store. What
takes little time is done three times, and the best counts.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.cube import STAGES, Run, create_run
from uemdask.cube.layout import frame_slabs
from uemdask.execution.worker import limit_threads
from uemdask.network import BASE_MODEL
from uemdask.simulate import scenario, simulate
from uemdask.stages import STAGE_BY_NAME
from uemdask.stages.train import use_model

#: Frames that are larger are mirrored tiles of this edge, px.
TILE = 512
#: Phases that take less are done three times, s.
_SHORT = 2.0
_PIXEL_NM, _GHZ = 3.0, 18.0


@dataclass(frozen=True)
class Case:
    """A simulated plane wave: edge of the frames and wavelength in px, and number of frames."""

    size: int
    frames: int
    wavelength: float

    def __str__(self) -> str:
        return (
            f"{self.frames} frames of {self.size} x {self.size} px, wavelength "
            f"{self.wavelength:g} px"
        )

    @property
    def raw_bytes(self) -> int:
        """Of the counts, two bytes each."""
        return 2 * self.frames * self.size**2

    def images(self) -> tuple[np.ndarray, Iterator[np.ndarray]]:
        """Return the delays, and yield the frames."""
        edge = min(self.size, TILE)
        # The mirror would turn drift round from tile to tile.
        still: dict[str, Any] = {"drift_step": 0.0, "drift_total": 0.0, "drift_jumps": 0}
        acquisition = simulate(
            scenario(
                "plane",
                shape=(edge, edge),
                frames=self.frames,
                frequency=_GHZ,
                speed=self.wavelength * _PIXEL_NM * _GHZ / 1000,
                **(still if self.size > edge else {}),
            )
        )
        over = (0, self.size - edge)
        frames = (
            np.pad(acquisition.frame(i), (over, over), mode="symmetric") for i in range(self.frames)
        )
        return np.asarray(acquisition.delays), frames


@dataclass
class Costs:
    """What was found of a case.

    Attributes
    ----------
    reading : float
        CPU time of reading and decoding the counts once, s.
    phases : dict of str to float
        CPU time of each phase, such as ``"label pairs"``, s; what is done at a stage's begin and
        end counts for its last phase.
    left_out : list of str
        Stages for which there was no time.
    """

    reading: float
    phases: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def stages(self) -> dict[str, float]:
        """CPU time of each stage, s."""
        found: dict[str, float] = {}
        for name, seconds in self.phases.items():
            stage = name.partition(" ")[0]
            found[stage] = found.get(stage, 0.0) + seconds
        return found


def make_run(path: Path, case: Case) -> Run:
    """Write the frames of a case as a run."""
    delays, frames = case.images()
    run = create_run(
        path,
        delays=delays,
        shape=(case.size, case.size),
        dtype="uint16",
        pixel_size=(_PIXEL_NM, _PIXEL_NM),
        source_file=[f"frame_{i}" for i in range(case.frames)],
    )
    for region in frame_slabs(run.sizes):
        start, stop = region.span("time", case.frames)
        run.write("intensity", np.stack([next(frames) for _ in range(start, stop)]), region)
    run.finish("ingest")
    return run


def seconds_of(work: Callable[[], object]) -> float:
    """Return the CPU time of some work, s."""
    start = time.process_time()
    work()
    return time.process_time() - start


def reading(run: Run) -> float:
    """Return the CPU time of reading and decoding all counts once, s: the best of five."""
    regions = frame_slabs(run.sizes)

    def read() -> None:
        for region in regions:
            run.read("intensity", region)

    return min(seconds_of(read) for _ in range(5))


def do_stage(run: Run, name: str, *, repeat: bool = False) -> dict[str, float]:
    """Do a stage whole, and return the CPU time of each phase, s."""
    stage, found = STAGE_BY_NAME[name], {}
    parameters = stage.parameters()
    begun = time.process_time()
    run.begin(name, digest="benchmark", parameters=parameters.model_dump(mode="json"))
    stage.create(run, parameters)
    if name == "train":
        run.note(name, results=use_model(BASE_MODEL))
    rest = time.process_time() - begun
    phase_name = name
    for phase in stage.phases:
        regions = phase.regions(run, parameters)
        assert regions is not None
        receipts: dict[str, Any] = {}

        def work(phase: Any = phase, regions: Any = regions, receipts: Any = receipts) -> None:
            receipts |= {region.key: phase.work(run, region, parameters) for region in regions}

        seconds = seconds_of(work)
        if repeat and seconds < _SHORT:
            seconds = min(seconds, seconds_of(work), seconds_of(work))
        begun = time.process_time()
        run.note(name, results=phase.finish(run, parameters, receipts))
        phase_name = f"{name} {phase.name}"
        found[phase_name] = seconds + time.process_time() - begun
    begun = time.process_time()
    run.finish(name)
    rest += time.process_time() - begun
    found[phase_name] = found.get(phase_name, 0.0) + rest
    return found


def measure(
    case: Case, folder: Path, *, expected: dict[str, float] | None = None, until: float = math.inf
) -> Costs:
    """Take a case through all stages, one thread, without Dask.

    Parameters
    ----------
    case : Case
        The case.
    folder : Path
        For its run.
    expected : dict of str to float, optional
        About how long each stage will take, s; one that would not be over by `until` (of
        `time.monotonic`) is left out, and all after it.
    """
    limit_threads(1)
    run = make_run(folder / f"run_{case.size}_{case.frames}.zarr", case)
    before, found = reading(run), Costs(math.inf)
    for name in STAGES[1:]:
        if found.left_out or time.monotonic() + (expected or {}).get(name, 0.0) > until:
            found.left_out.append(name)
            continue
        costs = do_stage(run, name, repeat=True)
        found.phases |= costs
        for phase, seconds in costs.items():
            print(f"{phase:<24}{seconds:>9.2f} s{seconds / before:>10.1f}", flush=True)
    found.reading = min(before, reading(run))  # the machine may have been busier at one end
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="edge of the frames, px")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--wavelength", type=float, default=50.0, help="px")
    options = parser.parse_args()
    case = Case(options.size, options.frames, options.wavelength)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(case, Path(folder))
    total = sum(found.phases.values())
    print(f"{case}: all {total:.1f} s, {total / found.reading:.0f} times reading")


if __name__ == "__main__":
    main()
