"""``uemdask verify``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uemdask_cli.main import ALL_DONE, SOME_FAILED
from uemdask_cli.run import plan_of

if TYPE_CHECKING:
    from uemdask.execution import Plan, RunVerification, Verification


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the stores.")
@click.option("--deep", is_flag=True, help="Read every file and check its sum.")
@click.option("--repair", is_flag=True, help="Make the damaged regions again.")
@click.option("--cluster", type=click.Path(path_type=Path), help="For --repair: cluster profile.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def verify(
    paths: tuple[Path, ...],
    output: Path | None,
    deep: bool,
    repair: bool,
    cluster: Path | None,
    as_json: bool,
) -> int:
    """Check the files of PATHS, runs or a campaign: all there, and as long as they were written.

    Exit code 1 where something is wrong.
    """
    from uemdask.execution import verify as verify_plan

    plan = plan_of(paths, output=output, model=None, settings=())
    found = verify_plan(plan, deep=deep)
    failed: dict[str, str] = {}
    broken = [
        planned
        for planned, run in zip(plan.runs, found.runs, strict=True)
        if run.damages and not run.lasting
    ]
    if repair and broken:
        if not as_json:
            _print(found)
        part = plan.model_copy(update={"runs": broken})
        failed = _repair(part, cluster, deep=deep, quiet=as_json)
        found = verify_plan(plan, deep=deep)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
    else:
        _print(found)
    for name, message in failed.items():
        click.echo(f"uemdask: {name}: {message}", err=True)
    return ALL_DONE if found.sound and not failed else SOME_FAILED


def _repair(plan: Plan, cluster: Path | None, *, deep: bool, quiet: bool) -> dict[str, str]:
    """Make again what is damaged; return the messages of runs where that failed."""
    from uemdask.execution import Driver, Repair, open_cluster, read_profile
    from uemdask_cli.console import listener

    with listener(quiet=quiet) as hears, open_cluster(read_profile(cluster)) as workers:
        pipeline = partial(Repair, deep=deep)
        return Driver(plan, workers, pipeline=pipeline, listener=hears).run().failed


def _print(found: Verification) -> None:
    for run in found.runs:
        for line in _lines(run, deep=found.deep):
            click.echo(line)


def _lines(run: RunVerification, *, deep: bool) -> list[str]:
    how = "read and compared" if deep else "checked by name and size"
    if run.fault:
        return [f"{run.run}: {run.fault}", f"{run.run}: {run.remedy}"]
    state = "all is well" if run.sound else f"{len(run.damages)} damaged"
    # Nothing was looked at, so nothing is well; a note says why.
    idle = run.sound and not run.files
    lines = [] if idle and run.notes else [f"{run.run}: {run.files} files {how}, {state}"]
    lines += [f"{run.run}: stage {damage.stage}: {damage}" for damage in run.damages]
    lines += [f"{run.run}: note: {note}" for note in run.notes]
    return [*lines, f"{run.run}: {run.remedy}"] if run.remedy else lines
