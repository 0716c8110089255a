"""Frames one by one, as recorded."""

from __future__ import annotations

import numpy as np

from uemdask.align import DARK, Repair, fill_hidden, find_hits, hidden_now, repair_pixels
from uemdask.cube import Run
from uemdask.cube.layout import FRAMES


class RecordedFrames:
    """Frames as recorded, less the dark image, their defects repaired.

    A chunk holds several frames, and decoding it for each of them would cost more than most of what
    is done with a frame. So the slab of the last frame is kept, as stored.

    Parameters
    ----------
    run : Run
        With `intensity`.
    bad : ndarray of bool, shape (y, x), optional
        Bad pixels, replaced by their neighbours. X-ray hits are where they are given.
    shaded : ndarray of bool, shape (y, x), optional
        Areas that no beam reaches, filled with the smooth brightness around where they are dark.

    Examples
    --------
    >>> from uemdask.cube import Run
    >>> run = Run("run.zarr")
    >>> frames = RecordedFrames(run, run.read("bad_pixel"))
    >>> frames(3).dtype
    dtype('float32')
    """

    def __init__(
        self, run: Run, bad: np.ndarray | None = None, shaded: np.ndarray | None = None
    ) -> None:
        self._intensity, self._dark = run.group["intensity"], run.dark
        nothing = np.zeros(self._intensity.shape[1:], bool)
        self._bad = nothing if bad is None or bad.all() else bad
        self._repair = Repair(self._bad) if bad is not None else None
        self._shaded = nothing if shaded is None else shaded
        # The level is known as soon as shaded areas are.
        self._dark_below = 0.0
        if self._shaded.any():
            self._dark_below = DARK * float(run.results("align").lit_level)
        self._slab, self._counts = -1, np.empty(0)

    def __call__(self, frame: int) -> np.ndarray:
        """Return a frame, (y, x) float32 counts."""
        return self.with_hidden(frame)[0]

    def with_hidden(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a frame and the pixels that it does not show, (y, x) bool.

        These are shaded, without a value, bad or hit. Where all are, the frame is as recorded.
        """
        slab, place = divmod(int(frame), FRAMES)
        if slab != self._slab:
            start = slab * FRAMES
            self._counts = np.empty(0)  # never two slabs at once
            self._counts = np.asarray(self._intensity[start : start + FRAMES])
            self._slab = slab
        image = self._counts[place].astype(np.float32)
        if self._dark is not None:
            image -= self._dark
        hidden = hidden_now(image, self._shaded, self._dark_below) | ~np.isfinite(image)
        if hidden.all():
            return image, hidden
        fill_hidden(image, hidden)
        if self._repair is not None:
            self._repair(image)
            hits = find_hits(image)
            if hits.any():
                repair_pixels(image, hits)
            hidden = hidden | self._bad | hits
        return image, hidden
