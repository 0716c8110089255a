"""Files that are files: none that is waited for, and none that never ends."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from uemdask.errors import UemError

#: What no text of an acquisition is longer than, bytes.
LONGEST_TEXT = 2**27

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(path: Path) -> None:
    """Refuse a pipe, socket or device: reading one may wait for ever, or never end.

    Nothing is said of a path that is not there.

    Raises
    ------
    UemError
        If it is one.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # told where it is opened
        return
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise UemError(f"{path}: is {name}, not a file; move it away")


def read_regular(path: Path, most: int = LONGEST_TEXT) -> bytes:
    """Return the bytes of a file that is one, see `check_regular`.

    Raises
    ------
    UemError
        If it is none, or longer than `most` bytes.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("delays.csv").write_text("0")
    >>> read_regular(Path("delays.csv"))
    b'0'
    """
    check_regular(path)
    # What was a file a moment ago may be a pipe by now.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
        if not stat.S_ISREG(found.st_mode):
            raise UemError(f"{path}: is not a file; move it away")
        # No more than is there: a buffer of the largest size would be the most a task holds.
        data = file.read(min(most, found.st_size) + 1)
    if len(data) > most:
        raise UemError(f"{path}: is longer than {most / 2**20:g} MiB, as no such text is; move it")
    return data
