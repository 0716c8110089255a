"""Train the base model: a network that has seen simulated waves of all kinds, with exact truth.

    python benchmarks/train_base.py base.pt --series 400 --steps 30000

Series are kept in a folder beside the model, the training in a checkpoint, so the command can be
stopped and given again. With a GPU the training runs there.
"""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
import torch

from uemdask.network import (
    Job,
    Series,
    SeriesSource,
    TrainingConfig,
    UNetConfig,
    choose_devices,
    held_out_error,
    save_model,
    train_on,
)
from uemdask.simulate import random_scenario, simulate
from uemdask.stages.simulated_series import simulated_series

SHAPE = (192, 192)
FRAMES = (20, 56)  # shortest and longest series
RANGES = {
    "wavelength": (12.0, 170.0),  # px
    "speed": (0.3, 28.0),  # px per 5 ps
    "modulation": (0.02, 0.2),
    "counts": (30.0, 1000.0),
}
LEAST_PAIRS = 6  # with the wave in both frames
FILTERS = (16, 32, 64, 128, 128)
HELD_OUT = 32  # series that are never trained on


def series(number: int, seed: int) -> Series:
    """Return one simulated series; equal numbers give equal series."""
    rng = np.random.default_rng([seed, number])
    while True:
        drawn = random_scenario(rng, shape=SHAPE, frames=int(rng.integers(*FRAMES)), **RANGES)
        acquisition = simulate(dataclasses.replace(drawn, hot_pixels=0))
        if acquisition.present.sum() >= LEAST_PAIRS:
            break
    middle = 0.5 * (drawn.strength[0][0] + drawn.delays[-1])
    length = float(acquisition.wave.wavelength(middle)) / drawn.pixel_size[0]
    return simulated_series(
        acquisition,
        # The band is never found exactly.
        centre=drawn.frequency * float(rng.normal(1.0, 0.005)),
        smoothing=2.0,
        window=float(rng.choice([1.0, 1.0, 1.0, 2.0])),
        directional="all" if drawn.echo > 0 and 4 * length <= min(SHAPE) else "none",
        name=f"series {number}",
    )


FIELDS = ("wave", "label", "confidence", "mask", "frame_from", "frame_to", "scale")


def make(task: tuple[Path, int, int]) -> None:
    """Simulate a series into a file, unless it is there."""
    path, number, seed = task
    if path.exists():
        return
    made = series(number, seed)
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **{name: getattr(made, name) for name in FIELDS})
    partial.rename(path)


def load(path: Path) -> Series:
    """Read a series back."""
    with np.load(path, allow_pickle=False) as file:
        values = {name: file[name] for name in FIELDS}
    return Series(**values | {"scale": float(values["scale"]), "name": path.stem})


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--series", "count", default=400, help="Simulated series to train on.")
@click.option("--steps", default=30_000, help="Training steps.")
@click.option("--seed", default=2026, help="Of series and training.")
@click.option("--workers", default=2, help="Processes that simulate.")
def main(model: Path, count: int, steps: int, seed: int, workers: int) -> None:
    """Train the base model into the file MODEL."""
    folder = model.with_suffix(".series")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:05d}.npz" for number in range(count + HELD_OUT)]
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(make, [(path, number, seed) for number, path in enumerate(files)]))
    held_out = SeriesSource([load(path) for path in files[:HELD_OUT]])
    learned = [load(path) for path in files[HELD_OUT:]]
    click.echo(f"{count} series, {sum(one.nbytes for one in learned) / 2**30:.1f} GiB")
    judge = held_out.draw(np.random.default_rng(seed), 8 * HELD_OUT, crop=128, length=1)
    config = TrainingConfig(
        seed=seed,
        batch=12,
        crop=128,
        pretrain_steps=steps,
        pretrain_rate=1.5e-3,
        warmup_steps=300,
        finetune_steps=0,
        record_every=500,
    )
    devices, reason = choose_devices(images=config.batch)
    click.echo(reason)
    result = train_on(
        Job(
            groups=[(learned, 1.0)],
            devices=devices,
            threads=torch.get_num_threads(),
            config=config,
            unet_config=UNetConfig(filters=FILTERS),
            checkpoint=model.with_suffix(".checkpoint"),
        ),
        model.with_suffix(".processes"),
        lambda entry: click.echo(json.dumps(entry)),
    )
    error = held_out_error(result.model, judge, devices[0])
    zero = float((judge.label.norm(dim=2) * judge.confidence).sum())
    zero /= float(judge.confidence.sum())
    click.echo(f"held out: {error:.4f} px, relative {error / zero:.4f}")
    save_model(
        model,
        result.model,
        half=True,
        provenance={
            "series": count,
            "seed": seed,
            "training": config.model_dump(mode="json"),
            "ranges": {name: list(ends) for name, ends in RANGES.items()},
            "shape": list(SHAPE),
            "frames": list(FRAMES),
            "held_out_error_px": error,
            "held_out_error_relative": error / zero,
        },
    )


if __name__ == "__main__":
    main()
