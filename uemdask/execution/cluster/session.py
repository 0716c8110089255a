"""The session of a driver on a batch system: its keys and the numbers of its jobs, in a folder.

A driver that ends removes the folder. One that is killed leaves it, and its jobs; the next driver
finds them there. The record says whose they are: a line on the driver, then a job number a line.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

_RECORD = "jobs"
# How often a living driver touches its record, s.
_HEARTBEAT = 30.0
# A driver on another host that has not touched its record for this long was killed, s.
_SILENCE = 600.0


@dataclass(frozen=True)
class _Driver:
    """Which process began a session, and whose job numbers it wrote down."""

    home: str  # kind and name of the batch system
    host: str
    boot: str  # changes when the host starts anew; empty where that is not known
    pid: int
    start: str  # of the process; a pid is given again

    @classmethod
    def here(cls, home: str) -> _Driver:
        """Return this process."""
        pid = os.getpid()
        return cls(home, socket.gethostname(), _boot(), pid, _start_of(pid))

    def was_killed(self, record: Path) -> bool:
        """Return whether the process is gone; its lock may hold on its own host only."""
        if self.host != socket.gethostname():
            return _silence_of(record) > _SILENCE
        # Where the system tells nothing of processes, the lock alone counts.
        return self.boot != _boot() or not self.start or self.start != _start_of(self.pid)


@dataclass(frozen=True)
class Session:
    """A session that goes on.

    Attributes
    ----------
    place : Path
        Its folder, which only the user can read.
    """

    place: Path
    _record: BinaryIO

    def note(self, job: str) -> None:
        """Write down the number of a job that was submitted."""
        with suppress(OSError):  # disk full: then the job ends by itself
            self._record.write(f"{job}\n".encode())


@contextmanager
def session(folder: Path, home: str) -> Iterator[Session]:
    """Begin a session in a folder; the system lets go of its lock if this driver dies.

    `home` is the batch system that the jobs will have their numbers from.
    """
    place = Path(tempfile.mkdtemp(prefix="session-", dir=folder))  # for the user alone
    try:
        draft = place / f".{_RECORD}"
        with draft.open("xb", buffering=0) as file:
            with suppress(OSError):  # some cluster file systems know no locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):  # disk full: then nobody takes it for one that was killed
                file.write(f"{json.dumps(asdict(_Driver.here(home)))}\n".encode())
            draft.rename(place / _RECORD)  # others find it locked
            with _heartbeat(file):
                yield Session(place, file)
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def end_abandoned(
    folder: Path, home: str, cancel: Callable[[Sequence[str]], Awaitable[list[str] | None]]
) -> list[str]:
    """Cancel the jobs of drivers that were killed, remove their sessions, and return the jobs.

    A session stays for the next driver where `cancel` returns None: it had no answer.
    """
    ended: list[str] = []
    for path in sorted(folder.glob(f"session-*/{_RECORD}")):
        # Not readable, no locks, or its driver lives: then it is left alone.
        with suppress(OSError):
            with path.open("r+", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                first, *jobs = file.read().splitlines() or [""]
                driver = _driver_of(first)
                if driver is None or driver.home != home or not driver.was_killed(path):
                    continue
                cancelled = await cancel(jobs)
            if cancelled is not None:
                shutil.rmtree(path.parent, ignore_errors=True)
                ended += cancelled
    return ended


@contextmanager
def _heartbeat(record: BinaryIO) -> Iterator[None]:
    """Touch a record again and again, which drivers on other hosts see."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_HEARTBEAT):
            with suppress(OSError):
                os.utime(record.fileno())

    thread = threading.Thread(target=beat, name="uemdask-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _silence_of(record: Path) -> float:
    """Return how long ago a record was touched, s, by the clock of its file system."""
    with tempfile.TemporaryFile(dir=record.parent) as now:
        return os.fstat(now.fileno()).st_mtime - record.stat().st_mtime


def _driver_of(line: str) -> _Driver | None:
    try:
        return _Driver(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _start_of(pid: int) -> str:
    """Return when a process began, ticks since boot; empty where there is none."""
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *others = stat.rpartition(")")[2].split()
        return "" if state in "ZX" else others[18]  # a zombie is gone
    return ""
