"""The band-passed wave and its quadrature, by local harmonic regression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.spectrum.band import Band
from uemdask.spectrum.harmonics import (
    BLOCK_PIXELS,
    RADIAN_PER_GHZ_PS,
    Complex64,
    Float32,
    Float64,
    check_delays,
)

# Weights beyond this many standard deviations (below 4e-6) are zero, so products can skip them.
_REACH = 5.0

# The four coefficients of the local fit need about twice as many effective delays.
_LEAST_EFFECTIVE = 6.0

# Largest condition number of the local normal matrix (columns scaled to length 1).  It bounds
# how much the noise of the fitted amplitude exceeds that of a long window.
_WORST_CONDITION = 30.0

# Frames computed together: their windows overlap, so few products are wasted.
_ROWS = 24

# Steps of the stored wave in its noise: rounding adds a ten-thousandth to the noise, and less
# would be stored noise.
_STEPS_OF_NOISE = 16
# Room above the mean amplitude in the band: a wave in a thousandth of the field fits.
_HEADROOM = 32
# Steps in the largest value of 16 bits.
_LARGEST = 2**15 - 1
# Bounds of the step: without any noise, and where a few references close to zero rule the means.
_FINEST, _COARSEST = 2.0**-22, 2.0**-10


def band_pass_operator(
    delays: npt.ArrayLike,
    centre: float,
    *,
    window: float | None = None,
    at: npt.ArrayLike | None = None,
) -> Complex64:
    """Matrix that takes a series to its analytic band-passed wave.

    Row by row, a harmonic of the frequency `centre`, a constant and a slope are fitted to the
    series under a Gaussian window about one delay; the harmonic's value there is the result.
    So the gain is exactly 1 for a steady wave at `centre`, and exactly 0 for a constant and a
    slope, on any delays and at the ends.

    Where a window holds too few delays for the fit (ends, gaps, coarse steps), it is widened
    until the fit is well-conditioned.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays of the frames used, ps.
    centre : float
        Frequency, GHz.
    window : float, optional
        Standard deviation of the Gaussian, ps.  One period by default, best for a wave that
        changes; two periods for a steady one; ``inf`` for a dim one (the whole series).
    at : array_like, shape (R,), optional
        Delays at which the wave is wanted, ps; `delays` by default.

    Returns
    -------
    ndarray, shape (R, T), complex64
        ``operator @ s``: the real part is the band-passed wave in the unit of `s`, the phase
        advances by ``2 pi centre dt``.

    Raises
    ------
    UemError
        If the frequency or the window is not positive.

    Notes
    -----
    Frequencies above half the frame rate are aliased before any filter can act: at 2.9 frames
    per period the second harmonic comes out at 0.9 of the centre, and passes.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(0, 300, 5.0)
    >>> w = band_pass_operator(t, 34.0) @ (7 + 0.02 * t + np.cos(2e-3 * np.pi * 34 * t))
    >>> bool(np.allclose(w, np.exp(2e-3j * np.pi * 34 * t), atol=1e-5))
    True
    """
    t = check_delays(delays)
    if not centre > 0:
        raise UemError(f"centre: found {centre:g} GHz; give a positive frequency.")
    period = 1e3 / centre
    sigma = period if window is None else float(window)
    if not sigma > 0:
        raise UemError(f"window: found {sigma:g} ps; give a positive width.")
    # A window ten times the record is flat; this also takes care of infinity.
    widest = 10 * (t[-1] - t[0])
    targets = t if at is None else np.asarray(at, dtype=np.float64)
    rows = [_row(t, float(t0), centre, min(sigma, widest), widest) for t0 in targets]
    return np.array(rows, dtype=np.complex64)


def _row(
    t: Float64, t0: float, centre: float, sigma: float, widest: float
) -> npt.NDArray[np.complex128]:
    """One row of the operator, for the delay ``t0``."""
    angle = RADIAN_PER_GHZ_PS * centre * (t - t0)
    while True:
        distance = (t - t0) / sigma
        root = np.where(np.abs(distance) <= _REACH, np.exp(-0.25 * distance**2), 0)
        weight = root**2
        effective = weight.sum() ** 2 / max((weight**2).sum(), 1e-300)
        design = np.stack([np.cos(angle), np.sin(angle), np.ones_like(t), distance], axis=1)
        design *= root[:, None]
        length = np.sqrt((design**2).sum(axis=0))
        if effective >= _LEAST_EFFECTIVE and (length > 0).all():
            left, value, right = np.linalg.svd(design / length, full_matrices=False)
            if value[0] ** 2 <= _WORST_CONDITION * value[-1] ** 2 or sigma >= widest:
                break
        if sigma >= widest:
            raise UemError(
                f"delays: {t.size} delays cannot carry a wave of {centre:g} GHz; "
                "check the delays and the band."
            )
        sigma = min(1.2 * sigma, widest)
    # Directions that even the whole record does not fix get nothing rather than noise.
    inverse = np.where(value > 1e-3 * value[0], 1 / np.maximum(value, 1e-300), 0)
    solution = (right.T * inverse) @ left.T / length[:, None] * root
    # Angles count from t0, so the harmonic's value there is cosine - i sine.
    result: npt.NDArray[np.complex128] = solution[0] - 1j * solution[1]
    return result


def aliased_harmonic(operator: Complex64, delays: npt.ArrayLike, centre: float) -> Float64:
    """How much of a second harmonic comes out as a wave that travels backwards.

    At about three frames per period the second harmonic is sampled so coarsely that it looks
    like a wave at the centre, which runs against the fundamental with half its wavelength. No
    filter in time can tell; one in space can, see `directional_filter`.

    Parameters
    ----------
    operator : ndarray, shape (R, T), complex64
        From :func:`band_pass_operator`.
    delays : array_like, shape (T,)
        Its delays, ps.
    centre : float
        Its frequency, GHz.

    Returns
    -------
    ndarray, shape (R,)
        Amplitude, relative to that of the second harmonic.

    Examples
    --------
    >>> from uemdask.spectrum import band_pass_operator
    >>> import numpy as np
    >>> fine, coarse = np.arange(0, 300, 5.0), np.arange(0, 300, 10.0)
    >>> for t in fine, coarse:
    ...     print(bool(aliased_harmonic(band_pass_operator(t, 33.0), t, 33.0)[9] > 0.5))
    False
    True
    """
    angle = RADIAN_PER_GHZ_PS * 2 * centre * check_delays(delays)
    return np.abs(operator.astype(np.complex128) @ np.exp(-1j * angle))


def analytic_wave(series: Float32, operator: Complex64) -> Complex64:
    """Complex wave of a tile: the band-passed series and its quadrature.

    Parameters
    ----------
    series : ndarray, shape (T, y, x), float32
        Corrected frame over reference, minus 1.
    operator : ndarray, shape (R, T), complex64
        From :func:`band_pass_operator`; a slice of its rows gives only those frames.

    Returns
    -------
    ndarray, shape (R, y, x), complex64
        The real part is the wave in the unit of the series; the phase advances with time.
    """
    wave = np.empty((operator.shape[0], series[0].size), dtype=np.complex64)
    _product(series, operator.real, wave.real)
    _product(series, operator.imag, wave.imag)
    return wave.reshape(-1, *series.shape[1:])


def band_passed(series: Float32, operator: Complex64) -> Float32:
    """Real wave of a tile, at half the cost of :func:`analytic_wave`.

    Parameters
    ----------
    series : ndarray, shape (T, y, x), float32
        Corrected frame over reference, minus 1.
    operator : ndarray, shape (R, T), complex64
        From :func:`band_pass_operator`.

    Returns
    -------
    ndarray, shape (R, y, x), float32
    """
    wave = np.empty((operator.shape[0], series[0].size), dtype=np.float32)
    _product(series, operator.real, wave)
    return wave.reshape(-1, *series.shape[1:])


def _product(series: Float32, matrix: Float32, out: Float32) -> None:
    """``matrix @ series`` into ``out`` (R, pixels), leaving out what is zero in the matrix."""
    if matrix.shape[1] != series.shape[0]:
        raise UemError(
            f"operator: made for {matrix.shape[1]} delays, the series has {series.shape[0]}; "
            "make it from the delays of this series."
        )
    flat = series.reshape(series.shape[0], -1)
    strips = []
    for row in range(0, matrix.shape[0], _ROWS):
        strip = matrix[row : row + _ROWS]
        used = np.flatnonzero(strip.any(axis=0))
        span = slice(used[0], used[-1] + 1) if used.size else slice(0, 1)
        strips.append((slice(row, row + _ROWS), span, np.ascontiguousarray(strip[:, span])))
    for start in range(0, flat.shape[1], BLOCK_PIXELS):
        part = slice(start, start + BLOCK_PIXELS)
        for rows, span, strip in strips:
            out[rows, part] = strip @ flat[span, part]


def wave_step(frequency: npt.ArrayLike, power: npt.ArrayLike, band: Band, *, noise: float) -> float:
    """Step in which the wave of a run is stored as 16-bit integers.

    A sixteenth of the noise of the wave or less, but large enough for waves 32 times as strong as
    the mean one of the field.

    Parameters
    ----------
    frequency, power : array_like, shape (F,)
        Mean power spectrum of the run: GHz, and variance that each frequency explains.
    band : Band
        The band.
    noise : float
        Root-mean-square noise of the wave.

    Returns
    -------
    float
        A power of two: multiples of it are exact in single precision.

    Examples
    --------
    >>> from uemdask.spectrum import Band
    >>> band = Band(low=9.0, high=11.0, centre=10.0, significance=9.0, found=True)
    >>> 1 / wave_step([9.0, 10.0, 11.0], [0.0, 1e-4, 0.0], band, noise=2e-3)
    8192.0
    """
    f, p = np.asarray(frequency, np.float64), np.asarray(power, np.float64)
    inside = (f >= band.low) & (f <= band.high)
    amplitude = np.sqrt(2 * np.sum(p[inside]))
    fine, least = noise / _STEPS_OF_NOISE, _HEADROOM * amplitude / _LARGEST
    wanted = float(np.clip(max(fine, least), _FINEST, _COARSEST))
    down, up = np.floor(np.log2(wanted)), np.ceil(np.log2(wanted))
    # Down, so that noise is resolved, unless the range needs it.
    return float(2.0 ** (down if 2.0**down >= least else up))
