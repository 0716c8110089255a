"""The natural grid of a wave: squares of pixels, as many as describe it, and no more.

A wave of 50 px is smooth over a few pixels. On squares of 2 px it loses nothing, noise is averaged
before any estimate, and all that follows costs a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.cube.blocks import Place
from uemdask.spectrum.smoothing import Float32, Pixels, smooth


def binned_smoothing(smoothing: float, binning: int) -> float:
    """Return the sigma of a Gaussian and a square together, in squares.

    Examples
    --------
    >>> round(binned_smoothing(2.0, 2), 3)
    1.031
    """
    return float(np.sqrt(smoothing**2 + (binning**2 - 1) / 12) / binning)


def binned_noise(noise: float, smoothing: float, binning: int) -> float:
    """Return what is left of the noise of a smoothed wave in the means over squares.

    Examples
    --------
    >>> round(binned_noise(1.0, 2.0, 2), 3), binned_noise(1.0, 0.0, 2)
    (0.97, 0.5)
    """
    # Noise that was hardly smoothed is white still.
    return noise * max(smoothing / (binning * binned_smoothing(smoothing, binning)), 1 / binning)


@dataclass(frozen=True)
class Grid:
    """The squares of a block of pixels.

    Attributes
    ----------
    place : Place
        The block, in px.
    binning : int
        Edge of a square, px. Squares begin at the corner of the frame, so every block has the same;
        those at its edges may be partly outside.
    """

    place: Place
    binning: int = 1

    def squares(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Return which squares of the block hold some rows and columns of the frame."""
        found = []
        for part, whole in ((rows, self.place.rows), (columns, self.place.columns)):
            first = whole.start // self.binning
            found.append(
                slice(part.start // self.binning - first, -(-part.stop // self.binning) - first)
            )
        return found[0], found[1]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of squares (y, x)."""
        rows, columns = self.squares(self.place.rows, self.place.columns)
        return rows.stop, columns.stop

    def bin(self, images: Float32, rows: slice, columns: slice, *, of_wave: bool = True) -> Float32:
        """Return the means (n, y, x) of images over squares.

        Parameters
        ----------
        images : ndarray, (n, y, x) float32
            Of some rows and columns of the frame, of which no square is in two parts.
        of_wave : bool
            Whether pixels that are exactly 0 are missing, as they are in a wave where it is unlit.
        """
        if self.binning == 1:
            return images
        at = rows.start, columns.start
        out = np.stack([over_squares(image, at, self.binning) for image in images])
        if of_wave:
            some = images[:: max(1, len(images) // 4)]
            lit = over_squares(np.any(some != 0, axis=0).astype(np.float32), at, self.binning)
            if lit.min() < 1:
                np.divide(out, lit, out=out, where=lit > 0)
        return out

    def fine(self, image: Float32, lit: Float32 | None = None) -> Float32:
        """Return an image of the squares (..., y, x) on the pixels of the block without its halo.

        Linear between the middles of squares.

        Parameters
        ----------
        image : ndarray, (..., y, x) float32
        lit : ndarray, (y, x) float32, optional
            1 and 0: squares that have no say in what lies between.
        """
        inner = self.place.inner
        if self.binning == 1:
            return image[..., *inner]
        if lit is not None and not lit.all():
            share = np.maximum(self.fine(lit), np.float32(1e-3))
            return np.asarray(self.fine(image * lit) / share, np.float32)
        size = tuple(self.binning * edge for edge in image.shape[:-3:-1])
        parts = []
        for part, span in zip(inner, (self.place.rows, self.place.columns), strict=True):
            first = span.start % self.binning
            parts.append(slice(part.start + first, part.stop + first))
        flat = image.reshape(-1, *image.shape[-2:])
        shape = tuple(part.stop - part.start for part in parts)
        out = np.empty((len(flat), *shape), np.float32)
        for one, target in zip(flat, out, strict=True):
            target[...] = cv2.resize(one, size, interpolation=cv2.INTER_LINEAR)[*parts]
        return out.reshape(*image.shape[:-2], *shape)


def over_squares(image: Float32, origin: tuple[int, int], edge: int) -> Float32:
    """Return the means of an image (y, x) over squares that begin at multiples of their edge.

    Parameters
    ----------
    image : ndarray, (y, x) float32 or (y, x, channel)
    origin : (int, int)
        Where its first pixel (y, x) lies.
    edge : int
        Of a square, px. Where one is partly outside, the pixels at the rim count for the rest.
    """
    top, left = (start % edge for start in origin)
    bottom, right = (
        -(size + start) % edge for size, start in zip(image.shape[:2], origin, strict=True)
    )
    if edge == 1:
        return image
    if top or left or bottom or right:
        image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REPLICATE)
    size = image.shape[1] // edge, image.shape[0] // edge
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


class Means:
    """Gaussian means of images, on a grid that is as coarse as they are wide.

    Parameters
    ----------
    shape : (int, int)
        Of the images, (y, x).
    sigma : float
        Standard deviation of the Gaussian, px. The grid has two to four squares in it.

    Attributes
    ----------
    edge : int
        Of a square of the grid, px.

    Notes
    -----
    Of noise that was smoothed by half as much, the result is that of the whole Gaussian to a
    hundredth, for a tenth of the work.

    Examples
    --------
    >>> means = Means((64, 64), 8.0)
    >>> means(np.ones((64, 64), np.float32)).shape, means.edge
    ((16, 16), 4)
    """

    def __init__(self, shape: tuple[int, ...], sigma: float) -> None:
        self.sigma, self._shape = sigma, shape
        self.edge = max(1, int(2 ** np.floor(np.log2(max(sigma / 2, 1)))))

    def __call__(self, image: Any, wider: float = 1.0) -> Any:
        """Return the mean of an image (y, x), float32 or complex64, on the grid.

        With `wider` the Gaussian is so many times as wide.
        """
        if image.dtype != np.complex64:
            return self.again(over_squares(np.ascontiguousarray(image), (0, 0), self.edge), wider)
        planes = np.ascontiguousarray(image).view(np.float32).reshape(*image.shape, 2)
        means = over_squares(planes, (0, 0), self.edge).view(np.complex64)[..., 0]
        return self.again(means, wider)

    def again(self, means: npt.NDArray[Pixels], wider: float = 1.0) -> npt.NDArray[Pixels]:
        """Return the mean of what lies on the grid already."""
        # What a square averages is part of the Gaussian.
        sigma = np.sqrt((wider * self.sigma / self.edge) ** 2 - (1 - self.edge**-2) / 12)
        return smooth(means, float(sigma))

    def spread(self, means: Float32) -> Float32:
        """Return means (..., y, x) on the pixels again, linear between the middles of squares."""
        if self.edge == 1:
            return means
        flat = means.reshape(-1, *means.shape[-2:])
        size = tuple(self.edge * length for length in means.shape[:-3:-1])
        rows, columns = self._shape
        fine = [
            cv2.resize(one, size, interpolation=cv2.INTER_LINEAR)[:rows, :columns] for one in flat
        ]
        return np.stack(fine).reshape(*means.shape[:-2], rows, columns)


def halo_on_grid(halo: int, binning: int) -> int:
    """Return how many px around a block an estimate needs on a grid.

    What it sees is wavelengths wide, and those grow with the squares: half the squares will do, for
    a halo that serves a wave of 32 px on pixels serves one of up to 64 px.

    Examples
    --------
    >>> halo_on_grid(64, 2), halo_on_grid(64, 8)
    (64, 256)
    """
    return max(halo, halo // 2 * binning)
