"""The ledger of a run: one line for every finished or failed task, beside the store.

It is append-only, so that a driver that is killed loses at most the line it was writing.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uemdask.errors import UemError

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

    def receipts(self, stage: str, phase: str, digest: str) -> dict[str, dict[str, Any]]:
        """Return the receipts of finished tasks by region key."""
        wanted = {"stage": stage, "phase": phase, "digest": digest, "made": self.identity}
        return {
            line["region"]: line["receipt"]
            for line in read_lines(self.path)
            if "receipt" in line and wanted.items() <= line.items()
        }

    def done(self, *, stage: str, phase: str, digest: str, region: str, **entry: Any) -> None:
        """Append a finished task: its receipt, seconds and worker."""
        self._append({"stage": stage, "phase": phase, "digest": digest, "region": region} | entry)

    def failed(self, *, stage: str, phase: str, region: str, message: str, trace: str) -> None:
        """Append a failure: the message for people, and the traceback."""
        self._append(
            {
                "stage": stage,
                "phase": phase,
                "region": region,
                "failed": message,
                "traceback": trace,
            }
        )

    def mended(self) -> None:
        """Append that all is done, where the last line is a failure and would be the last word."""
        with suppress(OSError):
            if "failed" in _last_line(self.path):
                self._append({"mended": True})

    def _append(self, line: dict[str, Any]) -> None:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "made": self.identity,
            **line,
        }
        text = json.dumps(line, separators=(",", ":")) + "\n"
        # Without its line a task is done again; other runs must not stop for it.
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = self.path.exists() and not _ends_with_newline(self.path)
            with self.path.open("a", encoding="utf-8") as file:
                # A line torn by a kill must not swallow the next one.
                file.write("\n" + text if torn else text)
                file.flush()
                os.fsync(file.fileno())


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


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a ledger; a line torn by a kill is passed over."""
    if not path.exists():
        return
    # What a crash leaves in a torn line need not be text.
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            if isinstance(line, dict):
                yield line


def _last_line(path: Path) -> dict[str, Any]:
    """Return the last line of a ledger, which may be long; empty where there is none."""
    if not path.exists() or not path.stat().st_size:
        return {}
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().splitlines()
    for text in reversed(lines[1:] if size > _TAIL else lines):
        try:
            found = json.loads(text)
        except ValueError:  # torn by a kill
            continue
        if isinstance(found, dict):
            return found
    # Longer than that: the whole is read.
    return next(iter(deque(read_lines(path), maxlen=1)), {})


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
