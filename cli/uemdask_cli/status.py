"""``uemdask status``."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uemdask.cube import STAGES
from uemdask.execution import campaign_status
from uemdask_cli.main import ALL_DONE, SOME_FAILED
from uemdask_cli.run import plan_of

_WIDEST = 10_000  # characters


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the stores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(paths: tuple[Path, ...], output: Path | None, as_json: bool) -> int:
    """Show runs and stages: done, failed, left. Reads the disk only, so it works at any time."""
    plan = plan_of(paths, output=output, model=None, settings=())
    states = campaign_status(plan)
    if as_json:
        click.echo(json.dumps([state.as_dict() for state in states], indent=1))
    else:
        table = Table("run", *STAGES, box=None)
        for state in states:
            # A name is text, whatever brackets it has.
            table.add_row(Text(state.name), *(state.cell(stage) for stage in STAGES))
        console = Console()
        # Where nobody looks, a line may be as long as it is: names must not be cut.
        console.print(table, width=None if console.is_terminal else _WIDEST)
        done = sum(state.done and not state.failed for state in states)
        failed = [state for state in states if state.failed]
        click.echo(f"{done} done, {len(failed)} failed, {len(states) - done - len(failed)} left")
        for state in failed:
            click.echo(f"{state.name}: {state.failed}")
    return SOME_FAILED if any(state.failed for state in states) else ALL_DONE
