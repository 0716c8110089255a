"""What the stages cost beside the bare reading that they need: ratios, measured in one run.

    python benchmarks/stages.py [--size 512] [--frames 200]

Each line is one task's work on one thread, without Dask: CPU time per raw byte, and how many times
that of reading and decoding the same chunks. Times are the best of three.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from uemdask.cube import Run, create_run
from uemdask.cube.layout import Region, frame_slabs, pair_fields, tiles
from uemdask.execution.worker import limit_threads
from uemdask.simulate import scenario, simulate
from uemdask.stages import STAGE_BY_NAME


def make_run(path: Path, size: int, frames: int) -> Run:
    acquisition = simulate(scenario("plane", shape=(256, 256), frames=frames))
    repeats = -(-size // 256)
    run = create_run(
        path,
        delays=acquisition.delays,
        shape=(size, size),
        dtype="uint16",
        pixel_size=(3.0, 3.0),
        source_file=[f"frame_{i}" for i in range(frames)],
    )
    for region in frame_slabs(run.sizes):
        start, stop = region.span("time", frames)
        slab = [np.tile(acquisition.frame(i), (repeats, repeats)) for i in range(start, stop)]
        run.write("intensity", np.stack(slab)[:, :size, :size], region)
    run.finish("ingest")
    return run


def best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def do_stage(run: Run, name: str) -> dict[str, float]:
    """Do a stage whole, and return the CPU seconds of each phase."""
    stage = STAGE_BY_NAME[name]
    parameters = stage.parameters()
    run.begin(name, digest="benchmark", parameters=parameters.model_dump(mode="json"))
    stage.create(run, parameters)
    seconds = {}
    for phase in stage.phases:
        start = time.process_time()
        regions = phase.regions(run, parameters)
        receipts = {region.key: phase.work(run, region, parameters) for region in regions}
        seconds[f"{name} {phase.name}"] = time.process_time() - start
        run.note(name, results=phase.finish(run, parameters, receipts))
    run.finish(name)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="edge of the frames, px")
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    limit_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run.zarr", options.size, options.frames)
        sizes = run.sizes
        raw = sizes["time"] * sizes["y"] * sizes["x"] * 2
        columns = best(lambda: [run.read("intensity", region) for region in tiles(sizes)])
        slabs = best(lambda: [run.read("intensity", region) for region in frame_slabs(sizes)])
        rows = {"read columns (all delays, a tile)": columns, "read slabs (whole frames)": slabs}
        for name in ("align", "spectrum", "pairs", "label"):
            rows |= do_stage(run, name)
        wave = best(
            lambda: [run.read("wave", Region(r.bounds[1:])) for r in pair_fields(run.sizes)[:1]]
        )
        rows["read wave"] = wave
        print(f"{raw / 2**20:.0f} MiB of raw counts, one thread\n")
        print(f"{'':<36}{'GB/s':>8}{'times reading':>16}")
        for name, seconds in rows.items():
            print(f"{name:<36}{raw / 1e9 / seconds:>8.3f}{seconds / columns:>16.1f}")


if __name__ == "__main__":
    main()
