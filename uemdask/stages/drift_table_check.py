"""Whether a user's drift table makes the series steadier: its sign is easily the wrong one."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from uemdask.align import Piece

#: A table is told only where leaving it out, or turning it round, is better by this factor, both
#: over the series and from frame to frame, and over the series by so many px.
_BETTER = 1.3
_LEAST = 0.2


def check_table(
    table: npt.NDArray[np.float64], followed: Piece, sign: Literal["drift", "correction"]
) -> dict[str, Any]:
    """Compare a drift table with the series as it was followed from frame to frame.

    Parameters
    ----------
    table : ndarray, shape (time, 2)
        Drift (x, y) px as it will be applied; NaN where there is none.
    followed : Piece
        The same from the frames themselves. Moving contours pull at it, so it only judges.
    sign : {"drift", "correction"}
        How the table was read, for the advice.

    Returns
    -------
    dict
        ``table_left_px``: rms distance, px, of the frames from their mean position with the table,
        without it and with the opposite sign; ``warnings``: a sentence where it does harm.
    """
    frames = np.asarray(followed.frames)
    known = followed.found & np.isfinite(table[frames]).all(axis=1)
    if known.sum() < 3:
        return {}
    position, given = followed.position[known], table[frames[known]]
    left = [_spread(position - share * given) for share in (1, 0, -1)]
    steps = [_rms(np.diff(position - share * given, axis=0)) for share in (1, 0, -1)]
    found: dict[str, Any] = {
        "table_left_px": [round(value, 3) for value in left],
        "warnings": [],
    }
    best = int(np.argmin(left))
    if left[0] > _BETTER * left[best] + _LEAST and steps[0] > _BETTER * steps[best]:
        other = "correction" if sign == "drift" else "drift"
        remedy = f"set align.drift_sign to {other}" if best == 2 else "check whose table it is"
        found["warnings"] = [
            f"the drift table makes the series less steady ({left[0]:.2g} px rms are left with it, "
            f"{left[1]:.2g} px without it, {left[2]:.2g} px with the opposite sign); {remedy}"
        ]
    return found


def _spread(position: npt.NDArray[np.float64]) -> float:
    return _rms(position - position.mean(axis=0))


def _rms(vectors: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.sum(np.square(vectors), axis=1))))
