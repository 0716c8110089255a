"""The frequency band of the wave, chosen from the spectrum and the distribution of peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter, uniform_filter1d

from uemdask.errors import UemError
from uemdask.spectrum.harmonics import Float64
from uemdask.spectrum.tile_statistics import DRIFT_CYCLES

#: Smallest significance that is called a peak.  The largest of a few hundred values of white
#: noise reaches 3 to 4.
LEAST_SIGNIFICANCE = 6.0

# Highest harmonic that may outshine its fundamental.
_HARMONICS = 5


@dataclass(frozen=True)
class Band:
    """A frequency band, GHz.

    Attributes
    ----------
    low, high : float
        Edges.
    centre : float
        Frequency of the strongest mean power in it.
    significance : float
        Height of the peak above the floor, in robust standard deviations of the rest: of the
        logarithmic spectrum or of the distribution of peaks, whichever says more.  Infinite if
        the user gave the band.
    found : bool
        False where the spectrum shows no peak and the band is only the best guess.
    """

    low: float
    high: float
    centre: float
    significance: float
    found: bool


def band_of_spectrum(
    frequency: npt.ArrayLike,
    power: npt.ArrayLike,
    peak_count: npt.ArrayLike,
    *,
    limits: tuple[float, float] | None = None,
    drift_cycles: float = DRIFT_CYCLES,
    harmonic_share: float = 0.1,
) -> Band:
    """Band of the wave: where power and peaks stand out from their surroundings.

    The floor is a wide running median of the logarithmic power.  It follows any falling slope
    exactly, so drift does not look like a peak however steep it is.  The number of pixels that
    peak at a frequency is taken the same way and added: a strong wave in a small part of the
    frame shows there first.  If half the frequency found also stands out, with at least
    `harmonic_share` of the power, the wave is that one and what was found its second harmonic;
    likewise up to the fifth, where the whole comb between them stands out.

    Parameters
    ----------
    frequency : array_like, shape (F,)
        Even grid that starts at one cycle per record (``frequency_grid``), GHz.
    power : array_like, shape (F,)
        Mean power, or its sum over pixels.
    peak_count : array_like, shape (F,)
        Pixels that peak at each frequency.
    limits : tuple of float, optional
        Low and high edge set by the user, GHz; only the centre is then looked for.
    drift_cycles : float
        Cycles per record below which everything is taken for drift.
    harmonic_share : float
        Share of the excess power that a fundamental must have beside its harmonic.

    Returns
    -------
    Band

    Raises
    ------
    UemError
        If the three arrays differ in length, or no frequency lies between the limits.

    Examples
    --------
    >>> import numpy as np
    >>> f = np.linspace(2, 100, 197)
    >>> power = 1 + 50 * np.exp(-0.5 * ((f - 34.2) / 1.5) ** 2)
    >>> band = band_of_spectrum(f, power, np.ones(197))
    >>> round(band.centre, 1), band.found
    (34.2, True)
    """
    f, p, count = (np.asarray(a, dtype=np.float64) for a in (frequency, power, peak_count))
    if not (f.ndim == 1 and f.size >= 8 and f.shape == p.shape == count.shape):
        raise UemError(
            f"choose_band: frequency {f.shape}, power {p.shape} and peak_count {count.shape} "
            "must be equally long rows of at least 8 values."
        )
    spacing = f[1] - f[0]
    resolution = f[0]
    width = max(1, round(resolution / spacing))
    p = np.maximum(p, np.finfo(np.float64).tiny + 1e-12 * p.max())
    if limits is not None:
        return _user_band(f, p, limits)

    wanted = np.flatnonzero(f >= drift_cycles * resolution)
    if wanted.size < 8:
        wanted = np.arange(f.size)
    first = wanted[0]
    excess = _excess(np.log(p[first:]), width)
    smooth_count = uniform_filter1d(count[first:], width, mode="nearest")
    crowd = _excess(np.log(smooth_count + max(smooth_count.mean(), 1.0)), width)
    score = excess + crowd
    best = int(score.argmax())
    best = _climb(p[first:], best, width)

    floor = p[first:] * np.exp(-excess)
    lift = p[first:] - floor
    # White noise averaged over the pixels scatters by this much at least; smoothed pixels repeat
    # each other about three times.
    pixels = max(count.sum() / 3, 1.0)
    scale = _scatter(excess, width, 1 / np.sqrt(pixels))
    # Counts of one resolution element; the logarithm of count plus mean halves their scatter.
    crowd_scale = _scatter(crowd, width, 0.5 * np.sqrt(excess.size / width / pixels))
    lowest = _fundamental(f[first:], lift, excess / scale, best, width, harmonic_share)
    best = best if lowest is None else lowest
    # Gaps between delays spread a strong wave over the whole spectrum, but each pixel still
    # peaks once: then the distribution of peaks is the clearer sign.
    significance = float(max(excess[best] / scale, crowd[best] / crowd_scale))

    centre = _parabola(f, p, best + first)
    low, high = _edges(f[first:], lift, best)
    # At least 1.5 cycles per record on each side: narrower than the line no wave can be.  At
    # most 0.4 of the centre: the second harmonic stays out.
    low = max(min(low, centre - 1.5 * resolution), 0.6 * centre, f[0])
    high = min(max(high, centre + 1.5 * resolution), max(1.4 * centre, centre + spacing), f[-1])
    return Band(
        low=float(low),
        high=float(high),
        centre=centre,
        significance=significance,
        found=significance >= LEAST_SIGNIFICANCE,
    )


def _user_band(f: Float64, p: Float64, limits: tuple[float, float]) -> Band:
    low, high = map(float, limits)
    inside = np.flatnonzero((f >= low) & (f <= high))
    if inside.size == 0:
        raise UemError(
            f"band: {low:g} to {high:g} GHz holds no frequency of this record, which reaches from "
            f"{f[0]:.3g} to {f[-1]:.3g} GHz; choose a band inside."
        )
    centre = _parabola(f, p, int(inside[p[inside].argmax()]))
    return Band(low, high, min(max(centre, low), high), float("inf"), True)


def _excess(values: Float64, width: int) -> Float64:
    """Values over their running median, after averaging over one resolution element."""
    window = max(values.size // 3, 5 * width) | 1
    level = uniform_filter1d(values, width, mode="nearest")
    return level - median_filter(level, window, mode="nearest")


def _scatter(excess: Float64, width: int, least: float) -> float:
    """Robust standard deviation, at least ``least``."""
    deviation = 1.4826 * float(np.median(np.abs(excess - np.median(excess))))
    # Few independent values can by chance lie close together; a wider scale makes up for that.
    return max(deviation, float(least), 1e-3) * (1 + 4 * width / excess.size)


def _climb(p: Float64, index: int, width: int) -> int:
    """Walk to the local maximum of the power next to ``index``."""
    while True:
        low, high = max(index - width, 0), min(index + width + 1, p.size)
        top = low + int(p[low:high].argmax())
        if top == index:
            return index
        index = top


def _fundamental(
    f: Float64, lift: Float64, significance: Float64, best: int, width: int, share: float
) -> int | None:
    """Place of the fundamental of which ``best`` is a harmonic, if there is a real one.

    All multiples below ``best`` must stand out: a comb is a wave that is no sine, a lone peak at
    a third of the frequency is something else.
    """
    for divisor in range(_HARMONICS, 1, -1):
        places = [_peak_near(lift, f, f[best] * k / divisor, width) for k in range(1, divisor)]
        real = [p for p in places if p is not None and significance[p] > LEAST_SIGNIFICANCE]
        if len(real) == divisor - 1 and lift[real[0]] > share * lift[best]:
            return real[0]
    return None


def _peak_near(lift: Float64, f: Float64, frequency: float, width: int) -> int | None:
    """Place of a local maximum within one resolution element of a frequency."""
    middle = int(np.searchsorted(f, frequency))
    low, high = max(middle - width, 1), min(middle + width + 1, f.size - 1)
    if high <= low or middle < 1:
        return None
    index = low + int(lift[low:high].argmax())
    return index if lift[index] >= max(lift[index - 1], lift[index + 1]) else None


def _parabola(f: Float64, p: Float64, index: int) -> float:
    """Frequency of the maximum of a parabola through three points of the log power."""
    if not 0 < index < f.size - 1:
        return float(f[index])
    left, top, right = np.log(p[index - 1 : index + 2])
    curvature = 2 * top - left - right
    if curvature <= 0:
        return float(f[index])
    return float(f[index] + np.clip(0.5 * (right - left) / curvature, -1, 1) * (f[1] - f[0]))


def _edges(f: Float64, lift: Float64, best: int) -> tuple[float, float]:
    """Where the excess power falls below a twentieth, the first side lobe of a sharp line."""
    below = lift < 0.05 * lift[best]
    left = np.flatnonzero(below[:best])
    right = np.flatnonzero(below[best:])
    low = f[left[-1]] if left.size else f[0]
    high = f[best + right[0]] if right.size else f[-1]
    return float(low), float(high)
