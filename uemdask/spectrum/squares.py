"""The grid on which a smoothed series is kept, and the way back to the pixels.

Smoothed frames need fewer values than there are pixels. From a smoothing of two pixels on, squares
of 2 x 2 px are averaged first, a Gaussian smooths these, and linear interpolation leads back. Each
of the three widens a point, and the Gaussian is narrower by what the other two add: so the whole is
a Gaussian of the width asked for, to a thousandth for waves of 12 px and more, for a tenth of the
work. Squares lie where the frame's rows and columns are even, whatever part of it is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.cube.blocks import Place
from uemdask.spectrum.grid import over_squares
from uemdask.spectrum.smoothing import LEAST_SHARE, gaussian, smooth, smoothing_halo

Float32 = npt.NDArray[np.float32]

#: Smoothing, px, from which squares are averaged.
_LEAST_SMOOTHING = 2.0
# Variance that linear interpolation adds, in squares: it asks a quarter beside their centres.
_LINEAR = 0.25 * 0.75
# A square on either side is asked by interpolation, and another by `Cells.at_centres`.
_MARGIN = 2


def edge_of(smoothing: float) -> int:
    """Return the edge of the squares, px: 1 where every pixel is kept."""
    return 2 if smoothing >= _LEAST_SMOOTHING else 1


def grid_sigma(smoothing: float) -> float:
    """Return the sigma of the Gaussian on the squares, in squares."""
    edge = edge_of(smoothing)
    if edge == 1:
        return smoothing
    return float(np.sqrt((smoothing**2 - (edge**2 - 1) / 12) / edge**2 - _LINEAR))


def grid_halo(smoothing: float) -> int:
    """Return the halo of a block, px, that its smoothed series needs."""
    edge = edge_of(smoothing)
    if edge == 1:
        return smoothing_halo(smoothing)
    return edge * (smoothing_halo(grid_sigma(smoothing)) + _MARGIN + 1)


def kept_noise(smoothing: float) -> float:
    """Return the variance of white noise between pixels after smoothing, over that before."""
    edge = edge_of(smoothing)
    weights = gaussian(grid_sigma(smoothing))
    if edge > 1:
        weights = np.convolve(weights, [0.25, 0.75])
    return float((np.sum(weights**2) / edge) ** 2)


@dataclass(frozen=True)
class Cells:
    """The squares of a block of pixels.

    Attributes
    ----------
    edge : int
        Of a square, px.
    rows, columns : slice
        The pixels of the block (y, x) that are in a square; at the frame's end the last square may
        lack some.
    weight : ndarray, (h, w) float32
        Mean weight of the pixels of each square.
    lit : ndarray of bool, (y, x)
        Pixels of the block that have a weight.
    """

    edge: int
    rows: slice
    columns: slice
    weight: Float32
    lit: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, weight: Float32, place: Place, smoothing: float) -> Cells:
        """Find the squares of a block with these weights (y, x)."""
        edge = edge_of(smoothing)
        rows, columns = (
            _whole(part, size, edge)
            for part, size in zip((place.rows, place.columns), place.frame, strict=True)
        )
        return cls(
            edge, rows, columns, over_squares(weight[rows, columns], (0, 0), edge), weight > 0
        )

    def part(self, pixels: tuple[slice, slice]) -> tuple[slice, slice]:
        """Return the squares that hold some pixels (y, x) of the block."""
        return tuple(
            slice(
                max(each.start - span.start, 0) // self.edge,
                -(-(each.stop - span.start) // self.edge),
            )
            for each, span in zip(pixels, (self.rows, self.columns), strict=True)
        )  # type: ignore[return-value]

    def of_flags(self, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return the squares (h, w) of which half is flagged, or more, in the block (y, x)."""
        part = flags[self.rows, self.columns].astype(np.float32)
        return over_squares(part, (0, 0), self.edge) >= 0.5

    def at_centres(self, series: Float32, *, in_place: bool = False) -> Float32:
        """Smooth values (..., h, w) as interpolation smooths between squares.

        What is read off squares without interpolation is as smooth as the rest then.
        """
        if self.edge == 1:
            return series
        out = series if in_place else np.empty_like(series)
        for image, target in zip(_images(series), _images(out), strict=True):
            target[...] = _blurred(image)
            if self._inverse_share is not None:
                target *= self._inverse_share
        return out

    @cached_property
    def _inverse_share(self) -> Float32 | None:
        known = self.weight > 0
        return _inverse(_blurred(known.astype(np.float32)), known)

    def to_pixels(self, pixels: tuple[slice, slice]) -> ToPixels:
        """Return what interpolates values of the squares at some pixels (y, x) of the block."""
        return ToPixels(self, pixels)


