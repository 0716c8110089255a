"""``uemdask report``."""

from __future__ import annotations

from pathlib import Path

import click

from uemdask_cli.flags import with_flags


@click.command()
@click.argument("path", metavar="RUN.zarr|CAMPAIGN.yaml", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The page; default: beside.")
def report(path: Path, output: Path | None) -> None:
    """Write a self-contained page with pictures of a run, or of all runs of a campaign."""
    from uemdask.report import write_campaign_report, write_report

    if path.suffix.casefold() not in (".yaml", ".yml"):
        click.echo(f"report: {write_report(path, output)}")
        return
    from uemdask.execution import read_campaign, run_status

    plan = read_campaign(path)
    states = [run_status(run) for run in plan.runs]
    page = write_campaign_report(
        [run.store for run in plan.runs if run.store.exists()],
        output or plan.output / f"{path.stem}.html",
        failures={state.name: with_flags(state.failed) for state in states if state.failed},
    )
    click.echo(f"report: {page}")
