"""``uemdask ingest``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uemdask_cli.main import ALL_DONE, BAD_INPUT, SOME_FAILED

if TYPE_CHECKING:
    from uemdask.cube import Run
    from uemdask.readers import RawAcquisition


@click.command()
@click.argument("raw", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "store",
    required=True,
    metavar="RUN.zarr",
    type=click.Path(path_type=Path),
    help="The new run.",
)
@click.option(
    "--delays", help="A table or log of delays, or a plan like '-30:500:5,500:990:10 ps'."
)
@click.option("--pixel-size", help="Such as 3nm, or '3nm,2.5nm' for y and x.")
@click.option("--time-zero", help="Delay at which pump and probe meet, such as 12ps.")
@click.option(
    "--offset",
    metavar="COUNTS",
    help="Counts of every pixel without the beam; negative what was taken off. Stored, and taken "
    "off on reading.",
)
@click.option(
    "--scans",
    type=click.Choice(["average", "apart"]),
    default="average",
    show_default=True,
    help="Average repeated scans, or make one run of each: RUN_scan1.zarr ...",
)
@click.option("--dark", help="Images without the beam: a file, a folder or a pattern.")
@click.option("--pump-off", help="Images without the pump, to be set aside; likewise.")
@click.option("--dataset", help="Which of several arrays in the files, see docs/formats.md.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there already.")
@click.option("--dry-run", is_flag=True, help="Print what would be ingested, and stop.")
def ingest(
    raw: Path,
    store: Path,
    scans: str,
    overwrite: bool,
    dry_run: bool,
    **said: Any,
) -> int:
    """Turn the raw folder or stack RAW into a run."""
    from uemdask.cube import Run
    from uemdask.cube.summary import origin_lines
    from uemdask.errors import UemError
    from uemdask.execution import Driver, open_cluster, plan_ingest, read_profile
    from uemdask.readers.folders import on_disk
    from uemdask.stages.ingest import IngestParameters, raw_of
    from uemdask_cli.console import listener

    parameters = IngestParameters(
        raw=str(on_disk(raw).absolute()),
        **said | {kind: _absolute(said[kind]) for kind in ("dark", "pump_off")},
    )
    found = raw_of(parameters, every_file=True)
    wanted = {store: parameters}
    if scans == "apart":
        stem = store.name.removesuffix(".zarr")
        wanted = {
            store.with_name(f"{stem}_scan{scan}.zarr"): parameters.model_copy(update={"scan": scan})
            for scan in found.scans
        }
    told: list[str] = []
    faults: list[str] = []
    for one, known in list(wanted.items()):
        try:
            seen = raw_of(known) if known.scan else found
        except UemError as error:  # the other scans can be used
            faults.append(str(error))
            del wanted[one]
            continue
        click.echo(f"{f'{one}: ' if known.scan else ''}{_summary(raw, seen)}")
        if dry_run:
            click.echo("\n".join(origin_lines(seen.origins)))
        for note in seen.notes:
            if note not in told:
                click.echo(f"note: {note}")
                told.append(note)
        if dry_run:
            _print_counts(seen, told)
            _print_table(seen)
    for fault in faults:
        click.echo(f"uemdask: {fault}", err=True)
    if not wanted:
        return BAD_INPUT
    _refuse(wanted, overwrite)
    if dry_run:
        return SOME_FAILED if faults else ALL_DONE
    plan = plan_ingest(wanted)
    made = [] if click.get_current_context().find_root().obj["debug"] else _not_there_yet(wanted)
    with listener() as hears, open_cluster(read_profile(None)) as cluster:
        outcome = Driver(plan, cluster, only=("ingest",), overwrite=overwrite, listener=hears).run()
    if outcome.failed:
        _remove(made)
    for message in outcome.failed.values():
        click.echo(f"uemdask: {message}", err=True)
    for run in plan.runs:
        if run.name in outcome.done:
            _print_result(Run(run.store), told=told)
    done = [shlex.quote(str(run.store)) for run in plan.runs if run.name in outcome.done]
    if done:
        click.echo(f"next: uemdask run {' '.join(done)}")
    if outcome.failed or faults:
        return SOME_FAILED if done else BAD_INPUT
    return ALL_DONE


def _absolute(given: str | None) -> str | None:
    """Return the path of what is there; a pattern or a name in the raw folder stays as it is."""
    from uemdask.readers.folders import on_disk

    if given is None or not (place := on_disk(Path(given))).exists():
        return given
    return str(place.absolute())


def _summary(raw: Path, found: RawAcquisition) -> str:
    import numpy as np

    steps = np.unique(np.round(np.diff(found.delays), 6))
    images = sum(len(images) for images in found.repeats)
    repeated = f" from {images} images" if images > len(found.delays) else ""
    return (
        f"{raw}: {len(found.delays)} frames of {found.shape[0]} x {found.shape[1]} px{repeated}, "
        f"{found.dtype}, pixel {found.pixel_size[0]:g} x {found.pixel_size[1]:g} nm, "
        f"{found.delays[0]:g} to {found.delays[-1]:g} ps in steps of "
        f"{', '.join(f'{step:g}' for step in steps[:4])}{' ...' if len(steps) > 4 else ''} ps; "
        f"delays from {found.source}"
    )


def _print_counts(found: RawAcquisition, told: list[str]) -> None:
    """Say how bright some frames are."""
    from uemdask.cube.summary import counts_sentence
    from uemdask.stages.counts import first_look

    look = first_look(found)
    click.echo(f"counts: {counts_sentence(look.means)}")
    for note in look.notes:
        if note not in told:
            click.echo(f"note: {note}")
            told.append(note)


def _print_table(found: RawAcquisition) -> None:
    from uemdask.readers import relative_name

    click.echo("file,image,scan,delay_ps")
    for images, delay in zip(found.repeats, found.delays, strict=True):
        for image in images:
            name = relative_name(found.path, image.file)
            click.echo(f"{name},{image.index},{image.scan},{delay:g}")
    for kind, files in (("dark", found.dark), ("pump off", found.pump_off)):
        for file in files:
            click.echo(f"{relative_name(found.path, file)},0,,{kind}")


def _refuse(stores: Iterable[Path], overwrite: bool) -> None:
    """Say what is in the way, of all stores at once."""
    from uemdask.errors import FaultsError, UemError
    from uemdask.stages.run_replacement import is_whole

    faults = []
    for store in stores:
        above = next(folder for folder in store.absolute().parents if folder.exists())
        try:
            if is_whole(store) and not overwrite:
                faults.append(f"{store}: is there already; name another output or use --overwrite")
        except UemError as error:
            faults.append(str(error))
        if not above.is_dir():
            faults.append(f"{store}: cannot be made, as {above} is a file; name another output")
    if len(faults) == 1:
        raise UemError(faults[0])
    if faults:
        raise FaultsError("output", faults)


def _not_there_yet(stores: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Return stores without a ledger, with the ledger and the folders that ingest will make."""
    from uemdask.execution.ledger import ledger_path

    made = []
    for store in stores:
        folders = [folder for folder in store.absolute().parents if not folder.exists()]
        if not ledger_path(store).exists():
            made += [(store, ledger_path(store)), *((store, folder) for folder in folders)]
    return made


def _remove(made: Iterable[tuple[Path, Path]]) -> None:
    """Remove the ledgers and empty folders of stores that were not made in the end."""
    for store, path in made:
        if store.exists():
            continue
        with suppress(OSError):  # a folder that holds something else
            path.rmdir() if path.is_dir() else path.unlink()


def _print_result(run: Run, told: list[str]) -> None:
    from uemdask.cube.summary import counts_sentence

    results = run.results("ingest")
    flagged = f", {results.flagged} flagged" if results.flagged else ""
    click.echo(f"{run.path}: {results.frames} frames{flagged}")
    click.echo(f"counts: {counts_sentence(results.mean_counts)}")
    for note in run.group.attrs.get("notes", []):
        if note not in told:
            click.echo(f"note: {note}")
