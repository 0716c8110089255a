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
Gauss-Newton with gradients of the reference (inverse compositional [1]_).

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

from uemdask.align.patch_spectra import PatchSpectra, power_of, real_product

MOST_PATCHES = 225
"""Patches used of a large frame, those that fix the drift best: all of 512 x 512 px."""

TOLERANCE = (0.5, 0.3, 0.15, 0.1, 0.05, 0.05, 0.03, 0.03)
"""Course of c, the disagreement taken for normal, of the amplitude."""

_CONVERGED = 0.003
"""Step in px below which the last stage ends early."""

_ASTRAY = 0.75
"""Pixels a patch may lie off the drift before it is cut again."""

_EXACT = 0.1
"""The same for the last digits."""

SMALLEST = 8
"""Edge in px below which a patch holds too few frequencies."""

_FEWEST = 4
"""Patches that tell a drift, at least."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Spectra of the patches of a frame.

    Attributes
    ----------
    drift : ndarray, shape (2,)
        (x, y) px at which they were cut.
    spectrum : ndarray of complex64, shape (patch, k)
    noise : ndarray of float32, shape (patch,)
        Its power.
    within : ndarray of bool, shape (patch,)
        Which patches the frame holds.
    """

    drift: npt.NDArray[np.float64]
    spectrum: npt.NDArray[np.complex64]
    noise: npt.NDArray[np.float32]
    within: npt.NDArray[np.bool_]


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
    cut : Cut
        Spectra of the frame, cut near this drift.
    """

    position: npt.NDArray[np.float64]
    error: float
    likeness: float
    cut: Cut


class Template:
    """Spectra of the patches of a reference, and what a fit needs of them.

    Parameters
    ----------
    patches : PatchSpectra
    image : ndarray of complex64, shape (patch, k)
    noise : ndarray of float32, shape (patch,)
        Power of the noise in `image`.
    """

    def __init__(self, patches: PatchSpectra, image: np.ndarray, noise: np.ndarray) -> None:
        self.image, self.noise = image, noise[:, None]
        self.power = power_of(image)
        # A Hann window spreads each frequency over its neighbours: averaging over those loses
        # nothing and steadies the estimate of what is signal.
        around = patches.pooled(self.power)
        signal = np.maximum(around - self.noise, 0.0)
        # The signal's share (Wiener filter) keeps the reference's own noise out, once of the
        # template and once more of its square in the normal equations.
        share = (signal / np.maximum(around, 1e-30))[:, patches.block]
        self.signal = signal[:, patches.block]
        self.x, self.y = patches.slopes(image)
        self.share = patches.double * share
        self.total = np.maximum((self.share * self.power).sum(1), 1e-30)
        self.xx, self.yy = share * power_of(self.x), share * power_of(self.y)
        self.xy = share * real_product(self.x, self.y)
        self.vote = patches.double * share**2


class PatchFit:
    """Robust fit of the drift of frames against a template.

    Parameters
    ----------
    patches : PatchSpectra
    shaded : ndarray of bool, shape (y, x), optional
        Areas of the detector that show nothing; patches that lie in them to more than a half are
        left out.
    """

    def __init__(self, patches: PatchSpectra, shaded: npt.NDArray[np.bool_] | None = None) -> None:
        self.patches, self._shaded = patches, None
        if shaded is not None and shaded.any():
            self._shaded = cv2.boxFilter(
                shaded.astype(np.float32), -1, (patches.size, patches.size), anchor=(0, 0)
            )
        parts = [
            np.minimum(6 * (at - at.min()) // max(1, np.ptp(at) + 1), 5)
            for at in (patches.tops, patches.lefts)
        ]
        self._part = np.unique(6 * parts[0] + parts[1], return_inverse=True)[1]

    def cut(
        self,
        contrast: npt.NDArray[np.float32],
        drift: npt.NDArray[np.float64],
        *,
        exact: bool = False,
    ) -> Cut:
        """Transform the patches of a frame at a drift (x, y), px, or at the nearest pixel."""
        if not exact:
            drift = np.rint(drift)
        spectrum, noise = self.patches.of(contrast, drift)
        within = self.patches.within(contrast.shape, drift)
        if self._shaded is not None:
            x, y = np.rint(drift).astype(int)
            rows, columns = self.patches.tops[within] + y, self.patches.lefts[within] + x
            within[within] = self._shaded[rows, columns] < 0.5
        return Cut(drift, spectrum, noise, within)

    def fit(
        self,
        template: Template,
        contrast: npt.NDArray[np.float32],
        start: npt.NDArray[np.float64],
        *,
        tolerance: tuple[float, ...] = TOLERANCE,
    ) -> Fit:
        """Fit the drift of a frame from a start that is good to a pixel or so.

        Parameters
        ----------
        template : Template
        contrast : ndarray of float32, shape (y, x)
            The frame, by :func:`uemdask.align.patch_spectra.local_contrast`.
        start : ndarray, shape (2,)
            (x, y) px.
        tolerance : tuple of float
            Course of the tolerance c.
        """
        position = np.array(start, np.float64)
        early = position
        cut = self.cut(contrast, position)
        for step_number, c in enumerate(tolerance):
            if np.abs(position - cut.drift).max() > (_ASTRAY if c >= 0.1 else _EXACT):
                cut = self.cut(contrast, position, exact=c < 0.1)
            there = cut.within
            if there.sum() < _FEWEST:
                return Fit(position, float("inf"), 0.0, cut)
            moved = cut.spectrum * self.patches.turned(position - cut.drift)
            gain = (template.share * real_product(template.image, moved)).sum(1) / template.total
            gain = np.clip(gain, 0.5, 1.5)[:, None].astype(np.float32)
            difference = moved - gain * template.image
            scale = cut.noise[:, None] + template.noise + np.float32(c * c) * template.signal
            np.maximum(scale, 1e-30, out=scale)
            excess = power_of(difference)
            excess /= scale
            weight = template.share * there[:, None] / (scale * np.square(1.0 + excess))
            right_x = (weight * real_product(template.x, difference)).sum(1, dtype=np.float64)
            right_y = (weight * real_product(template.y, difference)).sum(1, dtype=np.float64)
            normal = np.empty((2, 2))
            normal[0, 0] = np.vdot(weight, template.xx)
            normal[1, 1] = np.vdot(weight, template.yy)
            normal[0, 1] = normal[1, 0] = np.vdot(weight, template.xy)
            if not np.isfinite(normal).all() or np.linalg.eigvalsh(normal)[0] <= 0:
                return Fit(position, float("inf"), 0.0, cut)
            # Redescending weights flatten the minimum: the slope of the equations is less than
            # the normal matrix says. Without this, steps are half as long as they should be.
            flatter = weight * ((1.0 - excess) / (1.0 + excess))
            slope = float(np.vdot(flatter, template.xx) + np.vdot(flatter, template.yy))
            slope /= float(np.trace(normal))
            inverse = np.linalg.inv(normal * min(1.0, max(0.4, slope)))
            step = inverse @ np.array([right_x.sum(), right_y.sum()])
            position = position - np.clip(step, -0.5, 0.5)
            if c >= 0.1:
                early = position
            final = step_number >= len(tolerance) - 2
            if final and np.abs(step).max() < _CONVERGED:
                break
        error = self._scatter(right_x[there], right_y[there], there, inverse)
        likeness = _likeness(template, moved, there)
        error = float(np.hypot(error, 0.5 * np.abs(position - early).max()))
        return Fit(position, error, likeness, cut)

    def _scatter(
        self, right_x: np.ndarray, right_y: np.ndarray, there: np.ndarray, inverse: np.ndarray
    ) -> float:
        """Estimate the standard error, px, by the scatter of at most 6 x 6 parts (sandwich)."""
        part = np.unique(self._part[there], return_inverse=True)[1]
        scores = np.stack([np.bincount(part, right) for right in (right_x, right_y)])
        scores -= scores.mean(axis=1, keepdims=True)
        count = scores.shape[1]
        if count < 4:
            return float("inf")
        covariance = inverse @ (scores @ scores.T) @ inverse * count / (count - 2)
        return float(np.sqrt(covariance.diagonal().max()))


def _likeness(template: Template, moved: np.ndarray, there: npt.NDArray[np.bool_]) -> float:
    """Sum of the cosines of the phase differences, in its own standard deviations.

    Amplitudes do not enter: strong fringes that moved would drown what did not.
    """
    size = np.sqrt(template.power * power_of(moved))
    agree = real_product(template.image, moved) / np.maximum(size, 1e-30)
    agree *= template.vote * there[:, None]
    # Unrelated images: signs are random, so the sum of squares is the variance.
    return float(agree.sum() / max(np.sqrt(np.vdot(agree, agree)), 1e-30))


def strongest_patches(contrast: npt.NDArray[np.float32]) -> PatchSpectra:
    """Lay out the patches whose structure fixes both components best, some all over the frame."""
    height, width = contrast.shape
    patches = PatchSpectra((0, height, 0, width), most=max(height, width), least=SMALLEST)
    if patches.patches <= MOST_PATCHES:
        return patches
    across, down = (np.gradient(contrast, axis=axis) for axis in (1, 0))
    box = (patches.size, patches.size)
    sums = [
        cv2.boxFilter(a * b, -1, box, anchor=(0, 0), normalize=False)[patches.tops, patches.lefts]
        for a, b in ((across, across), (down, down), (across, down))
    ]
    mean, half = (sums[0] + sums[1]) / 2, (sums[0] - sums[1]) / 2
    weakest = mean - np.hypot(half, sums[2])
    # By thirds of the frame in both directions, so that no side is left out.
    third = [3 * at // (at.max() + 1) for at in (patches.tops, patches.lefts)]
    region = 3 * third[0] + third[1]
    best: list[int] = []
    for each in range(9):
        here = np.flatnonzero(region == each)
        order = np.argsort(-weakest[here], kind="stable")[: MOST_PATCHES // 9]
        best.extend(here[order].tolist())
    patches.keep(np.sort(best))
    return patches
