"""The reference image: the mean of the frames before time zero, aligned on each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from uemdask.align.brightness import brightness
from uemdask.align.shift import sample_nearest, sample_shifted
from uemdask.errors import UemError


def average_frames(
    load: Callable[[int], tuple[np.ndarray, npt.NDArray[np.bool_]]], drift: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Average frames of known drift at equal brightness.

    Frames are asked for one at a time and not kept.

    Parameters
    ----------
    load : callable
        ``load(i)`` returns frame `i`, (y, x), counts, bad pixels repaired, and the pixels that it
        does not show, which are filled and count only where no frame shows them.
    drift : ndarray, shape (n, 2)
        (x, y) of each frame, px.

    Returns
    -------
    ndarray of float32, shape (y, x)
        Counts; the brightness is the mean of the frames'. A pixel that no frame shows has the mean
        of what fills it, or of the nearest edge pixels.

    Raises
    ------
    UemError
        Where there is no frame, or sizes differ.

    Examples
    --------
    >>> frames = [np.full((32, 32), 6.0), np.full((32, 32), 8.0)]
    >>> hidden = np.zeros((32, 32), bool)
    >>> float(average_frames(lambda i: (frames[i], hidden), np.zeros((2, 2)))[0, 0])
    7.0
    """
    count = len(drift)
    if count < 1:
        raise UemError("reference: no frames to build it from; name at least one usable frame")
    plain = _Mean()
    for i in range(count):
        plain.add(*load(i), drift[i], 1.0)
    if count == 1:
        return plain.image
    # Where frames cover different parts, differences of brightness would leave steps.
    rough = plain.image
    gain = np.empty(count)
    for i in range(count):
        frame, hidden = load(i)
        moved, covered = sample_shifted(frame, drift[i])
        covered &= ~sample_nearest(hidden, drift[i], (0, 0), hidden.shape)
        gain[i] = brightness(moved, rough, covered)
    gain /= gain.mean()
    mean = _Mean()
    for i in range(count):
        mean.add(*load(i), drift[i], float(gain[i]))
    return mean.image


class _Mean:
    """Running mean of aligned frames that knows which pixels each one covered."""

    def __init__(self) -> None:
        self._sum: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._weight = self._spare = self._sum
        self._count = 0

    def add(
        self,
        frame: np.ndarray,
        hidden: npt.NDArray[np.bool_],
        drift: np.ndarray,
        gain: float,
    ) -> None:
        if self._count == 0:
            self._sum = np.zeros(frame.shape, np.float32)
            self._weight, self._spare = np.zeros_like(self._sum), np.zeros_like(self._sum)
        elif frame.shape != self._sum.shape:
            raise UemError(
                f"frames: shapes {frame.shape} and {self._sum.shape} differ; "
                "all frames of a run must have one size"
            )
        moved, covered = sample_shifted(frame, drift)
        covered &= ~sample_nearest(hidden, drift, (0, 0), hidden.shape)
        moved /= np.float32(gain)
        self._spare += moved
        self._count += 1
        moved *= covered
        self._sum += moved
        self._weight += covered

    @property
    def image(self) -> npt.NDArray[np.float32]:
        """Mean over the frames that show a pixel; of what they are filled with where none does."""
        spare = self._spare / np.float32(max(self._count, 1))
        return np.where(self._weight > 0, self._sum / np.maximum(self._weight, 1), spare)
