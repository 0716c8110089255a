"""``uemdask demo``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from uemdask_cli.main import ALL_DONE, BAD_INPUT


@click.command()
@click.argument("folder", metavar="[DIR]", default="uemdask-demo", type=click.Path(path_type=Path))
def demo(folder: Path) -> int:
    """Simulate a raw acquisition, process it on this machine, and write its report.

    Run it again in the same DIR and it goes on where it stopped.
    """
    from uemdask.cube import Run, answers_of
    from uemdask.evaluate import evaluate_run
    from uemdask.execution import Driver, open_cluster, plan_runs, read_profile
    from uemdask.monitor import monitored
    from uemdask.report import write_report
    from uemdask.simulate import scenario, simulate, write_acquisition
    from uemdask_cli.console import listener

    begun = time.monotonic()
    raw, store = folder / "plane", folder / "results" / "plane.zarr"
    if not raw.exists():
        click.echo("Simulating a plane wave on a thin crystal: 120 frames of 256 x 256 px ...")
        write_acquisition(simulate(scenario("plane")), raw)
    plan = plan_runs([raw], output=store.parent)
    with (
        listener() as hears,
        open_cluster(read_profile(None)) as cluster,
        monitored(plan, cluster, hears) as told,
    ):
        outcome = Driver(plan, cluster, listener=told).run()
    if outcome.failed:
        click.echo(f"uemdask: {next(iter(outcome.failed.values()))}", err=True)
        return BAD_INPUT
    click.echo("Comparing with the exact truth, about a minute:")
    scores = evaluate_run(store, raw / "truth.npz", tell=lambda step: click.echo(f"  {step} ..."))
    click.echo("Drawing the report, less than a minute ...")
    page = write_report(store)
    click.echo(f"\nErrors against the exact truth:\n\n{scores.as_text()}\n")
    for answer in answers_of(Run(store)):
        click.echo(f"answer    {answer}")
    click.echo(f"raw data  {raw}")
    click.echo(f"store     {store}   (xarray.open_zarr reads it)")
    click.echo(f"report    {page}   (open it in a browser)")
    click.echo(f"done in {time.monotonic() - begun:.0f} s")
    return ALL_DONE
