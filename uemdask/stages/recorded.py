"""Frames one by one, as recorded."""

from __future__ import annotations

import numpy as np

from uemdask.align import repair_pixels
from uemdask.cube import Run
from uemdask.cube.layout import FRAMES


class RecordedFrames:
    """Frames as recorded, less the dark image, their bad pixels repaired.

    A chunk holds several frames, and decoding it for each of them would cost more than most of what
    is done with a frame. So the slab of the last frame is kept, as stored.

    Parameters
    ----------
    run : Run
        With `intensity`.
    bad : ndarray of bool, shape (y, x)
        Bad pixels.

    Examples
    --------
    >>> from uemdask.cube import Run
    >>> run = Run("run.zarr")
    >>> frames = RecordedFrames(run, run.read("bad_pixel"))
    >>> frames(3).dtype
    dtype('float32')
    """

    def __init__(self, run: Run, bad: np.ndarray) -> None:
        self._intensity, self._dark, self._bad = run.group["intensity"], run.dark, bad
        self._slab, self._counts = -1, np.empty(0)

    def __call__(self, frame: int) -> np.ndarray:
        """Return a frame, (y, x) float32 counts."""
        slab, place = divmod(int(frame), FRAMES)
        if slab != self._slab:
            start = slab * FRAMES
            self._counts = np.empty(0)  # never two slabs at once
            self._counts = np.asarray(self._intensity[start : start + FRAMES])
            self._slab = slab
        image = self._counts[place].astype(np.float32)
        if self._dark is not None:
            image -= self._dark
        broken = self._bad | ~np.isfinite(image)
        return image if broken.all() else repair_pixels(image, broken)
