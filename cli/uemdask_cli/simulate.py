"""``uemdask simulate``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from uemdask.simulate import SCENARIOS, scenario, write_acquisition
from uemdask.simulate import simulate as simulate_scenario


@click.command()
@click.argument("name", metavar="SCENARIO", type=click.Choice(sorted(SCENARIOS)))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Another seed, another sample.")
@click.option("--size", default=256, show_default=True, help="Edge of the frames in px.")
@click.option("--frames", type=int, help="Number of frames; default: the scenario's own.")
def simulate(name: str, out: Path, seed: int, size: int, frames: int | None) -> None:
    """Write a raw acquisition of SCENARIO into the new folder OUT, with exact truth beside it."""
    chosen = scenario(name, seed=seed, shape=(size, size), frames=frames)
    acquisition = simulate_scenario(chosen)
    write_acquisition(acquisition, out)
    click.echo(f"{out}: {len(acquisition.delays)} frames of {size} x {size} px, delays.csv, truth")
    raw, store = shlex.quote(str(out)), shlex.quote(f"{out.name}.zarr")
    click.echo(f"next: uemdask ingest {raw} -o {store}")
