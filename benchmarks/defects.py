"""Label errors of a plane wave beside defects, over those of the clean run on the same pixels.

    python benchmarks/defects.py [--size 160] [--frames 60] [--seeds 2] [--defects aperture,beam]

Frames are simulated in memory and taken through alignment, spectrum and labels with default
settings. Errors are those of `headline.py`: mean over the lit pixels of the true mask more than
8 px from the defect and the pairs with the wave present, relative to the mean displacement.
Prints the table of docs/accuracy.md.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
from headline import AWAY_PX, DEFECTS, FIRST_SEED, do_stage, head, row, stored
from scipy.ndimage import distance_transform_edt

from uemdask.execution.worker import limit_threads
from uemdask.simulate import scenario, simulate


def label_error(defect: str, seed: int, size: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Relative label error (y, x), and where it counts."""
    acquisition = simulate(
        scenario("plane", seed=seed, shape=(size, size), frames=frames, defects=DEFECTS[defect])
    )
    truth = acquisition.truth()
    with tempfile.TemporaryDirectory() as folder:
        run = stored(acquisition, Path(folder) / "run.zarr")
        for stage in ("align", "spectrum", "pairs", "label"):
            do_stage(run, stage)
        error = np.linalg.norm(run.read("label") - truth.flow, axis=1)[truth.present].mean(axis=0)
    length = np.linalg.norm(truth.flow[truth.present], axis=1).mean()
    away = truth.lit if truth.lit.all() else distance_transform_edt(truth.lit) > AWAY_PX
    return error / length, truth.mask & away


@click.command()
@click.option("--size", default=160, help="Edge of the frames, px.")
@click.option("--frames", default=60)
@click.option("--seeds", default=2, help="Number of seeds.")
@click.option("--defects", default=",".join(DEFECTS), help="Comma-separated.")
def main(size: int, frames: int, seeds: int, defects: str) -> None:
    """Compare labels beside defects with those of clean runs."""
    limit_threads(1)
    head("defect", "size, px", "seed", "label error", "clean", "ratio")
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        clean, _ = label_error("none", seed, size, frames)
        for name in defects.split(","):
            if name == "none":
                continue
            error, there = label_error(name, seed, size, frames)
            both = float(error[there].mean()), float(clean[there].mean())
            row(name, size, seed, *(f"{each:.4f}" for each in both), f"{both[0] / both[1]:.2f}")


if __name__ == "__main__":
    main()
