"""The frames of a run one by one, as recorded."""

from __future__ import annotations

import numpy as np

from uemdask.align.raw_frames import RawFrames
from uemdask.cube import Run
from uemdask.cube.layout import FRAMES


def recorded_frames(
    run: Run, bad: np.ndarray | None = None, shaded: np.ndarray | None = None
) -> RawFrames:
    """Return the frames of a run, less the dark image, their defects repaired.

    Examples
    --------
    >>> from uemdask.cube import Run
    >>> run = Run("run.zarr")
    >>> frames = recorded_frames(run, run.read("bad_pixel"))
    >>> frames(3).dtype
    dtype('float32')
    """
    shaded_anywhere = shaded is not None and bool(shaded.any())
    level = float(run.results("align").lit_level) if shaded_anywhere else 0.0
    load = _Slabs(run)
    return RawFrames(load, load.shape, bad, shaded, level)


class _Slabs:
    """Loads frames, and keeps the slab of the last one as stored.

    A chunk holds several frames: to decode it for each would cost more than what is done with one.
    """

    def __init__(self, run: Run) -> None:
        self._intensity, self._dark = run.group["intensity"], run.dark
        self.shape: tuple[int, int] = self._intensity.shape[1:]
        self._slab, self._counts = -1, np.empty(0)

    def __call__(self, frame: int) -> np.ndarray:
        slab, place = divmod(frame, FRAMES)
        if slab != self._slab:
            start = slab * FRAMES
            self._counts = np.empty(0)  # never two slabs at once
            self._counts = np.asarray(self._intensity[start : start + FRAMES])
            self._slab = slab
        image = self._counts[place].astype(np.float32)
        if self._dark is not None:
            image -= self._dark
        return image
