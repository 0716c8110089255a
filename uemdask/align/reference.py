"""The reference image: the mean of the frames before time zero, aligned on each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from uemdask.align.brightness import brightness
from uemdask.align.shift import sample_shifted
from uemdask.errors import UemError


def average_frames(
    load: Callable[[int], np.ndarray], drift: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Average frames of known drift at equal brightness.

    Frames are asked for one at a time and not kept.

    Parameters
    ----------
    load : callable
        ``load(i)`` returns frame `i`, (y, x), counts, bad pixels repaired.
    drift : ndarray, shape (n, 2)
        (x, y) of each frame, px.

    Returns
    -------
    ndarray of float32, shape (y, x)
        Counts; the brightness is the mean of the frames'. A pixel that no frame covers has the
        mean of the nearest edge pixels.

    Raises
    ------
    UemError
        Where there is no frame, or sizes differ.

    Examples
    --------
    >>> frames = [np.full((32, 32), 6.0), np.full((32, 32), 8.0)]
    >>> float(average_frames(frames.__getitem__, np.zeros((2, 2)))[0, 0])
    7.0
    """
    count = len(drift)
    if count < 1:
        raise UemError("reference: no frames to build it from; name at least one usable frame")
    plain = _Mean()
    for i in range(count):
        plain.add(load(i), drift[i], 1.0)
    if count == 1:
        return plain.image
    # Where frames cover different parts, differences of brightness would leave steps.
    rough = plain.image
    gain = np.empty(count)
    for i in range(count):
        moved, covered = sample_shifted(load(i), drift[i])
        gain[i] = brightness(moved, rough, covered)
    gain /= gain.mean()
    mean = _Mean()
    for i in range(count):
        mean.add(load(i), drift[i], float(gain[i]))
    return mean.image


class _Mean:
    """Running mean of aligned frames that knows which pixels each one covered."""

    def __init__(self) -> None:
        self._sum: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._weight = self._spare = self._sum
        self._count = 0

    def add(self, frame: np.ndarray, drift: np.ndarray, gain: float) -> None:
        if self._count == 0:
            self._sum = np.zeros(frame.shape, np.float32)
            self._weight, self._spare = np.zeros_like(self._sum), np.zeros_like(self._sum)
        elif frame.shape != self._sum.shape:
            raise UemError(
                f"frames: shapes {frame.shape} and {self._sum.shape} differ; "
                "all frames of a run must have one size"
            )
        moved, covered = sample_shifted(frame, drift)
        moved /= np.float32(gain)
        self._spare += moved
        self._count += 1
        moved *= covered
        self._sum += moved
        self._weight += covered

    @property
    def image(self) -> npt.NDArray[np.float32]:
        """Mean over the frames that cover a pixel; of the nearest edge pixels where none does."""
        spare = self._spare / np.float32(max(self._count, 1))
        return np.where(self._weight > 0, self._sum / np.maximum(self._weight, 1), spare)
