"""A run of a camera's size through every stage, on small workers: time and memory of each phase.

    python benchmarks/large_run.py [--size 2048] [--frames 300] [--workers 2] [--memory 2GiB]

Writes TIFF frames, no two alike, with the delays in their names, and takes them through all stages
on a local Dask cluster whose workers are stopped above their memory. A line is a phase: its tasks,
wall time, the time of one task, and the most that a worker held, all libraries included. A run
like it took one and a half hours on two cores that other work shared.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import psutil
import tifffile

from uemdask.execution import (
    Driver,
    LocalProfile,
    NullListener,
    merge_settings,
    open_cluster,
    read_campaign,
)
from uemdask.simulate import scenario, simulate


def write_frames(folder: Path, size: int, frames: int) -> None:
    """Write frames of mirrored tiles, which join without an edge, each with noise of its own."""
    # Without drift, which the mirror would turn round from tile to tile.
    still = {"drift_step": 0.0, "drift_total": 0.0, "drift_jumps": 0}
    acquisition = simulate(scenario("plane", shape=(256, 256), frames=frames, **still))
    random = np.random.default_rng(1)
    folder.mkdir(parents=True)
    over = (0, size - 256)
    for i, delay in enumerate(acquisition.delays):
        image = np.pad(acquisition.expected(i), (over, over), mode="symmetric")
        file = folder / f"scan_1_{i + 1}_{delay:g}ps.tif"
        tifffile.imwrite(file, random.poisson(image).astype(np.uint16))
    (folder / "metadata.yaml").write_text("pixel_size: 3 nm\n")


class Table(NullListener):
    """Hears what a driver does, watches the memory of the workers, and prints a line a phase."""

    def __init__(self) -> None:
        self._name, self._begun = "", 0.0
        self._seconds: list[float] = []
        self._held = 0  # bytes
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Table:
        print("| phase | tasks | wall, s | task, s: mean | longest | worker, MiB |", flush=True)
        print("|---|---|---|---|---|---|", flush=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._over.set()
        self._watch.join()

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Print the phase before, and start anew."""
        self._end()
        self._name, self._begun = f"{stage} {phase}", perf_counter()
        self._seconds, self._held = [], 0

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Note how long a task took."""
        self._seconds.append(result.get("seconds", perf_counter() - self._begun))

    def run_failed(self, run: str, stage: str, message: str) -> None:
        """End with the message."""
        raise SystemExit(f"{stage}: {message}")

    def notice(self, text: str) -> None:
        """Print what the user should know."""
        print(text, flush=True)

    def _end(self) -> None:
        if self._name and self._seconds:
            wall = perf_counter() - self._begun
            mean, longest = np.mean(self._seconds), max(self._seconds)
            print(
                f"| {self._name} | {len(self._seconds)} | {wall:.0f} | {mean:.1f} | "
                f"{longest:.1f} | {self._held / 2**20:.0f} |",
                flush=True,
            )

    def _sample(self) -> None:
        this = psutil.Process()
        while not self._over.wait(0.2):
            for child in this.children(recursive=True):
                try:
                    self._held = max(self._held, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="edge of the frames, px")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="2GiB", help="limit of each worker")
    parser.add_argument("--folder", type=Path, help="where to write; default: a temporary folder")
    parser.add_argument(
        "--set", action="append", default=[], metavar="STAGE.NAME=VALUE", help="a parameter"
    )
    options = parser.parse_args()
    profile = LocalProfile(kind="local", workers=options.workers, memory=options.memory)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_frames(folder / "raw", options.size, options.frames)
        campaign = folder / "campaign.yaml"
        campaign.write_text("runs: [{raw: raw}]\noutput: results\n")
        plan = read_campaign(campaign, parameters=merge_settings(options.set))
        begun = perf_counter()
        with open_cluster(profile) as cluster, Table() as table:
            Driver(plan, cluster, listener=table).run()
        print(f"all: {(perf_counter() - begun) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
