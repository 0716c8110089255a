"""A whole run through the driver and Dask: when each phase began, and what the machinery adds.

    python benchmarks/whole_run.py [--size 512] [--frames 48] [--wavelength 50] [--workers 2]

First raw frames go through every stage, as with ``uemdask run``, on workers of one thread: a line a
phase. Then the labels are made anew, in turn through driver and Dask on one worker, and by the same
worker in a bare loop over the same regions: the CPU time of all processes, one over the other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile
from stages import Case, do_stage

from uemdask.cube import Run
from uemdask.execution import (
    Cluster,
    Driver,
    LocalProfile,
    NullListener,
    Plan,
    open_cluster,
    read_campaign,
)
from uemdask.execution.worker import limit_threads


@dataclass
class Phase:
    """A phase of the run: begin and end in s of wall time, its tasks, and the seconds in them."""

    name: str
    begun: float
    ended: float = 0.0
    tasks: int = 0
    worked: float = 0.0


class Waterfall(NullListener):
    """Hears a driver, and notes when each phase begins and ends."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self._start = time.perf_counter()

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Begin to count the time."""
        self._start = time.perf_counter()

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Note that one begins."""
        now = time.perf_counter() - self._start
        self.phases.append(Phase(f"{stage} {phase}", now, now))

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Note that a task has ended."""
        last = self.phases[-1]
        last.ended = time.perf_counter() - self._start
        last.tasks += 1
        last.worked += result["seconds"]


def write_raw(folder: Path, case: Case) -> Path:
    """Write the frames of a case as files, and return their campaign file."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    delays, frames = case.images()
    for i, (delay, frame) in enumerate(zip(delays, frames, strict=True)):
        tifffile.imwrite(raw / f"scan_1_{i + 1}_{delay:g}ps.tif", frame)
    (raw / "metadata.yaml").write_text("pixel_size: 3 nm\n")
    campaign = folder / "campaign.yaml"
    campaign.write_text(f"runs: [{{raw: raw}}]\noutput: results\nmodel: {_model()}\n")
    return campaign


def _model() -> Path:
    from uemdask.network import BASE_MODEL

    return BASE_MODEL


def cpu_of_all(cluster: Cluster) -> float:
    """Return the CPU time of driver, scheduler and workers so far, s."""
    return time.process_time() + sum(cluster.client.run(time.process_time).values())


def drive(
    plan: Plan, cluster: Cluster, listener: NullListener, only: tuple[str, ...] = ()
) -> float:
    """Take a plan through its stages, and return the CPU time of all processes, s."""
    before = cpu_of_all(cluster)
    outcome = Driver(plan, cluster, only=only, listener=listener).run()
    if outcome.failed:
        raise SystemExit(str(outcome.failed))
    return cpu_of_all(cluster) - before


def bare_labels(store: str) -> float:
    """Make the labels of a run in a loop over its regions, and return the CPU time, s."""
    limit_threads(1)
    return sum(do_stage(Run(store), "label").values())


def whole_run(campaign: Path, workers: int) -> list[Phase]:
    """Take the raw frames of a campaign through all stages."""
    waterfall = Waterfall()
    with open_cluster(LocalProfile(kind="local", workers=workers, memory="2GiB")) as cluster:
        drive(read_campaign(campaign), cluster, waterfall)
    return waterfall.phases


def label_ratio(campaign: Path, times: int = 2) -> tuple[float, float]:
    """Return the CPU time of the labels through the driver, and in a bare loop, s: the best."""
    plan = read_campaign(campaign)
    store = plan.runs[0].store
    through, bare = [], []
    with open_cluster(LocalProfile(kind="local", workers=1, memory="2GiB")) as cluster:
        for _ in range(times):
            bare.append(cluster.client.submit(bare_labels, str(store), pure=False).result())
            Run(store).begin("label", digest="", parameters={})  # to be made anew
            through.append(drive(plan, cluster, NullListener(), only=("label",)))
    return min(through), min(bare)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="edge of the frames, px")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--wavelength", type=float, default=50.0, help="px")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        case = Case(options.size, options.frames, options.wavelength)
        campaign = write_raw(Path(folder), case)
        for phase in whole_run(campaign, options.workers):
            print(f"{phase.name:<24}{phase.begun:>8.1f} to {phase.ended:>8.1f} s", flush=True)
        through, bare = label_ratio(campaign)
        print(f"labels: {through:.1f} s through the driver, {bare:.1f} s bare")


if __name__ == "__main__":
    main()
