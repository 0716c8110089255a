"""How well relevant pixels were found."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from uemdask.errors import UemError


def area_under_curve(score: np.ndarray, truth: np.ndarray) -> float:
    """Area under the receiver operating curve of a score against a true mask.

    The probability that a true pixel scores higher than another (Mann and Whitney); ties count
    half. 0.5 is chance, 1 perfect.

    Parameters
    ----------
    score : ndarray, (y, x)
        Larger is more relevant; NaN is lowest.
    truth : ndarray of bool, (y, x)

    Returns
    -------
    float
        NaN if all pixels are true or none is.

    Raises
    ------
    UemError
        If shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    _same_shape(score, truth)
    truth = np.asarray(truth, dtype=bool).ravel()
    values = np.asarray(score, dtype=np.float64).ravel()
    positives = int(truth.sum())
    negatives = truth.size - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = rankdata(np.where(np.isnan(values), -np.inf, values))
    return float(
        (ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * float(negatives))
    )


def intersection_over_union(mask: np.ndarray, truth: np.ndarray) -> float:
    """Pixels in both masks over pixels in either.

    Parameters
    ----------
    mask, truth : ndarray of bool, (y, x)

    Returns
    -------
    float
        0..1; 1 if both are empty.

    Raises
    ------
    UemError
        If shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> intersection_over_union(np.array([True, True]), np.array([True, False]))
    0.5
    """
    _same_shape(mask, truth)
    either = np.count_nonzero(np.logical_or(mask, truth))
    both = np.count_nonzero(np.logical_and(mask, truth))
    return float(both / either) if either else 1.0


def _same_shape(found: np.ndarray, truth: np.ndarray) -> None:
    if found.shape != truth.shape:
        raise UemError(
            f"mask: found shape {found.shape}, the truth has {truth.shape}; "
            "evaluate against the truth of the same run"
        )
