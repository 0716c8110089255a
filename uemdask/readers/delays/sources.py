"""Where the delays of an acquisition are found: the first source that has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uemdask.errors import UemError
from uemdask.readers.delays.delay_table import DelayTable
from uemdask.readers.delays.plan import parse_plan
from uemdask.readers.delays.table import read_table

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
    if given is not None:
        if _is_file(given):
            return read_table(Path(given))
        if ":" in given:
            return parse_plan(given)
        raise UemError(f"--delays {given}: no such file, and not a plan like '-30:500:5 ps'")
    for file in _tables(path):
        if file.is_file():
            return read_table(file)
    raise UemError(
        f"{path}: no delays found; write delays.csv with the columns file,delay_ps beside the "
        f"frames, or give --delays FILE or --delays '-30:500:5 ps'"
    )


def _tables(path: Path) -> list[Path]:
    if path.is_dir():
        return [path / f"delays{ending}" for ending in _TABLE_ENDINGS]
    beside = [path.with_suffix(ending) for ending in _TABLE_ENDINGS]
    return beside + _tables(path.parent)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a long plan is no file name
        return False
