"""Drift, true against found, on simulated acquisitions: makes docs/drift.md.

    python benchmarks/drift.py [--quick] [--page docs/drift.md]

Every named scenario with its own drift, some with four harder ones, on frames of 192 px, and all on
small frames; then the endpoint error of the phase labels with and without alignment. Only `align`
and what the labels need is run, in this process. Some minutes on two cores; `--quick` takes a
minute and writes the same tables of fewer runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from uemdask.align import Registrar
from uemdask.cube import Run, create_run
from uemdask.cube.layout import frame_slabs
from uemdask.evaluate import evaluate_run
from uemdask.simulate import SCENARIOS, Acquisition, scenario, simulate
from uemdask.stages import STAGE_BY_NAME, StageParameters
from uemdask.stages.raw_frames import recorded_frames
from uemdask.version import __version__

SIZE, FRAMES, FIRST_SEED = 192, 60, 8001
SMALL_SIZE, SMALL_FRAMES = 128, 40
HARDER: dict[str, dict[str, float]] = {
    "0.02 px a frame": {"drift_step": 0.02, "drift_total": 1.0, "drift_jumps": 0},
    "0.3 px a frame": {"drift_step": 0.3, "drift_total": 8.0, "drift_jumps": 0},
    "1 px a frame": {"drift_step": 1.0, "drift_total": 25.0, "drift_jumps": 0},
    "1 px a frame, 3 jumps of 10 px": {
        "drift_step": 1.0,
        "drift_total": 35.0,
        "drift_jumps": 3,
        "drift_jump": 10.0,
    },
}
HARD_SCENARIOS = ("plane", "dim", "chirped", "bend_contours", "half_flake", "few_delays")
LABELLED = ("plane", "dim", "chirped", "fast", "few_delays")
QUICK_SCENARIOS = ("plane", "dim", "bend_contours")


@dataclass(frozen=True)
class Score:
    """Errors of one series: of the drift in px, of the brightness in %."""

    drift: float
    single: float
    rms: float
    shape_rms: float
    largest: float
    stated: float
    gain_jitter: float


def stored(acquisition: Acquisition, path: Path) -> Run:
    """Put an acquisition into a store, as ingest does."""
    run = create_run(
        path,
        delays=acquisition.delays,
        shape=acquisition.shape,
        dtype="uint16",
        pixel_size=acquisition.pixel_size,
        source_file=[f"{i}.tif" for i in range(len(acquisition))],
    )
    for slab in frame_slabs(run.sizes):
        frames = np.stack([acquisition.frame(i) for i in range(*slab.span("time", 0))])
        run.write("intensity", frames, slab)
    run.finish("ingest")
    return run


def make(run: Run, name: str, parameters: StageParameters) -> None:
    """Run a stage in this process."""
    stage, chosen = STAGE_BY_NAME[name], getattr(parameters, name)
    run.begin(name, digest=name, parameters=chosen.model_dump(mode="json"))
    stage.create(run, chosen)
    for phase in stage.phases:
        receipts = {
            region.key: phase.work(run, region, chosen) for region in phase.regions(run, chosen)
        }
        run.note(name, results=phase.finish(run, chosen, receipts))
    run.finish(name)


def rms(vectors: np.ndarray) -> float:
    """Root mean square length."""
    return float(np.sqrt(np.mean(np.sum(np.square(vectors), axis=-1))))


def score(acquisition: Acquisition, folder: Path) -> Score:
    """Align one series and compare with the truth."""
    run = stored(acquisition, folder / "run.zarr")
    make(run, "align", StageParameters())
    registrar = Registrar(run.read("reference"))
    bad = run.read("bad_pixel")
    recorded = recorded_frames(run, bad)
    alone = [registrar.drift(recorded(i)) for i in range(len(acquisition))]
    single = np.array([(found.x, found.y) for found in alone])
    error = run.read("drift") - acquisition.drift
    ratio = run.read("gain") / acquisition.gain
    return Score(
        drift=rms(acquisition.drift),
        single=rms(single - acquisition.drift),
        rms=rms(error),
        shape_rms=rms(error - error.mean(axis=0)),
        largest=float(np.hypot(*error.T).max()),
        stated=rms(run.read("drift_sd")),
        gain_jitter=100 * float(np.std(np.diff(np.log(ratio))) / np.sqrt(2)),
    )


def labels_error(acquisition: Acquisition, folder: Path, *, aligned: bool) -> float:
    """Return the relative endpoint error of the phase labels."""
    run = stored(acquisition, folder / f"labels-{aligned}.zarr")
    truth = folder / "truth.npz"
    acquisition.truth().save(truth)
    parameters = StageParameters.model_validate(
        {
            "align": {"register_drift": aligned},
            "label": {"methods": ["phase"], "base": False},
        }
    )
    for name in ("align", "spectrum", "pairs", "label"):
        make(run, name, parameters)
    return float(evaluate_run(run.path, truth).flow["labels"].epe_relative)


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def drift_rows(
    settings: dict[str, tuple[str, dict[str, Any]]],
    seeds: range,
    size: int = SIZE,
    frames: int = FRAMES,
) -> list[list[str]]:
    """Score each setting over the seeds; one row each."""
    rows = []
    for label, (name, options) in settings.items():
        scores = []
        for seed in seeds:
            chosen = scenario(name, seed=seed, shape=(size, size), frames=frames, **options)
            with tempfile.TemporaryDirectory() as folder:
                scores.append(score(simulate(chosen), Path(folder)))
        mean = {f: float(np.mean([getattr(s, f) for s in scores])) for f in Score.__annotations__}
        worst = max(s.largest for s in scores)
        rows.append(
            [
                label,
                f"{mean['drift']:.2f}",
                f"{mean['single']:.2f}",
                f"**{mean['rms']:.3f}**",
                f"{mean['shape_rms']:.3f}",
                f"{worst:.2f}",
                f"{mean['stated']:.3f}",
                f"{mean['gain_jitter']:.2f}",
            ]
        )
        click.echo(" ".join(rows[-1]))
    return rows


def label_rows(names: Sequence[str]) -> list[list[str]]:
    """Score the phase labels with their own drift and with the hardest; one row each."""
    rows = []
    hardest = list(HARDER)[-1]
    for label, options in (("", {}), (f", {hardest}", HARDER[hardest])):
        for name in names:
            chosen = scenario(
                name, seed=FIRST_SEED, shape=(SIZE, SIZE), frames=FRAMES, **dict(options)
            )
            errors = []
            for aligned in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    errors.append(labels_error(simulate(chosen), Path(folder), aligned=aligned))
            rows.append([f"{name}{label}", *(f"{error:.3f}" for error in errors)])
            click.echo(" ".join(rows[-1]))
    return rows


def page(seeds: int, quick: bool) -> str:
    """Write the page."""
    names = QUICK_SCENARIOS if quick else tuple(SCENARIOS)
    hard = QUICK_SCENARIOS if quick else HARD_SCENARIOS
    drawn = range(FIRST_SEED, FIRST_SEED + seeds)
    header = [
        "series",
        "drift itself",
        "frame by frame",
        "found",
        "found, less a constant",
        "worst frame",
        "stated error",
        "gain jitter left, %",
    ]
    lines = [
        "# Drift on simulated acquisitions",
        "",
        f"Made by `benchmarks/drift.py` with uemdask {__version__}: {FRAMES} frames of {SIZE} x "
        f"{SIZE} px, seeds {FIRST_SEED} to {FIRST_SEED + seeds - 1}. All "
        "errors are in px, root mean square over the frames of the length of (found - true), where "
        "drift is zero on average over the frames before time zero, for the truth and for what was "
        "found. Simulated data only: real materials will differ.",
        "",
        "- *drift itself*: the error if nothing were done.",
        "- *frame by frame*: each frame registered by itself against the reference (the best the "
        "library does for a single frame). Moving bend contours pull it along.",
        "- *found*: `drift` of the store; *less a constant*: its shape alone, as a constant only "
        "moves all results by as much.",
        "- *stated error*: `drift_sd` of the store, both components together.",
        "- *gain jitter left*: error of the brightness from one frame to the next. In `chirped` "
        "one wavelength fills the field at this size, and brightness follows it.",
        "",
        "## With the drift of the scenario",
        "",
        *table(header, drift_rows({name: (name, {}) for name in names}, drawn)),
        "## With harder drift",
        "",
    ]
    settings = {
        f"{name}, {label}": (name, dict(options))
        for name in hard
        for label, options in HARDER.items()
    }
    lines += table(header, drift_rows(settings, range(FIRST_SEED, FIRST_SEED + max(1, seeds // 2))))
    lines += [
        f"## Small frames: {SMALL_SIZE} x {SMALL_SIZE} px, {SMALL_FRAMES} frames",
        "",
        "Less than a third of the pixels and frames; contours fill more of a frame.",
        "",
        *table(
            header,
            drift_rows({name: (name, {}) for name in names}, drawn, SMALL_SIZE, SMALL_FRAMES),
        ),
    ]
    rows = label_rows(("plane",) if quick else LABELLED)
    lines += [
        "## Relative endpoint error of the phase labels",
        "",
        "With `align.register_drift` false and true; brightness is corrected in both.",
        "",
        *table(["series", "drift left in", "aligned"], rows),
    ]
    return "\n".join(lines)


@click.command()
@click.option("--seeds", default=2, show_default=True, help="How many seeds.")
@click.option("--quick", is_flag=True, help="A few scenarios, one seed.")
@click.option("--page", "path", type=click.Path(path_type=Path), help="Where to write the page.")
def main(seeds: int, quick: bool, path: Path | None) -> None:
    """Compare drift found with the truth."""
    text = page(1 if quick else seeds, quick)
    if path is None:
        click.echo(text)
    else:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
