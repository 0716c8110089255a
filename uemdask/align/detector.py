"""What is wrong with the detector: hot and dead pixels, and areas that no beam reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.align.bad_pixels import find_bad_pixels, find_hits, find_stuck_pixels
from uemdask.align.illumination import find_shaded, lit_level
from uemdask.align.raw_frames import RawFrames

DETECTOR_FRAMES = 32
"""Frames spread over the series that tell: the sample drifts and blurs, the detector stays."""


@dataclass(frozen=True)
class Detector:
    """Pixels of the detector.

    Attributes
    ----------
    bad, shaded : ndarray of bool, shape (y, x)
        Hot and dead pixels; areas that no beam reaches.
    level : float
        Brightness of the lit pixels, counts.
    """

    bad: npt.NDArray[np.bool_]
    shaded: npt.NDArray[np.bool_]
    level: float


def spread(frames: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the frames, evenly spread.

    Examples
    --------
    >>> spread(np.arange(9), 3).tolist()
    [0, 4, 8]
    """
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).astype(int)]


def find_detector_faults(
    recorded: RawFrames, frames: Sequence[int], shape: tuple[int, int], *, look: bool = True
) -> Detector:
    """Find the faults of a detector in some frames of a series.

    Parameters
    ----------
    recorded : RawFrames
        Without repair.
    frames : sequence of int
        Those to look at, `DETECTOR_FRAMES` of them.
    shape : (int, int)
        Of a frame.
    look : bool
        False to take the detector for faultless.
    """
    none = np.zeros(shape, bool)
    total, squares = np.zeros((2, *shape), np.float64)
    count, hit = np.zeros((2, *shape), np.int32)
    for frame in frames:
        image, hidden = recorded.with_hidden(frame)
        if look and not hidden.all():
            hits = find_hits(image)
            hit += hits
            hidden = hidden | hits
        image = np.where(hidden, 0.0, image)
        total += image
        squares += np.square(image, dtype=np.float64)
        count += ~hidden
    mean = total / np.maximum(count, 1)
    bad = none
    if look:
        variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
        # A margin without values is no defect.
        known = np.where(count > 0, mean, np.median(mean[count > 0]) if count.any() else 0.0)
        bad = find_bad_pixels(known) | find_stuck_pixels(mean, variance, len(frames))
        # Hit again and again, a pixel is hot.
        bad |= hit > 0.5 * len(frames)
    # A pixel that most frames show is seen; single frames say where they do not show it.
    shaded = find_shaded(mean, bad) if look else none
    bad = bad & ~shaded
    return Detector(bad, shaded, lit_level(np.where(shaded | bad, 0.0, mean)))
