"""How fast the tasks of the last minute went."""

from __future__ import annotations

from collections import deque

from uemdask.monitor.state import Rates

#: Window of the rates, s.
_WINDOW = 60.0


class TaskRate:
    """Counts tasks that end, and the bytes they moved, and forgets what was long ago.

    Examples
    --------
    >>> pace = TaskRate(begun=0.0)
    >>> for second in range(10):
    ...     pace.add(second, 1000)
    >>> pace.rates(10.0)
    Rates(tasks_per_second=1.0, bytes_per_second=1000.0, over=10.0)
    """

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._recent: deque[tuple[float, int | None]] = deque()
        self._any_task = self._any_bytes = False

    def add(self, now: float, moved: int | None) -> None:
        """Count a task; `moved` is None where its worker cannot tell."""
        self._recent.append((now, moved))
        self._any_task = True
        self._any_bytes |= moved is not None

    def rates(self, now: float) -> Rates | None:
        """Return the rates over the window; None before the first task has ended."""
        if not self._any_task:
            return None
        while self._recent and self._recent[0][0] < now - _WINDOW:
            self._recent.popleft()
        over = max(min(_WINDOW, now - self._begun), 1.0)
        moved = sum(known for _, known in self._recent if known is not None)
        return Rates(
            tasks_per_second=round(len(self._recent) / over, 3),
            bytes_per_second=round(moved / over) if self._any_bytes else None,
            over=round(over, 1),
        )
