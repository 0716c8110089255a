"""Brightness of a frame relative to the reference, in spite of waves and bend contours.

The beam current of a pulsed source jitters by some percent from frame to frame. The estimate must
not follow what happens in the sample: a wave changes the local brightness by up to 20 %, and bend
contours move.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

_ROUNDS = 10
"""Reweighting converges in 3 to 5 rounds; more only cost microseconds on a few hundred blocks."""

_LEAST_COVERED = 0.9
"""Share of a block that must be covered for it to be compared, over these pixels: hits and single
dead pixels may miss, but what lies at the rim of a shade is no measure."""


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
    blocks = _compare(image, reference, covered, block)
    if blocks is None:
        return 1.0
    ratio, weight = blocks.ratio, blocks.weight
    gain = _weighted_median(ratio, weight)
    scale = 1.4826 * _weighted_median(np.abs(ratio - gain), weight)
    if scale > 0.0:
        for _ in range(_ROUNDS):
            deviation = np.abs(ratio - gain) / (huber * scale)
            pull = weight / np.maximum(deviation, 1.0)
            gain = float((pull * ratio).sum() / pull.sum())
    return gain if gain > 0.0 else 1.0


def brightness_slope(
    image: np.ndarray,
    reference: np.ndarray,
    covered: npt.NDArray[np.bool_] | None = None,
    *,
    block: int | None = None,
    huber: float = 2.5,
) -> tuple[float, float]:
    """Slope of the brightness of a frame against the reference, as a beam that wanders leaves it.

    A Gaussian beam that moves changes the logarithm of the brightness by a plane, exactly. So does
    a wave longer than the field, nearly: ask only where the beam has a profile, see `beam_fall`.

    Parameters
    ----------
    image, reference, covered, block, huber
        As for `brightness`.

    Returns
    -------
    slope : tuple of float
        Of the logarithm along (x, y), 1/px; zeros where nothing can be compared.

    Examples
    --------
    >>> reference = np.full((64, 64), 100, np.float32)
    >>> tilted = (reference * np.exp(0.002 * np.arange(64) - 0.063)).astype(np.float32)
    >>> round(brightness_slope(tilted, reference)[0], 4)
    0.002
    """
    blocks = _compare(image, reference, covered, block)
    if blocks is None or blocks.ratio.size < 12 or not (blocks.ratio > 0).all():
        return 0.0, 0.0
    plane = np.stack([np.ones_like(blocks.ratio), blocks.x, blocks.y], axis=1)
    found = _robust_fit(plane, np.log(blocks.ratio), blocks.weight, huber)
    return float(found[1]), float(found[2])


def beam_fall(reference: np.ndarray, lit: npt.NDArray[np.bool_]) -> float:
    """How far the beam falls over the lit part of the field: least over largest brightness.

    Parameters
    ----------
    reference : ndarray, shape (y, x)
        Counts.
    lit : ndarray of bool, shape (y, x)

    Returns
    -------
    float
        Of a Gaussian beam fitted to the reference, whose contours scatter about it; 1 where even.

    Examples
    --------
    >>> y, x = np.mgrid[-64:64, -64:64]
    >>> beam = (100 * np.exp(-(x**2 + y**2) / 5000)).astype(np.float32)
    >>> round(beam_fall(beam, np.ones(beam.shape, bool)), 1)
    0.2
    """
    blocks = _compare(reference, np.ones_like(reference), lit, None, window=False)
    if blocks is None or blocks.ratio.size < 12:
        return 1.0
    use = blocks.ratio > 0
    x, y = blocks.x[use] / reference.shape[1], blocks.y[use] / reference.shape[0]
    shape = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    log = np.log(blocks.ratio[use])
    beam = shape @ _robust_fit(shape, log, np.ones_like(x), 2.5)
    return float(np.exp(beam.min() - beam.max()))


def _robust_fit(
    design: np.ndarray, values: np.ndarray, weight: np.ndarray, huber: float
) -> npt.NDArray[np.float64]:
    """Weighted least squares in which far values pull no more than `huber` deviations do."""
    pull = weight
    for _ in range(_ROUNDS):
        root = np.sqrt(pull)
        found = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        rest = np.abs(values - design @ found)
        scale = 1.4826 * _weighted_median(rest, weight)
        if scale <= 0:
            break
        pull = weight / np.maximum(rest / (huber * scale), 1.0)
    return np.asarray(found, np.float64)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Ratio of block means, their weights, and places in px from the middle of the frame."""

    ratio: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]


def _compare(
    image: np.ndarray,
    reference: np.ndarray,
    covered: npt.NDArray[np.bool_] | None,
    block: int | None,
    *,
    window: bool = True,
) -> _Blocks | None:
    """Compare block means; None where nothing can be compared."""
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

    share: np.ndarray = np.ones((rows, columns))
    if covered is not None:
        # Single pixels that are hit or dead must not cost their block.
        share = block_mean(covered)
        image, reference = (np.where(covered, each, 0) for each in (image, reference))
    base = block_mean(reference) / np.maximum(share, _LEAST_COVERED)
    weight = share * ((base > 0) & (share >= _LEAST_COVERED))
    if window:
        weight *= np.outer(_hann(rows), _hann(columns))
    bright = base[weight > 0]
    if bright.size == 0:
        return None
    # A block far darker than most holds more noise and offset than beam. Bright blocks count alike:
    # weights that follow the contours would spoil the window's smoothness.
    middle = np.median(bright)
    weight *= np.clip(base / (0.5 * middle), 0.0, 1.0)
    use = (weight > 0) & (base > 0.05 * middle)
    ratio = block_mean(image)[use] / (base * share)[use]
    if not np.isfinite(ratio).all():
        return None
    y, x = np.mgrid[:rows, :columns] * float(block) + (block - 1) / 2
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    return _Blocks(ratio, weight[use], x[use] - middle_x, y[use] - middle_y)


def _hann(size: int) -> np.ndarray:
    """Hann window that is not zero at the ends."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
