"""Fine drift: a robust fit in which moving contours and waves lose their vote.

Bend contours shift after the pump by pixels while the crystal stands still, and their fringes are
often stronger than everything that does mark the crystal (texture, specks, edges). Least squares
over pixels follows them. But within a patch of some 64 px, fringes are nearly parallel lines: they
hold a few spatial frequencies, in one direction, and leave the rest to the texture. So the frame is
cut into overlapping patches, each is Fourier transformed, and every (patch, frequency) is one
measurement of the drift:

    D = F[patch of the moved frame] - g F[patch of the reference]
      = (position - drift) . F[patch of the gradient] + noise

with a brightness g of the patch's own. Frequencies that do not fit are weighted down by a
redescending M-estimator (w = 1 / (1 + |D|² / s²)²), whose scale ``s² = noise + (c |F|)²`` starts
wide (c = 0.5) and narrows: first the drift is found, then what disagrees is dropped. Steps are
Gauss-Newton with gradients of the reference, prepared once (inverse compositional [1]_).

References
----------
.. [1] S. Baker and I. Matthews, "Lucas-Kanade 20 years on", International Journal of Computer
   Vision 56, 221-255 (2004), doi:10.1023/B:VISI.0000011205.11775.fd.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy.ndimage
from numpy.lib.stride_tricks import sliding_window_view

from uemdask.align.correlation import hann, high_pass
from uemdask.align.patch_spectra import HIGHEST, PATCH, derivatives, power_of, windowed_spectra
from uemdask.align.shift import KERNEL_RADIUS, sample_window

MOST_PATCHES = 225
"""Patches used of a large frame, those that fix the drift best: all of 512 x 512 px."""

TOLERANCE = (0.5, 0.3, 0.15, 0.1, 0.05, 0.05, 0.03, 0.03)
"""Course of c, the disagreement taken for normal, of the amplitude."""

_NOISE_BAND = 0.4
"""Spatial frequency above which a patch is taken to be noise, cycles/px."""

_HIGH_PASS = 25.0
"""Square, px, whose mean is taken off: keeps strong shading out of the side lobes of the window."""

_CONVERGED = 0.003
"""Step in px below which the last stage ends early."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Result of a fit.

    Attributes
    ----------
    position : ndarray, shape (2,)
        Drift (x, y), px.
    error : float
        Standard error of the larger component, px: from the scatter between parts of the frame and
        from how far the narrowing of the tolerance moved the result. Infinite without information.
    likeness : float
        Agreement of the phases of frame and reference at this drift, in standard deviations of
        what unrelated images give.
    """

    position: npt.NDArray[np.float64]
    error: float
    likeness: float


class PatchFit:
    """Robust fit of the drift against one reference, prepared once.

    Parameters
    ----------
    reference : ndarray of float32, shape (y, x)
        Counts.
    """

    def __init__(self, reference: np.ndarray) -> None:
        height, width = reference.shape
        self._size = max(8, min(PATCH, min(height, width) // 2))
        hop = self._size // 2
        tops = np.linspace(0, height - self._size, max(2, (height - self._size) // hop + 1))
        lefts = np.linspace(0, width - self._size, max(2, (width - self._size) // hop + 1))
        grid = np.meshgrid(tops.astype(int), lefts.astype(int), indexing="ij")
        self._window = hann((self._size, self._size))
        k = np.hypot(np.fft.fftfreq(self._size)[:, None], np.fft.rfftfreq(self._size)[None])
        self._use = np.flatnonzero((k > 0) & (k < HIGHEST))
        self._noise_band = k > _NOISE_BAND
        # A half-plane transform holds each frequency off its edges once for two.
        double = np.full(k.shape, 2.0, np.float32)
        double[:, 0] = 1.0
        self._double = double.ravel()[self._use]

        level = float(np.abs(reference).mean())
        local = cv2.blur(reference, (31, 31), borderType=cv2.BORDER_REFLECT_101)
        self._scale = 1.0 / np.maximum(local, 0.05 * max(level, 1e-30))
        fine = high_pass(reference, _HIGH_PASS)
        across, down = derivatives(fine)
        self._tops, self._lefts = (each.ravel() for each in grid)
        if self._tops.size > MOST_PATCHES:
            self._choose(across * self._scale, down * self._scale)
        self._image, self._noise = self._transform(fine)
        self._x, self._y = self._transform(across)[0], self._transform(down)[0]
        power = power_of(self._image)
        # A Hann window spreads each frequency over its neighbours: averaging over those loses
        # nothing and steadies the estimate of what is signal.
        around = scipy.ndimage.uniform_filter(power, (1, 3, 3), mode="wrap")
        signal = np.clip(around - self._noise[..., None], 0.0, None)
        # The signal's share (Wiener filter) keeps the reference's own noise out, once of the
        # template and once more of its square in the normal equations.
        share = self._used(signal / np.maximum(around, 1e-30))
        self._signal = self._used(signal)
        self._image, self._x, self._y = (
            self._used(each) for each in (self._image, self._x, self._y)
        )
        self._share = self._double * share
        self._total = np.maximum((self._share * power_of(self._image)).sum(1), 1e-30)
        self._xx, self._yy = share * power_of(self._x), share * power_of(self._y)
        self._xy = share * _real_product(self._x, self._y)
        parts = [
            np.minimum(6 * (at - at.min()) // max(1, np.ptp(at) + 1), 5)
            for at in (self._tops, self._lefts)
        ]
        self._part = np.unique(6 * parts[0] + parts[1], return_inverse=True)[1]

    def fit(
        self,
        frame: np.ndarray,
        start: npt.NDArray[np.float64],
        *,
        tolerance: tuple[float, ...] = TOLERANCE,
    ) -> Fit:
        """Fit the drift of a frame from a start that is good to a pixel or so.

        Parameters
        ----------
        frame : ndarray of float32, shape (y, x)
            High-passed by :func:`prepare`, brightness about that of the reference.
        start : ndarray, shape (2,)
            (x, y) px.
        tolerance : tuple of float
            Course of the tolerance c.
        """
        position = np.array(start, np.float64)
        early = position
        for step_number, c in enumerate(tolerance):
            moved, noise = self._transform(frame, position)
            moved = self._used(moved)
            gain = (self._share * _real_product(self._image, moved)).sum(1) / self._total
            gain = np.clip(gain, 0.5, 1.5)[:, None].astype(np.float32)
            difference = moved - gain * self._image
            scale = noise + self._noise + np.float32(c * c) * self._signal
            scale = np.maximum(scale, 1e-30)
            excess = power_of(difference) / scale
            weight = self._share / (scale * (1.0 + excess) ** 2)
            right_x = (weight * _real_product(self._x, difference)).sum(1, dtype=np.float64)
            right_y = (weight * _real_product(self._y, difference)).sum(1, dtype=np.float64)
            normal = np.empty((2, 2))
            normal[0, 0] = np.vdot(weight, self._xx)
            normal[1, 1] = np.vdot(weight, self._yy)
            normal[0, 1] = normal[1, 0] = np.vdot(weight, self._xy)
            if not np.isfinite(normal).all() or np.linalg.eigvalsh(normal)[0] <= 0:
                return Fit(position, float("inf"), 0.0)
            # Redescending weights flatten the minimum: the slope of the equations is less than
            # the normal matrix says. Without this, steps are half as long as they should be.
            slope = float(np.vdot(weight * (1.0 - excess) / (1.0 + excess), self._xx + self._yy))
            slope /= float(np.trace(normal))
            inverse = np.linalg.inv(normal * min(1.0, max(0.4, slope)))
            step = inverse @ np.array([right_x.sum(), right_y.sum()])
            position = position - np.clip(step, -0.5, 0.5)
            if c >= 0.1:
                early = position
            final = step_number >= len(tolerance) - 2
            if final and np.abs(step).max() < _CONVERGED:
                break
        error = self._scatter(right_x, right_y, inverse)
        likeness = self._likeness(moved)
        return Fit(position, float(np.hypot(error, 0.5 * np.abs(position - early).max())), likeness)

    def _scatter(self, right_x: np.ndarray, right_y: np.ndarray, inverse: np.ndarray) -> float:
        """Estimate the standard error, px, by the scatter of at most 6 x 6 parts (sandwich)."""
        scores = np.stack([np.bincount(self._part, right) for right in (right_x, right_y)])
        scores -= scores.mean(axis=1, keepdims=True)
        count = scores.shape[1]
        if count < 4:
            return float("inf")
        covariance = inverse @ (scores @ scores.T) @ inverse * count / (count - 2)
        return float(np.sqrt(covariance.diagonal().max()))

    def _likeness(self, moved: np.ndarray) -> float:
        """Sum of the cosines of the phase differences, in its own standard deviations.

        Amplitudes do not enter: strong fringes that moved would drown what did not.
        """
        size = np.sqrt(power_of(self._image) * power_of(moved))
        cosine = _real_product(self._image, moved) / np.maximum(size, 1e-30)
        agree = self._share * self._share / self._double * cosine
        # Unrelated images: signs are random, so the sum of squares is the variance.
        return float(agree.sum() / max(np.sqrt((agree * agree).sum()), 1e-30))

    def _choose(self, across: np.ndarray, down: np.ndarray) -> None:
        """Keep the patches whose structure fixes both components best.

        By thirds of the frame in both directions, so that no side is left out.
        """
        box = (self._size, self._size)
        sums = [
            cv2.boxFilter(a * b, -1, box, anchor=(0, 0), normalize=False)[self._tops, self._lefts]
            for a, b in ((across, across), (down, down), (across, down))
        ]
        mean, half = (sums[0] + sums[1]) / 2, (sums[0] - sums[1]) / 2
        weakest = mean - np.hypot(half, sums[2])
        third = [3 * at // (at.max() + 1) for at in (self._tops, self._lefts)]
        region = 3 * third[0] + third[1]
        keep: list[int] = []
        for each in range(9):
            here = np.flatnonzero(region == each)
            best = np.argsort(-weakest[here], kind="stable")[: MOST_PATCHES // 9]
            keep.extend(here[best].tolist())
        keep.sort()
        self._tops, self._lefts = self._tops[keep], self._lefts[keep]

    def _transform(
        self, fine: np.ndarray, position: npt.NDArray[np.float64] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Spectra (patch, ky, kx) at a drift, and the noise power (patch, 1)."""
        size = self._size
        if position is None:
            moved = fine * self._scale
            cut = sliding_window_view(moved, (size, size))[self._tops, self._lefts]
        elif self._tops.size * size * size < fine.size:
            # Few patches of a large frame: move only those.
            cut = np.stack(
                [
                    sample_window(fine, position, (int(top), int(left)), (size, size))
                    * self._scale[top : top + size, left : left + size]
                    for top, left in zip(self._tops, self._lefts, strict=True)
                ]
            )
        else:
            moved = sample_window(fine, position, (0, 0), fine.shape) * self._scale
            cut = sliding_window_view(moved, (size, size))[self._tops, self._lefts]
        spectrum, noise = windowed_spectra(cut, self._window, self._noise_band)
        return spectrum, noise[:, None]

    def _used(self, spectrum: np.ndarray) -> np.ndarray:
        """Frequencies of the fit, flattened."""
        return spectrum.reshape(len(spectrum), -1)[:, self._use]


def prepare(frame: np.ndarray, brightness: float) -> npt.NDArray[np.float32]:
    """High-passed frame at the reference's brightness, as :meth:`PatchFit.fit` wants it.

    Parameters
    ----------
    frame : ndarray of float32, shape (y, x)
        Counts.
    brightness : float
        Mean of the frame over that of the reference.
    """
    return high_pass(frame, _HIGH_PASS) / np.float32(brightness)


REACH = KERNEL_RADIUS + int(_HIGH_PASS) // 2
"""How far, px, the border of a frame spoils what lies inside."""


def _real_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Real part of ``conj(first) * second``."""
    return first.real * second.real + first.imag * second.imag
