"""OpenCV's dense optical flow on a pair of wave images.

Convention: OpenCV's own sign, ``first(r) = second(r + flow(r))``; components ``[x, y]`` in px.

Both methods invert a 2 x 2 structure matrix that straight fronts make nearly singular. Along the
crests the result is then noise, and on a noise-free plane wave along an axis it is too small or
zero. `label_pairs` therefore keeps the normal component and refines it.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.spectrum.grid import halo_on_grid

Method = Literal["dis", "farneback"]
Preset = Literal["ultrafast", "fast", "medium"]

MINIMUM_WAVELENGTH_PX = 10.0
"""Wavelength kept at the coarsest pyramid level: below it, periodic images jump by a wavelength."""

SMALLEST_IMAGE_PX = 16
"""Two DIS patches of 8 px: below it DIS cannot build its pyramid."""

FARNEBACK_WINDOW_PX = 15
"""Smallest averaging window of Farneback; with a known wavelength it is one wavelength."""

LABEL_HALO = 64
"""Halo in px: optical flow sees about two of its coarsest patches, phase flow its Gaussians."""


def label_halo(binning: int) -> int:
    """Return how many px around a block its labels need on squares of `binning` px."""
    return halo_on_grid(LABEL_HALO, binning)


DIS_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


def coarsest_level(wavelength: float | None, shape: tuple[int, int], patch: int = 8) -> int:
    """Coarsest pyramid level that keeps the wave resolved and holds two patches.

    Parameters
    ----------
    wavelength : float or None
        Wavelength in px; None if unknown, then only the image size limits the pyramid.
    shape : tuple of int
        (y, x) of the images.
    patch : int
        Smallest useful image side in px, halved.

    Returns
    -------
    int
        0 is the full image, each level halves it.

    Examples
    --------
    >>> coarsest_level(45.0, (512, 512)), coarsest_level(12.0, (512, 512))
    (2, 0)
    """
    by_size = max(0, int(math.log2(min(shape) / (2 * patch))))
    if wavelength is None:
        return by_size
    return min(by_size, max(0, int(math.log2(max(wavelength, 1.0) / MINIMUM_WAVELENGTH_PX))))


class FlowEstimator:
    """One OpenCV estimator, used for the pairs of one slab.

    DIS keeps buffers between calls, so an object must not be shared between threads: make one per
    task.

    Parameters
    ----------
    method : {"dis", "farneback"}
        Dense inverse search (Kroeger et al. 2016, doi:10.1007/978-3-319-46493-0_29) or polynomial
        expansion (Farneback 2003, doi:10.1007/3-540-45103-X_50).
    shape : tuple of int
        (y, x) of the images.
    wavelength : float, optional
        Wavelength in px; limits the pyramid depth.
    preset : {"ultrafast", "fast", "medium"}
        Effort of DIS; "fast" refines its result, which `label_pairs` does by itself.

    Raises
    ------
    UemError
        If a name is unknown or the images are too small.
    """

    def __init__(
        self,
        method: Method,
        shape: tuple[int, int],
        *,
        wavelength: float | None = None,
        preset: Preset = "fast",
    ) -> None:
        if method not in ("dis", "farneback"):
            raise UemError(f"method: found {method!r}; use 'dis' or 'farneback'")
        if preset not in DIS_PRESETS:
            raise UemError(f"preset: found {preset!r}; use one of {', '.join(DIS_PRESETS)}")
        if min(shape) < SMALLEST_IMAGE_PX:
            raise UemError(
                f"images: found {shape[0]} x {shape[1]} px, optical flow needs at least "
                f"{SMALLEST_IMAGE_PX} px a side; take a larger region"
            )
        self.method = method
        self.shape = shape
        self.wavelength = wavelength
        self.level = coarsest_level(wavelength, shape)
        self._dis = None
        if method == "dis":
            self._dis = cv2.DISOpticalFlow.create(DIS_PRESETS[preset])
            self._dis.setFinestScale(min(self._dis.getFinestScale(), self.level))
            self._dis.setCoarsestScale(self.level)

    def __call__(
        self, first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """Flow (2, y, x) in px between two 8-bit grey images of the estimator's shape."""
        # A cropped view is not contiguous, and DIS refuses it.
        first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
        if self._dis is not None:
            flow = self._dis.calc(first, second, None)
        else:
            window = int(max(FARNEBACK_WINDOW_PX, self.wavelength or 0))
            flow = cv2.calcOpticalFlowFarneback(
                first, second, None, 0.5, self.level + 1, window, 5, 7, 1.5,
                cv2.OPTFLOW_FARNEBACK_GAUSSIAN,
            )  # fmt: skip
        return np.ascontiguousarray(np.moveaxis(flow, -1, 0).astype(np.float32, copy=False))
