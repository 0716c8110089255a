"""In-situ captures: images in nested folders ``Hour_00/Minute_00/Second_00``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from uemdask.readers.folders import entries
from uemdask.readers.images import is_image

_LEVEL = re.compile(r"(hour|minute|second)[_ ]?([0-9]{1,6})", re.IGNORECASE)
_LEVELS = {"hour": 0, "minute": 1, "second": 2}


def capture_images(folder: Path) -> list[Path]:
    """Return the images of an in-situ capture in the order of time, none if it is no capture.

    `folder` holds the folders ``Hour_00 ...``, or is one of the hours or minutes. Within a second
    the images go by the natural order of their names, ``..._Frame_0000.dm4`` first.

    Raises
    ------
    UemError
        If a folder cannot be listed.
    """
    return [image for inner in _inner(folder, -1) for image in _images(inner)]


def _inner(folder: Path, above: int) -> Iterator[Path]:
    """Yield the folders of time below a folder, in the order of time, outer ones first."""
    found = []
    for child in entries(folder):
        match = _LEVEL.fullmatch(child.name)
        level = _LEVELS[match[1].casefold()] if match else -1
        if match and level > above and child.is_dir():
            found.append((level, int(match[2]), child.name, child))
    for level, _, _, child in sorted(found):
        yield child
        yield from _inner(child, level)


def _images(folder: Path) -> list[Path]:
    return [file for file in entries(folder) if is_image(file) and file.is_file()]
