"""``uemdask export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("store", metavar="RUN.zarr", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def export(store: Path, out: Path) -> None:
    """Copy the results of RUN.zarr without `intensity` and `wave` to the new store OUT."""
    from uemdask.cube import export_run

    size = export_run(store, out)
    click.echo(f"{out}: {size / 2**20:.1f} MiB")
