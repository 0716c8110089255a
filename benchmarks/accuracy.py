"""Errors of the whole chain on simulated acquisitions with exact truth: makes docs/accuracy.md.

    python benchmarks/accuracy.py FOLDER [--seeds 3] [--scenarios plane,dim] [--as-it-is]
        [--page PAGE.md]

Raw files are written, ingested, aligned and taken through every stage as `uemdask run` does by
default, each run by itself. Runs that are done are not done again. The seeds start at 7001;
backgrounds, drift, noise and the draws of the scenario `random` are not those of any training.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np

from uemdask.evaluate import evaluate_run
from uemdask.execution import Driver, open_cluster, plan_campaign, read_profile
from uemdask.simulate import (
    SCENARIOS,
    Scenario,
    random_scenario,
    scenario,
    simulate,
    write_acquisition,
)
from uemdask.version import __version__

FIRST_SEED = 7001
RANDOM_FRAMES = 90
ESTIMATORS = ("raw Farneback", "wave Farneback", "wave DIS", "labels", "flow")
ERRORS = (  # heading, field, digits
    ("relative endpoint error", "epe_relative", 3),
    ("angle, degree", "angle_error_degree", 2),
    ("speed of the region, %", "roi_speed_error_percent", 2),
)


def drawn(name: str, seed: int) -> Scenario:
    """Return a scenario: a named one, or one drawn at random."""
    if name == "random":
        return random_scenario(np.random.default_rng([FIRST_SEED, seed]), frames=RANDOM_FRAMES)
    return scenario(name, seed=seed)


def process(
    folder: Path, names: Iterable[str], seeds: Iterable[int], model: str, *, adapted: bool
) -> dict[str, Any]:
    """Simulate, process and score; return the scores by scenario and seed."""
    raws = {}
    for name in names:
        for seed in seeds:
            raw = folder / "raw" / f"{name}-{seed}"
            if not raw.exists():
                write_acquisition(simulate(drawn(name, seed)), raw)
            raws[name, seed] = raw
    plan = plan_campaign(
        {
            "output": str(folder / "results"),
            "runs": [{"raw": str(raw)} for raw in raws.values()],
            "model": model,
            "one_model": "each",
            "parameters": {
                "label": {"base": False},
                **({} if adapted else {"train": {"adapt": {"steps": 0, "finetune_steps": 0}}}),
            },
        },
        name="accuracy",
        folder=folder,
    )
    with open_cluster(read_profile(None)) as cluster:
        outcome = Driver(plan, cluster).run()
    for run, message in outcome.failed.items():
        click.echo(f"{run}: {message}", err=True)
    found: dict[str, Any] = {}
    for (name, seed), raw in raws.items():
        store = folder / "results" / f"{raw.name}.zarr"
        if raw.name in outcome.done:
            found.setdefault(name, {})[seed] = evaluate_run(store, raw / "truth.npz").as_dict()
            click.echo(f"{raw.name}: {summary(found[name][seed])}")
    return found


def summary(scores: dict[str, Any]) -> str:
    """Say in a line how one run came out."""
    network = scores["flow"].get("flow", {})
    parts = [f"{heading} {network[key]:.{digits}f}" for heading, key, digits in ERRORS if network]
    return ", ".join(
        [*parts, f"valid {scores['facts']['valid share']:.3f}", scores["mode"]["found"]]
    )


def averages(runs: dict[int, Any]) -> dict[str, float]:
    """Average every number of the seeds of a scenario; names are joined by slashes."""
    values: dict[str, list[float]] = {}

    def collect(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                collect(f"{name}/{key}", part)
        elif isinstance(value, list | tuple):
            for index, part in enumerate(value):
                collect(f"{name}/{index}", part)
        elif isinstance(value, int | float) and np.isfinite(value):
            values.setdefault(name, []).append(float(value))

    for scores in runs.values():
        collect("", scores)
    return {name.lstrip("/"): float(np.mean(some)) for name, some in values.items()}


def cells(numbers: dict[str, float], names: Iterable[str], digits: int) -> list[str]:
    """Format numbers for the page."""
    return [f"{numbers[name]:.{digits}f}" if name in numbers else "-" for name in names]


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def page(found: dict[str, Any], model: str) -> str:
    """Write docs/accuracy.md."""
    seeds = sorted({seed for runs in found.values() for seed in runs})
    means = {name: averages(runs) for name, runs in found.items()}
    moving = {name: m for name, m in means.items() if "flow/flow/epe_relative" in m}
    lines = [
        "# Accuracy on simulated acquisitions",
        "",
        f"Made by `benchmarks/accuracy.py` with uemdask {__version__}, model `{model}`: "
        f"{len(found)} scenarios, {len(seeds)} seeds ({seeds[0]} to {seeds[-1]}), from raw files "
        "through every stage with default settings, each run by itself. Means over the seeds, over "
        "the pairs with the wave present and the true mask. Simulated data only: real materials "
        "will differ. The scenarios are described in [simulator.md](simulator.md).",
        "",
    ]
    for heading, key, digits in ERRORS:
        names = [f"flow/{estimator}/{key}" for estimator in ESTIMATORS]
        over_all = {
            name: float(np.mean([m[name] for m in moving.values() if name in m])) for name in names
        }
        rows = [[name, *cells(m, names, digits)] for name, m in moving.items()]
        rows.append(["**mean**", *cells(over_all, names, digits)])
        lines += [f"## {heading.capitalize()}", "", *table(["scenario", *ESTIMATORS], rows)]
    lines += [
        "`raw Farneback` is OpenCV on the frames as recorded; `wave ...` is OpenCV on the "
        "band-passed, smoothed wave in one fixed range, the published way; `labels` are the "
        "default labels (refined DIS and windowed phase velocity, combined by confidence); "
        "`flow` is what is stored: network and labels by their variances.",
        "",
        "## Stated uncertainty",
        "",
        "Share of errors within one stated standard deviation (0.683 is right), and the same in "
        "each fifth of the pixels sorted by `flow_sd`, x component.",
        "",
    ]
    network = "flow/flow/coverage"
    names = [f"{network}_x/one_sigma", f"{network}_y/one_sigma"]
    names += [f"{network}_x/fifth_one_sigma/{fifth}" for fifth in range(5)]
    rows = [[name, *cells(m, names, 2)] for name, m in moving.items()]
    header = ["scenario", "x", "y", "surest fifth", "2nd", "3rd", "4th", "least sure"]
    lines += table(header, rows)
    lines += ["## Where it applies, mask, alignment", ""]
    facts = ("valid share", "mask AUC of peak_snr", "mask intersection over union")
    names = [f"facts/{fact}" for fact in (*facts, "drift error, px rms")]
    modes = {n: sorted({s["mode"]["found"] for s in runs.values()}) for n, runs in found.items()}
    rows = [[name, *cells(m, names, 3), ", ".join(modes[name])] for name, m in means.items()]
    header = ["scenario", "`valid` share", "mask AUC", "mask IoU", "drift error, px rms", "mode"]
    lines += table(header, rows)
    lines += [
        "`valid` share: of the true mask where a wave travels, of all pixels where none does.",
        "",
    ]
    return "\n".join(lines)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seeds", default=3, help="Number of seeds.")
@click.option("--scenarios", default="", help="Comma-separated; all where empty.")
@click.option("--model", default="base", help="As for `uemdask run`.")
@click.option("--adapted/--as-it-is", default=True, help="Adapt the model to each run, or not.")
@click.option("--page", "page_file", type=click.Path(path_type=Path), help="Markdown to write.")
def main(
    folder: Path, seeds: int, scenarios: str, model: str, adapted: bool, page_file: Path | None
) -> None:
    """Process simulated acquisitions in FOLDER and score them."""
    folder = folder.absolute()
    names = scenarios.split(",") if scenarios else [*SCENARIOS, "random"]
    found = process(folder, names, range(FIRST_SEED, FIRST_SEED + seeds), model, adapted=adapted)
    (folder / "scores.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    text = page(found, model if adapted else f"{model}, not adapted")
    click.echo(text)
    if page_file is not None:
        page_file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
