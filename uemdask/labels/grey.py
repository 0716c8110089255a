"""Grey values for OpenCV: one fixed range per run.

Farneback returns about zero for images in 0..1, and DIS takes 8 bit only. A range chosen frame by
frame would turn a fading wave into a bright one, so the range belongs to the run.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

MIDDLE_GREY = 127.5
"""Grey value of a wave of zero."""

SCALE_SHARE = 0.995
"""Share of the sampled ``|wave|`` below the scale: bright defects may clip, crests may not."""

SAMPLE_VALUES = 2_000_000
"""Values looked at for the scale: its sampling error is then far below one grey step."""


def grey_scale(
    wave: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    share: float = SCALE_SHARE,
    sample: int = SAMPLE_VALUES,
) -> float:
    """Robust amplitude of a run's wave: what one fixed grey range has to hold.

    Parameters
    ----------
    wave : ndarray, (time, y, x) or (y, x)
        Band-passed, normalised wave, unit 1. Not finite values are left out.
    mask : ndarray of bool, (y, x), optional
        Relevant pixels; all if not given or if none is set.
    share : float
        Quantile of ``|wave|`` that becomes the scale, 0..1.
    sample : int
        At most about this many values are looked at, evenly strided.

    Returns
    -------
    float
        The scale, unit 1; larger than 0.

    Raises
    ------
    UemError
        If the wave holds no finite value other than zero.

    Examples
    --------
    >>> import numpy as np
    >>> round(grey_scale(0.05 * np.sin(np.linspace(0, 60, 4000)).reshape(1, 40, 100)), 3)
    0.05
    """
    frames = wave.reshape((-1, *wave.shape[-2:]))
    chosen = (
        frames[:, mask]
        if mask is not None and mask.any()
        else frames.reshape(len(frames), frames[0].size)
    )
    # A stride without common factors with the image width does not sample single columns.
    stride = max(1, chosen.size // max(1, sample)) | 1
    values = np.abs(chosen.reshape(-1)[::stride].astype(np.float32))
    values = values[np.isfinite(values) & (values > 0)]
    if values.size == 0:
        raise UemError(
            "wave: no finite value other than zero was found; "
            "check the frequency band and run the spectrum stage again"
        )
    return float(np.quantile(values, share))


def to_grey(wave: np.ndarray, scale: float) -> npt.NDArray[np.uint8]:
    """Turn a wave into 8-bit grey: -scale is 0, zero the middle, +scale 255.

    Parameters
    ----------
    wave : ndarray, any shape
        Band-passed wave, unit 1. Not finite values become the middle grey.
    scale : float
        The run's amplitude, see `grey_scale`; one number for the whole run.

    Returns
    -------
    ndarray of uint8, same shape, C-contiguous
        Clipped at both ends.

    Raises
    ------
    UemError
        If the scale is not a positive number.

    Examples
    --------
    >>> import numpy as np
    >>> to_grey(np.array([-0.2, -0.1, 0.0, 0.1]), 0.1)
    array([  0,   0, 128, 255], dtype=uint8)
    """
    if not (np.isfinite(scale) and scale > 0):
        raise UemError(f"scale: found {scale}, a positive number is needed; see grey_scale")
    grey = np.asarray(wave, dtype=np.float32) * np.float32(MIDDLE_GREY / scale)
    grey += np.float32(MIDDLE_GREY)
    np.nan_to_num(grey, copy=False, nan=MIDDLE_GREY, posinf=255.0, neginf=0.0)
    np.clip(grey, 0.0, 255.0, out=grey)
    return np.ascontiguousarray(np.rint(grey).astype(np.uint8))
