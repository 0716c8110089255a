"""Bytes that a task moves between its worker and files."""

from __future__ import annotations

import threading
from types import TracebackType

_LOCK = threading.Lock()
#: Tasks at work in this process, and tasks that have ever begun.
_at_work = _begun = 0


class Traffic:
    """Counts what this process reads and writes within the context, sockets left out.

    The system counts for a whole process, so nothing is known where several tasks share one, nor
    where there is no ``/proc/self/io``. What comes from a memory map is not counted.

    Attributes
    ----------
    result : dict
        ``bytes``, or nothing where that is not known.
    """

    result: dict[str, int]

    def __init__(self) -> None:
        self.result = {}

    def __enter__(self) -> Traffic:
        global _at_work, _begun
        with _LOCK:
            self._alone = _at_work == 0
            _at_work += 1
            _begun += 1
            self._number = _begun
        self._before = _moved()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        global _at_work
        after = _moved()
        with _LOCK:
            _at_work -= 1
            alone = self._alone and _begun == self._number
        if alone and after is not None and self._before is not None:
            self.result = {"bytes": after - self._before}


def _moved() -> int | None:
    try:
        with open("/proc/self/io", encoding="ascii") as file:
            counts = dict(line.split(":") for line in file)
        return int(counts["rchar"]) + int(counts["wchar"])
    except (OSError, KeyError, ValueError):
        return None  # not Linux, or hidden from this process
