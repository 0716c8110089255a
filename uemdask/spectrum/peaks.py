"""Second pass over a tile: each pixel's strongest peak in the band."""

from __future__ import annotations

from dataclasses import dataclass

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
    frequency_grid,
    harmonic_basis,
    harmonic_operator,
    record_length,
)
from uemdask.spectrum.noise import drift_space, signal_space
from uemdask.spectrum.smoothing import smooth
from uemdask.spectrum.tile_statistics import DRIFT_CYCLES, Inner


@dataclass(frozen=True)
class PeakMap:
    """The strongest peak of each pixel in the band; every array has the shape (y, x).

    Attributes
    ----------
    frequency : ndarray, float32
        GHz.  An edge of the band where the power has no maximum inside.
    amplitude : ndarray, float32
        Of the least-squares harmonic at `frequency`, in the unit of the series.
    phase : ndarray, float32
        Its phase at time zero, rad: ``s = amplitude cos(2 pi frequency t + phase)``.
    snr : ndarray, float32
        Mean square explained by the two harmonic amplitudes over the mean square of the noise,
        which is what is left outside :func:`uemdask.spectrum.noise.signal_space`.  In white noise
        one fixed frequency gives an F(2, T - rank) variable, mean about 1, and the peak has the
        tail of :func:`uemdask.spectrum.mask.false_alarm_rate`.
    Z : ndarray, complex64
        Complex amplitude at the *centre* of the band: one frequency for all pixels, so its phase
        is the wave's.  The peak's own phase carries the scatter of the peak's frequency.
    """

    frequency: Float32
    amplitude: Float32
    phase: Float32
    snr: Float32
    Z: Complex64


def band_frequencies(delays: npt.ArrayLike, band: Band, *, oversample: int = 4) -> Float64:
    """Fine grid over a band, with both edges.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.
    band : Band
        The band, GHz.
    oversample : int
        Grid points per cycle per record, at least.

    Returns
    -------
    ndarray, shape (B,), float64
        At least 5 frequencies, GHz.
    """
    if not 0 < band.low < band.high:
        raise UemError(f"band: found {band.low:g} to {band.high:g} GHz; low must be below high.")
    count = (band.high - band.low) * record_length(delays) * 1e-3 * oversample
    return np.linspace(band.low, band.high, max(5, int(np.ceil(count)) + 1))


def peak_map(
    series: Float32,
    delays: npt.ArrayLike,
    band: Band,
    *,
    smoothing: float = 2.0,
    trend: int = 2,
    oversample: int = 4,
    inner: Inner | None = None,
) -> PeakMap:
    """Frequency, amplitude, phase and signal-to-noise ratio of each pixel's peak in the band.

    Parameters
    ----------
    series : ndarray, shape (T, y, x), float32
        Corrected frame over reference, minus 1.  Finite.
    delays : array_like, shape (T,)
        Delays, ps, even or not.
    band : Band
        Where to look, GHz.
    smoothing : float
        Standard deviation, px, of the smoothing of the series, and so of its complex amplitude.
    trend : int
        Order of the polynomial in :func:`uemdask.spectrum.noise.drift_space`, which is fitted
        together with the harmonic.
    oversample : int
        Grid points per cycle per record.
    inner : tuple of two slices, optional
        The tile without its halo (y, x); see :func:`uemdask.spectrum.smoothing.smoothing_halo`.

    Returns
    -------
    PeakMap
        Of the inner pixels.

    Examples
    --------
    >>> from uemdask.spectrum import Band
    >>> import numpy as np
    >>> t = np.arange(0, 500, 5.0)
    >>> s = 0.1 * np.cos(2e-3 * np.pi * 34.3 * t + 0.5)
    >>> tile = np.broadcast_to(s[:, None, None], (100, 8, 8)).astype(np.float32)
    >>> peak = peak_map(tile, t, Band(30, 40, 34.3, 9.0, True))
    >>> round(float(peak.frequency[0, 0]), 1), round(float(peak.phase[0, 0]), 1)
    (34.3, 0.5)
    """
    t = check_delays(delays, series.shape[0])
    grid = band_frequencies(t, band, oversample=oversample)
    drift = drift_space(t, band, trend=trend)
    basis = harmonic_basis(t, grid, trend=drift)
    signal = signal_space(t, band, trend=trend).astype(np.float32)
    search = basis.projector.transpose(2, 1, 0).reshape(t.size, -1).astype(np.float32)
    at_centre = harmonic_operator(t, [band.centre], trend=drift).T
    everything = np.ascontiguousarray(np.hstack([search, at_centre]))

    smoothed = smooth(series, smoothing)
    if inner is not None:
        smoothed = smoothed[:, inner[0], inner[1]]
    shape = smoothed.shape[1:]
    flat = smoothed.reshape(t.size, -1)
    freedom = t.size - signal.shape[1]
    maps: Float32 = np.empty((4, flat.shape[1]), dtype=np.float32)
    Z = np.empty(flat.shape[1], dtype=np.complex64)
    for start in range(0, flat.shape[1], BLOCK_PIXELS):
        part = slice(start, start + BLOCK_PIXELS)
        block = flat[:, part]
        projection = block.T @ everything
        noise = block - signal @ (signal.T @ block)
        left = np.einsum("tn,tn->n", noise, noise)
        Z[part] = projection[:, -2] - 1j * projection[:, -1]
        frequency, explained, amplitude = _refine(projection[:, :-2], grid, basis.to_amplitude, t)
        # A noise-free harmonic leaves rounding errors only; they must not divide by zero.
        left = np.maximum(left, 1e-6 * explained + np.finfo(np.float32).tiny)
        maps[0][part] = frequency
        maps[1][part] = np.abs(amplitude)
        maps[2][part] = np.angle(amplitude)
        maps[3][part] = (explained / 2) / (left / freedom)
    frequencies, sizes, phases, snr = (m.reshape(shape) for m in maps)
    return PeakMap(frequencies, sizes, phases, snr, Z.reshape(shape))


