"""``uemdask evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("store", metavar="RUN.zarr", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(store: Path, truth: Path, as_json: bool) -> None:
    """Compare RUN.zarr with the file TRUTH (npz), with zero flow and classical estimators."""
    from uemdask.evaluate import evaluate_run

    scores = evaluate_run(store, truth)
    click.echo(json.dumps(scores.as_dict(), indent=1) if as_json else scores.as_text())
