"""Frames one by one, as recorded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from uemdask.align.bad_pixels import PixelRepair, find_hits, repair_pixels
from uemdask.align.illumination import DARK, fill_hidden, hidden_now


class RawFrames:
    """Frames as recorded, less the dark image, their defects repaired.

    Parameters
    ----------
    load : callable
        ``load(i)`` returns frame `i`, (y, x) float32 counts less the dark image; a new array.
    shape : (int, int)
        Of a frame.
    bad : ndarray of bool, shape (y, x), optional
        Bad pixels, replaced by their neighbours. X-ray hits are where they are given.
    shaded : ndarray of bool, shape (y, x), optional
        Areas that no beam reaches, filled with the smooth brightness around where they are dark.
    level : float
        Of the lit pixels, counts; known as soon as shaded areas are.

    Examples
    --------
    >>> frames = RawFrames(lambda i: np.full((4, 4), i, np.float32), (4, 4))
    >>> float(frames(3)[0, 0])
    3.0
    """

    def __init__(
        self,
        load: Callable[[int], npt.NDArray[np.float32]],
        shape: tuple[int, int],
        bad: np.ndarray | None = None,
        shaded: np.ndarray | None = None,
        level: float = 0.0,
    ) -> None:
        self._load = load
        nothing = np.zeros(shape, bool)
        self._bad = nothing if bad is None or bad.all() else bad
        self._repair = PixelRepair(self._bad) if bad is not None else None
        self._shaded = nothing if shaded is None else shaded
        self._dark_below = DARK * level if self._shaded.any() else 0.0

    def __call__(self, frame: int) -> np.ndarray:
        """Return a frame, (y, x) float32 counts."""
        return self.with_hidden(frame)[0]

    def with_hidden(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a frame and the pixels that it does not show, (y, x) bool.

        These are shaded, without a value, bad or hit. Where all are, the frame is as recorded.
        """
        image = self._load(int(frame))
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
