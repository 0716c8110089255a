r"""The one speed of a region: best over all delays that are trusted, with an honest error.

The speed of a pair is the mean over the region's pixels, that of the region the mean over the
trusted pairs, each counting alike. So a wave that slows down has the mean of its speeds.

While a wave grows, the window of the band-pass sees more of what comes later: under a Gaussian of
sigma :math:`s` in time the amplitude that it gives, :math:`A`, is centred
:math:`s^2 (\ln A)'` later (Tweedie's formula). Where the series ends the window is cut off, and
sees more of what came earlier. What is seen of the wavenumber there is carried along its own slope
to the delay that it stands for.

The standard error is that of patches of 64 px (32 px in small regions), far enough apart to err by
themselves; a change of the speed along the region (a plane) is no error. To it are added the
scatter of the speeds of successive windows of two periods about a smooth course, what a pair more
or less at either end changes, and what simulated series with exact truth show beside these. What
all patches and delays share is not in it: a wrong pixel size, wrong delays, a second wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from uemdask.motion.kinematics import NO_DIRECTION_SD
from uemdask.regions.fronts import FrontSums
from uemdask.spectrum import band_pass_operator
from uemdask.spectrum.harmonics import RADIAN_PER_GHZ_PS

LEAST_STRENGTH = 0.25
"""Share of its largest strength from which a wave is trusted; below, the window of the band-pass
may only carry a trace of it from other delays."""

LEAST_PIXELS = 0.05
"""Share of a region's pixels that must count in a pair."""

SYSTEMATIC = 0.003
"""Relative error of a speed that patches and windows do not show, from simulated series."""

SYSTEMATIC_DEGREE = 0.1
"""The same of a direction, degree."""

_STRONG = 0.6  # of its largest strength: then a wave is alone in its band
_LARGEST_BEAT = 0.015  # of the frequency
_FEWEST_PAIRS = 3
_SHORTEST = 0.5  # periods that the trusted pairs must span
_RIPPLE = 0.25  # periods
_SLOPE = 0.5  # periods: sigma of the window in which a slope is read
_LARGEST_SHIFT = 0.1  # of the wavenumber
_WINDOW = 2.0  # periods within which the errors of pairs are alike
_ORDER = 3  # of the smooth course
_MANY = 9  # patches: enough to be merged by fours, or to tell a plane
_LEAST_PATCH = 0.05  # of the pixels of the fullest patch
_ALONE = 0.02  # relative error, or rad, of a region of a single patch: what one patch scatters by


@dataclass(frozen=True)
class Headline:
    """The motion of a region in a few numbers; NaN where there is none.

    Attributes
    ----------
    speed, speed_sd : float
        nm/ps.
    direction, direction_sd, spread : float
        Mean direction, its standard error, and the circular standard deviation of the directions
        within the region; degree, anticlockwise from +x as displayed.
    frequency, wavelength : float
        Means over the trusted pairs, GHz and nm.
    first, last : float
        First and last delay that they cover, ps.
    speeds : ndarray, (pair,)
        Speed in each trusted pair, nm/ps.
    reason : str
        Why there is no speed; empty where there is one.
    """

    speed: float = np.nan
    speed_sd: float = np.nan
    direction: float = np.nan
    direction_sd: float = np.nan
    spread: float = np.nan
    frequency: float = np.nan
    wavelength: float = np.nan
    first: float = np.nan
    last: float = np.nan
    speeds: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    reason: str = ""


def headlines(
    sums: FrontSums,
    delays: np.ndarray,
    pixels: np.ndarray,
    relevant: np.ndarray,
    *,
    frequency: float,
    window: float,
    complex_window: float,
    noise: float,
) -> list[Headline]:
    """Return the headline of each region.

    Parameters
    ----------
    sums : FrontSums
        Of the whole run.
    delays : ndarray, (pair, 2)
        Of the first and second frame of each pair, ps.
    pixels, relevant : ndarray, (roi,)
        Pixels of each region, and relevant ones among them.
    frequency : float
        Of the band, GHz.
    window, complex_window : float
        Sigma in time of the Gaussian that the real wave was filtered with, and of all that the
        complex wave was, ps.
    noise : float
        Standard deviation of the noise of the real wave, unit 1.

    Returns
    -------
    list of Headline
    """
    return [
        _headline(
            sums.pair[:, region],
            sums.patch[:, region],
            delays,
            int(pixels[region]),
            int(relevant[region]),
            period=1e3 / frequency,
            window=window,
            complex_window=complex_window,
            noise=noise,
        )
        for region in range(sums.pair.shape[1])
    ]


