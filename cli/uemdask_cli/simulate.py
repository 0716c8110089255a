"""``uemdask simulate``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from uemdask.simulate import DelaySource

_WHERE = {"table": "delays.csv", "log": "a log of delays", "names": "delays in their names"}


class _Lines(click.ParamType):
    """Numbers of columns or rows."""

    name = "lines"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read numbers between commas."""
        try:
            return tuple(int(part) for part in value.split(",")) if value else ()
        except ValueError:
            self.fail(f"{value!r} was found; give numbers such as 40,41,-1", param, ctx)


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
@click.option("--aperture", type=float, default=0.0, help="Round aperture: diameter, of the frame.")
@click.option("--bar", type=float, default=0.0, help="Bar of the support grid: width, px.")
@click.option("--shadow", type=float, default=0.0, help="Soft shadow: share of the frame.")
@click.option(
    "--dark-level", type=float, default=0.0, help="Counts where those three let nothing pass."
)
@click.option(
    "--beam-profile",
    type=float,
    default=1.0,
    help="Share of the beam at the corners, such as 0.03.",
)
@click.option("--beam-wander", type=float, default=0.0, help="How far the beam wanders, px.")
@click.option("--dead-columns", type=_Lines(), default="", help="Such as 0,40,41; -1 is the last.")
@click.option("--dead-rows", type=_Lines(), default="", help="The same of rows.")
@click.option("--dead-block", type=int, default=0, help="Square of dead pixels: side, px.")
@click.option("--x-rays", type=float, default=0.0, help="Share of pixels hit in a frame, to 0.01.")
@click.option("--offset", type=float, default=0.0, help="Pedestal left in the frames, counts.")
@click.option(
    "--nan-margin", is_flag=True, help="Frames moved back in whole px, NaN where nothing is."
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
    **defects: Any,
) -> None:
    """Write a raw acquisition of SCENARIO into the new folder OUT, with exact truth beside it."""
    from uemdask.simulate import Defects, scenario, write_acquisition
    from uemdask.simulate import simulate as simulate_scenario

    chosen = scenario(
        name, seed=seed, shape=(size, size), frames=frames, defects=Defects(**defects)
    )
    acquisition = simulate_scenario(chosen)
    write_acquisition(acquisition, out, scans=scans, delays=delays, scan_drift=scan_drift)
    times = f" in {scans} scans" if scans > 1 else ""
    click.echo(
        f"{out}: {len(acquisition.delays)} frames{times} of {size} x {size} px, {_WHERE[delays]}, "
        f"truth"
    )
    raw, store = shlex.quote(str(out)), shlex.quote(f"{out.name}.zarr")
    click.echo(f"next: uemdask ingest {raw} -o {store}")
