"""Spatial Gaussian smoothing of frames and of complex amplitudes."""

from __future__ import annotations

from math import ceil
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

Pixels = TypeVar("Pixels", np.float32, np.complex64)
Float32 = npt.NDArray[np.float32]

#: Smoothed weight below which there is nothing to go by.
LEAST_SHARE = 1e-3

#: The Gaussian is cut off here, in standard deviations: it has fallen to 3e-4.
REACH = 4.0


def smoothing_halo(sigma: float) -> int:
    """Pixels of neighbourhood that smoothing needs on each side of a tile.

    Parameters
    ----------
    sigma : float
        Standard deviation, px.

    Returns
    -------
    int
    """
    return ceil(REACH * sigma) if sigma > 0 else 0


def gaussian(sigma: float) -> npt.NDArray[np.float64]:
    """Weights of a Gaussian of a sigma in px along one axis; their sum is 1."""
    reach = smoothing_halo(sigma)
    if reach == 0:
        return np.ones(1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def smooth(series: npt.NDArray[Pixels], sigma: float) -> npt.NDArray[Pixels]:
    """Gaussian smoothing of each frame.

    Parameters
    ----------
    series : ndarray, shape (..., y, x), float32 or complex64
        Finite values; a NaN would spread.
    sigma : float
        Standard deviation, px.  0 returns the input.

    Returns
    -------
    ndarray, same shape and type
        Beyond the edge the frame is mirrored about its last pixel.  Give a tile
        :func:`smoothing_halo` pixels more on each side and crop them: then the result is that
        of the whole frame.

    Raises
    ------
    UemError
        If the array is neither float32 nor complex64.
    """
    if series.dtype not in (np.float32, np.complex64):
        raise UemError(f"smooth: found {series.dtype}; give float32 or complex64.")
    if sigma <= 0:
        return series
    size = 2 * smoothing_halo(sigma) + 1
    out = np.empty_like(series, order="C")
    # OpenCV keeps complex frames as two channels; both get the same kernel.
    planes = 2 if series.dtype == np.complex64 else 1
    frames = np.ascontiguousarray(series).view(np.float32)
    frames = frames.reshape(-1, *series.shape[-2:], planes)
    target = out.view(np.float32).reshape(frames.shape)
    for frame, smoothed in zip(frames, target, strict=True):
        cv2.GaussianBlur(
            frame, (size, size), sigma, dst=smoothed, borderType=cv2.BORDER_REFLECT_101
        )
    return out


class WeightedSmoothing:
    """Gaussian smoothing in which every pixel has its weight, and missing ones none.

    Normalised convolution [1]_: what is smoothed at a pixel is the weighted mean around it, so
    nothing spreads from pixels without weight or value, and their neighbours lose no amplitude.

    Parameters
    ----------
    weight : ndarray, shape (y, x), float32
        Zero or more.
    sigma : float
        Standard deviation, px.  0 only takes out what is missing.

    References
    ----------
    .. [1] H. Knutsson and C.-F. Westin, "Normalized and differential convolution", Proc. IEEE CVPR,
       515-523 (1993), doi:10.1109/CVPR.1993.341081.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.ones((32, 32), np.float32)
    >>> frame[10, 10] = np.nan
    >>> float(WeightedSmoothing(np.ones((32, 32), np.float32), 2.0)(frame)[10, 10])
    1.0
    """

    def __init__(self, weight: Float32, sigma: float) -> None:
        self._weight, self._sigma = weight, sigma
        self._share = smooth(weight, sigma)
        self._lit = weight > 0

    def __call__(self, frame: Float32) -> Float32:
        """Smooth a frame, (y, x) float32; NaN is missing.

        0 where the pixel itself has no weight, and where nothing within reach has any.
        """
        known = np.isfinite(frame)
        if known.all() or not (self._lit & ~known).any():
            share = self._share
            held = np.where(self._lit, frame, 0) * self._weight
        else:
            share = smooth(np.where(known, self._weight, np.float32(0)), self._sigma)
            held = np.where(known & self._lit, frame, np.float32(0)) * self._weight
        use = self._lit & (share > LEAST_SHARE)
        out = np.zeros_like(self._weight)
        np.divide(smooth(held, self._sigma), share, out=out, where=use)
        return out

    @property
    def share(self) -> Float32:
        """Smoothed weight, (y, x): how much stands behind a smoothed pixel."""
        return self._share


def noise_gain(sigma: float) -> tuple[float, float]:
    """How smoothing acts on white noise between pixels.

    Parameters
    ----------
    sigma : float
        Standard deviation, px.

    Returns
    -------
    kept : float
        Variance after smoothing over variance before.
    centre : float
        Weight of the central pixel.
    """
    kernel = gaussian(sigma)
    return float((kernel**2).sum() ** 2), float(kernel[len(kernel) // 2] ** 2)