def _headline(
    pair: np.ndarray,
    patch: np.ndarray,
    delays: np.ndarray,
    pixels: int,
    relevant: int,
    *,
    period: float,
    window: float,
    complex_window: float,
    noise: float,
) -> Headline:
    count, advance, wavenumber, cos, sin, speed, *powers, energy = pair
    trusted, reason = _trusted(
        count, advance, powers, delays, pixels, relevant, period=period, window=window, noise=noise
    )
    if reason:
        return Headline(speeds=np.full(len(delays), np.nan), reason=reason)
    safe = np.where(count > 0, count, 1.0)
    k = np.where(trusted, wavenumber / safe, np.nan)
    k = k / _seen_elsewhere(
        k,
        np.sqrt(energy),
        delays,
        trusted,
        (window, np.sqrt(complex_window**2 - window**2)),
        period,
    )
    late = np.where(trusted, wavenumber / safe / np.where(trusted, k, 1.0), 1.0)
    speeds = np.where(trusted, speed / safe * late, np.nan)
    mean = float(speeds[trusted].mean())
    weight = patch[0]
    found = patch[1] / np.where(weight > 0, patch[2], 1.0)
    # Within a slab of pairs a wave that slows down does so little.
    of_slab = patch[1].sum(axis=(1, 2)) / np.maximum(patch[2].sum(axis=(1, 2)), 1e-30)
    deviation = found / np.where(of_slab > 0, of_slab, 1.0)[:, None, None] - 1
    between = _between_patches(deviation, weight)
    # A mean over delays at which the speed changes depends on where they end.
    edges = (speeds[trusted][[0, -1]] / mean - 1) / trusted.sum()
    course = _about_course(speeds[trusted] / mean, delays[trusted, 1], _WINDOW * period)
    direction, spread, length = _mean_direction(
        cos[trusted].sum(), sin[trusted].sum(), count[trusted].sum()
    )
    across = -np.sin(direction) * patch[3] + np.cos(direction) * patch[4]
    turn = _between_patches(across / np.where(weight > 0, weight, 1.0), weight)
    turn = np.degrees(turn) / max(length, 1e-3)
    return Headline(
        speed=mean,
        speed_sd=mean
        * float(np.hypot(np.hypot(between, course), np.hypot(SYSTEMATIC, np.hypot(*edges)))),
        direction=float(np.degrees(direction)),
        direction_sd=float(min(np.hypot(turn, SYSTEMATIC_DEGREE), NO_DIRECTION_SD)),
        spread=spread,
        frequency=float((advance / safe)[trusted].mean() / RADIAN_PER_GHZ_PS),
        wavelength=float((2 * np.pi / k[trusted]).mean()),
        first=float(delays[trusted].min()),
        last=float(delays[trusted].max()),
        speeds=speeds,
    )


def _trusted(
    count: np.ndarray,
    advance: np.ndarray,
    powers: Sequence[np.ndarray],
    delays: np.ndarray,
    pixels: int,
    relevant: int,
    *,
    period: float,
    window: float,
    noise: float,
) -> tuple[npt.NDArray[np.bool_], str]:
    """Return the pairs (pair,) in which a region's motion is trusted, and why there are too few."""
    none = np.zeros(len(delays), bool)
    if not relevant:
        return none, "none of its pixels is relevant"
    if not count.any():
        return none, "none of its pixels has a valid speed, 8 px and more from the edges"
    seen = count >= LEAST_PIXELS * pixels
    if not seen.any():
        return none, f"fewer than {LEAST_PIXELS:.0%} of its pixels have a valid speed"
    first, second = (
        _strength(power / relevant - noise**2, delays[:, end], window, period)
        for end, power in enumerate(powers)
    )
    strength = np.minimum(first, second)
    strength /= max(strength[delays[:, 0] >= 0].max(initial=0), 1e-30)
    trusted = seen & (strength >= LEAST_STRENGTH)
    rate = advance / np.where(count > 0, count, 1.0)
    trusted &= ~_not_yet_alone(rate, strength, delays[:, 1], trusted, period)
    span = float(np.ptp(delays[trusted])) if trusted.any() else 0.0
    if trusted.sum() < _FEWEST_PAIRS or span < _SHORTEST * period:
        return none, "its motion can be trusted for less than half a period"
    return trusted, ""


def _not_yet_alone(
    rate: np.ndarray, strength: np.ndarray, delays: np.ndarray, trusted: np.ndarray, period: float
) -> npt.NDArray[np.bool_]:
    """Return the first pairs in which the phase runs otherwise than when the wave is strong.

    There it is that of the wave together with something else in the band, such as contours that
    move on at time zero.
    """
    strong = np.flatnonzero(trusted & (strength >= _STRONG))
    if not strong.size:
        return np.zeros(len(rate), bool)
    begin = delays[strong[0]]
    then = trusted & (delays >= begin) & (delays <= begin + period)
    off = np.abs(rate / np.median(rate[then]) - 1) > _LARGEST_BEAT
    return np.asarray(off & (delays < begin))


def _strength(
    power: np.ndarray, delays: np.ndarray, window: float, period: float
) -> npt.NDArray[np.float64]:
    """Amplitude at each delay from the power of the real wave, sharpened in time.

    The power of a wave larger than the region ripples twice a period: it is smoothed. What that and
    the band-pass have spread is taken back in part, or a wave would be there before it came.
    """
    ripple = _RIPPLE * period
    smeared = np.sqrt(np.maximum(_smoothed(power, delays, ripple), 0))
    return 2 * smeared - _smoothed(smeared, delays, float(np.hypot(window, ripple)))


