"""What in a time series may be drift, what may be wave, and what is left as noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.spectrum.band import Band
from uemdask.spectrum.harmonics import (
    RADIAN_PER_GHZ_PS,
    Float64,
    check_delays,
    record_length,
    trend_basis,
)
from uemdask.spectrum.tile_statistics import DRIFT_CYCLES

# A direction belongs to a range of frequencies if a harmonic in it has this share of amplitude
# along it.  What a range holds beyond its edges fades fast.
_LEAST_AMPLITUDE = 0.03

# Share of the delays that is always left for the noise.
_NOISE_SHARE = 1 / 3


def drift_space(delays: npt.ArrayLike, band: Band, *, trend: int = 2) -> Float64:
    """Orthonormal basis of slow change: a polynomial and the harmonics below the drift limit.

    A bend contour that passes a pixel changes it by tens of per cent within a part of the record.
    A polynomial alone does not follow that, and what it leaves leaks into the band.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.
    band : Band
        The band, GHz.  Harmonics less than one and a half cycles per record below it are left
        alone.
    trend : int
        Order of the polynomial.

    Returns
    -------
    ndarray, shape (T, P), float64
    """
    t = check_delays(delays)
    cycle = 1e3 / record_length(t)
    limit = min(DRIFT_CYCLES * cycle, band.low - 1.5 * cycle)
    return _widen(trend_basis(t, trend), t, (0.0, limit))


def signal_space(delays: npt.ArrayLike, band: Band, *, trend: int = 2) -> Float64:
    """Orthonormal basis of all that may be drift or wave; what is left is noise.

    It spans :func:`drift_space` and every harmonic inside the band and inside twice the band.  So
    neither a moving bend contour, nor growth and decay of a wave, nor its second harmonic counts
    as noise, and the signal-to-noise ratio of a strong wave grows with its amplitude instead of
    staying at a ceiling.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.
    band : Band
        The band, GHz.
    trend : int
        Order of the polynomial.

    Returns
    -------
    ndarray, shape (T, rank), float64
        A third of the delays at least are left for the noise.  With few delays the second
        harmonic is given up for that, and the outer parts of the band.
    """
    t = check_delays(delays)
    space = _widen(drift_space(t, band, trend=trend), t, (band.low, band.high), partly=True)
    return _widen(space, t, (2 * band.low, 2 * band.high))


def _widen(
    space: Float64, t: Float64, edges: tuple[float, float], *, partly: bool = False
) -> Float64:
    """Add the harmonics between two frequencies to a basis, if enough is left for the noise."""
    low, high = edges
    if high <= low:
        return space
    count = 2 + int(np.ceil(2 * (high - low) * record_length(t) * 1e-3))
    phase = RADIAN_PER_GHZ_PS * np.linspace(low, high, count)[:, None] * t
    more = np.concatenate([np.cos(phase), np.sin(phase)]).T
    more -= space @ (space.T @ more)
    direction, size, _ = np.linalg.svd(more, full_matrices=False)
    direction = direction[:, size > _LEAST_AMPLITUDE * np.sqrt(t.size / 2)]
    room = int((1 - _NOISE_SHARE) * t.size) - space.shape[1]
    if direction.shape[1] > room and not partly:
        return space
    return np.hstack([space, direction[:, : max(room, 2)]])
