"""Spectra of patches of frames: what following, search and groupwise fit of the drift need.

A frame is first divided by its own smooth brightness. Gain, shading and broad contours drop out,
and the texture of the crystal has the same size in bright and in dark contours.

Patches are cut at whole pixels. The rest of a drift turns the phases of their spectra, so that a
frame is transformed once, however often its drift is improved. The window then lies up to half a
pixel off, and the texture seen through it differs a little: by 0.02 px in 192 x 192 px. So for the
last digits a frame is moved, and cut once more.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

from uemdask.align.shift import sample_window

PATCH = 64
"""Edge of a patch, px: wide enough to tell a fringe's frequency from the texture's, narrow enough
for fringes to be straight. Half of the shorter side where less is covered."""

SMALLEST_PATCH = 16
"""Edge in px below which a patch holds too few frequencies."""

HIGHEST = 0.35
"""Highest spatial frequency used, cycles/px: beyond, a pixel blurs what it sees."""

_SMOOTH = 8.0
"""Gaussian, px, of the brightness a frame is divided by: keeps periods up to about 30 px."""

_COARSER = 4
"""Pixels on a side that are averaged for that: a Gaussian of two such pixels is as smooth."""

_EDGE = 3
"""Width, px, of the edge of what is hidden."""

_NOISE_BAND = 0.42
"""Spatial frequency along an axis above which a patch is taken to be noise, cycles/px."""

_BLOCK = 3
"""Edge of a block of neighbouring frequencies: the window spreads each one over its neighbours."""

_FEWEST = 5
"""Frequencies of a block, at least, that tell a power."""

Rectangle = tuple[int, int, int, int]
"""``(y_begin, y_end, x_begin, x_end)``, px, ends excluded."""


def local_contrast(
    frame: npt.NDArray[np.float32], hidden: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float32]:
    """Divide a frame by its smooth brightness; the mean of the result is about zero.

    Parameters
    ----------
    frame : ndarray of float32, shape (y, x)
        Counts, bad pixels repaired.
    hidden : ndarray of bool, shape (y, x), optional
        Pixels that show nothing: there and at their edge the result is zero. The edge of a shade
        stands still, and is stronger than any texture.
    """
    if hidden is None or not hidden.any():
        smooth = _smooth(frame)
    else:
        edge = np.ones((2 * _EDGE + 1, 2 * _EDGE + 1), np.uint8)
        hidden = cv2.dilate(hidden.astype(np.uint8), edge) > 0
        known = np.where(hidden, np.float32(0), np.float32(1))
        frame = frame * known
        smooth = _smooth(frame)
        smooth /= np.maximum(_smooth(known), np.float32(1e-3))
    floor = np.float32(max(0.05 * float(np.abs(smooth).mean()), 1e-30))
    contrast = np.divide(frame, np.maximum(smooth, floor, out=smooth), dtype=np.float32)
    contrast -= np.float32(1.0)
    if hidden is not None:
        contrast[hidden] = 0.0
    return contrast


def _smooth(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    height, width = image.shape
    small = -(-width // _COARSER), -(-height // _COARSER)
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    sigma = _SMOOTH / _COARSER
    coarse = cv2.GaussianBlur(coarse, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    smooth: npt.NDArray[np.float32] = cv2.resize(coarse, (width, height))
    return smooth


def power_of(spectrum: np.ndarray) -> np.ndarray:
    """Return the squares of absolute values."""
    return spectrum.real**2 + spectrum.imag**2


def real_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the real part of ``conj(first) * second``."""
    return first.real * second.real + first.imag * second.imag


