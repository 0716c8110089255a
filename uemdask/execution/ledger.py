"""The ledger of a run: one line for every finished or failed task, beside the store.

It is append-only, so that a driver that is killed loses at most the line it was writing. A task's
line is written when its files are on the disk. The lines of many tasks are put on the disk
together: what a power cut takes of them is done again.
"""

from __future__ import annotations

import fcntl
import os
import resource
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from uemdask.atomic_write import sync_folder
from uemdask.cube.file_store import Files, renewed
from uemdask.errors import UemError, telling_of_room
from uemdask.execution.ledger_entries import (
    DriverWrote,
    Entry,
    Failed,
    TaskDone,
    Voided,
    entry_of,
    sealed,
)

#: Tasks by phase and region.
Tasks = dict[tuple[str, str], TaskDone]
#: The last line of a ledger is looked for in so many bytes first.
_TAIL = 64 * 1024


class Ledger:
    """The ledger beside ``NAME.zarr``, a file ``NAME.ledger.jsonl``.

    Parameters
    ----------
    store : Path
        The store of the run.
    identity : str
        `Run.identity` of the stage; lines of an earlier making of it, or of an earlier store of
        that name, do not count.
    """

    def __init__(self, store: Path, identity: str) -> None:
        self.path = ledger_path(store)
        self.identity = identity
        #: Lines that a power cut may take still, and how many of them are in the file.
        self._waiting: list[bytes] = []
        self._written = 0

    def receipts(self, stage: str, phase: str, digest: str) -> dict[str, dict[str, Any]]:
        """Return the receipts of finished tasks by region key."""
        return {
            region: task.receipt
            for (of, region), task in self.tasks(stage, digest).items()
            if of == phase
        }

    def tasks(self, stage: str, digest: str) -> Tasks:
        """Return the finished tasks of a stage by phase and region, in the order of their end."""
        return self.history(stage, digest)[0]

    def history(self, stage: str, digest: str) -> tuple[Tasks, Tasks]:
        """Return the finished tasks of a stage, and those that count no more.

        Both by phase and region, in the order of their end. Of a task that counts no more it is
        the line that stood when the stage was last finished, and stays until it is so again: what
        was made of it is to be made again if it is another now.
        """
        done: Tasks = {}
        void: Tasks = {}
        for entry in self._entries(stage):
            if isinstance(entry, TaskDone) and entry.digest == digest:
                name = entry.phase, entry.region
                done.pop(name, None)  # done again, it is the last one to have written its files
                done[name] = entry
            elif isinstance(entry, Voided) and (entry.phase, entry.region) in done:
                name = entry.phase, entry.region
                void.setdefault(name, done.pop(name))
            elif isinstance(entry, DriverWrote) and not entry.partly:
                void.clear()
        return done, void

    def written(self, stage: str, digest: str) -> Files:
        """Return what the driver itself wrote in a stage."""
        files: Files = {}
        for entry in self._entries(stage):
            if isinstance(entry, DriverWrote) and entry.digest == digest:
                files = renewed(files, entry.files)
        return files

    def _entries(self, stage: str) -> Iterator[Entry]:
        for entry in _entries_now(self.path):
            if entry.made == self.identity and getattr(entry, "stage", "") == stage:
                yield entry

    def done(self, *, stage: str, phase: str, digest: str, region: str, **entry: Any) -> TaskDone:
        """Append a finished task: its receipt, files, seconds and worker.

        It is on the disk after the next `settle`, or the next line of another kind. Where it cannot
        be written now it goes with the next line: other runs must not stop for it.
        """
        line = {"stage": stage, "phase": phase, "digest": digest, "region": region} | entry
        task = TaskDone.model_validate(self._add(line))
        with suppress(OSError, ValueError):
            self._write()
        return task

    def wrote(self, *, stage: str, digest: str, files: Files, partly: bool = False) -> None:
        """Append what the driver itself wrote in a stage; all of it, unless `partly`.

        Raises
        ------
        UemError, OSError
            If it, or a line before it, cannot be written: nothing may build on it then.
        """
        self._add({"stage": stage, "digest": digest, "files": files, "partly": partly})
        self._write_out()

    def void(self, *, stage: str, regions: Iterable[tuple[str, str]]) -> None:
        """Append that tasks, by phase and region, are to be done again.

        Raises
        ------
        UemError, OSError
            As `wrote`.
        """
        for phase, region in regions:
            self._add({"stage": stage, "phase": phase, "region": region, "void": True})
        self._write_out()

    def failed(self, *, stage: str, phase: str, region: str, message: str, trace: str) -> None:
        """Append a failure, if that can be done: the message for people, and the traceback."""
        failure = {"failed": message, "traceback": trace}
        self._add({"stage": stage, "phase": phase, "region": region} | failure)
        with suppress(OSError, ValueError):  # or its name is none
            self._write_out()

    def mended(self) -> None:
        """Append that all is done, where the last line is a failure and would be the last word."""
        with suppress(OSError, ValueError):
            if isinstance(last_entry(self.path), Failed):
                self._add({"mended": True})
                self._write_out()

    def settle(self) -> None:
        """Put all lines on the disk, as far as that can be done now."""
        with suppress(OSError, ValueError):
            self._write_out()

    def _add(self, line: dict[str, Any]) -> dict[str, Any]:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "made": self.identity,
            **line,
        }
        self._waiting.append(sealed(line).encode())
        return line

    def _write_out(self) -> None:
        """Write all lines that wait, and put them on the disk."""
        with telling_of_room(self.path):
            self._write()
            try:
                with self.path.open("rb") as file:
                    os.fsync(file.fileno())
            except OSError:
                self._written = 0  # nobody knows what of them is on the disk
                raise
        self._waiting, self._written = [], 0

    def _write(self) -> None:
        """Write the lines that are not in the file yet."""
        text = b"".join(self._waiting[self._written :])
        if not text:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file:
            new = not file.seek(0, os.SEEK_END)
            if not new:
                file.seek(-1, os.SEEK_END)
                # A line torn by a kill, or a full disk, must not swallow the next one.
                if file.read(1) != b"\n":
                    text = b"\n" + text
            while text:  # a disk may take a part of it
                text = text[file.write(text) :]
        self._written = len(self._waiting)
        if new:
            sync_folder(self.path.parent)