class ToPixels:
    """Interpolation of values of squares at pixels, see `Cells.to_pixels`.

    Squares without weight have no say, and pixels without weight get 0.
    """

    def __init__(self, cells: Cells, pixels: tuple[slice, slice]) -> None:
        self._cells = cells
        spans = cells.rows, cells.columns
        held = cells.part(pixels)
        self.squares = tuple(
            slice(max(part.start - 1, 0), min(part.stop + 1, size))
            for part, size in zip(held, cells.weight.shape, strict=True)
        )
        starts = (
            span.start + cells.edge * part.start
            for span, part in zip(spans, self.squares, strict=True)
        )
        self._within = tuple(
            slice(each.start - start, each.stop - start)
            for each, start in zip(pixels, starts, strict=True)
        )
        self.lit = cells.lit[pixels]
        self._share: Float32 | None = None
        if cells.edge > 1:
            known = (cells.weight > 0).astype(np.float32)
            self._share = _inverse(self._interpolated(known[self.squares]), self.lit)

    @property
    def shape(self) -> tuple[int, int]:
        """Size (y, x) of the result."""
        return self.lit.shape

    def __call__(self, image: Float32) -> Float32:
        """Interpolate values (h, w) of all squares at the pixels."""
        return self.of(image[self.squares])

    def of(self, part: Float32) -> Float32:
        """Interpolate values of `squares` alone, as a new array."""
        if self._cells.edge == 1:
            return part[self._within].copy()
        out = self._interpolated(part)
        if self._share is not None:
            out = out * self._share
        return out

    def _interpolated(self, part: Float32) -> Float32:
        part = np.ascontiguousarray(part)
        size = part.shape[1] * self._cells.edge, part.shape[0] * self._cells.edge
        return cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)[self._within]


class Reduction:
    """Takes the frames of a block to smoothed values of its squares, every pixel with its weight.

    Normalised convolution [1]_: what is smoothed is the weighted mean around it, so nothing spreads
    from pixels without weight or value, and their neighbours lose no amplitude.

    Parameters
    ----------
    weight : ndarray, (y, x) float32
        Weight of the pixels.
    place : Place
        Where the block lies.
    smoothing : float
        Sigma of the Gaussian, px; 0 only takes out what is missing.

    References
    ----------
    .. [1] H. Knutsson and C.-F. Westin, "Normalized and differential convolution", Proc. IEEE CVPR,
       515-523 (1993), doi:10.1109/CVPR.1993.341081.

    Examples
    --------
    >>> import numpy as np
    >>> from uemdask.cube.blocks import Place
    >>> from uemdask.cube.layout import Region
    >>> place = Place.of(Region(), {"y": 32, "x": 32})
    >>> frame = np.ones((32, 32), np.float32)
    >>> frame[10, 10] = np.nan
    >>> Reduction(np.ones((32, 32), np.float32), place, 2.0)(frame)[5, 5]
    np.float32(1.0)
    """

    def __init__(self, weight: Float32, place: Place, smoothing: float) -> None:
        self.cells = Cells.of(weight, place, smoothing)
        self._sigma = grid_sigma(smoothing)
        self._cut = self.cells.rows, self.cells.columns
        self._weight = np.ascontiguousarray(weight[self._cut])
        self._unlit = self._weight <= 0
        self._missed = np.zeros(self._weight.shape, np.float32)
        self._frames = 0
        self._known = self.cells.weight > 0
        self._share = smooth(self.cells.weight, self._sigma)

    def __call__(self, frame: Float32) -> Float32:
        """Return the smoothed values (h, w) of a frame (y, x); NaN is missing."""
        cut = frame[self._cut]
        missing = np.isnan(cut)
        held = np.multiply(cut, self._weight)
        share = self._share
        self._frames += 1
        if missing.any():
            cv2.accumulate(missing.view(np.uint8), self._missed)
            np.copyto(held, 0, where=missing)
            if (missing > self._unlit).any():
                known = self._weight.copy()
                np.copyto(known, 0, where=missing)
                share = smooth(over_squares(known, (0, 0), self.cells.edge), self._sigma)
        out = np.zeros_like(share)
        use = self._known & (share > LEAST_SHARE)
        np.divide(
            smooth(over_squares(held, (0, 0), self.cells.edge), self._sigma),
            share,
            out=out,
            where=use,
        )
        return out

    @property
    def seen(self) -> Float32:
        """Share of the frames so far that showed a pixel of the block, (y, x)."""
        seen = np.ones(self.cells.lit.shape, np.float32)
        seen[self._cut] -= self._missed / np.float32(max(self._frames, 1))
        return seen

    @property
    def share(self) -> Float32:
        """Smoothed weight, (h, w): how much stands behind a value."""
        return self._share

    def series(self, frames: Float32) -> Float32:
        """Return the smoothed values (T, h, w) of a series (T, y, x)."""
        out = np.empty((len(frames), *self._share.shape), np.float32)
        for frame, target in zip(frames, out, strict=True):
            target[...] = self(frame)
        return out


def _whole(part: slice, size: int, edge: int) -> slice:
    """Return the pixels of a span, from its first one, that fill squares of the frame."""
    start = -(-part.start // edge) * edge
    stop = part.stop if part.stop == size else part.stop // edge * edge
    return slice(start - part.start, stop - part.start)


def _blurred(image: Float32) -> Float32:
    """Smooth values of squares as interpolation does."""
    kernel = np.array([_LINEAR / 2, 1 - _LINEAR, _LINEAR / 2], np.float32)
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)


def _inverse(share: Float32, known: npt.NDArray[np.bool_]) -> Float32 | None:
    """Return one over a share where something is known, else 0; None where all is 1."""
    out = np.zeros_like(share)
    np.divide(1, share, out=out, where=known & (share > LEAST_SHARE))
    return None if (out == 1).all() else out


def _images(series: Float32) -> Float32:
    return series.reshape(-1, *series.shape[-2:])
