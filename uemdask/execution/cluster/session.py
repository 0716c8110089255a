"""The session of a driver on a batch system: its keys and the numbers of its jobs, in a folder.

A driver that ends removes the folder. One that is killed leaves it, and its jobs; the next driver
finds them there.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_JOBS = "jobs"


@dataclass(frozen=True)
class Session:
    """A session that goes on.

    Attributes
    ----------
    place : Path
        Its folder, which only the user can read.
    """

    place: Path
    _jobs: BinaryIO

    def note(self, job: str) -> None:
        """Write down the number of a job that was submitted."""
        with suppress(OSError):  # disk full: then the job ends by itself
            self._jobs.write(f"{job}\n".encode())


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """Begin a session in a folder; the system lets go of its lock if this driver dies."""
    place = Path(tempfile.mkdtemp(prefix="session-", dir=folder))  # for the user alone
    try:
        draft = place / f".{_JOBS}"
        with draft.open("xb", buffering=0) as file:
            with suppress(OSError):  # some cluster file systems know no locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(place / _JOBS)  # others find it locked
            yield Session(place, file)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def end_abandoned(folder: Path) -> list[str]:
    """Remove the sessions of drivers that were killed, and return the numbers of their jobs."""
    jobs: list[str] = []
    for path in sorted(folder.glob(f"session-*/{_JOBS}")):
        # Not readable, no locks, or its driver lives: then it is left alone.
        with suppress(OSError):
            with path.open("r+", encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                jobs += file.read().split()
            shutil.rmtree(path.parent, ignore_errors=True)
    return jobs
