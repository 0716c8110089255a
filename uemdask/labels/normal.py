"""The normal of wave fronts, and the part of a displacement along it.

Only the normal component of a wavefront's motion can be seen. What an estimator reports along the
crests is noise, and on band-passed noisy waves it is the largest part of its error.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.spectrum.grid import Means

WINDOW_WAVELENGTHS = 0.5
"""Sigma of the structure tensor in wavelengths: it must see a crest and a trough."""

DEFAULT_WINDOW_PX = 12.0
"""Sigma of the structure tensor in px where the wavelength is unknown."""


def wave_normal(
    first: np.ndarray, second: np.ndarray, *, wavelength: float | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Direction across the wave fronts of a pair, and how clearly there is one.

    The structure tensor of both frames is averaged over half a wavelength; its main axis is the
    normal (Bigun and Granlund 1987). The axis has no sign.

    Parameters
    ----------
    first, second : ndarray, (y, x)
        Wave images, unit 1, finite.
    wavelength : float, optional
        Wavelength in px; sets the window.

    Returns
    -------
    normal : ndarray of float32, (2, y, x)
        Unit vectors, components ``[x, y]``.
    anisotropy : ndarray of float32, (y, x)
        ``(l1 - l2) / (l1 + l2)`` of the eigenvalues: 1 for straight fronts, 0 for no direction.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.sin(np.tile(np.arange(64.0), (64, 1)) / 3)
    >>> normal, anisotropy = wave_normal(wave, wave, wavelength=19.0)
    >>> bool(abs(abs(normal[0, 32, 32]) - 1) < 1e-6 and anisotropy[32, 32] > 0.999)
    True
    """
    sigma = DEFAULT_WINDOW_PX if wavelength is None else WINDOW_WAVELENGTHS * wavelength
    shape = first.shape
    xx, yy, xy = (np.zeros(shape, np.float32) for _ in range(3))
    for image in (first, second):
        image = np.ascontiguousarray(image, dtype=np.float32)
        along_x = cv2.Scharr(image, cv2.CV_32F, 1, 0)
        along_y = cv2.Scharr(image, cv2.CV_32F, 0, 1)
        xx += along_x * along_x
        yy += along_y * along_y
        xy += along_x * along_y
    xx, yy, xy = (gaussian_mean(part, sigma) for part in (xx, yy, xy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    normal = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    total = xx + yy
    difference = np.hypot(xx - yy, 2 * xy)
    anisotropy = np.divide(difference, total, out=np.zeros_like(total), where=total > 0)
    return normal, anisotropy.astype(np.float32)


def project_on_normal(
    flow: np.ndarray, normal: np.ndarray, *, smoothing: float = 0.0
) -> npt.NDArray[np.float32]:
    """Keep the component of a displacement along the wave normal.

    Parameters
    ----------
    flow : ndarray, (2, y, x)
        Displacement in px, components ``[x, y]``.
    normal : ndarray, (2, y, x)
        Unit vectors from `wave_normal`; their sign does not matter.
    smoothing : float
        Sigma of a Gaussian mean of the projected vectors, px; 0 for none.

    Returns
    -------
    ndarray of float32, (2, y, x)

    Examples
    --------
    >>> import numpy as np
    >>> project_on_normal(np.array([[[3.0]], [[4.0]]]), np.array([[[-1.0]], [[0.0]]])).ravel()
    array([3., 0.], dtype=float32)
    """
    along = flow[0] * normal[0] + flow[1] * normal[1]
    kept = (normal * along).astype(np.float32)
    if smoothing > 0:
        kept = np.stack([gaussian_mean(component, smoothing) for component in kept])
    return kept + np.float32(0)


def gaussian_mean(image: np.ndarray, sigma: float) -> npt.NDArray[np.float32]:
    """Gaussian mean of an image (y, x), sigma in px, borders mirrored, see `Means`."""
    means = Means(image.shape, sigma)
    return means.spread(means(np.asarray(image, np.float32)))
