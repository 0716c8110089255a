"""Making the stated standard deviation true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.network.dataset import Series

#: Share of a normal distribution within one standard deviation.
ONE_SIGMA = 0.683

#: Pairs looked at, evenly spread: of 192 x 192 px they hold 400,000 errors.
_PAIRS = 12


@dataclass(frozen=True)
class Calibration:
    """What the errors of a displacement are where the truth is known.

    Attributes
    ----------
    deviation_factor : (x, y)
        By which the stated standard deviations must be multiplied: with it, 68.3 % of the errors
        of each component lie within one standard deviation. Above 0.
    region_error : float
        Root mean square over pairs of the error of the mean displacement, as a share of it: what
        all pixels have in common, and no averaging takes away.
    region_turn : float
        The same of the mean direction, degree: of the angles between found and true displacements.
    """

    deviation_factor: tuple[float, float]
    region_error: float
    region_turn: float


def calibration_pairs(series: Series) -> npt.NDArray[np.intp]:
    """Return the pairs of a series that tell a network's errors, evenly spread.

    Raises
    ------
    UemError
        If no pixel has any confidence.
    """
    known = np.flatnonzero(series.confidence.any(axis=(1, 2)))
    if known.size == 0:
        raise UemError(f"{series.name}: no pixel has any confidence, so nothing can be calibrated")
    return known[np.unique(np.linspace(0, known.size - 1, _PAIRS).astype(int))]


def calibrate(
    flow: np.ndarray, sd: np.ndarray, truth: np.ndarray, inside: np.ndarray
) -> Calibration:
    """Find the errors of a displacement where the truth is known.

    Parameters
    ----------
    flow, sd, truth : ndarray, (pair, 2, y, x)
        Displacement, its stated standard deviation, and the exact one, px.
    inside : ndarray of bool, (pair, y, x)
        Pixels that count.

    Returns
    -------
    Calibration

    Raises
    ------
    UemError
        If a deviation is not stated.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.ones((1, 2, 2, 2), np.float32)
    >>> found = calibrate(1.1 * truth, 0.05 * truth, truth, np.ones((1, 2, 2), bool))
    >>> round(found.region_error, 3)
    0.1
    """
    if not np.isfinite(sd).all():
        raise UemError("the network states no deviation; train one with 'log_variance'")
    ratio = np.abs(flow - truth) / np.maximum(sd, np.finfo(np.float32).tiny)
    x, y = (max(float(np.quantile(ratio[:, i][inside], ONE_SIGMA)), 1e-3) for i in (0, 1))
    size = np.linalg.norm(truth, axis=1)
    along = (flow * truth).sum(axis=1) / np.maximum(size, np.finfo(np.float32).tiny)
    total = (size * inside).sum(axis=(1, 2), dtype=np.float64)
    found = (along * inside).sum(axis=(1, 2), dtype=np.float64)
    across = flow[:, 1] * truth[:, 0] - flow[:, 0] * truth[:, 1]
    turn = (np.arctan2(across, (flow * truth).sum(axis=1)) * inside).sum(axis=(1, 2))
    moving = total > 0
    errors = found[moving] / total[moving] - 1
    turns = np.degrees(turn[moving] / inside.sum(axis=(1, 2))[moving])
    return Calibration(
        deviation_factor=(x, y),
        region_error=float(np.sqrt(np.mean(errors**2))) if moving.any() else 0.0,
        region_turn=float(np.sqrt(np.mean(turns**2))) if moving.any() else 0.0,
    )
