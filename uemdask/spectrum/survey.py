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
from uemdask.spectrum.smoothing import smoothing_halo

#: Drift and bend contours fill the spectrum below about this many cycles per record.
DRIFT_CYCLES = 2.5

Inner = tuple[slice, slice]


@dataclass(frozen=True)
class TileSurvey:
    """Sums over the pixels of a tile; the sum of two tiles is the survey of both.

    Attributes
    ----------
    power_sum : ndarray, shape (F,), float64
        Sum over pixels of the variance each frequency explains (half the squared amplitude).
    peak_count : ndarray, shape (F,), int64
        Pixels whose strongest peak above the drift lies at this frequency.
    pixel_count : int
        Pixels looked at: one in stride squared.
    variance_sum : float
        Sum over pixels of the variance about the trend, smoothed series.
    noise_sum : float
        Sum over pixels of the estimated single-pixel noise variance.
    brightness_sum : ndarray, shape (T,), float64
        Sum of the series over pixels at each delay.  Over `pixel_count` it is the mean
        brightness, whose share in the band tells breathing.
    """

    power_sum: Float64
    peak_count: npt.NDArray[np.int64]
    pixel_count: int
    variance_sum: float
    noise_sum: float
    brightness_sum: Float64

    def __add__(self, other: TileSurvey) -> TileSurvey:
        """Survey of the pixels of both."""
        return TileSurvey(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def power(self) -> Float64:
        """Mean power spectrum, shape (F,)."""
        return self.power_sum / max(self.pixel_count, 1)

    @property
    def noise_level(self) -> float:
        """Root-mean-square noise of one pixel in one frame."""
        return float(np.sqrt(self.noise_sum / max(self.pixel_count, 1)))


@dataclass(frozen=True)
class SurveyOperator:
    """What :func:`survey_tile` needs of the delays, made once for all tiles.

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


def survey_operator(
    delays: npt.ArrayLike,
    frequency: npt.ArrayLike,
    *,
    trend: int = 2,
    drift_cycles: float = DRIFT_CYCLES,
    search_step: int = 2,
) -> SurveyOperator:
    """Prepare the survey of a run.

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
    SurveyOperator
    """
    t = check_delays(delays)
    f = np.asarray(frequency, dtype=np.float64)
    fine = harmonic_basis(t, f, trend=trend).projector
    above = np.flatnonzero(f * record_length(t) * 1e-3 >= drift_cycles)
    index = above[::search_step] if above.size >= 3 * search_step else np.arange(f.size)
    search = fine[index].transpose(2, 1, 0).reshape(t.size, -1)
    return SurveyOperator(
        frequency=f,
        trend=trend_basis(t, trend).astype(np.float32),
        search=np.ascontiguousarray(search, dtype=np.float32),
        search_index=index,
        fine=fine,
    )


def survey_tile(
    series: Float32,
    operator: SurveyOperator,
    *,
    smoothing: float = 2.0,
    stride: int | None = None,
    inner: Inner | None = None,
) -> TileSurvey:
    """Mean spectrum and distribution of peaks of a tile, as sums that add up over tiles.

    The series is smoothed in space, which is to smooth the complex amplitude, not the power:
    waves are coherent over a wavelength, noise is not.  Smoothed pixels repeat their neighbours,
    so only every `stride`-th in y and x is analysed.  At the default little is lost: smoothed
    noise is alike over an area of 4 pi sigma^2, three times the square of the stride.

    Parameters
    ----------
    series : ndarray, shape (T, y, x), float32
        Corrected frame over reference, minus 1.  Finite.
    operator : SurveyOperator
        From :func:`survey_operator`, for the same delays.
    smoothing : float
        Standard deviation, px.  0 gives the published distribution of unsmoothed peaks.
    stride : int, optional
        Distance between the places analysed, px, from the first inner pixel on; an incomplete
        stride at the end is left out.  Twice the smoothing, rounded down, by default.  Tiles that
        start at multiples of it add up to the whole frame exactly.
    inner : tuple of two slices, optional
        The tile without its halo (y, x).  The halo should be at least
        :func:`uemdask.spectrum.smoothing.smoothing_halo`.

    Returns
    -------
    TileSurvey

    Raises
    ------
    UemError
        If the operator was made for another number of delays.

    Examples
    --------
    >>> from uemdask.spectrum import survey_operator
    >>> import numpy as np
    >>> from uemdask.spectrum import frequency_grid
    >>> t = np.arange(0, 500, 5.0)
    >>> s = np.broadcast_to(np.cos(2e-3 * np.pi * 34 * t)[:, None, None], (100, 16, 16))
    >>> f = frequency_grid(t)
    >>> survey = survey_tile(s.astype(np.float32), survey_operator(t, f))
    >>> float(f[survey.power.argmax()]), round(float(survey.power.max()), 2)
    (34.0, 0.5)
    """
    delays = operator.trend.shape[0]
    if series.shape[0] != delays:
        raise UemError(
            f"operator: made for {delays} delays, the series has {series.shape[0]}; "
            "make it from the delays of this series."
        )
    samples, rough = _smooth_samples(series, smoothing, stride, inner)
    brightness = samples.sum(axis=1, dtype=np.float64)

    gram = np.zeros((delays, delays))
    peak_count = np.zeros(operator.frequency.size, dtype=np.int64)
    for start in range(0, samples.shape[1], BLOCK_PIXELS):
        block = samples[:, start : start + BLOCK_PIXELS]
        block -= operator.trend @ (operator.trend.T @ block)
        gram += block @ block.T
        peak_count += _count_peaks(block, operator)
    projection = operator.fine @ gram
    power_sum = np.einsum("fct,fct->f", projection, operator.fine) / delays
    variance_sum = float(np.trace(gram)) / (delays - operator.trend.shape[1])
    return TileSurvey(
        power_sum=power_sum,
        peak_count=peak_count,
        pixel_count=samples.shape[1],
        variance_sum=variance_sum,
        noise_sum=rough * samples.shape[1],
        brightness_sum=brightness,
    )


def _smooth_samples(
    series: Float32, smoothing: float, stride: int | None, inner: Inner | None
) -> tuple[Float32, float]:
    """Smoothed series every few pixels (T, n), and the noise variance of a single pixel."""
    step = max(1, int(2 * smoothing)) if stride is None else stride
    # The mean over small squares is a first part of the smoothing, and makes the rest cheap.
    box = gcd(step, max(1, int(smoothing)))
    inner = inner or (slice(None), slice(None))
    top, bottom, _ = inner[0].indices(series.shape[1])
    left, right, _ = inner[1].indices(series.shape[2])
    rows, columns = (bottom - top) // step, (right - left) // step
    if min(rows, columns) < 1:
        # A sliver at the edge of the frame, narrower than a stride, adds nothing.
        return np.empty((series.shape[0], 0), dtype=np.float32), 0.0
    # The halo, in whole squares counted from the first inner pixel.
    above, before = top // box, left // box
    high, wide = (series.shape[1] - top) // box + above, (series.shape[2] - left) // box + before
    region = (
        slice(top - above * box, top + (high - above) * box),
        slice(left - before * box, left + (wide - before) * box),
    )
    lattice = (
        slice(above, above + rows * step // box, step // box),
        slice(before, before + columns * step // box, step // box),
    )
    # A square of side b has the variance (b^2 - 1)/12 per axis; the Gaussian adds the rest.
    sigma = float(np.sqrt(max(smoothing**2 - (box**2 - 1) / 12, 0))) / box
    size = 2 * smoothing_halo(sigma) + 1
    samples: Float32 = np.empty((series.shape[0], rows * columns), dtype=np.float32)
    rough = 0.0
    for index, frame in enumerate(series):
        squares = frame[region]
        if box > 1:
            squares = cv2.resize(squares, (wide, high), interpolation=cv2.INTER_AREA)
        if sigma > 0:
            squares = cv2.GaussianBlur(
                squares, (size, size), sigma, borderType=cv2.BORDER_REFLECT_101
            )
        samples[index] = squares[lattice].ravel()
        # Neighbours see nearly the same wave; half their squared difference is noise.
        pixels = frame[top : top + rows * step : step, left:right]
        ahead = (pixels[:, 1::step] - pixels[:, : right - left - 1 : step]).ravel()
        rough += float(ahead @ ahead) / (2 * max(ahead.size, 1))
    return samples, rough / series.shape[0]


def _count_peaks(block: Float32, operator: SurveyOperator) -> npt.NDArray[np.int64]:
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
