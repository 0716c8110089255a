"""First pass over a tile: the mean spectrum and the distribution of peaks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import gcd

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.spectrum.harmonics import (
    BLOCK_PIXELS,
    Float32,
    Float64,
    check_delays,
    harmonic_basis,
    record_length,
    trend_basis,
)
from uemdask.spectrum.smoothing import LEAST_SHARE, smooth

#: Drift and bend contours fill the spectrum below about this many cycles per record.
DRIFT_CYCLES = 2.5

Inner = tuple[slice, slice]

# Median of the square of a normal variable of variance 1.
_CHI_MEDIAN = 0.4549

# Weight from which a pixel is well lit: a quarter of the usual counts.
_WELL_LIT = 0.8


@dataclass(frozen=True)
class TileStatistics:
    """Sums over the pixels of a tile; the sum of two is that of both tiles.

    Attributes
    ----------
    power_sum : ndarray, shape (F,), float64
        Sum over pixels of the variance each frequency explains (half the squared amplitude).
    peak_count : ndarray, shape (F,), int64
        Pixels whose strongest peak above the drift lies at this frequency.
    pixel_count : int
        Pixels looked at: one in stride squared, where it is lit.
    weight_sum : float
        Sum of their weights, with which all other sums are taken.
    variance_sum : float
        Sum over pixels of the variance about the trend, smoothed series.
    noise_sum, noise_count : float
        Sum of the estimated noise variance of well lit single pixels, and how many of them.
    brightness_sum : ndarray, shape (T,), float64
        Sum of the series over pixels at each delay.  Over `weight_sum` it is the mean
        brightness, whose share in the band tells breathing.
    """

    power_sum: Float64
    peak_count: npt.NDArray[np.int64]
    pixel_count: int
    weight_sum: float
    variance_sum: float
    noise_sum: float
    noise_count: float
    brightness_sum: Float64

    def __add__(self, other: TileStatistics) -> TileStatistics:
        """Survey of the pixels of both."""
        return TileStatistics(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        )

    @property
    def power(self) -> Float64:
        """Mean power spectrum, shape (F,)."""
        return self.power_sum / max(self.weight_sum, 1e-30)

    @property
    def noise_level(self) -> float:
        """Root-mean-square noise of one well lit pixel in one frame."""
        return float(np.sqrt(self.noise_sum / max(self.noise_count, 1.0)))


@dataclass(frozen=True)
class StatisticsOperator:
    """What :func:`statistics_of_tile` needs of the delays, made once for all tiles.

    Attributes
    ----------
    frequency : ndarray, shape (F,), float64
        The evenly spaced grid, GHz.
    trend : ndarray, shape (T, P), float32
        Orthonormal trend.
    search : ndarray, shape (T, 2 S), float32
        Cosines then sines of the S frequencies in which the peaks are searched.
    search_index : ndarray, shape (S,)
        Their places in `frequency`.
    fine : ndarray, shape (F, 2, T), float64
        Projector on the whole grid.
    """

    frequency: Float64
    trend: Float32
    search: Float32
    search_index: npt.NDArray[np.intp]
    fine: Float64


def statistics_operator(
    delays: npt.ArrayLike,
    frequency: npt.ArrayLike,
    *,
    trend: int = 2,
    drift_cycles: float = DRIFT_CYCLES,
    search_step: int = 2,
) -> StatisticsOperator:
    """Prepare the statistics of a run.

    Parameters
    ----------
    delays : array_like, shape (T,)
        Delays, ps.
    frequency : array_like, shape (F,)
        From :func:`uemdask.spectrum.harmonics.frequency_grid`, GHz.
    trend : int
        Order of the polynomial taken out.
    drift_cycles : float
        Peaks are searched from this many cycles per record on.
    search_step : int
        Peaks are searched on every such frequency and then placed on the full grid by a
        parabola.  2 of an oversampling of 4 finds the same peak and halves the work.

    Returns
    -------
    StatisticsOperator
    """
    t = check_delays(delays)
    f = np.asarray(frequency, dtype=np.float64)
    fine = harmonic_basis(t, f, trend=trend).projector
    above = np.flatnonzero(f * record_length(t) * 1e-3 >= drift_cycles)
    index = above[::search_step] if above.size >= 3 * search_step else np.arange(f.size)
    search = fine[index].transpose(2, 1, 0).reshape(t.size, -1)
    return StatisticsOperator(
        frequency=f,
        trend=trend_basis(t, trend).astype(np.float32),
        search=np.ascontiguousarray(search, dtype=np.float32),
        search_index=index,
        fine=fine,
    )


def statistics_of_tile(
    series: Float32,
    operator: StatisticsOperator,
    *,
    smoothing: float = 2.0,
    stride: int | None = None,
    inner: Inner | None = None,
    weight: Float32 | None = None,
) -> TileStatistics:
    """Mean spectrum and distribution of peaks of a tile, as sums that add up over tiles.

    The series is smoothed in space, which is to smooth the complex amplitude, not the power:
    waves are coherent over a wavelength, noise is not.  Smoothed pixels repeat their neighbours,
    so only every `stride`-th in y and x is analysed.  At the default little is lost: smoothed
    noise is alike over an area of 4 pi sigma^2, three times the square of the stride.

    Parameters
    ----------
    series : ndarray, shape (T, y, x), float32
        Corrected frame over reference, minus 1.  NaN is missing.
    operator : StatisticsOperator
        From :func:`statistics_operator`, for the same delays.
    smoothing : float
        Standard deviation, px.  0 gives the published distribution of unsmoothed peaks.
    stride : int, optional
        Distance between the places analysed, px, from the first inner pixel on; an incomplete
        stride at the end is left out.  Twice the smoothing, rounded down, by default.  Tiles that
        start at multiples of it add up to the whole frame exactly.
    inner : tuple of two slices, optional
        The tile without its halo (y, x).  The halo should be at least
        :func:`uemdask.spectrum.smoothing.smoothing_halo`.
    weight : ndarray, shape (y, x), float32, optional
        Weight of the pixels by their precision, 0 to about 1; alike by default.  Pixels are
        looked at where they have any.

    Returns
    -------
    TileStatistics

    Raises
    ------
    UemError
        If the operator was made for another number of delays.

    Examples
    --------
    >>> from uemdask.spectrum import statistics_operator
    >>> import numpy as np
    >>> from uemdask.spectrum import frequency_grid
    >>> t = np.arange(0, 500, 5.0)
    >>> s = np.broadcast_to(np.cos(2e-3 * np.pi * 34 * t)[:, None, None], (100, 16, 16))
    >>> f = frequency_grid(t)
    >>> found = statistics_of_tile(s.astype(np.float32), statistics_operator(t, f))
    >>> float(f[found.power.argmax()]), round(float(found.power.max()), 2)
    (34.0, 0.5)
    """
    delays = operator.trend.shape[0]
    if series.shape[0] != delays:
        raise UemError(
            f"operator: made for {delays} delays, the series has {series.shape[0]}; "
            "make it from the delays of this series."
        )
    if weight is None:
        weight = np.ones(series.shape[1:], np.float32)
    samples, share = _smooth_samples(series, weight, smoothing, stride, inner)
    noise_sum, noise_count = _rough_noise(series, weight, smoothing, stride, inner)
    brightness = np.asarray(samples @ share.astype(np.float64), np.float64)

    gram = np.zeros((delays, delays))
    peak_count = np.zeros(operator.frequency.size, dtype=np.int64)
    for start in range(0, samples.shape[1], BLOCK_PIXELS):
        block = samples[:, start : start + BLOCK_PIXELS]
        block -= operator.trend @ (operator.trend.T @ block)
        gram += (block * share[start : start + BLOCK_PIXELS]) @ block.T
        peak_count += _count_peaks(block, operator)
    projection = operator.fine @ gram
    power_sum = np.einsum("fct,fct->f", projection, operator.fine) / delays
    variance_sum = float(np.trace(gram)) / (delays - operator.trend.shape[1])
    return TileStatistics(
        power_sum=power_sum,
        peak_count=peak_count,
        pixel_count=samples.shape[1],
        weight_sum=float(share.sum(dtype=np.float64)),
        variance_sum=variance_sum,
        noise_sum=noise_sum,
        noise_count=noise_count,
        brightness_sum=brightness,
    )


def _places(
    shape: tuple[int, ...], smoothing: float, stride: int | None, inner: Inner | None
) -> tuple[slice, slice, int]:
    """Inner rows and columns in whole strides, and the stride."""
    step = max(1, int(2 * smoothing)) if stride is None else stride
    inner = inner or (slice(None), slice(None))
    top, bottom, _ = inner[0].indices(shape[0])
    left, right, _ = inner[1].indices(shape[1])
    rows, columns = (bottom - top) // step, (right - left) // step
    return slice(top, top + rows * step), slice(left, left + columns * step), step


def _smooth_samples(
    series: Float32, weight: Float32, smoothing: float, stride: int | None, inner: Inner | None
) -> tuple[Float32, Float32]:
    """Smoothed series every few pixels (T, n), where they are lit, and the weight behind them."""
    rows, columns, step = _places(weight.shape, smoothing, stride, inner)
    top, left = rows.start, columns.start
    if min(rows.stop - top, columns.stop - left) < 1:
        # A sliver at the edge of the frame, narrower than a stride, adds nothing.
        return np.empty((series.shape[0], 0), np.float32), np.empty(0, np.float32)
    # The mean over small squares is a first part of the smoothing, and makes the rest cheap.
    box = gcd(step, max(1, int(smoothing)))
    # The halo, in whole squares counted from the first inner pixel.
    above, before = top // box, left // box
    high, wide = (weight.shape[0] - top) // box + above, (weight.shape[1] - left) // box + before
    region = (
        slice(top - above * box, top + (high - above) * box),
        slice(left - before * box, left + (wide - before) * box),
    )
    lattice = (
        slice(above, above + (rows.stop - top) // box, step // box),
        slice(before, before + (columns.stop - left) // box, step // box),
    )
    # A square of side b has the variance (b^2 - 1)/12 per axis; the Gaussian adds the rest.
    sigma = float(np.sqrt(max(smoothing**2 - (box**2 - 1) / 12, 0))) / box

    def sampled(values: Float32) -> Float32:
        if box > 1:
            values = cv2.resize(values, (wide, high), interpolation=cv2.INTER_AREA)
        return smooth(values, sigma)[lattice].ravel()

    lit = weight[region]
    usual = sampled(lit)
    told = (weight[rows, columns][::step, ::step] > 0).ravel() & (usual > LEAST_SHARE)
    samples: Float32 = np.empty((series.shape[0], np.count_nonzero(told)), dtype=np.float32)
    for index, frame in enumerate(series):
        known = np.isfinite(frame[region])
        held = sampled(np.where(known, frame[region], np.float32(0)) * lit)
        share = usual if (known | (lit == 0)).all() else sampled(lit * known)
        samples[index] = held[told] / np.maximum(share[told], LEAST_SHARE)
    return samples, usual[told]


def _rough_noise(
    series: Float32, weight: Float32, smoothing: float, stride: int | None, inner: Inner | None
) -> tuple[float, float]:
    """Sum of the noise variance of single well lit pixels, and their number.

    Neighbours see nearly the same wave; half their squared difference is noise.
    """
    rows, columns, step = _places(weight.shape, smoothing, stride, inner)
    ahead = slice(columns.start + 1, columns.stop, step)
    here = slice(columns.start, max(columns.stop - 1, columns.start), step)
    lines = slice(rows.start, rows.stop, step)
    well = np.minimum(weight[lines, ahead], weight[lines, here]) >= _WELL_LIT
    total = count = 0.0
    for frame in series:
        difference = (frame[lines, ahead] - frame[lines, here])[well]
        difference = difference[np.isfinite(difference)]
        if difference.size:
            # By the median: edges that drift, and what is left of hits, are no noise.
            total += difference.size * float(np.median(np.square(difference))) / 2 / _CHI_MEDIAN
            count += difference.size
    return total, count


def _count_peaks(block: Float32, operator: StatisticsOperator) -> npt.NDArray[np.int64]:
    """Histogram over the grid of the strongest peak of each pixel of ``block`` (T, n)."""
    projection = block.T @ operator.search
    half = projection.shape[1] // 2
    np.square(projection, out=projection)
    power = projection[:, :half]
    power += projection[:, half:]
    best = power.argmax(axis=1)
    middle = np.clip(best, 1, half - 2)
    pixel = np.arange(best.size)
    left, top, right = (power[pixel, middle + shift] for shift in (-1, 0, 1))
    curvature = 2 * top - left - right
    shift = 0.5 * (right - left) / np.where(curvature > 0, curvature, np.inf)
    spacing = operator.search_index[1] - operator.search_index[0]
    offset = np.where(best == middle, np.rint(np.clip(shift, -0.5, 0.5) * spacing), 0)
    place = operator.search_index[best] + offset.astype(np.intp)
    return np.bincount(place, minlength=operator.frequency.size).astype(np.int64)
