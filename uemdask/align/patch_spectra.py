"""Spectra of patches of many frames: what the search and the groupwise fit of the drift need.

A frame is first divided by its own smooth brightness. Gain, shading and broad contours drop out,
and the texture of the crystal has the same size in bright and in dark contours.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

from uemdask.align.correlation import hann
from uemdask.align.shift import KERNEL_RADIUS, covered_range, sample_window

PATCH = 64
"""Edge of a patch, px: wide enough to tell a fringe's frequency from the texture's, narrow enough
for fringes to be straight. Half of the shorter side where less is covered."""

SMALLEST_PATCH = 16
"""Edge in px below which a patch holds too few frequencies."""

_SMOOTH = 8.0
"""Gaussian, px, of the brightness a frame is divided by: keeps periods up to about 30 px."""

HIGHEST = 0.35
"""Highest spatial frequency used, cycles/px: up to there the interpolation kernel is faithful."""

_NOISE_BAND = 0.42
"""Spatial frequency above which a patch is taken to be noise, cycles/px."""

_DERIVATIVE = np.array([-1, 9, -45, 0, 45, -9, 1], np.float32) / 60
"""Sixth-order central difference, for correlation (not convolution)."""

Rectangle = tuple[int, int, int, int]
"""``(y_begin, y_end, x_begin, x_end)``, px, ends excluded."""


def local_contrast(frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Divide a frame by its smooth brightness; the mean of the result is about zero.

    Parameters
    ----------
    frame : ndarray of float32, shape (y, x)
        Counts, bad pixels repaired.
    """
    smooth = cv2.GaussianBlur(frame, (0, 0), _SMOOTH, borderType=cv2.BORDER_REFLECT_101)
    floor = np.float32(max(0.05 * float(np.abs(smooth).mean()), 1e-30))
    return frame / np.maximum(smooth, floor) - np.float32(1.0)


def derivatives(image: npt.NDArray[np.float32]) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives (y, x) of an image along x and y, 1/px."""
    return (
        cv2.filter2D(image, cv2.CV_32F, _DERIVATIVE[None]),
        cv2.filter2D(image, cv2.CV_32F, _DERIVATIVE[:, None]),
    )


def windowed_spectra(
    cut: np.ndarray, window: np.ndarray, noise_band: npt.NDArray[np.bool_]
) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra (patch, ky, kx) of patches, and their mean power (patch,) in a noise band."""
    spectrum = scipy.fft.rfft2(cut * window)
    return spectrum, power_of(spectrum[:, noise_band]).mean(axis=1)


def power_of(spectrum: np.ndarray) -> np.ndarray:
    """Return the squares of absolute values."""
    return spectrum.real**2 + spectrum.imag**2


def common_rectangle(shape: tuple[int, int], drift: npt.NDArray[np.float64]) -> Rectangle:
    """Return what every frame covers in the reference frame, less the interpolation's border."""
    height, width = shape
    border = KERNEL_RADIUS
    rows = [covered_range(height, y, border, height - 1 - border) for y in drift[:, 1]]
    columns = [covered_range(width, x, border, width - 1 - border) for x in drift[:, 0]]
    return (
        max(r.start for r in rows),
        min(r.stop for r in rows),
        max(c.start for c in columns),
        min(c.stop for c in columns),
    )


class PatchSpectra:
    """Fourier transforms of overlapping patches within a rectangle.

    Spectra have the shape (patch, ky, kx): the half-plane ``kx >= 0`` up to the highest frequency
    in use, ``ky`` rising.

    Parameters
    ----------
    rectangle : tuple of int
        Part of the frame, in the reference frame.
    most : int
        Most patches on a side.
    shaded : ndarray of bool, shape (y, x), optional
        Areas that show nothing, in the frame: patches that lie in them to more than a half are left
        out.

    Attributes
    ----------
    size : int
        Edge of a patch, px; 0 where the rectangle is too small for any.
    used : ndarray of bool, shape (ky, kx)
        Frequencies within the circle in use.
    double : ndarray of float32, shape (ky, kx)
        How often a frequency counts: 2 off the axis ``kx = 0``, 0 where not used.
    ky, kx : ndarray
        Column and row of spatial frequencies, cycles/px.
    """

    def __init__(
        self,
        rectangle: Rectangle,
        *,
        most: int = 7,
        shaded: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self._y, bottom, self._x, right = rectangle
        self._height, self._width = bottom - self._y, right - self._x
        edge = min(PATCH, min(self._height, self._width) // 2)
        self.size = edge - edge % 2 if edge >= SMALLEST_PATCH else 0
        if not self.size:
            return
        size = self.size
        starts = [
            np.linspace(0, side - size, min(max(2, (side - size) // (size // 2) + 1), most)).astype(
                int
            )
            for side in (self._height, self._width)
        ]
        self._tops, self._lefts = (g.ravel() for g in np.meshgrid(*starts, indexing="ij"))
        if shaded is not None and shaded.any():
            inside = shaded[self._y : bottom, self._x : right]
            parts = sliding_window_view(inside, (size, size))[self._tops, self._lefts]
            told = parts.mean(axis=(1, 2)) < 0.5
            if not told.any():
                self.size = 0
                return
            self._tops, self._lefts = self._tops[told], self._lefts[told]
        self._window = hann((size, size))
        reach = int(HIGHEST * size)
        self._rows = np.arange(-reach, reach + 1)
        self._columns = np.arange(reach + 1)
        self.ky, self.kx = self._rows[:, None] / size, self._columns[None] / size
        k = np.hypot(self.ky, self.kx)
        self.used = (k > 0) & (k < HIGHEST)
        self.double = np.where(self.kx > 0, 2.0, 1.0).astype(np.float32) * self.used
        whole = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
        self._noise_band = whole > _NOISE_BAND

    @property
    def shape(self) -> tuple[int, int]:
        """Size of the rectangle (y, x), px."""
        return self._height, self._width

    @property
    def patches(self) -> int:
        """Number of patches."""
        return len(self._tops)

    def moved(
        self, contrast: np.ndarray, drift: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        """Return the rectangle of a frame moved by its drift onto the reference."""
        return sample_window(contrast, drift, (self._y, self._x), self.shape)

    def of(self, image: npt.NDArray[np.float32]) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of a moved rectangle, complex64, and the noise power of each patch."""
        cut = sliding_window_view(image, (self.size, self.size))[self._tops, self._lefts]
        spectrum, noise = windowed_spectra(cut, self._window, self._noise_band)
        return spectrum[:, self._rows][:, :, self._columns], noise

    def slopes(self, image: npt.NDArray[np.float32]) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of the derivatives of a moved rectangle along x and y."""
        across, down = derivatives(image)
        return self.of(across)[0], self.of(down)[0]

    def usual(self, power: np.ndarray) -> npt.NDArray[np.float32]:
        """Median of a power over all patches and directions, (ky, kx): fringes stand out of it."""
        ring = (np.hypot(self.ky, self.kx) * self.size / 2).astype(int)
        usual = np.zeros(self.used.shape, np.float32)
        for number in range(ring.max() + 1):
            here = (ring == number) & self.used
            if here.any():
                usual[here] = np.median(power[:, here])
        return np.maximum(usual, np.float32(1e-30))
