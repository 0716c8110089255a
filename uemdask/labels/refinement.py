"""Refine a displacement along the wave normal.

DIS and Farneback invert a 2 x 2 structure matrix, which is nearly singular for straight fronts: on
a noise-free plane wave along an axis both report a fraction of the motion or none. Along the
normal there is one unknown and the problem is well posed.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.labels.normal import gaussian_mean, project_on_normal
from uemdask.labels.remapping import remap

WINDOW_WAVELENGTHS = 0.3
"""Sigma of the window in wavelengths: wide enough that a crest and a flank are always in it."""

DEFAULT_WINDOW_PX = 8.0
"""Sigma of the window in px where the wavelength is unknown."""

LARGEST_STEP_WAVELENGTHS = 0.16
"""Largest step of one iteration: one radian of phase, where the sine still rises."""


def refine_along_normal(
    first: np.ndarray,
    second: np.ndarray,
    flow: np.ndarray,
    normal: np.ndarray,
    *,
    wavelength: float | None = None,
    smoothing: float = 0.0,
    iterations: int = 2,
) -> npt.NDArray[np.float32]:
    r"""Gauss-Newton steps for the displacement along the normal (Lucas and Kanade 1981, in 1-D).

    Each step solves :math:`u \leftarrow u + \langle g\, (a - b) \rangle / \langle g^2 \rangle` in a
    Gaussian window, with :math:`a` the first frame, :math:`b` the second read at the displaced
    position and :math:`g` the slope of both along the normal. On a sinusoid the step is
    :math:`\sin(k\delta)/k` for a remaining error :math:`\delta`: it converges from anywhere within
    half a wavelength, and noise does not shift the point it converges to.

    Parameters
    ----------
    first, second : ndarray, (y, x)
        Wave images, unit 1, finite.
    flow : ndarray, (2, y, x)
        Start, px, components ``[x, y]``; only its part along the normal is used.
    normal : ndarray, (2, y, x)
        Unit vectors, see `wave_normal`.
    wavelength : float, optional
        Wavelength in px; sets window and largest step.
    smoothing : float
        Sigma of a Gaussian mean of the displacement after each step, px. Without it each step
        adds noise.
    iterations : int
        Steps; two reach 2 % from zero for displacements up to 0.3 wavelengths.

    Returns
    -------
    ndarray of float32, (2, y, x)
        ``first(r) = second(r + flow(r))``, along the normal.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.tile(np.arange(96.0), (96, 1))
    >>> first, second = (np.sin(2 * np.pi * (x - shift) / 32) for shift in (0.0, 4.0))
    >>> normal = np.stack([np.ones((96, 96)), np.zeros((96, 96))])
    >>> flow = refine_along_normal(first, second, 0 * normal, normal, wavelength=32.0)
    >>> bool(abs(flow[0, 30:60, 30:60] - 4.0).max() < 0.1)
    True
    """
    window = DEFAULT_WINDOW_PX if wavelength is None else max(2.0, WINDOW_WAVELENGTHS * wavelength)
    largest = LARGEST_STEP_WAVELENGTHS * (wavelength or 4 * window)
    first = np.ascontiguousarray(first, dtype=np.float32)
    normal = np.asarray(normal, dtype=np.float32)
    shift = np.sum(np.asarray(flow, np.float32) * normal, axis=0)
    for _ in range(iterations):
        moved = remap(second, shift * normal)
        mean = (first + moved) / 2
        # Scharr's kernel sums to 32: divided by it, the slope is per px.
        slope = cv2.Scharr(mean, cv2.CV_32F, 1, 0, scale=1 / 32) * normal[0]
        slope += cv2.Scharr(mean, cv2.CV_32F, 0, 1, scale=1 / 32) * normal[1]
        # The normal's sign is arbitrary and may flip between neighbours: average vectors.
        drive = project_on_normal(slope * (first - moved) * normal, normal, smoothing=window)
        along = np.sum(drive * normal, axis=0)
        stiffness = gaussian_mean(slope * slope, window)
        floor = np.float32(1e-3) * stiffness.mean() + np.finfo(np.float32).tiny
        shift += np.clip(along / (stiffness + floor), -largest, largest)
        if smoothing > 0:
            kept = project_on_normal(shift * normal, normal, smoothing=smoothing)
            shift = np.sum(kept * normal, axis=0)
    return np.asarray(shift * normal, dtype=np.float32)
