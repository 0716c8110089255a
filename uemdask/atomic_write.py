"""Files that are whole, and stay: on the disk before anything is said of them.

A file that is renamed into place without having been written out can be empty after a power cut,
and its name can be gone as long as its folder has not been written out either.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

#: Files that are settled at a time; they wait for the disk, not for a processor.
_AT_ONCE = 8
#: Begins the name of a file that is being written.
DRAFT = ".draft-"


@contextmanager
def atomic_write(
    path: Path, *, drafts: Path | None = None, settled: bool = True
) -> Iterator[BinaryIO]:
    """Write a file as a whole: whoever reads finds the old one, or all of the new one.

    It is written under a name that nobody can know before, and renamed at the end. Where the
    writing fails the old file stays and nothing is left behind.

    Parameters
    ----------
    path : Path
        The file; its folder is there.
    drafts : Path, optional
        Folder for the file while it is written, on the same file system; that of `path` by default.
    settled : bool
        Whether file and name are on the disk at the end, so that a power cut takes neither. Where
        many files are written they are settled together, see `sync_files`.

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> with atomic_write(Path("a.txt")) as file:
    ...     _ = file.write(b"all of it")
    >>> Path("a.txt").read_text()
    'all of it'
    """
    draft = str((drafts or path.parent) / f"{DRAFT}{uuid.uuid4().hex}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        with open(os.open(draft, flags, 0o666), "w+b") as file:
            yield file
            if settled:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename == draft:
            error.filename = str(path)  # nobody knows the draft
        with suppress(OSError):
            os.unlink(draft)
        raise
    if settled:
        sync_folder(path.parent)


def sync_files(files: Iterable[Path], root: Path) -> None:
    """Put files and their names on the disk, with the folders between them and `root`.

    All at once: a file system writes its journal once for all that is waiting for it.

    Raises
    ------
    OSError
        If the disk fails.
    """
    waiting = list(files)
    folders: set[Path] = set()
    for file in waiting:
        for folder in file.parents:
            if folder in folders:
                break
            folders.add(folder)
            if folder == root:
                break
    if not waiting:
        return
    pool = _waiters(os.getpid())
    list(pool.map(_sync_file, waiting))
    list(pool.map(sync_folder, sorted(folders)))


# To begin and end threads costs more than what they do here; a fork has none of its parent's.
@lru_cache(maxsize=1)
def _waiters(process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="uemdask-settle")


def _sync_file(file: Path) -> None:
    with suppress(FileNotFoundError):  # removed since
        _sync(file)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk; some cluster file systems know no such thing."""
    with suppress(OSError):
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
