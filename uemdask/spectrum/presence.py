"""From when to when a wave is there, from the power of its frames.

The window of the band-pass carries a wave into the frames before it came and after it went. How
far is known, so it can be undone: not for the wave, but for its amplitude, which changes slowly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.spectrum.harmonics import Float32, Float64

# Power of single frames ripples twice a period; a Gaussian of this sigma, in periods, evens it out.
_RIPPLE = 0.2
# A wave must be there this long before and after a frame, in periods: where one began at once, the
# amplitude says so 0.6 periods ahead.
_LASTING = 0.5
# Then it must have this share of the amplitude that it has around the frame.
_LEAST_SHARE = 0.15
_AROUND = 1.5  # periods


def sharp_amplitude(
    power: Float32, delays: npt.ArrayLike, *, period: float, window: float, noise: float
) -> Float32:
    """Amplitude of a wave in each frame, freed from most of the blur of the band-pass in time.

    Parameters
    ----------
    power : ndarray, shape (T, y, x), float32
        Local mean of the squared wave, over a quarter of a wavelength or more.
    delays : array_like, shape (T,)
        ps, rising.
    period : float
        Of the wave, ps.
    window : float
        Standard deviation of the window of the band-pass, periods.
    noise : float
        Standard deviation of the noise of the wave.

    Returns
    -------
    ndarray, shape (T, y, x), float32
        Negative where the blur says more than there was.

    Notes
    -----
    One iteration of van Cittert (1931), ``2 a - blur(a)``: noise is at most doubled.
    """
    t = np.asarray(delays, dtype=np.float64)
    even = _blur(t, max(_RIPPLE * period, float(np.median(np.diff(t))) / 2))
    amplitude = _along_time(even, power)
    np.maximum(2 * (amplitude - np.float32(noise) ** 2), 0, out=amplitude)
    np.sqrt(amplitude, out=amplitude)
    blurred = _along_time(_blur(t, np.hypot(window, _RIPPLE) * period), amplitude)
    return 2 * amplitude - blurred


def lasting(amplitude: Float32, delays: npt.ArrayLike, *, period: float) -> npt.NDArray[np.bool_]:
    """Frames in which a wave is there and neither just coming nor just gone.

    Half a period before and after, it has 15 % of the largest amplitude that it has within one and
    a half periods of the frame. What lies beyond the record is not asked.

    Parameters
    ----------
    amplitude : ndarray, shape (T, y, x), float32
        From :func:`sharp_amplitude`.
    delays : array_like, shape (T,)
        ps, rising.
    period : float
        Of the wave, ps.

    Returns
    -------
    ndarray, shape (T, y, x), bool
    """
    t = np.asarray(delays, dtype=np.float64)
    lasts = np.empty(amplitude.shape, dtype=bool)
    for i, now in enumerate(t):
        around = np.abs(t - now) <= _AROUND * period
        least = _LEAST_SHARE * amplitude[around].max(axis=0)
        lasts[i] = amplitude[i] > least
        for other in (now - _LASTING * period, now + _LASTING * period):
            if t[0] <= other <= t[-1]:
                lasts[i] &= _at(amplitude, t, other) > least
    return lasts


def _at(amplitude: Float32, t: Float64, when: float) -> Float32:
    """Amplitude (y, x) at any delay within the record."""
    after = int(np.clip(np.searchsorted(t, when), 1, len(t) - 1))
    share = np.float32((when - t[after - 1]) / max(t[after] - t[after - 1], 1e-12))
    return (1 - share) * amplitude[after - 1] + share * amplitude[after]


def _blur(t: Float64, sigma: float) -> Float32:
    """Gaussian mean over delays (T, T); at the ends over those that there are."""
    kernel = np.exp(-0.5 * ((t[:, None] - t) / sigma) ** 2)
    return (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)


def _along_time(matrix: Float32, frames: Float32) -> Float32:
    product = matrix @ frames.reshape(len(frames), -1)
    return np.asarray(product.reshape(-1, *frames.shape[1:]), dtype=np.float32)
