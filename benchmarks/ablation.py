"""What each part of the training is worth: a table of errors on series with exact truth.

    python benchmarks/ablation.py [--steps 600] [--finetune-steps 120] [--page docs/ablation.md]

Four simulated series are labelled by OpenCV alone (DIS on the wave, the published way). Networks
are trained on these labels from nothing, and judged on the same series by the exact truth, which
no training but those "with exact truth" has seen, and those on other waves only.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import click
import numpy as np

from uemdask.evaluate import score_flow, wave_flows
from uemdask.labels import grey_scale
from uemdask.network import (
    MixedSource,
    Series,
    SeriesSource,
    TrainingConfig,
    UNet,
    choose_baselines,
    predict,
    train,
)
from uemdask.simulate import Scenario, random_scenario, scenario, simulate
from uemdask.stages.simulated_series import simulated_series

SHAPE = (160, 160)
FRAMES = 70
NAMES = ("plane", "uneven", "ring", "dim")
OTHERS = 40  # series with exact truth to learn from
STEP = 5.0  # ps, the usual delay step


def series(drawn: Scenario, *, raw: bool = False) -> Series:
    """Take a scenario to its wave, or to the plain ratio of its frames."""
    length = drawn.speed / drawn.frequency * 1e3 / drawn.pixel_size[0]
    return simulated_series(
        simulate(drawn),
        centre=None if raw else drawn.frequency,
        smoothing=0.0 if raw else 2.0,
        window=1.0,
        directional="all" if drawn.echo > 0 and 4 * length <= min(SHAPE) else "none",
        name=drawn.name,
    )


def labelled(wave: Series, shown: Series, drawn: Scenario) -> Series:
    """Return what is shown with labels by OpenCV on the wave; trust where the wave is there."""
    length = drawn.speed / drawn.frequency * 1e3 / drawn.pixel_size[0]
    pairs = zip(wave.frame_from.tolist(), wave.frame_to.tolist(), strict=True)
    scale = grey_scale(np.asarray(wave.wave, np.float32), wave.mask)
    labels = wave_flows(wave.wave, pairs, scale=scale, wavelength=length, method="dis")
    return dataclasses.replace(shown, label=np.stack(list(labels)).astype(np.float16))


def errors(model: UNet, shown: list[Series], truth: list[Series]) -> list[float]:
    """Return relative endpoint error, angle error and speed error, means over the series."""
    found = []
    for inputs, exact in zip(shown, truth, strict=True):
        flow, _ = predict(
            model, inputs.wave[inputs.frame_from], inputs.wave[inputs.frame_to], scale=inputs.scale
        )
        found.append(scores(flow, exact))
    return [float(np.mean(column)) for column in zip(*found, strict=True)]


def scores(flow: np.ndarray, exact: Series) -> tuple[float, float, float]:
    """Score one series over its mask and the pairs with the wave present."""
    present = exact.confidence.any(axis=(1, 2))
    score = score_flow(flow, exact.label.astype(np.float32), exact.mask, present)
    return score.epe_relative, score.angle_error_degree, score.roi_speed_error_percent


@click.command()
@click.option("--steps", default=600, help="Training steps on labels.")
@click.option("--finetune-steps", default=120, help="Steps without labels.")
@click.option("--page", "page_file", type=click.Path(path_type=Path), help="Markdown to write.")
def main(steps: int, finetune_steps: int, page_file: Path | None) -> None:
    """Print the table of errors."""
    warnings.simplefilter("error")
    drawn = [scenario(name, seed=31, shape=SHAPE, frames=FRAMES) for name in NAMES]
    exact = [series(s) for s in drawn]
    raw = [series(s, raw=True) for s in drawn]
    waves = [labelled(w, w, s) for w, s in zip(exact, drawn, strict=True)]
    frames = [labelled(w, r, s) for w, r, s in zip(exact, raw, drawn, strict=True)]
    rng = np.random.default_rng(77)
    others = []
    for _ in range(OTHERS):
        other = random_scenario(rng, shape=SHAPE, frames=40)
        others.append(series(dataclasses.replace(other, hot_pixels=0)))
    on_labels = SeriesSource(waves)
    mixed = MixedSource([(on_labels, 0.5), (SeriesSource(others), 0.5)])
    plain = TrainingConfig(pretrain_steps=steps, finetune_steps=0)
    baselines = choose_baselines(max(s.frequency for s in drawn), STEP)
    fine = TrainingConfig(pretrain_steps=0, finetune_steps=finetune_steps, baselines=baselines)

    first = train(on_labels, plain).model
    with_truth = train(mixed, plain).model
    on_raw = train(SeriesSource(frames), plain).model

    def tuned(start: UNet, source: SeriesSource | MixedSource = on_labels, **changes: object):
        return train(source, fine.model_copy(update=changes), start=start).model

    zero = [scores(np.zeros_like(e.label, np.float32), e) for e in exact]
    opencv = [scores(w.label.astype(np.float32), e) for w, e in zip(waves, exact, strict=True)]
    rows = {
        "zero flow": [float(np.mean(c)) for c in zip(*zero, strict=True)],
        "the labels themselves (DIS on the wave)": [
            float(np.mean(c)) for c in zip(*opencv, strict=True)
        ],
        "labels only": errors(first, waves, exact),
        "labels + exact truth of other waves": errors(with_truth, waves, exact),
        "labels only, on raw frames": errors(on_raw, frames, exact),
        "... + fine-tuning on raw frames": errors(
            tuned(on_raw, SeriesSource(frames), even_amplitude=False, anchor=0.0), frames, exact
        ),
        "labels + fine-tuning on the band-passed wave": errors(
            tuned(first, even_amplitude=False, anchor=0.0), waves, exact
        ),
        "labels + fine-tuning on even amplitude": errors(tuned(first, anchor=0.0), waves, exact),
        "... with anchor (the default)": errors(tuned(first), waves, exact),
        "... with a strong anchor": errors(tuned(first, anchor=0.5), waves, exact),
        "labels + exact truth + fine-tuning with anchor": errors(tuned(with_truth), waves, exact),
    }
    lines = [
        "# What each part of the training is worth",
        "",
        f"Made by `benchmarks/ablation.py`: {steps} steps on labels from nothing, "
        f"{finetune_steps} without, one seed. Means over the scenarios {', '.join(NAMES)} at "
        f"{SHAPE[0]} px, judged by the exact truth. Labels are OpenCV's alone; the default labels "
        "of `uemdask run`, which know the phase, are far better ([accuracy.md](accuracy.md)).",
        "",
        "| training | relative endpoint error | angle, degree | speed of the region, % |",
        "|---|---|---|---|",
        *(f"| {name} | {e:.3f} | {a:.2f} | {s:.2f} |" for name, (e, a, s) in rows.items()),
        "",
    ]
    text = "\n".join(lines)
    click.echo(text)
    if page_file is not None:
        page_file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
