"""``uemdask cluster``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from uemdask_cli.main import ALL_DONE, BAD_INPUT


@click.group()
def cluster() -> None:
    """Look at a cluster profile before a campaign depends on it."""


@cluster.command()
@click.argument("profile", type=click.Path(path_type=Path))
def check(profile: Path) -> int:
    """Print the job scripts of PROFILE, start one worker of each pool, and say what is wrong."""
    from uemdask.execution import check_cluster, read_profile

    faults = check_cluster(read_profile(profile), click.echo)
    for fault in faults:
        click.echo(f"uemdask: {fault}", err=True)
    click.echo(f"{profile}: does not work yet" if faults else f"{profile}: works")
    return BAD_INPUT if faults else ALL_DONE


@cluster.command(context_settings={"ignore_unknown_options": True})
@click.argument("profile", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def script(profile: Path, arguments: tuple[str, ...]) -> int:
    """Print the script of one batch job that runs everything inside.

    ARGUMENTS are those of 'uemdask run': campaign file and options, without --cluster.
    """
    from uemdask.errors import UemError
    from uemdask.execution import BatchProfile, allocation_script, read_profile

    found = read_profile(profile)
    if not (isinstance(found, BatchProfile) and found.launch == "allocation"):
        raise UemError(
            f"{profile}: only a profile with 'launch: allocation' runs inside one job; with this "
            f"one, 'uemdask run' submits the jobs itself"
        )
    program = [sys.executable, "-m", "uemdask_cli", "run"]
    command = [*program, *arguments, "--cluster", str(profile.absolute())]
    click.echo(allocation_script(found, command), nl=False)
    return ALL_DONE
