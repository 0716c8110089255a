"""A training curve that stays short, however long the training."""

from __future__ import annotations

import math

#: Points that a curve has at most.
_MOST = 300


class TrainingCurve:
    """Points of a curve, every second one of which is dropped whenever there are too many.

    Examples
    --------
    >>> curve = TrainingCurve()
    >>> for step in range(1000):
    ...     curve.add(step, 1.0)
    >>> curve.points[0], curve.points[-1], len(curve.points) <= 300
    ((0, 1.0), (999, 1.0), True)
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, float]] = []
        self._newest: tuple[int, float] | None = None
        self._every, self._heard = 1, 0

    def add(self, step: int, loss: float) -> None:
        """Add a point; one that is not ahead of the last is no news."""
        if (self._newest is not None and step <= self._newest[0]) or not math.isfinite(loss):
            return
        self._newest = (step, loss)
        if self._heard % self._every == 0:
            self._kept.append(self._newest)
            if len(self._kept) >= _MOST:
                self._kept = self._kept[::2]
                self._every *= 2
        self._heard += 1

    @property
    def points(self) -> list[tuple[int, float]]:
        """Steps and losses, the newest one always among them."""
        if self._newest is None or self._kept[-1] == self._newest:
            return list(self._kept)
        return [*self._kept, self._newest]
