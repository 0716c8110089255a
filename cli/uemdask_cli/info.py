"""``uemdask info``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("store", metavar="RUN.zarr", type=click.Path(path_type=Path))
def info(store: Path) -> None:
    """Say what is in a run, which stages are done, and what is missing."""
    from uemdask.cube import describe_run

    click.echo(describe_run(store))
