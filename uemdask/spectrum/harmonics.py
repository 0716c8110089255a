"""Harmonics of a time series with any delays, by least squares.

Convention
----------
Everywhere in uemdask a complex amplitude ``Z`` at the frequency ``f`` (GHz) stands for::

    s(t) = Re(Z exp(+i 2 pi f t 1e-3)) = |Z| cos(2 pi f t 1e-3 + angle(Z))       t in ps

``t`` is the pump-probe delay, so the phase is the phase at time zero.  The sign is that of
:func:`numpy.fft.rfft` and :func:`scipy.signal.hilbert`: phases advance with time.  A wave that
travels along ``k`` therefore has ``Z ~ exp(-i k.r)``, and ``k = -grad(angle(Z))``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Complex64 = npt.NDArray[np.complex64]

#: 2 pi f t for f in GHz and t in ps.
RADIAN_PER_GHZ_PS = 2e-3 * np.pi

#: Fewer delays than this leave too little to tell a wave from noise and trend.
FEWEST_DELAYS = 8

#: Pixels per matrix product: a block of 350 delays stays in the second-level cache.
BLOCK_PIXELS = 2048

# A direction of the cosine-sine plane that keeps less than this share of its energy after the
# trend is taken out cannot be told from the trend (or vanishes, as the sine does at Nyquist).
_LEAST_SHARE = 0.02


def check_delays(delays: npt.ArrayLike, length: int | None = None) -> Float64:
    """Delays as a sorted float64 vector, or a plain error.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Pump-probe delays, ps, rising.
    length : int, optional
        How many frames the series has.

    Returns
    -------
    ndarray, shape (T,), float64

    Raises
    ------
    UemError
        If there are too few delays, they are not finite and rising, or not `length` of them.
    """
    t = np.asarray(delays, dtype=np.float64)
    if t.ndim != 1 or t.size < FEWEST_DELAYS:
        raise UemError(
            f"delays: found an array of shape {t.shape}; a spectrum needs at least "
            f"{FEWEST_DELAYS} delays in one row."
        )
    if not np.isfinite(t).all() or (np.diff(t) < 0).any() or t[-1] == t[0]:
        raise UemError(
            "delays: found values that are not finite and rising; sort the frames first."
        )
    if length is not None and t.size != length:
        raise UemError(
            f"delays: found {t.size} delays for a series of {length} frames; "
            "give one delay a frame."
        )
    return t


def shortest_step(delays: npt.ArrayLike) -> float:
    """Delay step, in ps, that sets the highest frequency.

    A quarter of all steps are at most this long.  So a part measured in finer steps counts
    once it is a quarter of the record, and a few close delays around time zero do not.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np
    >>> shortest_step(np.r_[-30:500:5, 500:1000:10])
    5.0
    """
    steps = np.diff(check_delays(delays))
    # Repeated delays are no step; motors repeat to much better than 1e-6 ps.
    steps = steps[steps > 1e-6]
    return float(np.round(np.quantile(steps, 0.25, method="higher"), 6))


def record_length(delays: npt.ArrayLike) -> float:
    """Length of the record in ps: the span of the delays and one step.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.

    Returns
    -------
    float
    """
    t = check_delays(delays)
    return float(t[-1] - t[0]) + shortest_step(t)


def frequency_grid(delays: npt.ArrayLike, *, oversample: int = 4) -> Float64:
    """Frequencies from one cycle per record to the highest the delays support.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps, even or not.
    oversample : int
        Grid points per independent frequency.  4 puts a peak within an eighth of a cycle per
        record of a grid point, where a parabola is accurate to a few thousandths of a cycle.

    Returns
    -------
    ndarray, shape (F,), float64
        Frequencies, GHz, evenly spaced.  The first one is one cycle per record.  The last one is
        half the inverse of :func:`shortest_step`: delays -30..500 ps by 5 ps, then to 990 ps by
        10 ps, reach 100 GHz.

    Examples
    --------
    >>> import numpy as np
    >>> float(frequency_grid(np.arange(0, 500, 5.0))[-1])
    100.0
    """
    t = check_delays(delays)
    spacing = 1e3 / (oversample * record_length(t))
    highest = 0.5e3 / shortest_step(t)
    count = int(np.floor(highest / spacing + 1e-6))
    return spacing * np.arange(oversample, count + 1, dtype=np.float64)


def trend_basis(delays: npt.ArrayLike, trend: int = 2) -> Float64:
    """Orthonormal polynomials over the delays, from the constant to order `trend`.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.
    trend : int
        Highest order.  0 is the constant alone, -1 nothing.

    Returns
    -------
    ndarray, shape (T, trend + 1), float64
    """
    t = check_delays(delays)
    if trend > t.size - 4:
        raise UemError(f"trend: found order {trend} for {t.size} delays; use a lower order.")
    scaled = 2 * (t - t[0]) / (t[-1] - t[0]) - 1
    polynomials = np.polynomial.legendre.legvander(scaled, max(trend, 0))
    orthonormal: Float64 = np.linalg.qr(polynomials).Q
    return orthonormal[:, : trend + 1]


@dataclass(frozen=True)
class HarmonicBasis:
    """Cosine and sine at each frequency, free of trend, made orthonormal pair by pair.

    Attributes
    ----------
    projector : ndarray, shape (F, 2, T), float64
        ``|projector[f] @ s|**2`` is the sum of squares that the harmonic explains of `s` beyond
        the trend.  In white noise of variance v it has the mean 2 v at every frequency.
    to_amplitude : ndarray, shape (F, 2, 2), float64
        Turns the two projections into least-squares cosine and sine amplitudes.
    """

    projector: Float64
    to_amplitude: Float64


def harmonic_basis(
    delays: npt.ArrayLike, frequency: npt.ArrayLike, *, trend: int | Float64 = 2
) -> HarmonicBasis:
    """Orthonormal harmonics: the generalised Lomb-Scargle periodogram as a matrix.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.
    frequency : array_like, shape (F,)
        Frequencies, GHz.
    trend : int or ndarray of shape (T, P)
        Order of the polynomial fitted together with each harmonic, or orthonormal columns.

    Returns
    -------
    HarmonicBasis

    References
    ----------
    Zechmeister and Kürster, Astron. Astrophys. 496, 577 (2009), doi:10.1051/0004-6361:200811296.
    """
    t = check_delays(delays)
    f = np.atleast_1d(np.asarray(frequency, dtype=np.float64))
    phase = RADIAN_PER_GHZ_PS * f[:, None] * t
    pair = np.stack([np.cos(phase), np.sin(phase)], axis=1)
    basis = trend_basis(t, trend) if isinstance(trend, int) else trend
    pair -= (pair @ basis) @ basis.T
    gram = pair @ pair.transpose(0, 2, 1)
    value, vector = np.linalg.eigh(gram)
    usable = value > _LEAST_SHARE * t.size / 2
    inverse_root = np.where(usable, 1 / np.sqrt(np.where(usable, value, 1)), 0)
    root = (vector * inverse_root[:, None, :]) @ vector.transpose(0, 2, 1)
    return HarmonicBasis(projector=root @ pair, to_amplitude=root)


def harmonic_operator(
    delays: npt.ArrayLike, frequency: npt.ArrayLike, *, trend: int | Float64 = 2
) -> Float32:
    """Matrix that takes a series to its least-squares cosine and sine amplitudes.

    Each frequency is fitted alone, together with a polynomial over the delays, so a constant and
    the slow change of a moving bend contour do not leak into it.  Exact on uneven delays.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.
    frequency : array_like, shape (F,)
        Frequencies, GHz.
    trend : int or ndarray of shape (T, P)
        Order of the polynomial, or orthonormal columns to fit in its place.  Order 2 follows a
        slow bend without touching 2 cycles per record.

    Returns
    -------
    ndarray, shape (2 F, T), float32
        F rows for the cosines, then F rows for the sines.  A part of a harmonic that cannot be
        told from the trend, or that all delays miss (the sine at Nyquist), gets zero.

    Examples
    --------
    >>> from uemdask.spectrum import harmonic_amplitudes
    >>> import numpy as np
    >>> t = np.arange(0, 500, 5.0)
    >>> s = 3 * np.cos(2e-3 * np.pi * 34 * t + 0.5)
    >>> Z = harmonic_amplitudes(s, harmonic_operator(t, [34.0]))
    >>> round(abs(Z[0]), 3), round(np.angle(Z[0]), 3)
    (np.float32(3.0), np.float32(0.5))
    """
    basis = harmonic_basis(delays, frequency, trend=trend)
    amplitude = basis.to_amplitude @ basis.projector
    return np.ascontiguousarray(
        amplitude.transpose(1, 0, 2).reshape(-1, amplitude.shape[-1]), dtype=np.float32
    )


def harmonic_amplitudes(series: npt.NDArray[np.floating], operator: Float32) -> Complex64:
    """Complex amplitudes of a series: one matrix product.

    Parameters
    ----------
    series : ndarray, shape (T, ...)
        Time first, any trailing dims.
    operator : ndarray, shape (2 F, T)
        From :func:`harmonic_operator`.

    Returns
    -------
    ndarray, shape (F, ...), complex64
        ``Z`` of ``s = Re(Z exp(i 2 pi f t))``.

    Raises
    ------
    UemError
        If the operator was made for another number of delays.
    """
    if operator.shape[1] != series.shape[0]:
        raise UemError(
            f"operator: made for {operator.shape[1]} delays, the series has {series.shape[0]}; "
            "make it from the delays of this series."
        )
    half = operator.shape[0] // 2
    flat = series.reshape(series.shape[0], -1).astype(np.float32, copy=False)
    amplitude = np.empty((half, flat.shape[1]), dtype=np.complex64)
    for start in range(0, flat.shape[1], BLOCK_PIXELS):
        block = operator @ flat[:, start : start + BLOCK_PIXELS]
        amplitude.real[:, start : start + BLOCK_PIXELS] = block[:half]
        np.negative(block[half:], out=amplitude.imag[:, start : start + BLOCK_PIXELS])
    return amplitude.reshape(half, *series.shape[1:])
