"""Outliers among repeats of a pixel: values that the noise cannot explain, as of cosmic rays."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

THRESHOLD = 8.0
"""Standard deviations of the noise. The median of three is noisy itself: 8 of one value are 5.7 of
the difference of two, which 1e-8 of good pixels exceed."""

_BINS = 16
"""Levels of brightness at which the noise is measured."""

_TRIMMED = 0.99
"""Share of differences that is used; the largest may be outliers themselves."""

_NEIGHBOURS = 2
"""Half width in px of the square over which what the repeats differ by is taken as usual there."""

# Of a normal distribution cut to its central 99 %: mean absolute value over standard deviation.
_MEAN_TO_SD = 0.7767

_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class RepeatNoise:
    """Variance of one value: ``offset + quantum * counts``.

    Attributes
    ----------
    offset : float
        Of the read noise (and of a dark level, which may make it negative), counts squared.
    quantum : float
        Counts per detected electron; what counting noise goes with.
    least : float
        Smallest variance that was measured, counts squared.
    """

    offset: float
    quantum: float
    least: float

    def deviation(self, counts: np.ndarray) -> npt.NDArray[np.float32]:
        """Return the standard deviation at a brightness, counts."""
        variance = np.maximum(self.offset + self.quantum * counts, self.least)
        return np.asarray(np.sqrt(variance), np.float32)


def measure_repeat_noise(repeats: np.ndarray) -> RepeatNoise:
    """Measure the noise from the differences of successive repeats.

    Parameters
    ----------
    repeats : ndarray, shape (n, y, x)
        Part of the image that shows all levels of brightness, n at least 2; counts at equal
        brightness, NaN where a repeat has no data.

    Returns
    -------
    RepeatNoise

    Examples
    --------
    >>> repeats = np.random.default_rng(0).poisson(100, (3, 64, 64)).astype(float)
    >>> round(measure_repeat_noise(repeats).deviation(np.float32(100)).item())
    10
    """
    difference = np.abs(np.diff(repeats, axis=0)).ravel()
    # Of the neighbourhood: that of the pixel itself would go with the noise to be measured.
    around = cv2.blur(np.nan_to_num(repeats.mean(axis=0)), (5, 5))
    mean = np.broadcast_to(around, (len(repeats) - 1, *around.shape)).ravel()
    known = np.isfinite(difference)
    difference, mean = difference[known], mean[known]
    if difference.size == 0:
        return RepeatNoise(0.0, 0.0, 0.0)
    order = np.argsort(mean, kind="stable")
    levels, variances = [], []
    for part in np.array_split(order, min(_BINS, max(1, order.size // 64))):
        values = np.sort(difference[part])
        if values[values.size // 2] == 0:
            # Few counts: the rare ones are the noise, and must not be trimmed.
            squared = float((values**2).mean())
        else:
            squared = (float(values[: int(_TRIMMED * values.size)].mean()) / _MEAN_TO_SD) ** 2
        levels.append(float(np.median(mean[part])))
        variances.append(0.5 * squared)  # the difference of two has twice the variance of one
    level, variance = np.array(levels), np.array(variances)
    # A straight line through them. Every level counts alike, relative to what it has.
    weight = 1.0 / np.maximum(variance, 1e-3 * variance.max() + 1e-30) ** 2
    from_middle = level - np.average(level, weights=weight)
    spread = float(np.average(from_middle**2, weights=weight))
    quantum = 0.0
    if spread > (1e-6 * float(np.abs(level).max())) ** 2:
        quantum = float(np.average(from_middle * variance, weights=weight)) / spread
    quantum = max(0.0, quantum)
    offset = float(np.median(variance - quantum * level))
    return RepeatNoise(offset, quantum, 0.5 * float(variance.min()))


def outliers(repeats: np.ndarray, noise: RepeatNoise) -> npt.NDArray[np.bool_]:
    """Find single values that neither the noise nor the place explains.

    A value is one where it differs from the median of its pixel by more than :data:`THRESHOLD`
    standard deviations of the noise, and of what the repeats differ by in the 5 x 5 pixels around,
    as on an edge that is not aligned to the last digit. Upwards the limit is wider by
    ``quantum * THRESHOLD**2 / 4``: few counts scatter further up than down, evenly so in their
    square root [1]_.

    At most the smaller half of a pixel's values is found; two values cannot vote.

    Parameters
    ----------
    repeats : ndarray, shape (n, y, x)
        Counts at equal brightness; NaN where a repeat has no data.
    noise : RepeatNoise
        Of one value.

    Returns
    -------
    ndarray of bool, shape (n, y, x)

    References
    ----------
    .. [1] F. J. Anscombe, "The transformation of Poisson, binomial and negative-binomial data",
       Biometrika 35, 246-254 (1948), doi:10.1093/biomet/35.3-4.246.

    Examples
    --------
    >>> from uemdask.align.outlier_rejection import measure_repeat_noise
    >>> repeats = np.random.default_rng(0).poisson(100, (3, 64, 64)).astype(float)
    >>> repeats[1, 5, 7] = 1000
    >>> np.argwhere(outliers(repeats, measure_repeat_noise(repeats))).tolist()
    [[1, 5, 7]]
    """
    found = np.zeros(repeats.shape, bool)
    if len(repeats) < 3:
        return found
    low = np.fmin.reduce(repeats, axis=0)
    high = np.fmax.reduce(repeats, axis=0)
    # The noise grows with the counts: where the whole range is below it at the lowest value,
    # nothing can be out. That settles nearly all pixels without a median.
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(high - low > THRESHOLD * noise.deviation(low))
    if rows.size == 0:
        return found
    values = repeats[:, rows, columns]
    middle = median_of_known(values)
    away = values - middle
    limit = THRESHOLD * noise.deviation(middle)
    raised = limit + np.float32(noise.quantum * THRESHOLD**2 / 4)
    with np.errstate(invalid="ignore"):
        wrong = (away > raised) | (-away > limit)
    some = wrong.any(axis=0)
    rows, columns, away, wrong = rows[some], columns[some], away[:, some], wrong[:, some]
    if rows.size == 0:
        return found
    with np.errstate(invalid="ignore"):
        wrong &= np.abs(away) > THRESHOLD * _usual(repeats, rows, columns)
    there = np.isfinite(repeats[:, rows, columns]).sum(axis=0)
    wrong[:, wrong.sum(axis=0) > (there - 1) // 2] = False
    found[:, rows, columns] = wrong
    return found


def _usual(repeats: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return by how much each repeat usually differs from the median around some pixels (n, p)."""
    _, height, width = repeats.shape
    offset = np.arange(-_NEIGHBOURS, _NEIGHBOURS + 1)
    dy, dx = (grid.ravel() for grid in np.meshgrid(offset, offset, indexing="ij"))
    usual = np.empty((len(repeats), rows.size), np.float32)
    for start in range(0, rows.size, 2**14):
        part = slice(start, start + 2**14)
        near_y, near_x = rows[part, None] + dy, columns[part, None] + dx
        inside = (near_y >= 0) & (near_y < height) & (near_x >= 0) & (near_x < width)
        near = repeats[:, np.clip(near_y, 0, height - 1), np.clip(near_x, 0, width - 1)]
        near = np.where(inside, near, np.nan)
        away = np.abs(near - median_of_known(near))
        usual[:, part] = _MAD_TO_SD * median_of_known(np.moveaxis(away, 2, 0))
    return usual


def median_of_known(stack: np.ndarray) -> np.ndarray:
    """Median along the first axis of what is not NaN; NaN where all is."""
    order = np.sort(stack, axis=0)  # NaN goes last
    there = np.isfinite(stack).sum(axis=0)
    low = np.maximum(there - 1, 0) // 2
    high = np.minimum(there // 2, len(stack) - 1)
    two = [np.take_along_axis(order, pick[None], 0)[0] for pick in (low, high)]
    return np.asarray(np.where(there % 2 == 1, two[0], 0.5 * (two[0] + two[1])))


__all__ = ["THRESHOLD", "RepeatNoise", "measure_repeat_noise", "median_of_known", "outliers"]
