"""Relevant pixels: where the spectrum shows a wave rather than noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import generate_binary_structure, label
from scipy.optimize import brentq
from scipy.special import gammaincinv

from uemdask.errors import UemError
from uemdask.spectrum.band import Band
from uemdask.spectrum.harmonics import Float32, check_delays
from uemdask.spectrum.noise import signal_space

Mask = npt.NDArray[np.bool_]
Method = Literal["amplitude", "peak_ratio"]

#: Share of noise pixels taken for relevant before clean-up; what is left are specks.
FALSE_ALARM = 1e-3

#: Smallest object and hole kept, px: the area of a disc of two default smoothing widths.
SMALLEST_AREA = 50

# Points of the curve that a whole map is read off, and of the distribution of the noise estimate.
_GRID = 256
_QUANTILES = 2000


def relevant_pixels(
    statistic: Float32,
    peak_frequency: Float32,
    band: Band,
    delays: npt.ArrayLike,
    *,
    method: Method = "amplitude",
    threshold: float | None = None,
    false_alarm: float = FALSE_ALARM,
    trend: int = 2,
    smallest: int = SMALLEST_AREA,
) -> Mask:
    """Pixels whose peak in the band is not noise.

    A pixel is relevant if its statistic exceeds the threshold and its peak lies inside the band:
    power that is highest at an edge belongs to a slope, not to a wave.

    Parameters
    ----------
    statistic : ndarray, shape (y, x), float32
        ``snr`` of :func:`uemdask.spectrum.peaks.peak_map` for "amplitude", the ratio of
        :func:`uemdask.spectrum.peaks.peak_ratio_map` for "peak_ratio".
    peak_frequency : ndarray, shape (y, x), float32
        GHz, from the same function.
    band : Band
        The band searched.
    delays : array_like, shape (T,)
        Delays, ps.
    method : {"amplitude", "peak_ratio"}
        "amplitude" is right nearly always.  "peak_ratio" is the published statistic, for
        comparison: it needs a modulation well above the noise of one pixel.
    threshold : float, optional
        Set by the user; by default the value that `false_alarm` of noise pixels exceed.
    false_alarm : float
        That share.
    trend : int
        As given to the map.
    smallest : int
        See :func:`clean_mask`; 0 leaves the mask as it is.  A mask made in tiles is better
        cleaned once, whole.

    Returns
    -------
    ndarray, shape (y, x), bool

    Raises
    ------
    UemError
        If the method is not one of the two.
    """
    if threshold is None:
        threshold = noise_threshold(band, delays, method=method, rate=false_alarm, trend=trend)
    margin = 1e-4 * (band.high - band.low)
    relevant: Mask = statistic > threshold
    if method == "amplitude":
        relevant &= (peak_frequency > band.low + margin) & (peak_frequency < band.high - margin)
    return clean_mask(relevant, smallest=smallest) if smallest > 0 else relevant


def false_alarm_rate(
    snr: npt.ArrayLike, band: Band, delays: npt.ArrayLike, *, trend: int = 2
) -> npt.NDArray[np.float64]:
    """Share of white-noise pixels whose peak in the band has at least this signal-to-noise ratio.

    Parameters
    ----------
    snr : array_like
        As in :class:`uemdask.spectrum.peaks.PeakMap`.
    band : Band
        The band searched.
    delays : array_like, shape (T,)
        Delays, ps.
    trend : int
        Order of the polynomial fitted along.

    Returns
    -------
    ndarray, float64

    References
    ----------
    Baluev, Mon. Not. R. Astron. Soc. 385, 1279 (2008), doi:10.1111/j.1365-2966.2008.12689.x.
    """
    t = check_delays(delays)
    z = np.maximum(np.asarray(snr, dtype=np.float64), 0)
    if z.size > _GRID:
        # The rate is smooth in the ratio: a map is read off a curve.
        curve = np.geomspace(1e-3, max(float(z.max()), 1.0), _GRID)
        rate = np.log(np.maximum(false_alarm_rate(curve, band, t, trend=trend), 1e-300))
        return np.exp(np.interp(z, curve, rate))
    freedom = _freedom(t.tobytes(), band, trend)
    # The noise of a pixel is itself an estimate: average over its distribution.
    power = z[..., None] * _noise_quantiles(freedom)
    single = np.exp(-power)
    crossings = (band.high - band.low) * 1e-3 * np.sqrt(4 * np.pi * t.var()) * np.sqrt(power)
    return np.asarray((1 - (1 - single) * np.exp(-crossings * single)).mean(axis=-1))


@lru_cache
def _freedom(delays: bytes, band: Band, trend: int) -> int:
    """Return in how many directions a series holds noise alone."""
    t = np.frombuffer(delays)
    return t.size - signal_space(t, band, trend=trend).shape[1]


@lru_cache
def _noise_quantiles(freedom: int) -> npt.NDArray[np.float64]:
    """Evenly spaced quantiles of the mean of that many squares of normal variables."""
    quantile = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    values: npt.NDArray[np.float64] = gammaincinv(freedom / 2, quantile) / (freedom / 2)
    return values


def noise_threshold(
    band: Band,
    delays: npt.ArrayLike,
    *,
    method: Method = "amplitude",
    rate: float = FALSE_ALARM,
    trend: int = 2,
) -> float:
    """Value of the statistic that a given share of white-noise pixels exceed.

    Parameters
    ----------
    band : Band
        The band searched.
    delays : array_like, shape (T,)
        Delays, ps.
    method : {"amplitude", "peak_ratio"}
        Which statistic.
    rate : float
        The share, between 0 and 1.
    trend : int
        Order of the polynomial fitted along.

    Returns
    -------
    float
    """
    if not 0 < rate < 1:
        raise UemError(f"false_alarm: found {rate:g}; give a share between 0 and 1.")
    if method == "amplitude":
        return float(
            brentq(lambda z: false_alarm_rate(z, band, delays, trend=trend) - rate, 0, 1e6)
        )
    if method == "peak_ratio":
        # Power in noise is exponential with the median ln 2; one draw per cycle in the band.
        t = check_delays(delays)
        draws = max(1.0, (band.high - band.low) * 1e-3 * (t[-1] - t[0]))
        return float(-np.log(-np.expm1(np.log1p(-rate) / draws)) / np.log(2))
    raise UemError(f'method: found "{method}"; use "amplitude" or "peak_ratio".')


def clean_mask(mask: Mask, *, smallest: int = SMALLEST_AREA) -> Mask:
    """Remove specks and fill pinholes of a mask.

    First every object (pixels joined by edges) smaller than `smallest` is removed, then every
    hole (joined by edges or corners) smaller than that is filled.  Nothing else changes: the
    outline of what stays is not rounded.

    Parameters
    ----------
    mask : ndarray, shape (y, x), bool
        The mask.
    smallest : int
        Area, px.

    Returns
    -------
    ndarray, shape (y, x), bool
    """
    kept = _large_parts(np.asarray(mask, dtype=bool), generate_binary_structure(2, 1), smallest)
    return ~_large_parts(~kept, generate_binary_structure(2, 2), smallest)


def _large_parts(mask: Mask, structure: Mask, smallest: int) -> Mask:
    parts, _ = label(mask, structure)
    area = np.bincount(parts.ravel())
    large = area >= smallest
    large[0] = False
    return large[parts]
