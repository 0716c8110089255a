"""Which kind of motion it is: travelling, standing, breathing, or none.

No single number tells. On simulated series three together do: the travel index was 0.94 to 0.99 for
travelling waves and at most 0.12 for others; the in-band share of the mean brightness 0.95 for
breathing (0.55 where the gain jitters by 2.7 %) and at most 0.09 for others; the share of
significant pixels 0.03 without a wave and at least 0.53 with one. These are one series per class:
the probabilities order cases, they are not calibrated frequencies.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from uemdask.errors import UemError

MODES: tuple[str, ...] = ("travelling", "standing", "breathing", "none")
"""Mode classes, in the order of the probabilities."""

STEEPNESS = 3.0
"""Logits at the edge of what was seen on either side of a threshold: probability 0.95."""

TRAVEL_SEEN = (0.12, 0.94)
BRIGHTNESS_SEEN = (0.09, 0.55)
SIGNIFICANT_SEEN = (0.03, 0.53)
"""Largest value seen without and smallest with travel, breathing, a wave."""


def _probability(value: np.ndarray, seen: tuple[float, float]) -> np.ndarray:
    """Logistic step with its middle half way between the two values seen."""
    low, high = seen
    return np.asarray(expit(STEEPNESS * (2 * value - low - high) / (high - low)))


def classify_mode(
    travel_index: float | np.ndarray,
    brightness_share: float | np.ndarray,
    significant_share: float | np.ndarray,
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    """Classify the motion of regions.

    Three logistic steps asked in turn: does the whole region brighten together (breathing), is
    there a wave (share of significant pixels, in logits), does it travel; what is left stands.
    Breathing comes first because brightness correction takes it out of the pixels.

    Parameters
    ----------
    travel_index : float or ndarray
        ``|Im(conj Z grad Z)|`` normalised, 0..1. NaN counts as unknown.
    brightness_share : float or ndarray
        In-band share of the variance of the mean frame brightness, 0..1. NaN counts as unknown.
    significant_share : float or ndarray
        Share of significant pixels, 0..1. NaN counts as 0.

    Returns
    -------
    mode : ndarray of str, (...)
        The most probable of `MODES`.
    probability : ndarray of float64, (..., 4)
        In the order of `MODES`; sums to 1.

    Raises
    ------
    UemError
        If a number lies outside 0..1.

    Examples
    --------
    >>> mode, probability = classify_mode(0.96, 0.05, 0.8)
    >>> str(mode), bool(probability[0] > 0.9)
    ('travelling', True)
    """
    numbers = [np.asarray(v, dtype=np.float64) for v in (travel_index, brightness_share)]
    share = np.nan_to_num(np.asarray(significant_share, dtype=np.float64))
    for name, values in zip(
        ("travel_index", "brightness_share", "significant_share"), (*numbers, share), strict=True
    ):
        if np.any((values < 0) | (values > 1)):
            raise UemError(f"{name}: found {np.nanmin(values):g} to {np.nanmax(values):g}; 0..1")
    low, high = logit(SIGNIFICANT_SEEN)
    # An unknown number takes neither side.
    travels = np.nan_to_num(_probability(numbers[0], TRAVEL_SEEN), nan=0.5)
    waves = _probability(logit(share), (low, high))
    brightness = numbers[1]
    # Where the brightness is not known, only a wave can be breathing.
    unknown = np.isnan(brightness)
    breathes = np.where(unknown, 0.5 * waves, _probability(brightness, BRIGHTNESS_SEEN))
    probability = np.stack(
        np.broadcast_arrays(
            waves * (1 - breathes) * travels,
            waves * (1 - breathes) * (1 - travels),
            breathes,
            (1 - waves) * (1 - breathes),
        ),
        axis=-1,
    )
    return np.asarray(MODES)[np.argmax(probability, axis=-1)], probability


def roi_numbers(
    travel: np.ndarray, significant: np.ndarray, amplitude: np.ndarray, roi: np.ndarray
) -> tuple[float, float]:
    """Travel index and significant share of a region from maps of them.

    Parameters
    ----------
    travel : ndarray, (y, x)
        Travel index per pixel, 0..1.
    significant : ndarray of bool, (y, x)
        Significant pixels.
    amplitude : ndarray, (y, x)
        Wave amplitude, unit 1; its square weights the travel index, so that nodes of a standing
        wave, where phase means nothing, do not speak.
    roi : ndarray of bool, (y, x)

    Returns
    -------
    travel_index : float
        Weighted mean over significant pixels; NaN if there is none.
    significant_share : float
        NaN if the region has no pixel.

    Examples
    --------
    >>> import numpy as np
    >>> travel, strong = np.array([[1.0, 0.2]]), np.array([[True, False]])
    >>> roi_numbers(travel, strong, np.ones((1, 2)), np.ones((1, 2), bool))
    (1.0, 0.5)
    """
    pixels = int(np.count_nonzero(roi))
    if pixels == 0:
        return float("nan"), float("nan")
    use = roi & significant & np.isfinite(travel) & np.isfinite(amplitude)
    weight = np.square(amplitude[use].astype(np.float64))
    total = float(weight.sum())
    index = float(np.dot(weight, travel[use]) / total) if total > 0 else float("nan")
    return index, float(np.count_nonzero(roi & significant)) / pixels
