"""``uemdask simulate``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from uemdask.simulate import DelaySource

_WHERE = {"table": "delays.csv", "log": "a log of delays", "names": "delays in their names"}


@click.command()
@click.argument("name", metavar="SCENARIO")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Another seed, another sample.")
@click.option("--size", default=256, show_default=True, help="Edge of the frames in px.")
@click.option("--frames", type=int, help="Number of delays; default: the scenario's own.")
@click.option(
    "--scans",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often all delays are taken, each time in another order.",
)
@click.option(
    "--delays",
    type=click.Choice(list(_WHERE)),
    default="table",
    show_default=True,
    help="Where the delays stand: delays.csv, a log (.ulg), or only the names of the images.",
)
@click.option(
    "--scan-drift",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="How far later scans lie from the first, px.",
)
def simulate(
    name: str,
    out: Path,
    seed: int,
    size: int,
    frames: int | None,
    scans: int,
    delays: DelaySource,
    scan_drift: float,
) -> None:
    """Write a raw acquisition of SCENARIO into the new folder OUT, with exact truth beside it."""
    from uemdask.simulate import scenario, write_acquisition
    from uemdask.simulate import simulate as simulate_scenario

    chosen = scenario(name, seed=seed, shape=(size, size), frames=frames)
    acquisition = simulate_scenario(chosen)
    write_acquisition(acquisition, out, scans=scans, delays=delays, scan_drift=scan_drift)
    times = f" in {scans} scans" if scans > 1 else ""
    click.echo(
        f"{out}: {len(acquisition.delays)} frames{times} of {size} x {size} px, {_WHERE[delays]}, "
        f"truth"
    )
    raw, store = shlex.quote(str(out)), shlex.quote(f"{out.name}.zarr")
    click.echo(f"next: uemdask ingest {raw} -o {store}")
