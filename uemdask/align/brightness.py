"""Brightness of a frame relative to the reference, in spite of waves and bend contours.

The beam current of a pulsed source jitters by some percent from frame to frame. The estimate must
not follow what happens in the sample: a wave changes the local brightness by up to 20 %, and bend
contours move.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

_ROUNDS = 10
"""Reweighting converges in 3 to 5 rounds; more only cost microseconds on a few hundred blocks."""


def brightness(
    image: np.ndarray,
    reference: np.ndarray,
    covered: npt.NDArray[np.bool_] | None = None,
    *,
    block: int | None = None,
    huber: float = 2.5,
) -> float:
    """Brightness factor of an aligned frame: ``image`` is about ``gain * reference``.

    Ratios of block means are averaged with three precautions. A smooth window (Hann) over the
    frame makes the crests and troughs of a wave cancel even where their number is not whole. Huber
    weights [1]_ bound the pull of blocks crossed by a moving bend contour. Blocks darker than half
    of the median count less, as they are mostly noise.

    Noise: the standard error from counting alone is about ``1.4 / sqrt(total counts)``, 0.03 % for
    256 x 256 px of 100 counts. A wave of modulation m adds at most ``m / (3 n**3)`` where n >= 2 is
    the number of wavelengths across the frame: 0.25 % for m = 20 % and n = 3. Fewer than 1.5
    wavelengths cannot be told from brightness: up to ``0.2 m`` and more. Nor can a wave that
    breathes, or contours that darken over most of the frame.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        The frame, aligned on the reference; counts.
    reference : ndarray, shape (y, x)
        The reference; counts.
    covered : ndarray of bool, shape (y, x), optional
        Where the frame has data. Everywhere when not given.
    block : int, optional
        Edge of a block in px. By default a sixteenth of the shorter side, 2 to 16 px: smaller than
        a bend contour, many counts.
    huber : float
        Deviation in robust standard deviations beyond which a block's pull is bounded. 2.5 leaves
        a sinusoidal wave untouched (extremes at 1.35, more where few crests are in view).

    Returns
    -------
    float
        1.0 where nothing can be compared (no covered block, or a reference without counts).

    Raises
    ------
    UemError
        Where shapes differ.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical
       Statistics 35, 73-101 (1964), doi:10.1214/aoms/1177703732.

    Examples
    --------
    >>> reference = np.full((64, 64), 100, np.float32)
    >>> round(brightness(0.8 * reference, reference), 6)
    0.8
    """
    if image.shape != reference.shape or image.ndim != 2:
        raise UemError(
            f"image: shape {image.shape} does not match the reference {reference.shape}; "
            "both must be single frames (y, x) of one size"
        )
    height, width = image.shape
    if block is None:
        block = min(16, max(2, min(height, width) // 16))
    block = max(1, min(block, height, width))
    rows, columns = height // block, width // block

    def block_mean(array: np.ndarray) -> np.ndarray:
        cropped = array[: rows * block, : columns * block].astype(np.float32, copy=False)
        return cv2.resize(cropped, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float64)

    base = block_mean(reference)
    weight = np.outer(_hann(rows), _hann(columns)) * (base > 0)
    if covered is not None:
        weight[block_mean(covered) < 1.0 - 1e-3] = 0.0
    bright = base[weight > 0]
    if bright.size == 0:
        return 1.0
    # A block far darker than most holds more noise and offset than beam. Bright blocks count alike:
    # weights that follow the contours would spoil the window's smoothness.
    middle = np.median(bright)
    weight *= np.clip(base / (0.5 * middle), 0.0, 1.0)
    use = (weight > 0) & (base > 0.05 * middle)
    weight, ratio = weight[use], block_mean(image)[use] / base[use]
    if not np.isfinite(ratio).all():
        return 1.0
    gain = _weighted_median(ratio, weight)
    scale = 1.4826 * _weighted_median(np.abs(ratio - gain), weight)
    if scale > 0.0:
        for _ in range(_ROUNDS):
            deviation = np.abs(ratio - gain) / (huber * scale)
            pull = weight / np.maximum(deviation, 1.0)
            gain = float((pull * ratio).sum() / pull.sum())
    return gain if gain > 0.0 else 1.0


def _hann(size: int) -> np.ndarray:
    """Hann window that is not zero at the ends."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