def peak_ratio_map(
    series: Float32,
    delays: npt.ArrayLike,
    band: Band,
    *,
    trend: int = 2,
    inner: Inner | None = None,
) -> tuple[Float32, Float32]:
    """Divide the highest power in the band by the pixel's median power: the published statistic.

    No smoothing.  At 3 % modulation and 200 counts a pixel it tells wave from noise poorly: not
    much above chance for 24 delays, or for any number of delays if the band is most of the
    spectrum.  The `snr` of :func:`peak_map` is nearly perfect there.

    Parameters
    ----------
    series, delays, band, trend, inner
        As in :func:`peak_map`.

    Returns
    -------
    ratio : ndarray, shape (y, x), float32
        Peak over median power.
    frequency : ndarray, shape (y, x), float32
        GHz of that peak.
    """
    t = check_delays(delays, series.shape[0])
    # One grid point per independent frequency, as in a plain Fourier transform.
    grid = frequency_grid(t, oversample=1)
    grid = grid[grid * record_length(t) * 1e-3 >= DRIFT_CYCLES]
    inside = np.flatnonzero((grid >= band.low) & (grid <= band.high))
    if inside.size == 0:
        inside = np.array([np.abs(grid - band.centre).argmin()])
    projector = harmonic_basis(t, grid, trend=trend).projector
    search = np.ascontiguousarray(
        projector.transpose(2, 1, 0).reshape(t.size, -1), dtype=np.float32
    )
    if inner is not None:
        series = series[:, inner[0], inner[1]]
    flat = series.reshape(t.size, -1)
    ratio, frequency = np.empty((2, flat.shape[1]), dtype=np.float32)
    for start in range(0, flat.shape[1], BLOCK_PIXELS):
        part = slice(start, start + BLOCK_PIXELS)
        projection = flat[:, part].T @ search
        power = projection[:, : grid.size] ** 2 + projection[:, grid.size :] ** 2
        best = inside[power[:, inside].argmax(axis=1)]
        middle = np.maximum(np.median(power, axis=1), np.finfo(np.float32).tiny)
        ratio[part] = power[np.arange(best.size), best] / middle
        frequency[part] = grid[best]
    return ratio.reshape(series.shape[1:]), frequency.reshape(series.shape[1:])


def _refine(
    projection: Float32, grid: Float64, to_amplitude: Float64, t: Float64
) -> tuple[Float64, Float64, npt.NDArray[np.complex128]]:
    """Peak of each row: frequency, explained sum of squares and complex amplitude."""
    half = grid.size
    power = projection[:, :half] ** 2 + projection[:, half:] ** 2
    best = power.argmax(axis=1)
    middle = np.clip(best, 1, half - 2)
    pixel = np.arange(best.size)
    around = middle[:, None] + np.arange(-1, 2)
    left, top, right = power[pixel[:, None], around].astype(np.float64).T
    # A maximum inside has a parabola; at an edge the edge itself is kept.
    curvature = 2 * top - left - right
    inside = (best == middle) & (curvature > 0)
    shift = np.where(inside, 0.5 * (right - left) / np.where(inside, curvature, 1), best - middle)
    explained = np.where(
        inside, top + 0.25 * (right - left) * shift, power[pixel, best].astype(np.float64)
    )
    frequency = grid[middle] + shift * (grid[1] - grid[0])
    # The three amplitudes vary slowly with frequency if their phases are counted from the middle
    # of the record; there they can be interpolated.
    pair = np.stack([projection[pixel[:, None], around], projection[pixel[:, None], around + half]])
    mix = to_amplitude[around]
    cosine = mix[..., 0, 0] * pair[0] + mix[..., 0, 1] * pair[1]
    sine = mix[..., 1, 0] * pair[0] + mix[..., 1, 1] * pair[1]
    turn = RADIAN_PER_GHZ_PS * t.mean()
    Z = (cosine - 1j * sine) * np.exp(1j * turn * grid[around])
    weights = np.stack([shift * (shift - 1) / 2, 1 - shift**2, shift * (shift + 1) / 2], axis=1)
    return frequency, explained, (Z * weights).sum(axis=1) * np.exp(-1j * turn * frequency)
