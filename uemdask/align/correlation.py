"""Coarse drift: where two images match best, to about half a pixel, over jumps of many pixels.

Both images are high-passed and divided by their local deviation: brightness and slow shading drop
out, and no single bend contour outvotes the rest. Their windowed cross-correlation is weighted at
each spatial frequency by one over the power expected of what differs: shot noise, and a share of
the reference's own power. That is phase correlation [1]_ where structure is above the noise and a
matched filter where it is not. The share rises towards long periods, where contours move.

References
----------
.. [1] C. D. Kuglin and D. C. Hines, "The phase correlation image alignment method", Proc. IEEE
   Int. Conf. Cybernetics and Society, 163-165 (1975).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft

LONG_PERIODS = (12.0, 60.0)
"""Periods in px beyond which moving contours are held to dominate. The first finds fine texture
under strong contours; the second still works where few counts leave only coarse structure."""

_MODULATION = 0.2
"""Change of the sample of a short period relative to the reference: the strongest wave seen."""

_NOISE_BAND = 0.4
"""Spatial frequency, cycles/px, above which an image is taken to be noise."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A peak of the correlation.

    Attributes
    ----------
    position : ndarray, shape (2,)
        (x, y) px.
    height : float
        Over the median of the surface, in robust standard deviations.
    """

    position: npt.NDArray[np.float64]
    height: float


class Correlator:
    """Cross-correlation with one reference, prepared once.

    Parameters
    ----------
    reference : ndarray, shape (y, x)
        Counts.
    reach : float
        Largest drift looked for, px.
    """

    def __init__(self, reference: np.ndarray, reach: float) -> None:
        height, width = reference.shape
        self._shape = (
            scipy.fft.next_fast_len(height, real=True),
            scipy.fft.next_fast_len(width, real=True),
        )
        self._reach = min(max(1, int(np.ceil(reach))), (min(self._shape) - 1) // 2)
        self._window = hann(reference.shape)
        ky = np.fft.fftfreq(self._shape[0])[:, None]
        kx = np.fft.rfftfreq(self._shape[1])[None]
        k = np.hypot(ky, kx)
        self._noise_band = k > _NOISE_BAND
        k[0, 0] = 1.0 / max(self._shape)
        spectrum = self._transform(reference)
        power = _smooth(spectrum)
        signal = np.clip(power - self._noise(spectrum), 0.0, None)
        # The signal's share (Wiener filter) keeps the reference's own noise out.
        self._template = np.conj(spectrum) * (signal / np.maximum(power, 1e-30))
        self._floor = 1e-6 * float(signal.mean())
        self._expected = [
            ((_MODULATION**2 + (1.0 / (period * k)) ** 4) * signal).astype(np.float32)
            for period in LONG_PERIODS
        ]

    def peaks(self, image: np.ndarray) -> list[Peak]:
        """Highest peak for each of :data:`LONG_PERIODS`.

        Parameters
        ----------
        image : ndarray, shape (y, x)
            Counts.
        """
        spectrum = self._transform(image)
        product = self._template * spectrum
        noise = self._noise(spectrum) + self._floor
        return [self._peak(product / (noise + expected)) for expected in self._expected]

    def _peak(self, product: np.ndarray) -> Peak:
        surface = scipy.fft.irfft2(product, s=self._shape, overwrite_x=True)
        reach = self._reach
        rows = np.arange(-reach, reach + 1)
        near = surface[np.ix_(rows, rows)]
        row, column = np.unravel_index(int(np.argmax(near)), near.shape)
        sample = surface[:: max(1, surface.shape[0] // 256), :: max(1, surface.shape[1] // 256)]
        middle = float(np.median(sample))
        scatter = 1.4826 * float(np.median(np.abs(sample - middle)))
        height = (float(near[row, column]) - middle) / scatter if scatter > 0 else 0.0
        x = column - reach + _parabola(near[row, max(column - 1, 0) : column + 2])
        y = row - reach + _parabola(near[max(row - 1, 0) : row + 2, column])
        return Peak(np.array([x, y], np.float64), height)

    def _transform(self, image: np.ndarray) -> np.ndarray:
        return scipy.fft.rfft2(self._window * even_contrast(image), s=self._shape)

    def _noise(self, spectrum: np.ndarray) -> float:
        """Power of white noise, from the highest spatial frequencies."""
        power = spectrum.real[self._noise_band] ** 2 + spectrum.imag[self._noise_band] ** 2
        # The median of an exponential distribution is ln 2 of its mean.
        return float(np.median(power) / np.log(2.0))


def hann(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Hann window that is not zero at the ends."""
    lines = [np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2 for size in shape]
    return np.outer(lines[0], lines[1]).astype(np.float32)


def high_pass(image: np.ndarray, size: float) -> npt.NDArray[np.float32]:
    """Difference to the mean over a square of `size` px around each pixel."""
    edge = _odd(min(size, min(image.shape) / 3))
    return image - cv2.blur(image, (edge, edge), borderType=cv2.BORDER_REFLECT_101)


def even_contrast(image: np.ndarray) -> npt.NDArray[np.float32]:
    """High-passed image over its local deviation; brightness drops out.

    13 px keep periods up to about 30 px; the deviation is taken over 33 px.
    """
    fine = high_pass(image, 13.0)
    edge = _odd(min(33.0, min(image.shape) / 2))
    power = cv2.blur(fine * fine, (edge, edge), borderType=cv2.BORDER_REFLECT_101)
    # Running sums of a blur may end just below zero.
    power = np.maximum(power, 0.0) + (1e-3 * float(power.mean()) + 1e-30)
    return fine / np.sqrt(power)


def _odd(size: float) -> int:
    return 2 * int(size / 2) + 1


def _smooth(spectrum: np.ndarray) -> npt.NDArray[np.float32]:
    """Power spectrum averaged over neighbouring frequencies of a half-plane transform."""
    power = np.fft.fftshift(spectrum.real**2 + spectrum.imag**2, axes=0)
    bins = 7 if min(spectrum.shape) > 48 else 5
    power = cv2.blur(power, (bins, bins), borderType=cv2.BORDER_REFLECT_101)
    return np.fft.ifftshift(power, axes=0)


def _parabola(three: np.ndarray) -> float:
    """Place of the maximum of a parabola through three values, from the middle one."""
    if three.size < 3:
        return 0.0
    left, middle, right = (float(value) for value in three)
    curvature = left - 2.0 * middle + right
    return float(np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
