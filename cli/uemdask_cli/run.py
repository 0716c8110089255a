"""``uemdask run``."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uemdask_cli.main import ALL_DONE, BAD_INPUT, SOME_FAILED

if TYPE_CHECKING:
    from uemdask.execution import ClusterProfile, Outcome, Plan

#: As in `uemdask.cube`, which takes a second to import.
STAGES = ("ingest", "align", "spectrum", "pairs", "label", "train", "flow", "feature", "mode")

_CAMPAIGN = (".yaml", ".yml")
#: Runs whose answers are printed at the end.
_MOST_ANSWERS = 20


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder for stores and models.")
@click.option("--cluster", type=click.Path(path_type=Path), help="Cluster profile (YAML).")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(STAGES),
    help="Do this stage only (mode goes with feature).",
)
@click.option(
    "--model",
    metavar="FILE|base|new",
    help="A model to use as it is, or what training starts from: the base model (default) or "
    "nothing.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="STAGE.KEY=VALUE", help="Change a parameter."
)
@click.option("--overwrite", is_flag=True, help="Replace stores made from other raw data.")
@click.option(
    "--retrain",
    is_flag=True,
    help="Train anew, also for finished runs; else they keep their model and their numbers.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan, and stop: nothing is done.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print the plan as JSON.")
def run(
    paths: tuple[Path, ...],
    output: Path | None,
    cluster: Path | None,
    only: tuple[str, ...],
    model: str | None,
    settings: tuple[str, ...],
    overwrite: bool,
    retrain: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Process PATHS: one campaign file (YAML), or runs (stores, raw folders, stacks).

    What is done already with the same inputs and parameters is not done again.
    """
    from uemdask.execution import Driver, open_cluster, preview, read_profile
    from uemdask.monitor import monitored
    from uemdask_cli.console import listener
    from uemdask_cli.plan_table import print_plan

    if as_json and not dry_run:
        raise click.UsageError("--json goes with --dry-run; 'uemdask status --json' tells of a run")
    plan, profile = _together(
        lambda: plan_of(paths, output=output, model=model, settings=settings),
        lambda: read_profile(cluster),
    )
    given = plan.model if model is not None else None
    command = _command(paths, output=output, cluster=cluster, model=given, settings=settings)
    plan = plan.model_copy(update={"retrain": retrain, "command": command})
    if dry_run:
        expected = preview(plan, only=only, overwrite=overwrite, profile=profile)
        if as_json:
            click.echo(expected.model_dump_json(indent=1))
        else:
            print_plan(expected)
        for broken in expected.broken:
            click.echo(f"uemdask: {broken.run}: {broken.fault}", err=True)
        for fault in expected.faults:
            click.echo(f"uemdask: {fault}", err=True)
        return BAD_INPUT if expected.faults else _exit_code(len(plan.runs), len(expected.broken))
    with (
        listener() as hears,
        open_cluster(profile) as workers,
        monitored(plan, workers, hears, only=only) as told,
    ):
        outcome = Driver(plan, workers, only=only, overwrite=overwrite, listener=told).run()
    folders = sorted({str(run.store.parent) for run in plan.runs})
    click.echo(
        f"{len(outcome.done)} of {len(plan.runs)} runs done; results in {', '.join(folders)}"
    )
    for name, message in outcome.failed.items():
        click.echo(f"uemdask: {name}: failed in {outcome.stages[name]}: {message}", err=True)
    _print_answers(plan, outcome)
    click.echo(f"next: {_next(plan, outcome, paths, output)}")
    return _exit_code(len(plan.runs), len(outcome.failed))


def _together(
    plan: Callable[[], Plan], profile: Callable[[], ClusterProfile]
) -> tuple[Plan, ClusterProfile]:
    """Read campaign and profile; where both are at fault, that is told in one round."""
    from uemdask.errors import UemError

    try:
        found = plan()
    except UemError as error:
        try:
            profile()
        except UemError as other:
            raise UemError(f"{error}\n{other}") from None
        raise
    return found, profile()


def _print_answers(plan: Plan, outcome: Outcome) -> None:
    """Say what was found in each run that is done; of many, in the first ones."""
    from uemdask.cube import Run, answers_of

    done = [run for run in plan.runs if run.name in outcome.done]
    for planned in done[:_MOST_ANSWERS]:
        for answer in answers_of(Run(planned.store)):
            click.echo(f"{planned.name}: {answer}" if len(plan.runs) > 1 else f"{answer}")
    if len(done) > _MOST_ANSWERS:
        click.echo(f"... and {len(done) - _MOST_ANSWERS} more runs; the report has all")


def _next(plan: Plan, outcome: Outcome, paths: tuple[Path, ...], output: Path | None) -> str:
    """Return the command to give next."""
    from uemdask.cube import Run, next_command

    if outcome.failed:
        return f"mend what is said above, then {shlex.join(['uemdask', *plan.command])}"
    if paths[0].suffix.casefold() in _CAMPAIGN and output is None and len(plan.runs) > 1:
        return shlex.join(["uemdask", "report", str(paths[0])])
    return next_command(Run(plan.runs[0].store))


def _command(
    paths: tuple[Path, ...],
    *,
    output: Path | None,
    cluster: Path | None,
    model: str | None,
    settings: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the words that ask for the same from any folder."""
    words = ["run", *(str(path.absolute()) for path in paths)]
    for option, value in (("--output", output), ("--cluster", cluster)):
        if value is not None:
            words += [option, str(value.absolute())]
    if model is not None:
        words += ["--model", model]
    return (*words, *(word for setting in settings for word in ("--set", setting)))


def _exit_code(runs: int, failed: int) -> int:
    if not failed:
        return ALL_DONE
    return BAD_INPUT if runs == 1 else SOME_FAILED


def plan_of(
    paths: tuple[Path, ...],
    *,
    output: Path | None,
    model: str | None,
    settings: tuple[str, ...],
) -> Plan:
    """Plan a campaign file or runs as named on the command line."""
    from uemdask.errors import UemError
    from uemdask.execution import merge_settings, plan_runs, read_campaign

    campaigns = [path for path in paths if path.suffix.casefold() in _CAMPAIGN]
    changes = merge_settings(settings)
    if not campaigns:
        return plan_runs(paths, output=output, model=model or "base", parameters=changes)
    if len(paths) > 1:
        raise UemError(f"{campaigns[0]}: a campaign file stands alone; list the other runs in it")
    return read_campaign(campaigns[0], output=output, model=model, parameters=changes)
