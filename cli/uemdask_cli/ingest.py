"""``uemdask ingest``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import numpy as np

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.execution import Driver, open_cluster, plan_ingest, read_profile
from uemdask.readers import inspect_raw
from uemdask_cli.console import listener
from uemdask_cli.main import BAD_INPUT


@click.command()
@click.argument("raw", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "store",
    required=True,
    metavar="RUN.zarr",
    type=click.Path(path_type=Path),
    help="The new run.",
)
@click.option("--delays", help="A table of delays, or a plan like '-30:500:5,500:990:10 ps'.")
@click.option("--pixel-size", help="Such as 3nm, or '3nm,2.5nm' for y and x.")
@click.option("--time-zero", help="Delay at which pump and probe meet, such as 12ps.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there already.")
@click.option("--dry-run", is_flag=True, help="Print what would be ingested, and stop.")
def ingest(
    raw: Path,
    store: Path,
    delays: str | None,
    pixel_size: str | None,
    time_zero: str | None,
    overwrite: bool,
    dry_run: bool,
) -> int:
    """Turn the raw folder or stack RAW into a run."""
    found = inspect_raw(raw, delays=delays, pixel_size=pixel_size, time_zero=time_zero)
    steps = np.unique(np.round(np.diff(found.delays), 6))
    click.echo(
        f"{raw}: {len(found.delays)} frames of {found.shape[0]} x {found.shape[1]} px, "
        f"{found.dtype}, pixel {found.pixel_size[0]:g} x {found.pixel_size[1]:g} nm, "
        f"{found.delays[0]:g} to {found.delays[-1]:g} ps in steps of "
        f"{', '.join(f'{step:g}' for step in steps[:4])}{' ...' if len(steps) > 4 else ''} ps"
    )
    for note in found.notes:
        click.echo(f"note: {note}")
    if dry_run:
        click.echo("file,image,delay_ps")
        for file, index, delay in zip(found.files, found.indices, found.delays, strict=True):
            click.echo(f"{file.name},{index},{delay:g}")
        return 0
    if _is_finished(store) and not overwrite:
        raise UemError(f"{store}: is there already; name another output or use --overwrite")
    plan = plan_ingest(raw, store, delays=delays, pixel_size=pixel_size, time_zero=time_zero)
    with listener() as hears, open_cluster(read_profile(None)) as cluster:
        outcome = Driver(plan, cluster, only=("ingest",), overwrite=overwrite, listener=hears).run()
    if outcome.failed:
        click.echo(f"uemdask: {next(iter(outcome.failed.values()))}", err=True)
        return BAD_INPUT
    results = Run(store).stage("ingest")["results"]
    flagged = f", {results['flagged']} flagged" if results["flagged"] else ""
    click.echo(f"{store}: {results['frames']} frames{flagged}")
    click.echo(f"next: uemdask run {shlex.quote(str(store))}")
    return 0


def _is_finished(store: Path) -> bool:
    if not store.exists() or (store.is_dir() and not any(store.iterdir())):
        return False
    try:
        return Run(store).is_done("ingest")
    except UemError:
        raise UemError(f"{store}: is there already and is not a run; name another output") from None