def ledger_path(store: Path) -> Path:
    """Return where the ledger of a store lies."""
    return store.with_name(store.name.removesuffix(".zarr") + ".ledger.jsonl")


def allow_ledgers(count: int) -> None:
    """Let this process hold so many ledgers, as far as the system lets it open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    wanted = soft + count if hard == resource.RLIM_INFINITY else min(soft + count, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def sole_driver(store: Path) -> Iterator[None]:
    """Hold the run's ledger against a second driver; the system lets go of it if this one dies.

    Raises
    ------
    UemError
        If another driver has it.
    OSError
        If it cannot be written.
    """
    path = ledger_path(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UemError(
                f"{store}: another uemdask is at work on this run; wait for it or stop it"
            ) from None
        except OSError:
            pass  # some cluster file systems know no locks; a second driver is then not seen
        yield


def read_entries(path: Path) -> Iterator[Entry]:
    """Yield what stands in a ledger, as far as it is as a driver wrote it."""
    for text in _texts(path):
        if (entry := entry_of(text)) is not None:
            yield entry


def _entries_now(path: Path) -> tuple[Entry, ...]:
    """Return all entries; where the ledger has not grown since the last time, it is not read."""
    if not path.exists():
        return ()
    found = path.stat()
    return _entries_of(path, found.st_ino, found.st_mtime_ns, found.st_size)


# Of one run at a time: its stages are looked at one after the other.
@lru_cache(maxsize=1)
def _entries_of(path: Path, inode: int, modified: int, size: int) -> tuple[Entry, ...]:
    return tuple(read_entries(path))


def _texts(path: Path) -> Iterator[str]:
    if not path.exists():
        return
    # What a crash leaves in a torn line need not be text. Lines end in \n alone.
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        yield from file


def last_entry(path: Path) -> Entry | None:
    """Return the last entry of a ledger, which may be long; None where there is none."""
    if not path.exists() or not path.stat().st_size:
        return None
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().decode("utf-8", "replace").split("\n")
    for text in reversed(lines[1:] if size > _TAIL else lines):
        if (entry := entry_of(text)) is not None:
            return entry
    # Longer than that: the whole is read.
    return next(iter(deque(read_entries(path), maxlen=1)), None)
