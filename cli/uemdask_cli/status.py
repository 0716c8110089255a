"""``uemdask status``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from uemdask_cli.flags import with_flags
from uemdask_cli.main import ALL_DONE, SOME_FAILED
from uemdask_cli.run import STAGES, plan_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from uemdask.execution import Plan
    from uemdask.monitor import CampaignState, RunState

#: Where nobody looks, a line may be as long as it is, in characters: names must not be cut.
_WIDEST = 10_000
#: How often --watch looks, s.
_EVERY = 2.0
#: Runs and failures that --watch lists at least and at most; a terminal may be low.
_LEAST_RUNS, _MOST_FAILURES = 5, 3
#: Runs that are named in a line.
_MOST_NAMES = 5
#: What the columns of the stages take, characters.
_STAGES_WIDTH = sum(max(len(stage), len("failed")) + 1 for stage in STAGES)
_ORDER = ("failed", "at work", "waiting", "done")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the stores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as on the campaign page.")
@click.option("--watch", is_flag=True, help="Look again every 2 s, until the driver has ended.")
def status(paths: tuple[Path, ...], output: Path | None, as_json: bool, watch: bool) -> int:
    """Show runs and stages: done, failed, left. Reads the disk only, so it works at any time."""
    from uemdask.monitor import campaign_state
    from uemdask_cli.console import rich_console

    if as_json and watch:
        raise click.UsageError("--json and --watch do not go together; call --json again instead")
    plan = plan_of(paths, output=output, model=None, settings=())
    console = rich_console()
    if watch:
        _watch(plan, console)
    state = campaign_state(plan)
    if as_json:
        click.echo(state.model_dump_json(indent=1))
    else:
        console.print(_table(state.runs))
        for line in (*_summary(state), *_failures(state.runs), *_again(state.runs)):
            click.echo(line)
    return SOME_FAILED if state.totals.failed else ALL_DONE


def _watch(plan: Plan, console: Console) -> None:
    """Show the state again and again, until there is no driver that could change it."""
    from rich.live import Live

    from uemdask.monitor import campaign_state

    with Live(console=console, auto_refresh=False, transient=True) as live:
        while (state := campaign_state(plan)).driver is not None and state.driver.alive:
            live.update(_picture(state, console), refresh=console.is_terminal)
            time.sleep(_EVERY)
        live.update("")


def _picture(state: CampaignState, console: Console) -> RenderableType:
    """Put together what fits; the runs that need attention come first."""
    from rich.console import Group
    from rich.text import Text

    from uemdask.printable import printable

    runs = sorted(state.runs, key=lambda run: _ORDER.index(run.state))
    lines = _summary(state)
    for line in _failures(runs)[:_MOST_FAILURES]:
        lines += wrap(with_flags(printable(line)), console.width, max_lines=2, placeholder=" …")
    room = max(_LEAST_RUNS, console.height - len(lines) - 3)
    if len(runs) > room:
        lines.append(f"{room} of {len(runs)} runs:")
    text = [Text(printable(line), no_wrap=True, overflow="ellipsis") for line in lines]
    return Group(*text, _table(runs[:room], longest=max(16, console.width - _STAGES_WIDTH)))


def _table(runs: list[RunState], longest: int = _WIDEST) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    from uemdask.printable import one_line

    table = Table(
        Column("run", overflow="fold"), *STAGES, box=None, padding=(0, 1, 0, 0), pad_edge=False
    )
    for run in runs:
        # A name is text, whatever brackets it has; its end tells more than its middle.
        half = longest // 2
        whole = one_line(run.run)
        name = whole if len(whole) <= longest else f"{whole[: half - 1]}…{whole[-half:]}"
        table.add_row(Text(name), *(_cell(run, stage) for stage in STAGES))
    return table


def _cell(run: RunState, stage: str) -> Text:
    from rich.text import Text

    from uemdask.monitor import share

    done = run.stages[stage]
    if run.failed and stage == run.failed_stage:
        return Text("failed", "bold red")
    if done == 1.0:
        return Text("done", "green")
    return Text(share(done), "cyan") if done > 0 or stage == run.stage else Text("-")


def _summary(state: CampaignState) -> list[str]:
    from uemdask.monitor import duration, phase, size
    from uemdask.printable import one_line

    totals = state.totals
    lines = [f"{totals.done} done, {totals.failed} failed, {totals.at_work + totals.waiting} left"]
    if took := [one_line(run.run) for run in state.runs if run.took_model]:
        more = f" and {len(took) - _MOST_NAMES} more" if len(took) > _MOST_NAMES else ""
        lines.append(
            f"not trained on: {', '.join(took[:_MOST_NAMES])}{more}; they have the model of runs "
            f"finished before, and 'uemdask run --retrain' trains one for all anew"
        )
    driver = state.driver
    if driver is None:
        missing = ", which is not there; --output names another" * (not Path(state.output).exists())
        return [*lines, f"no driver has been at work in {state.output}{missing}"]
    place = f"on {driver.host} (process {driver.pid})"
    if driver.alive:
        lines.append(f"driver at work {place}, heard {duration(driver.age)} ago")
        if state.page or state.dashboard:
            lines.append(f"campaign page: {state.page or state.dashboard}")
    elif driver.state == "at work":
        lines.append(
            f"the driver {place} is gone, last heard {duration(driver.age)} ago; "
            f"the same 'uemdask run' goes on"
        )
    else:
        lines.append(f"the driver {place} {driver.state} {duration(driver.age)} ago")
    if state.rates is not None and totals.at_work + totals.waiting and driver.state != "ended":
        moved = state.rates.bytes_per_second
        traffic = f", {size(moved)}/s" if moved is not None else ""
        when = "" if driver.alive else " at the last"
        lines.append(f"{state.rates.tasks_per_second:.3g} tasks/s{traffic}{when}")
        lines.append(_time_left(state))
    for training in state.trainings:
        if not training.done and training.loss is not None:
            speed = training.images_per_second
            lines.append(
                f"training {training.model}: step {training.step} of {training.steps} "
                f"({phase(training.phase)}), loss {training.loss:.3g}"
                + (f", {speed:.3g} images/s" if speed is not None else "")
            )
    return lines


def _time_left(state: CampaignState) -> str:
    from uemdask.monitor import duration

    unknown = ", ".join(state.not_counted)
    if state.seconds_left is None:
        return "time left: not known yet"
    if unknown:
        return f"time left: over {duration(state.seconds_left)}; {unknown} not known yet"
    return f"time left: about {duration(state.seconds_left)}"


def _failures(runs: list[RunState]) -> list[str]:
    return [f"{run.run}: {run.failed}" for run in runs if run.failed]


def _again(runs: list[RunState]) -> Iterator[str]:
    """Yield what 'uemdask run' would make again though it is done, and what it would refuse."""
    for run in runs:
        again = [stage for stage in run.left if run.stages[stage] == 1.0]
        if run.fault and not run.failed:
            yield f"{run.run}: 'uemdask run' would fail: {run.fault}"
        elif again:
            yield (
                f"{run.run}: 'uemdask run' would make {', '.join(again)} again: {again[0]} "
                f"{run.left[again[0]]}"
            )
