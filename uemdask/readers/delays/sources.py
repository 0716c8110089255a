"""Where the delays of an acquisition are found: the first source that has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uemdask.errors import UemError
from uemdask.readers.delays.agreement import by_image, delay_disagreement, with_images
from uemdask.readers.delays.delay_table import DelayTable
from uemdask.readers.delays.log import read_log
from uemdask.readers.delays.names import delays_in_names, read_names
from uemdask.readers.delays.plan import parse_plan
from uemdask.readers.delays.table import read_table
from uemdask.readers.delays.tags import read_tags
from uemdask.readers.folders import entries, on_disk, same_name
from uemdask.readers.images import is_image

_TABLE_ENDINGS = (".csv", ".tsv", ".txt")


def find_delays(
    path: Path,
    images: Sequence[Path],
    given: str | None,
    tags: Callable[[Path], Mapping[str, Any]],
) -> DelayTable:
    """Return the delays of the images of a raw folder or stack.

    Parameters
    ----------
    path : Path
        The folder, or the stack.
    images : sequence of Path
        Its image files, in their natural order.
    given : str, optional
        A table, a log, or a plan like ``"-30:500:5 ps"``; wins over all other sources.
    tags : callable
        Returns the vendor's tags of an image as nested dicts; called only if needed.

    Raises
    ------
    UemError, FaultsError
        If there are no delays, or those of the first source that is there are at fault.
    """
    images = list(images)
    table = _given(given) if given is not None else _found(path, images, tags)
    table = _matched(table, images)
    notes = [*table.notes, *_disagreements(path, images, table, given)]
    return replace(table, notes=tuple(dict.fromkeys(notes)))


def _given(given: str) -> DelayTable:
    file = on_disk(Path(given))
    if _is_file(file):
        return read_log(file) if _is_log(file) else read_table(file)
    if ":" in given:
        return parse_plan(given)
    raise UemError(f"`delays={given}`: no such file, and not a plan like '-30:500:5 ps'")


def _found(
    path: Path, images: Sequence[Path], tags: Callable[[Path], Mapping[str, Any]]
) -> DelayTable:
    table, not_used = _log(path, images)
    table = table or _table(path, images) or _own(images, tags)
    if table is not None:
        return replace(table, notes=(*not_used, *table.notes))
    looked = "a log (*.ulg), delays.csv, delays.tsv or delays.txt"
    if len(images) == 1:
        looked = f"a log (*.ulg), delays.csv or {_stems(images[0])[-1]}.csv (or .tsv, .txt)"
    if len(images) > 1:
        looked += f", LaserParameter tags, or file names like {images[0].stem}_-30ps"
    also = "".join(f"; {note}" for note in not_used)
    raise UemError(
        f"{path}: no delays found in {looked}{also}; write delays.csv with the columns "
        f"file,delay_ps beside the frames, or give `delays=FILE` or `delays='-30:500:5 ps'`"
    )


def _log(path: Path, images: Sequence[Path]) -> tuple[DelayTable | None, list[str]]:
    """Return the log of the images, and notes on logs that name none of them."""
    tables, not_used = [], []
    for file in _logs(path):
        table = _matched(read_log(file), images)
        if len(images) > 1 and table.files is not None and not any(_found_in(table, images)):
            not_used.append(f"{file.name} names none of the images and is not used")
        else:
            tables.append(table)
    if len(tables) > 1:
        sources = " and ".join(Path(table.source).name for table in tables)
        raise UemError(
            f"{path}: {sources} all hold delays; name one with `delays`, or put each "
            f"acquisition into its own folder"
        )
    return (tables[0] if tables else None), not_used


def _matched(table: DelayTable, images: Sequence[Path]) -> DelayTable:
    """Return the table with the images that its rows mean, a row too many of a log left out."""
    table = with_images(table, images)
    found = _found_in(table, images)
    # The program writes a row before it takes the image: a stop leaves one row too many.
    stopped = len(found) > 1 and all(found[:-1]) and not found[-1]
    if table.files is None or not stopped or not _is_log(Path(table.source)):
        return table
    return replace(
        table,
        delays=table.delays[:-1],
        files=table.files[:-1],
        scans=table.scans[:-1] if table.scans is not None else None,
        notes=(*table.notes, f"the last row names {table.files[-1]}, which was not saved"),
    )


def _found_in(table: DelayTable, images: Sequence[Path]) -> list[bool]:
    """Return of each row whether its image is there."""
    known = {image.name for image in images} | {image.as_posix() for image in images}
    return [file in known for file in table.files or ()]


def _table(path: Path, images: Sequence[Path]) -> DelayTable | None:
    return next((read_table(file) for file in _tables(path, images)), None)


def _own(images: Sequence[Path], tags: Callable[[Path], Mapping[str, Any]]) -> DelayTable | None:
    """Return the delays that the images hold themselves: in tags, or else in names."""
    if len(images) < 2:
        return None
    tagged = read_tags(images, tags)
    if tagged is None:
        return read_names(images)
    if len(tagged.delays) == len(images):
        return tagged
    named = read_names(images)
    if named is None or len(named.delays) <= len(tagged.delays):
        return tagged
    note = f"only {len(tagged.delays)} of {len(images)} images have LaserParameter tags"
    return replace(named, notes=(*named.notes, f"{note}; their names are used"))


def _disagreements(
    path: Path, images: Sequence[Path], table: DelayTable, given: str | None
) -> list[str]:
    """Return notes where a later source states other delays than the one that is used."""
    if len(images) < 2:
        return []
    used = by_image(table, images)
    notes: list[str | None] = []
    if given is None and _is_log(Path(table.source)):
        try:
            other = _table(path, images)
        except UemError as error:
            notes.append(f"delays are not compared: {error}")
            other = None
        if other is not None:
            stated = by_image(with_images(other, images), images)
            notes.append(delay_disagreement(used, stated, f"rows of {Path(other.source).name}"))
    try:
        named = read_names(images)
    except UemError:  # names that cannot be told are no second word
        named = None
    if named is not None and table.source != named.source:
        times = delays_in_names([image.name for image in images])
        rounding = min(time.rounding for inside in times for time in inside)
        stated = by_image(named, images)
        notes.append(delay_disagreement(used, stated, named.source, rounding))
    return [note for note in notes if note]


def _logs(path: Path) -> list[Path]:
    """Return the logs in a folder, or the one of a stack."""
    if not is_image(path):
        return [file for file in entries(path) if _is_log(file)]
    return [f for f in entries(path.parent) if _is_log(f) and same_name(f.stem) in _stems(path)]


def _stems(stack: Path) -> list[str]:
    """Return the names that a table or log of a stack may have, without their endings."""
    stem = same_name(stack.stem)
    return list(dict.fromkeys((stem, stem.removesuffix(".ome"))))


def _is_log(file: Path) -> bool:
    return file.suffix.casefold() == ".ulg"


def _tables(path: Path, images: Sequence[Path]) -> list[Path]:
    """Return the tables of a folder or stack, the surest name first, whatever its case."""
    stems, folders = ["delays"], [path.parent if is_image(path) else path]
    if len(images) == 1:
        stems = [*_stems(images[0]), "delays"]
        folders = list(dict.fromkeys((*folders, images[0].parent)))
    names = [f"{stem}{ending}" for stem in stems for ending in _TABLE_ENDINGS]
    found = [
        (names.index(same_name(file.name)), place, file.name.swapcase(), file)
        for place, folder in enumerate(folders)
        for file in entries(folder)
        if same_name(file.name) in names and not file.is_dir()
    ]
    return [file for *_, file in sorted(found)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a long plan is no file name, nor is one with a NUL
        return False
