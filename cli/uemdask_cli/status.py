"""``uemdask status``."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from uemdask.cube import STAGES
from uemdask.execution import Plan
from uemdask.monitor import CampaignState, RunState, campaign_state, duration, size
from uemdask_cli.main import ALL_DONE, SOME_FAILED
from uemdask_cli.run import plan_of

_WIDEST = 10_000  # characters
#: How often --watch looks, s.
_EVERY = 2.0
#: Runs that --watch lists; those that need attention come first.
_WATCHED = 30
_ORDER = ("failed", "at work", "waiting", "done")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the stores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as on the campaign page.")
@click.option("--watch", is_flag=True, help="Look again every 2 s, until the driver has ended.")
def status(paths: tuple[Path, ...], output: Path | None, as_json: bool, watch: bool) -> int:
    """Show runs and stages: done, failed, left. Reads the disk only, so it works at any time."""
    if as_json and watch:
        raise click.UsageError("--json and --watch do not go together; call --json again instead")
    plan = plan_of(paths, output=output, model=None, settings=())
    if watch:
        state = _watch(plan)
    else:
        state = campaign_state(plan)
        if as_json:
            click.echo(state.model_dump_json(indent=1))
        else:
            console = Console()
            # Where nobody looks, a line may be as long as it is: names must not be cut.
            console.print(
                _table(state.runs), width=None if console.is_terminal else _WIDEST, soft_wrap=False
            )
            for line in (*_summary(state), *_failures(state.runs)):
                click.echo(line)
    return SOME_FAILED if state.totals.failed else ALL_DONE


def _watch(plan: Plan) -> CampaignState:
    """Show the state again and again, until there is no driver that could change it."""
    state = campaign_state(plan)
    with Live(_picture(state), auto_refresh=False) as live:
        while state.driver is not None and state.driver.alive:
            time.sleep(_EVERY)
            state = campaign_state(plan)
            live.update(_picture(state), refresh=True)
    return state


def _picture(state: CampaignState) -> RenderableType:
    runs = sorted(state.runs, key=lambda run: _ORDER.index(run.state))
    lines = list(_summary(state))
    if len(runs) > _WATCHED:
        lines.insert(0, f"... and {len(runs) - _WATCHED} more runs")
    failures = _failures(runs[:_WATCHED])
    return Group(_table(runs[:_WATCHED]), *(Text(line) for line in (*lines, *failures)))


def _table(runs: list[RunState]) -> Table:
    table = Table("run", *STAGES, box=None)
    for run in runs:
        # A name is text, whatever brackets it has.
        table.add_row(Text(run.run), *(_cell(run, stage) for stage in STAGES))
    return table


def _cell(run: RunState, stage: str) -> str:
    share = run.stages[stage]
    if share == 1.0:
        return "done"
    if run.failed and stage == run.failed_stage:
        return "failed"
    return f"{share:.0%}" if share > 0 else "-"


def _summary(state: CampaignState) -> list[str]:
    totals = state.totals
    lines = [f"{totals.done} done, {totals.failed} failed, {totals.at_work + totals.waiting} left"]
    driver = state.driver
    if driver is None:
        return [*lines, "no driver has been at work here"]
    place = f"on {driver.host} (process {driver.pid})"
    if driver.alive:
        lines.append(f"driver at work {place}, heard {duration(driver.age)} ago")
        if state.dashboard:
            lines.append(f"dashboard: {state.dashboard}")
    elif driver.state == "at work":
        lines.append(
            f"the driver {place} is gone, last heard {duration(driver.age)} ago; "
            f"the same 'uemdask run' goes on"
        )
    else:
        lines.append(f"the driver {place} {driver.state} {duration(driver.age)} ago")
    if state.rates is not None and totals.at_work + totals.waiting:
        moved = state.rates.bytes_per_second
        traffic = f", {size(moved)}/s" if moved is not None else ""
        when = "" if driver.alive else " at the last"
        lines.append(f"{state.rates.tasks_per_second:.3g} tasks/s{traffic}{when}")
        unknown = f", not counting {', '.join(state.not_counted)}" if state.not_counted else ""
        lines.append(f"time left: about {duration(state.seconds_left)}{unknown}")
    for training in state.trainings:
        if not training.done and training.loss is not None:
            speed = training.images_per_second
            lines.append(
                f"training {training.model}: step {training.step} ({training.phase}), loss "
                f"{training.loss:.3g}" + (f", {speed:.3g} images/s" if speed is not None else "")
            )
    return lines


def _failures(runs: list[RunState]) -> list[str]:
    return [f"{run.run}: {run.failed}" for run in runs if run.failed]
