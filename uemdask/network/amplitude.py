"""One scale for the wave: what the network reads has the same size in every run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from uemdask.errors import UemError
from uemdask.network.device import as_tensor

#: Normalised amplitudes are cut here, in units of the wave scale. A sine of constant strength
#: peaks at 1.4; a wave that grows fivefold during the series peaks near 4.
CLIP = 6.0

#: The largest values left out of the scale, as a share: hot pixels and bad frames.
OUTLIER_SHARE = 0.01


def wave_scale(wave: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_] | None = None) -> float:
    """Return the robust rms of a run's wave inside its mask.

    Parameters
    ----------
    wave : ndarray, shape (time, y, x)
        Band-passed relative modulation, no unit. A sample of the frames is enough.
    mask : ndarray of bool, shape (y, x), optional
        Relevant pixels; every pixel without it.

    Returns
    -------
    float
        Root mean square without the largest 1 % of the absolute values.

    Raises
    ------
    UemError
        If the wave is zero or not finite in the mask, or the mask is empty.

    Examples
    --------
    >>> import numpy as np
    >>> wave = 0.1 * np.sin(np.linspace(0, 40, 4000)).reshape(10, 20, 20)
    >>> round(wave_scale(wave), 2)
    0.07
    """
    inside = wave.reshape(wave.shape[0], -1)
    if mask is not None:
        inside = inside[:, mask.ravel()]
    if inside.size == 0:
        raise UemError(
            "The mask has no relevant pixel, so the wave has no scale; "
            "lower the threshold of the mask or leave this run out."
        )
    size = np.abs(inside.astype(np.float32).ravel())
    if not np.isfinite(size).all():
        raise UemError(
            "The wave holds values that are not finite inside the mask; "
            "make it again from the aligned frames."
        )
    kept = np.partition(size, int((1 - OUTLIER_SHARE) * (size.size - 1)))
    kept = kept[: int((1 - OUTLIER_SHARE) * (size.size - 1)) + 1]
    scale = float(np.sqrt(np.mean(kept.astype(np.float64) ** 2)))
    if scale == 0.0:
        raise UemError(
            "The wave is zero inside the mask, so it has no scale; check the frequency band."
        )
    return scale


def normalise(wave: npt.NDArray[np.floating], scale: float) -> npt.NDArray[np.float32]:
    """Return the wave in units of its run's scale, cut at ``CLIP``: the network's input.

    Training and inference both prepare images like this, and nothing else does.

    Parameters
    ----------
    wave : ndarray, any shape
        Band-passed relative modulation, no unit.
    scale : float
        The run's `wave_scale`.

    Returns
    -------
    ndarray of float32, same shape
        Dimensionless, rms about 1 in the mask; values that are not finite become 0.

    Raises
    ------
    UemError
        If ``scale`` is not a positive number.

    Examples
    --------
    >>> import numpy as np
    >>> normalise(np.array([0.02, -9.0]), 0.01).tolist()
    [2.0, -6.0]
    """
    return normalised(as_tensor(wave), scale).numpy()


def normalised(wave: torch.Tensor, scale: float) -> torch.Tensor:
    """Return what `normalise` does, on the device of the wave."""
    if not (np.isfinite(scale) and scale > 0):
        raise UemError(f"The wave scale is {scale!r}; it must be a positive number.")
    # The division is in single precision: a half-precision wave would overflow or round.
    scaled = wave.to(torch.float32) * (1.0 / scale)
    return scaled.clamp_(-CLIP, CLIP).nan_to_num_(nan=0.0, posinf=CLIP, neginf=-CLIP)


def envelope(frames: torch.Tensor, *, sigma: float = 8.0, floor: float = 0.1) -> torch.Tensor:
    """Return the local strength of the wave over a few frames.

    Dividing frames by it makes bright and dim places count alike in a photometric loss, and
    frames of one window share it, so their difference is not changed by the division.

    Parameters
    ----------
    frames : tensor, shape (n, time, y, x)
        Normalised waves of a short window.
    sigma : float, px
        Width of the spatial mean. A quarter wavelength is enough, as frames that are a part of
        a period apart fill the nodes of one another.
    floor : float
        Smallest strength, in units of the wave scale: noise is not blown up.

    Returns
    -------
    tensor, shape (n, 1, y, x)
        ``sqrt(mean over time and neighbourhood of frames**2 + floor**2)``.
    """
    power = box_mean(frames.square().mean(dim=1, keepdim=True), sigma)
    return (power + floor**2).sqrt()


def box_mean(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the mean over a neighbourhood: three box means, close to a Gaussian.

    Parameters
    ----------
    images : tensor, shape (n, channels, y, x)
        Any field.
    sigma : float, px
        Width of the Gaussian. The cost does not depend on it.

    Returns
    -------
    tensor, same shape
        Outside the frame nothing is counted.
    """
    # Three boxes of side 2 r + 1 have the variance r (r + 1) px squared.
    radius = max(1, round(((4.0 * sigma**2 + 1.0) ** 0.5 - 1.0) / 2.0))
    radius = min(radius, (min(images.shape[-2:]) - 1) // 2)
    for _ in range(3):
        images = functional.avg_pool2d(
            images, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False
        )
    return images
