"""Fingerprints of files, size and a digest of some of the bytes; which files hold the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.folders import is_left_by_system
from uemdask.regular_files import check_regular

#: Bytes that are read at a time.
_BLOCK = 4096
#: Blocks that are compared of all files of one size, and of those that agree in the few.
_FEW, _MANY = 3, 64
_THREADS = 8


def fingerprint(file: Path, blocks: int) -> list[Any]:
    """Return size and digest of some blocks of a file, first and last among them.

    Parameters
    ----------
    file : Path
        The file; of a folder all files in it.
    blocks : int
        How many blocks of 4 KiB are read.

    Raises
    ------
    UemError
        If it cannot be read, or is no file.
    """
    if file.is_dir():
        inner = sorted(part for part in file.rglob("*") if part.is_file() and _counts(part, file))
        few = max(1, blocks // max(len(inner), 1))
        return [[part.relative_to(file).as_posix(), *fingerprint(part, few)] for part in inner]
    check_regular(file)
    found = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            for start in _starts(size, blocks):
                stream.seek(start)
                found.update(stream.read(_BLOCK))
    except OSError as error:
        raise UemError(f"{file}: cannot be read ({error.strerror}); check its rights") from error
    return [size, found.hexdigest()[:16]]


@lru_cache(maxsize=16)  # frames are of one size
def _starts(size: int, blocks: int) -> list[int]:
    """Return where the blocks of a file begin."""
    starts = np.linspace(0, max(size - _BLOCK, 0), blocks).astype(np.int64)
    return [int(start) for start in np.unique(starts)]


def _counts(part: Path, folder: Path) -> bool:
    """Return whether a file is of a format's own, as ``.zarray``, and none that a system left."""
    names = part.relative_to(folder).parts
    return not any(is_left_by_system(name) and not name.startswith(".z") for name in names)


def copies_among(files: Sequence[Path]) -> dict[Path, Path]:
    """Return of each file that holds the same as one before it which that is.

    Examples
    --------
    >>> from pathlib import Path
    >>> files = [Path(name) for name in ("a.tif", "b.tif", "a (2).tif")]
    >>> for file in files:
    ...     _ = file.write_text(file.name[0])
    >>> {copy.name: file.name for copy, file in copies_among(files).items()}
    {'a (2).tif': 'a.tif'}
    """
    groups = _alike(files, lambda file: 0 if file.is_dir() else file.stat().st_size)
    for blocks in (_FEW, _MANY):
        groups = [
            finer for group in groups for finer in _alike(group, partial(_print, blocks=blocks))
        ]
    return {file: group[0] for group in groups for file in group[1:]}


def _print(file: Path, blocks: int) -> str:
    return str(fingerprint(file, blocks))


def _alike(files: Sequence[Path], key: Callable[[Path], object]) -> list[list[Path]]:
    """Return the groups of several files that agree in something, in their order."""

    def safe(file: Path) -> object:
        try:
            return key(file)
        except (OSError, UemError):  # what cannot be read is told where it is read
            return object()

    groups: dict[object, list[Path]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for file, value in zip(files, pool.map(safe, files), strict=True):
            groups.setdefault(value, []).append(file)
    return [group for group in groups.values() if len(group) > 1]
