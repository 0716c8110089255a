"""Readers of users' own formats, from packages with the entry-point group ``uemdask.readers``.

The name of an entry point is the file ending it reads, without the dot, and its value an object
with the two functions of `uemdask.readers.info.Reader`. So the endings are known without importing
anything, and a reader that is broken breaks only its own files.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from uemdask.errors import UemError
from uemdask.readers.info import Reader

GROUP = "uemdask.readers"


@cache
def _points(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    # Once for each search path: all installed packages are gone through.
    return tuple(entry_points(group=GROUP))


def plugin_endings() -> set[str]:
    """Return the endings, in small letters and with a dot, that installed packages read."""
    return {_ending(point) for point in _points(tuple(sys.path))}


def plugin_reader(path: Path, ending: str) -> Reader | None:
    """Return the installed reader of an ending, None if there is none.

    Raises
    ------
    UemError
        If two packages want the ending, or the reader cannot be imported.
    """
    points = {p.value: p for p in _points(tuple(sys.path)) if _ending(p) == ending}
    if not points:
        return None
    if len(points) > 1:
        raise UemError(
            f"{path}: {' and '.join(sorted(points))} both want to read files ending in "
            f"{ending!r}; uninstall one of them"
        )
    (point,) = points.values()
    try:
        reader = point.load()
    except Exception as error:  # whatever happens when a foreign package is imported
        raise UemError(
            f"{path}: the installed reader {point.value} of files ending in {ending!r} cannot be "
            f"loaded ({type(error).__name__}: {error}); repair or uninstall it"
        ) from error
    missing = [name for name in ("describe", "read") if not callable(getattr(reader, name, None))]
    if missing:
        raise UemError(
            f"{path}: the installed reader {point.value} of files ending in {ending!r} has no "
            f"function {' and '.join(missing)}; repair or uninstall it"
        )
    return reader


def _ending(point: EntryPoint) -> str:
    return f".{point.name.casefold().lstrip('.')}"
