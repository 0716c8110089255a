"""Sub-pixel drift of a frame against the reference, in spite of waves and bend contours.

Convention
----------
``frame(r + drift) = reference(r)``; drift components are (x, y) in px, y downwards.

Two steps: :mod:`uemdask.align.correlation` finds the drift to half a pixel over jumps of many
pixels; :mod:`uemdask.align.patches` refines it by a robust fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.align.correlation import Correlator
from uemdask.align.patch_spectra import local_contrast
from uemdask.align.patches import Fit, PatchFit, Template, strongest_patches
from uemdask.errors import UemError

_SMALLEST = 16
"""Edge in px below which a frame has too few independent points to register."""

_GOOD_ERROR = 0.1
"""Standard error, px, at which the quality is one half: a tenth of a pixel is the usual aim."""

_BASIN = 3.0
"""A fit that ends further than this many px (of the correlation) from its start went astray."""


_WORST_ERROR = 0.5
"""Standard error, px, above which registration has failed."""

LEAST_PEAK = 5.0
"""Height of a peak of the correlation, in robust standard deviations of its surroundings, that
makes it worth a fit."""

_SURE = 25.0
"""Likeness at which no other candidate is tried: wrong ones reach 15."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Where one frame lies relative to the reference.

    Attributes
    ----------
    x, y : float
        px; ``frame(r + drift) = reference(r)``. Both 0 where registration failed.
    quality : float
        0 to 1. 0: failed. Otherwise ``1 / (1 + (error / 0.1 px)**2)``: 0.5 at a tenth of a pixel.
    error : float
        Standard error of the larger component, px, from the scatter between parts of the frame and
        the firmness of the fit; infinite where registration failed. What moves as one over the
        whole frame, as contours in a crystal without any other structure, is drift to it.
    """

    x: float
    y: float
    quality: float
    error: float

    @property
    def failed(self) -> bool:
        """Whether there was nothing to lock on."""
        return self.quality == 0.0


FAILED = Drift(0.0, 0.0, 0.0, float("inf"))
"""What a registration without a result returns."""


class Registrar:
    """Registers frames against one reference, which is prepared once.

    Time and memory are bounded for large frames: the correlation works on a frame averaged down to
    at most `largest` px, the fit on at most 225 patches of 64 px at full resolution, those with the
    most structure.

    Parameters
    ----------
    reference : ndarray, shape (y, x)
        The image to register against; counts. Bad pixels repaired: they stand still and would hold
        the drift at zero.
    largest : int
        Longest edge of the image that is correlated, px.
    max_drift : float, optional
        Largest drift looked for, px. A quarter of the shorter edge when not given.

    Raises
    ------
    UemError
        Where the reference is not one finite two-dimensional image.

    Examples
    --------
    >>> import cv2
    >>> random = np.random.default_rng(0)
    >>> scene = cv2.GaussianBlur(random.random((80, 80), np.float32), (0, 0), 2) * 1000
    >>> drift = Registrar(scene[8:72, 8:72]).drift(scene[5:69, 10:74])
    >>> round(drift.x), round(drift.y)
    (-2, 3)
    """

    def __init__(
        self,
        reference: np.ndarray,
        *,
        largest: int = 1024,
        max_drift: float | None = None,
    ) -> None:
        if reference.ndim != 2 or reference.size == 0:
            raise UemError(
                f"reference: expected a two-dimensional array (y, x), found {reference.shape}; "
                "pass one image"
            )
        if not np.isfinite(reference).all():
            raise UemError("reference: contains values that are not finite; repair its pixels")
        self.shape: tuple[int, ...] = reference.shape
        self._binning = max(1, -(-max(reference.shape) // largest))
        image = np.array(reference, np.float32)
        self._featureless = featureless(image)
        if self._featureless:
            return
        reach = min(reference.shape) / 4 if max_drift is None else max_drift
        self._correlator = Correlator(average_down(image, self._binning), reach / self._binning)
        contrast = local_contrast(image)
        patches = strongest_patches(contrast)
        self._patches = PatchFit(patches)
        self._template = Template(patches, *patches.of(contrast, np.zeros(2)))

    def drift(self, image: np.ndarray) -> Drift:
        """Drift of one frame.

        Parameters
        ----------
        image : ndarray, shape (y, x)
            The frame as recorded, bad pixels repaired; counts.

        Returns
        -------
        Drift
            With quality 0 and drift 0 where there is nothing to lock on.

        Raises
        ------
        UemError
            Where the frame's shape is not the reference's.
        """
        if image.shape != self.shape:
            raise UemError(
                f"image: shape {image.shape} does not match the reference {self.shape}; "
                "all frames of a run must have one size"
            )
        frame = image.astype(np.float32, copy=False)
        if self._featureless or featureless(frame):
            return FAILED
        peaks = self._correlator.peaks(average_down(frame, self._binning))
        contrast = local_contrast(frame)
        best = best_fit(
            [p.position * self._binning for p in peaks if p.height >= LEAST_PEAK],
            lambda start: self._patches.fit(self._template, contrast, start),
            basin=_BASIN * self._binning,
        )
        if best is None or not is_recognised(best, self.shape):
            return FAILED
        x, y = (float(component) for component in best.position)
        return Drift(x, y, 1.0 / (1.0 + (best.error / _GOOD_ERROR) ** 2), best.error)


def best_fit(
    starts: Iterable[np.ndarray], fit: Callable[[np.ndarray], Fit], *, basin: float = _BASIN
) -> Fit | None:
    """Return the fit of most likeness from some starts, the first that leaves no doubt."""
    best: Fit | None = None
    for start in starts:
        found = fit(start)
        astray = np.abs(found.position - start).max() > basin
        if not astray and (best is None or found.likeness > best.likeness):
            best = found
        if best is not None and best.likeness >= _SURE:
            break
    return best


def is_recognised(found: Fit, shape: tuple[int, ...]) -> bool:
    """Whether a fit says where a frame of this shape lies.

    Measured at the best of all drifts, unrelated images reach a likeness of 8.3 (6.4 in 32 x 32
    px); a frame locked on moved contours instead of the crystal 4 to 15; 30 counts of texture give
    70 in 256 x 256 px, 14 in 64 x 64 and 6.6 in 32 x 32.
    """
    least = 9.0 if min(shape) >= 48 else 6.5
    return found.likeness >= least and found.error <= _WORST_ERROR


def featureless(image: npt.NDArray[np.float32]) -> bool:
    """Whether there is nothing in an image to register."""
    if min(image.shape) < _SMALLEST or not np.isfinite(image).all():
        return True
    return float(np.ptp(image)) <= 1e-6 * float(np.abs(image).max())


def average_down(image: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    """Average down by a whole factor."""
    if factor == 1:
        return image
    height, width = (edge // factor for edge in image.shape)
    cropped = image[: height * factor, : width * factor]
    return cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA)
