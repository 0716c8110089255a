"""A training curve as points of a drawing; travels to the scheduler with its page."""

from __future__ import annotations

import math
import sys
from typing import Any

from uemdask.monitor import formatting

WIDTH, HEIGHT = 640, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, WIDTH - 24, 26, HEIGHT - 44
#: Steps between marks on a linear axis, at least.
_LEAST = 3


def drawing(curves: dict[str, list[tuple[int, float]]]) -> dict[str, Any] | None:
    """Return lines, marks and captions of a curve; None where there is nothing to draw.

    Losses stand on a logarithmic scale, unless some are negative. Each phase has a line of its own,
    because their losses are not of one kind.

    Examples
    --------
    >>> drawn = drawing({"pretrain": [(0, 1.0), (100, 0.1)]})
    >>> [text for _, text in drawn["steps"]], [text for _, text in drawn["losses"]]
    (['0', '20', '40', '60', '80', '100'], ['0.1', '0.2', '0.5', '1'])
    """
    curves = {phase: points for phase, points in curves.items() if points}
    steps = [step for points in curves.values() for step, _ in points]
    losses = [loss for points in curves.values() for _, loss in points]
    if len(steps) < 2:
        return None
    logarithmic = min(losses) > 0
    first, last = min(steps), max(steps)

    def height(loss: float) -> float:
        return math.log10(loss) if logarithmic else loss

    low, high = height(min(losses)), height(max(losses))
    room = max(0.04 * (high - low), 0.01 * max(1.0, abs(low), abs(high)))
    low, high = low - room, high + room

    def x(step: float) -> float:
        return round(_LEFT + (_RIGHT - _LEFT) * (step - first) / max(last - first, 1), 1)

    def y(loss: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * (height(loss) - low) / (high - low), 1)

    # A loss of next to nothing must not become an axis from zero.
    ends = (max(10**low, sys.float_info.min), 10**high) if logarithmic else (low, high)
    lines = [
        {
            "name": formatting.phase(phase),
            "points": " ".join(f"{x(step)},{y(loss)}" for step, loss in points),
            "begin": x(points[0][0]),
            "end": (x(points[-1][0]), y(points[-1][1])),
        }
        for phase, points in curves.items()
    ]
    return {
        "lines": lines,
        "losses": [(y(mark), f"{mark:.6g}") for mark in marks(*ends, logarithmic=logarithmic)],
        "steps": [(x(mark), f"{mark:.0f}") for mark in marks(first, last) if mark % 1 == 0],
        "logarithmic": logarithmic,
        "frame": {"width": WIDTH, "height": HEIGHT, "left": _LEFT, "right": _RIGHT}
        | {"top": _TOP, "bottom": _BOTTOM},
    }


def marks(low: float, high: float, *, logarithmic: bool = False) -> list[float]:
    """Return round numbers within an axis.

    Examples
    --------
    >>> marks(3, 306)
    [100.0, 200.0, 300.0]
    >>> marks(0.013, 2.4, logarithmic=True)
    [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    """
    if logarithmic and high > 5 * low:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        leading = (1, 2, 5) if high < 500 * low else (1,)
        every = max(1, len(decades) // 7)
        found = [float(f"{lead}e{decade}") for decade in decades[::every] for lead in leading]
    else:
        wide = (high - low) / _LEAST or 1.0
        unit = 10.0 ** math.floor(math.log10(wide))
        step = max(unit * lead for lead in (1, 2, 5) if unit * lead <= 1.001 * wide)
        digits = max(0, -math.floor(math.log10(step)))
        numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        found = [round(number * step, digits) for number in numbers]
    return [mark for mark in found if low <= mark <= high]