def _smoothed(values: np.ndarray, delays: np.ndarray, sigma: float) -> npt.NDArray[np.float64]:
    weight = np.exp(-0.5 * ((delays[:, None] - delays) / sigma) ** 2)
    return np.asarray(weight @ values / weight.sum(axis=1))


def _slope(values: np.ndarray, delays: np.ndarray, sigma: float) -> npt.NDArray[np.float64]:
    """Slope of a straight line under a Gaussian window about each delay, per ps."""
    weight = np.exp(-0.5 * ((delays[:, None] - delays) / sigma) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    away = delays[None] - (weight @ delays)[:, None]
    least = np.maximum((weight * away**2).sum(axis=1), 1e-30)
    return np.asarray((weight * away * values).sum(axis=1) / least)


def _seen_elsewhere(
    k: np.ndarray,
    amplitude: np.ndarray,
    delays: np.ndarray,
    trusted: np.ndarray,
    windows: tuple[float, float],
    period: float,
) -> npt.NDArray[np.float64]:
    """Return by what factor the wavenumber is that of a later or earlier delay, (pair,)."""
    factor = np.ones(len(k))
    there = trusted & (amplitude > 0)
    if there.sum() < 2 * _FEWEST_PAIRS:
        return factor
    at, frames = delays[there, 1], np.unique(delays)
    centre, variance = (
        moment[np.searchsorted(frames, at)] for moment in _under_windows(frames, windows, period)
    )
    growth = _slope(np.log(amplitude[there]), at, _SLOPE * period)
    shift = centre + growth * variance
    # Where the series ends, the delays that are seen lie closer together than those that are told.
    change = _slope(np.log(k[there]), at + shift, _SLOPE * period)
    factor[there] += np.clip(change * shift, -_LARGEST_SHIFT, _LARGEST_SHIFT)
    return factor


def _under_windows(
    frames: np.ndarray, windows: tuple[float, float], period: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return by how much the delays that both band-passes see are later, and their variance.

    (frame,) each, ps and ps^2: moments of what they make of a wave whose amplitude is 1, t, t^2.
    """
    time = frames / period
    moments = np.exp(2j * np.pi * time) * np.stack([np.ones_like(time), time, time**2])
    first, second = (band_pass_operator(frames, 1e3 / period, window=window) for window in windows)
    moments = moments @ first.real.T @ second.T  # the first makes the real wave
    mean, square = (moments[1:] / moments[0]).real
    return period * (mean - time), period**2 * (square - mean**2)


def _between_patches(deviation: np.ndarray, weight: np.ndarray) -> float:
    """Return the standard error of a mean over patches (slab, row, column).

    A patch errs alike at all delays.
    """
    total, value = weight.sum(axis=0), (deviation * weight).sum(axis=0)
    wide = _by_fours(total)
    if np.count_nonzero(_enough(wide)) >= _MANY:
        total, value = wide, _by_fours(value)
    there = _enough(total)
    share = total[there] / total[there].sum()
    own = value[there] / total[there]
    if len(own) < 2:
        return _ALONE
    row, column = (axis[there] for axis in np.indices(total.shape, float))
    design = np.stack([np.ones_like(row), row, column], axis=1)[:, : 3 if len(own) >= _MANY else 1]
    root = np.sqrt(share)
    fitted, _, rank, _ = np.linalg.lstsq(design * root[:, None], own * root, rcond=1e-6)
    left = own - design @ fitted
    return float(np.sqrt(np.sum((share * left) ** 2) * len(own) / (len(own) - rank)))


def _by_fours(patches: np.ndarray) -> npt.NDArray[np.float64]:
    """Sum each two by two patches."""
    rows, columns = (np.arange(0, size, 2) for size in patches.shape)
    return np.asarray(np.add.reduceat(np.add.reduceat(patches, rows, axis=0), columns, axis=1))


def _enough(weight: np.ndarray) -> npt.NDArray[np.bool_]:
    """Return the patches that hold enough to tell something."""
    return np.asarray(weight > _LEAST_PATCH * weight.max())


def _about_course(speeds: np.ndarray, delays: np.ndarray, window: float) -> float:
    """Relative standard error from the scatter of windows about a smooth course."""
    places = ((delays - delays[0]) / window).astype(int)
    count = np.bincount(places)
    filled = count > 0
    means = np.bincount(places, speeds)[filled] / count[filled]
    times = np.bincount(places, delays)[filled] / count[filled]
    share = count[filled] / count.sum()
    order = min(_ORDER, len(means) - 2)
    if order < 1:  # too few to tell an error from a course
        return 0.0
    course = np.polynomial.Polynomial.fit(times, means, order, w=np.sqrt(share))
    left = means - course(times)
    return float(np.sqrt(np.sum((share * left) ** 2) * len(means) / (len(means) - order - 1)))


def _mean_direction(cos: float, sin: float, count: float) -> tuple[float, float, float]:
    """Return mean direction (rad), circular standard deviation (degree), and resultant length."""
    length = min(float(np.hypot(cos, sin)) / count, 1.0)
    spread = np.degrees(np.sqrt(-2 * np.log(max(length, 1e-9))))
    return float(np.arctan2(sin, cos)), float(spread), length
