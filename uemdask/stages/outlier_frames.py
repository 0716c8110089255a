"""Frames unlike those around them: the beam was off, the shutter closed, the sample charged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Frames on either side that a frame is compared with.
_AROUND = 8
#: A frame is unlike the others below one over this, and above this, times their median. Wave,
#: contours and beam change brightness and contrast by some ten percent.
_FACTOR = 3.0


def flag_outliers(
    flags: Sequence[str], level: Sequence[float], contrast: Sequence[float]
) -> list[str]:
    """Return the flags of all frames, those of frames unlike their neighbours filled in.

    Parameters
    ----------
    flags : sequence of str
        Why a frame cannot be used; empty where nothing is known against it.
    level, contrast : sequence of float
        Mean and standard deviation of each frame over blocks, counts, less the dark image.

    Examples
    --------
    >>> flag_outliers([""] * 5, [100, 101, 9, 99, 100], [7.0] * 5)[2]
    'outlier: 0.09 times as bright as the frames around it'
    """
    out = list(flags)
    usable = np.array([not flag for flag in flags])
    if usable.sum() < 3:
        return out
    for values, text in (
        (np.asarray(level, float), "{:.2g} times as bright as the frames around it"),
        (np.asarray(contrast, float), "{:.2g} times the contrast of the frames around it"),
    ):
        for frame in np.flatnonzero(usable).tolist():
            low, high = max(frame - _AROUND, 0), frame + _AROUND + 1
            near = usable[low:high].copy()
            near[frame - low] = False
            middle = float(np.median(values[low:high][near])) if near.any() else 0.0
            if middle <= 0 or out[frame]:
                continue
            factor = float(values[frame]) / middle
            if not 1 / _FACTOR <= factor <= _FACTOR:
                out[frame] = f"outlier: {text.format(factor)}"
    return out
