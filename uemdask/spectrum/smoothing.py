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
