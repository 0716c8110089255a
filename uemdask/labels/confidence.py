"""How far to trust a label, from the pair of frames themselves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.labels.normal import gaussian_mean
from uemdask.labels.remapping import leaves_image, remap

RELATIVE_TOLERANCE = 0.1
"""Forward-backward error, as a share of the displacement, at which confidence is halved."""

FLOOR_TOLERANCE_PX = 0.05
"""Forward-backward error in px that is always tolerated: the reading error of the estimators."""

WAVELENGTH_TOLERANCE = 0.01
"""Forward-backward error in wavelengths that is always tolerated: 4 degrees of phase."""

SAFE_DISPLACEMENT = 0.4
AMBIGUOUS_DISPLACEMENT = 0.5
"""In wavelengths: beyond half a wavelength the motion cannot be told from the opposite one."""


def label_confidence(
    first: np.ndarray,
    second: np.ndarray,
    forward: np.ndarray,
    backward: np.ndarray,
    *,
    noise: float | np.ndarray = 0.0,
    wavelength: float | None = None,
    anisotropy: np.ndarray | None = None,
) -> npt.NDArray[np.float32]:
    r"""Confidence of a displacement, the product of four shares between 0 and 1.

    - *agreement* ``1 / (1 + (e / t)^2)``: ``e = |forward(r) + backward(r + forward(r))|`` and
      ``t^2 = (0.1 |forward|)^2 + (0.05 px)^2 + (0.01 wavelength)^2``;
    - *wave share* ``max(0, 1 - n^2 / p)``: ``p`` is the local mean square of the two frames and
      ``n^2`` the larger of ``noise^2`` and half the local mean square of
      ``first(r) - second(r + forward(r))``;
    - *range* 1 up to 0.4 wavelengths of displacement, falling to 0 at 0.5;
    - *anisotropy* of the structure tensor, if given: no single direction, no confidence.

    Where ``r + forward(r)`` leaves the image it is 0.

    Parameters
    ----------
    first, second : ndarray, (y, x)
        Wave images, unit 1.
    forward, backward : ndarray, (2, y, x)
        Displacement in px from first to second and from second to first.
    noise : float or ndarray, (y, x)
        Standard deviation of the noise in the wave images, unit 1.
    wavelength : float, optional
        Wavelength in px.
    anisotropy : ndarray, (y, x), optional
        See `wave_normal`.

    Returns
    -------
    ndarray of float32, (y, x)
        0..1; 0 wherever an input is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.sin(np.tile(np.arange(64.0), (64, 1)) / 3)
    >>> still = np.zeros((2, 64, 64))
    >>> label_confidence(wave, wave, still, still).min()
    np.float32(1.0)
    """
    forward = np.asarray(forward, dtype=np.float32)
    finite = np.isfinite(forward).all(axis=0) & np.isfinite(first) & np.isfinite(second)
    forward = np.where(finite, forward, np.float32(0))
    backward = np.nan_to_num(np.asarray(backward, dtype=np.float32))
    first, second = (np.nan_to_num(np.asarray(f, dtype=np.float32)) for f in (first, second))

    size2 = np.sum(forward * forward, axis=0)
    gap = forward + remap(backward, forward)
    floor2 = FLOOR_TOLERANCE_PX**2 + (WAVELENGTH_TOLERANCE * (wavelength or 0.0)) ** 2
    tolerance2 = RELATIVE_TOLERANCE**2 * size2 + floor2
    confidence = 1 / (1 + np.sum(gap * gap, axis=0) / tolerance2)

    window = 8.0 if wavelength is None else max(2.0, wavelength / 2)
    power = gaussian_mean((first * first + second * second) / 2, window)
    residual = first - remap(second, forward, cubic=True)
    noise2 = np.maximum(np.square(noise), gaussian_mean(residual * residual, window) / 2)
    share = 1 - np.divide(noise2, power, out=np.ones_like(power), where=power > 0)
    confidence = confidence * np.clip(share, 0, 1)

    if wavelength is not None:
        cycles = np.sqrt(size2) / wavelength
        left = (AMBIGUOUS_DISPLACEMENT - cycles) / (AMBIGUOUS_DISPLACEMENT - SAFE_DISPLACEMENT)
        confidence = confidence * np.clip(left, 0, 1)
    if anisotropy is not None:
        confidence = confidence * np.clip(anisotropy, 0, 1)
    confidence[leaves_image(forward) | ~finite] = 0
    return np.nan_to_num(confidence).astype(np.float32)