class PatchSpectra:
    """Fourier transforms of overlapping patches within a rectangle.

    Spectra have the shape (patch, k): all spatial frequencies of a half-plane up to the highest in
    use, block after block of neighbouring ones.

    Parameters
    ----------
    rectangle : tuple of int
        Part of the frame, in the reference frame.
    most : int
        Most patches on a side.
    shaded : ndarray of bool, shape (y, x), optional
        Areas that show nothing, in the frame: patches that lie in them to more than a half are left
        out.
    least : int
        Smallest edge of a patch, px.

    Attributes
    ----------
    size : int
        Edge of a patch, px; 0 where the rectangle is too small for any.
    tops, lefts : ndarray of int, shape (patch,)
        First row and column of each patch, in the reference frame.
    kx, ky : ndarray of float32, shape (k,)
        Spatial frequencies, cycles/px.
    double : ndarray of float32, shape (k,)
        How often a frequency counts: 2 off the axis ``kx = 0``.
    block : ndarray of int, shape (k,)
        Number of the block of each frequency.
    """

    def __init__(
        self,
        rectangle: Rectangle,
        *,
        most: int = 7,
        shaded: npt.NDArray[np.bool_] | None = None,
        least: int = SMALLEST_PATCH,
    ) -> None:
        y_begin, y_end, x_begin, x_end = self.rectangle = rectangle
        height, width = y_end - y_begin, x_end - x_begin
        edge = min(PATCH, min(height, width) // 2)
        self.size = edge - edge % 2 if edge >= least else 0
        if not self.size:
            return
        size = self.size
        starts = [
            np.linspace(0, side - size, min(max(2, (side - size) // (size // 2) + 1), most)).astype(
                int
            )
            for side in (height, width)
        ]
        self._hops = [float(np.diff(line).mean()) / size for line in starts]
        tops, lefts = (g.ravel() for g in np.meshgrid(*starts, indexing="ij"))
        self.tops, self.lefts = tops + y_begin, lefts + x_begin
        if shaded is not None and shaded.any():
            parts = sliding_window_view(shaded, (size, size))[self.tops, self.lefts]
            told = parts.mean(axis=(1, 2)) < 0.5
            if not told.any():
                self.size = 0
                return
            self.keep(told)
        self._lay_out()

    def _lay_out(self) -> None:
        """Choose frequencies and prepare their transform."""
        size = self.size
        reach = int(HIGHEST * size)
        noise = np.arange(size // 2, int(_NOISE_BAND * size), -2)
        rows = np.concatenate([np.arange(-reach, reach + 1), noise])
        columns = np.concatenate([np.arange(reach + 1), noise])
        turn = -2j * np.pi * np.arange(size) / size
        # A Hann window that is not zero at the ends.
        window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
        self._down = (np.exp(np.outer(rows, turn)) * window).astype(np.complex64)
        across = np.exp(np.outer(turn, columns)) * window[:, None]
        self._across = across.astype(np.complex64).view(np.float32)

        row, column = (g.ravel() for g in np.meshgrid(rows, columns, indexing="ij"))
        of_noise = np.maximum(np.abs(row), column) > _NOISE_BAND * size
        self._noise = np.flatnonzero(of_noise)
        k = np.hypot(row, column)
        used = np.flatnonzero((k > 0) & (k < HIGHEST * size) & ~of_noise)
        block = _blocks(row[used], column[used])
        order = np.argsort(block, kind="stable")
        self._used = used[order]
        self.block = np.unique(block[order], return_inverse=True)[1]
        self._begin = np.flatnonzero(np.diff(self.block, prepend=-1))
        row, column = row[self._used], column[self._used]
        self._place = row % size, column
        self.ky, self.kx = ((each / size).astype(np.float32) for each in (row, column))
        self.double = np.where(column > 0, 2.0, 1.0).astype(np.float32)
        self.values_of_block = np.add.reduceat(self.double, self._begin)
        self.number_of_block = np.diff(self._begin, append=len(self.block)).astype(np.float32)
        self._ring = (k[self._used] / 2).astype(int)

    @property
    def patches(self) -> int:
        """Number of patches."""
        return len(self.tops)

    @property
    def redundancy(self) -> float:
        """Standard error over that of independent values.

        Patches overlap, and their window correlates neighbouring frequencies: 2.2 for patches that
        overlap by half, measured on texture with noise alone; less by what the correlation of the
        noise of neighbours says where they overlap less.
        """
        lags = [1 + 2 * sum(_overlap(n * hop) ** 2 for n in (1, 2, 3)) for hop in self._hops]
        half = 1 + 2 * _overlap(0.5) ** 2
        return 2.2 * float(np.sqrt(lags[0] * lags[1])) / half

    def keep(self, chosen: np.ndarray) -> None:
        """Keep some of the patches only."""
        self.tops, self.lefts = self.tops[chosen], self.lefts[chosen]

    def within(self, shape: tuple[int, ...], drift: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which patches lie in a frame that has drifted by (x, y) px."""
        tops, lefts = self.tops + np.rint(drift[1]), self.lefts + np.rint(drift[0])
        inside = (tops >= 0) & (tops + self.size <= shape[0])
        return np.asarray(inside & (lefts >= 0) & (lefts + self.size <= shape[1]))

    def of(
        self, contrast: npt.NDArray[np.float32], drift: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.float32]]:
        """Transform the patches of a frame that has drifted.

        Parameters
        ----------
        contrast : ndarray of float32, shape (y, x)
            By :func:`local_contrast`.
        drift : ndarray, shape (2,)
            (x, y) px. Patches that then lie outside are taken at the edge.

        Returns
        -------
        spectra : ndarray of complex64, shape (patch, k)
        noise : ndarray of float32, shape (patch,)
            Their mean power at frequencies where there is noise only.
        """
        size = self.size
        whole = np.rint(drift).astype(int)
        rest = drift - whole
        tops = np.clip(self.tops + whole[1], 0, contrast.shape[0] - size)
        lefts = np.clip(self.lefts + whole[0], 0, contrast.shape[1] - size)
        if rest.any() and len(tops) * size * size < contrast.size:
            # Few patches of a large frame: move only those.
            cut = np.stack(
                [
                    sample_window(contrast, rest, (int(top), int(left)), (size, size))
                    for top, left in zip(tops, lefts, strict=True)
                ]
            )
        else:
            if rest.any():
                contrast = sample_window(contrast, rest, (0, 0), contrast.shape)
            cut = sliding_window_view(contrast, (size, size))[tops, lefts]
        lines = (cut.reshape(-1, size) @ self._across).view(np.complex64)
        both = np.matmul(self._down, lines.reshape(len(tops), size, -1))
        both = both.reshape(len(tops), -1)
        noise = power_of(both[:, self._noise]).mean(axis=1)
        return both[:, self._used], noise

    def turned(self, by: npt.NDArray[Any]) -> npt.NDArray[np.complex64]:
        """Factors (..., k) of the spectra that move patches by a part of a pixel (..., (x, y))."""
        by = np.asarray(by, np.float32)
        angle = by[..., 0, None] * self.kx + by[..., 1, None] * self.ky
        angle *= np.float32(2 * np.pi)
        turn = np.empty(angle.shape, np.complex64)
        np.cos(angle, out=turn.real)
        np.sin(angle, out=turn.imag)
        return turn

    def slopes(self, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of the derivatives along x and y, 1/px."""
        factor = np.complex64(2j * np.pi)
        return spectrum * (factor * self.kx), spectrum * (factor * self.ky)

    def pooled(self, power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Mean (..., block) over blocks of neighbouring frequencies (..., k)."""
        total = np.add.reduceat(power * self.double, self._begin, axis=-1)
        total /= self.values_of_block
        return total

    def pooled_product(
        self, spectrum: npt.NDArray[np.complex64], weighted: npt.NDArray[np.complex64]
    ) -> npt.NDArray[np.float32]:
        """Sum (..., block) of ``real(conj(weighted) * spectrum)`` over blocks (..., k)."""
        # Two real numbers a frequency, side by side: real and imaginary parts alone are far apart.
        product = spectrum.view(np.float32) * weighted.view(np.float32)
        return np.add.reduceat(product, 2 * self._begin, axis=-1)

    def usual(self, power: np.ndarray) -> npt.NDArray[np.float32]:
        """Median of a power (patch, k) over all patches and directions, (k,)."""
        usual = np.empty(len(self._ring), np.float32)
        for number in range(self._ring.max() + 1):
            here = self._ring == number
            if here.any():
                usual[here] = np.median(power[:, here])
        return np.maximum(usual, np.float32(1e-30))

    def correlation(self, product: np.ndarray, reach: int) -> npt.NDArray[np.float32]:
        """Correlation over shifts (y, x) of up to `reach`, in robust standard deviations.

        Parameters
        ----------
        product : ndarray, shape (k,)
            Conjugate of one spectrum times the other, sum over the patches.
        reach : int
            px.
        """
        size = self.size
        whole = np.zeros((size, size // 2 + 1), np.complex64)
        whole[self._place] = product
        surface = scipy.fft.irfft2(whole, s=(size, size))
        scatter = 1.4826 * float(np.median(np.abs(surface - np.median(surface))))
        shifts = np.arange(-reach, reach + 1)
        return np.asarray(surface[np.ix_(shifts, shifts)] / np.float32(max(scatter, 1e-30)))


def _blocks(row: np.ndarray, column: np.ndarray) -> npt.NDArray[np.int64]:
    """Give numbers to blocks of neighbouring frequencies; small ones go with one further in."""
    down, across = np.rint(row / _BLOCK).astype(int), column // _BLOCK
    number = 1000 * (down + 500) + across
    for _ in range(4):
        names, count = np.unique(number, return_counts=True)
        small = np.isin(number, names[count < _FEWEST])
        if not small.any() or len(names) == 1:
            break
        inwards = small & (across > 0)
        across = np.where(inwards, across - 1, across)
        down = np.where(small & ~inwards, down - np.sign(down), down)
        number = 1000 * (down + 500) + across
    return number


def _overlap(lag: float) -> float:
    """Correlation of the noise of two Hann windows, `lag` of their length apart."""
    if lag >= 1:
        return 0.0
    turn = 2 * np.pi * lag
    return float((1.0 - lag) * (2 + np.cos(turn)) / 3 + np.sin(turn) / (2 * np.pi))
