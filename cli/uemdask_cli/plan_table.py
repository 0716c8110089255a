"""The plan of a campaign as tables, for ``uemdask run --dry-run``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click
from dask.utils import format_bytes
from rich.table import Table
from rich.text import Text

from uemdask.cube import STAGES
from uemdask.execution import Preview
from uemdask.execution.preview import RunPreview
from uemdask.monitor import size
from uemdask.printable import one_line
from uemdask_cli.console import rich_console
from uemdask_cli.flags import with_flags

#: Runs that are named in a line.
_NAMED = 5


def print_plan(plan: Preview) -> None:
    """Print what would be done, how much that is, and what it needs."""
    console = rich_console()
    click.echo(f"campaign {plan.campaign}: {_count(len(plan.runs), 'run')}, output {plan.output}")
    click.echo(f"model: {plan.model}, one for {plan.one_model}")
    for line in _networks(plan):
        click.echo(line)
    for table in (_runs(plan), _stages(plan), _pools(plan)):
        if table.row_count:
            click.echo()
            console.print(table, highlight=False)
    click.echo()
    for line in _totals(plan):
        click.echo(line)


def _networks(plan: Preview) -> Iterator[str]:
    """Say which runs keep their network, and which take or train one."""
    names = {
        source: [run.run for run in plan.runs if run.network == source and not run.fault]
        for source in ("kept", "existing", "trained")
    }
    if names["kept"]:
        yield (
            f"kept, with their numbers, unless --retrain is given: the networks of "
            f"{_names(names['kept'])}"
        )
    if names["existing"]:
        yield f"taken as it is, from the finished runs: the network of {_names(names['existing'])}"
    if names["kept"] and names["trained"]:
        yield f"trained: the network of {_names(names['trained'])}"


def _names(names: list[str]) -> str:
    more = len(names) - _NAMED
    return one_line(", ".join(names[:_NAMED])) + (
        f" and {_count(more, 'more run')}" if more > 0 else ""
    )


def _runs(plan: Preview) -> Table:
    table = Table("run", "raw data", "done", "to do", "tasks", "why", box=None)
    table.columns[4].justify = "right"
    for run in plan.runs:
        # A name is text, whatever brackets it has.
        table.add_row(
            Text(one_line(run.run)),
            run.raw or "-",
            _span(run.done),
            "cannot be done" if run.fault else _span(run.to_do) if run.to_do else "nothing",
            _tasks(run.tasks, run.unknown),
            Text(with_flags(one_line(_why(run)))),
        )
    return table


def _why(run: RunPreview) -> str:
    """Return why the first stages are made; the later ones follow from them."""
    reasons = [f"{stage} {why}" for stage, why in run.to_do.items() if not why.startswith("after ")]
    if run.failed_before:
        reasons.append(f"failed before: {run.failed_before}")
    return "; ".join(reasons)


def _span(stages: list[str] | Mapping[str, str]) -> str:
    """Return stages in words; such as follow each other by the first and the last."""
    groups: list[list[str]] = []
    for stage in stages:
        if groups and STAGES.index(stage) == STAGES.index(groups[-1][-1]) + 1:
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return ", ".join(f"{g[0]} to {g[-1]}" if len(g) > 2 else ", ".join(g) for g in groups) or "-"


def _stages(plan: Preview) -> Table:
    heads = ("stage", "runs", "tasks", "read", "write", "task needs", "worker has", "where")
    table = Table(*heads, box=None)
    for column in table.columns[1:7]:
        column.justify = "right"
    for stage in plan.stages:
        limit = format_bytes(stage.worker) if stage.worker else "not known"
        table.add_row(
            stage.stage,
            str(stage.runs),
            _tasks(stage.tasks, stage.unknown),
            _bytes(stage.read),
            _bytes(stage.written),
            format_bytes(stage.memory) if stage.memory else "little",
            limit if stage.memory else "",
            stage.place,
        )
    if plan.stages:
        total = _tasks(plan.tasks, _unknown(plan))
        table.add_row("total", "", total, _bytes(plan.read), _bytes(plan.written))
    return table


def _pools(plan: Preview) -> Table:
    if not plan.pools:
        return Table()
    table = Table("pool", "jobs, at most", "workers", *plan.pools[0].asks, box=None)
    for column in table.columns[1:-1]:
        column.justify = "right"
    for pool in plan.pools:
        table.add_row(pool.pool, str(pool.jobs), str(pool.workers), *pool.asks.values())
    return table


def _totals(plan: Preview) -> Iterator[str]:
    at_work = sum(bool(run.to_do) and not run.fault for run in plan.runs)
    jobs = sum(pool.jobs for pool in plan.pools)
    unknown = _unknown(plan)
    tasks = f"{'at least ' * bool(unknown)}{_count(plan.tasks, 'task')}"
    yield (
        f"total: {tasks} for {at_work} of {_count(len(plan.runs), 'run')}, "
        f"about {size(plan.read)} to read and {size(plan.written)} to write"
        + (f", at most {_count(jobs, 'job')} at a time" if plan.pools else "")
    )
    if unknown:
        yield f"not known yet: how many tasks {', '.join(unknown)} will have"
    for disk in plan.disks:
        yield (
            f"disk: about {size(disk.needed)} in {disk.folder}, where {size(disk.free)} are free"
        )
    for warning in plan.warnings:
        yield f"near the limit: {warning}"


def _unknown(plan: Preview) -> list[str]:
    return [f"{stage.stage} {phase}" for stage in plan.stages for phase in stage.unknown]


def _tasks(known: int, unknown: list[str]) -> str:
    return f"{known}{'+' * bool(unknown)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _bytes(number: int) -> str:
    return size(number) if number else "-"
