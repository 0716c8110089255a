"""Which kind of motion it is: travelling, standing, breathing, or none.

No single number tells. On simulated series these together do: the travel index was 0.94 to 0.99 for
travelling waves and at most 0.12 for others; the in-band share of the mean brightness 0.95 for
breathing (0.5 where the gain jitters by 2.7 %) and at most 0.09 for others under such a beam; the
share of the wave's power that the whole region has in common 0.86 for breathing and at most 0.15
for other waves; the share of significant pixels 0.03 without a wave and at least 0.53 with one.
Under a steady beam whatever a wave leaves in the mean brightness is in the band, and without a wave
what there is in common is noise of the beam: only both together are breathing.
These are few series per class: the probabilities order cases, they are not calibrated frequencies.

Where pixels travel, as `valid` says, a region neither stands nor breathes as a whole.
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
BRIGHTNESS_SEEN = (0.09, 0.5)
UNIFORM_SEEN = (0.15, 0.85)
SIGNIFICANT_SEEN = (0.03, 0.53)
"""Largest value seen without and smallest with travel, breathing (twice), a wave."""

TRAVELLING_SHARE = (0.05, 0.5)
"""Share of a region's pixels with a valid speed that tells nothing yet of the whole, and all."""


def _probability(value: np.ndarray, seen: tuple[float, float]) -> np.ndarray:
    """Logistic step with its middle half way between the two values seen."""
    low, high = seen
    return np.asarray(expit(STEEPNESS * (2 * value - low - high) / (high - low)))


def _logits(seen: tuple[float, float]) -> tuple[float, float]:
    return float(logit(seen[0])), float(logit(seen[1]))


def classify_mode(
    travel_index: float | np.ndarray,
    brightness_share: float | np.ndarray,
    uniform_share: float | np.ndarray,
    travelling_share: float | np.ndarray,
    significant_share: float | np.ndarray,
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    """Classify the motion of regions.

    Logistic steps asked in turn: does the whole region brighten together (breathing), is
    there a wave (share of significant pixels, in logits), does it travel; what is left stands.
    Breathing comes first because brightness correction takes it out of the pixels.

    Parameters
    ----------
    travel_index : float or ndarray
        ``|Im(conj Z grad Z)|`` normalised, 0..1. NaN counts as unknown.
    brightness_share : float or ndarray
        In-band share of the variance of the mean frame brightness, 0..1. NaN counts as unknown.
    uniform_share : float or ndarray
        Share of the power in the band that the whole region has in common, 0..1, see
        `uniform_share`. NaN counts as unknown.
    travelling_share : float or ndarray
        Share of pixels with a valid speed, 0..1. NaN counts as 0.
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
    >>> mode, probability = classify_mode(0.96, 0.05, 0.02, 0.7, 0.8)
    >>> str(mode), bool(probability[0] > 0.9)
    ('travelling', True)
    """
    names = ("travel_index", "brightness_share", "uniform_share")
    given = (travel_index, brightness_share, uniform_share)
    numbers = {name: np.asarray(v, np.float64) for name, v in zip(names, given, strict=True)}
    for name, value in (
        ("travelling_share", travelling_share),
        ("significant_share", significant_share),
    ):
        numbers[name] = np.nan_to_num(np.asarray(value, np.float64))
    for name, values in numbers.items():
        if np.any((values < 0) | (values > 1)):
            raise UemError(f"{name}: found {np.nanmin(values):g} to {np.nanmax(values):g}; 0..1")
    waves = _probability(logit(numbers["significant_share"]), _logits(SIGNIFICANT_SEEN))
    moving = _probability(logit(numbers["travelling_share"]), _logits(TRAVELLING_SHARE))
    # An unknown number takes neither side.
    travels = np.nan_to_num(_probability(numbers["travel_index"], TRAVEL_SEEN), nan=0.5)
    travels = np.maximum(travels, moving)
    together = np.nan_to_num(_probability(numbers["uniform_share"], UNIFORM_SEEN), nan=0.5)
    # Where the brightness is not known, only a wave can be breathing.
    brightness = numbers["brightness_share"]
    in_band = np.where(np.isnan(brightness), 0.5 * waves, _probability(brightness, BRIGHTNESS_SEEN))
    breathes = np.minimum(in_band, together) * (1 - moving)
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


def uniform_share(amplitude: np.ndarray, common: complex, roi: np.ndarray) -> float:
    """Share of the power in the band that a whole region has in common.

    Parameters
    ----------
    amplitude : ndarray of complex, (y, x)
        Complex amplitude of each pixel at one frequency and delay, relative to the mean.
    common : complex
        The same of the brightness that was taken out of the frames as gain.
    roi : ndarray of bool, (y, x)

    Returns
    -------
    float
        1 where everything brightens together; about 0 where crests and troughs are in view; NaN
        where there is no pixel, or nothing in it.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.exp(2j * np.pi * np.arange(40) / 10)[None]
    >>> whole = np.ones((1, 40), bool)
    >>> round(uniform_share(wave, 0, whole), 6), round(uniform_share(0 * wave, 0.1, whole), 6)
    (0.0, 1.0)
    """
    total = amplitude[roi] + common
    power = float(np.mean(np.abs(total) ** 2)) if total.size else 0.0
    return min(float(np.abs(total.mean()) ** 2) / power, 1.0) if power > 0 else float("nan")


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
