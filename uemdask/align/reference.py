"""The reference image: the mean of the frames before time zero, aligned on each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from uemdask.align.brightness import brightness
from uemdask.align.pixels import repair_pixels
from uemdask.align.registration import FAILED, Drift, Registrar
from uemdask.align.shift import sample_shifted
from uemdask.errors import UemError

_LEAVE_OUT = 20
"""Up to this many frames each is registered against the mean of the others: its own noise in the
mean would pull it to where it already is. Beyond, that share of noise is negligible."""

_STARTS = 3
"""First frames tried until one agrees with half of the others."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference image and where the frames that made it lie on it.

    Attributes
    ----------
    image : ndarray of float32, shape (y, x)
        Mean of the aligned frames, counts.
    drift : ndarray, shape (n, 2)
        (x, y) of each frame, px; their mean is zero, which is what defines zero drift.
    gain : ndarray, shape (n,)
        Brightness of each frame; their mean is one.
    quality : ndarray, shape (n,)
        Quality of each registration, 0 to 1; frames with 0 are not in the mean unless all are 0.
    """

    image: npt.NDArray[np.float32]
    drift: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float64]
    quality: npt.NDArray[np.float64]


def build_reference(
    frames: Sequence[np.ndarray] | np.ndarray | Callable[[int], np.ndarray],
    count: int | None = None,
    *,
    bad: npt.NDArray[np.bool_] | None = None,
    rounds: int = 2,
    **registration: Any,
) -> Reference:
    """Average frames after aligning them on each other.

    All are registered on the first, then `rounds` times on the mean. Where nothing can be
    registered the plain mean is returned, with quality 0. Frames are asked for one at a time and
    not kept.

    Parameters
    ----------
    frames : sequence of ndarray (y, x), or callable
        The frames before time zero, or ``load(i)`` that returns frame ``i``; counts.
    count : int, optional
        How many there are; needed with a callable.
    bad : ndarray of bool, shape (y, x), optional
        Pixels to repair first.
    rounds : int
        Two are enough: the second moves frames by less than their error.
    **registration
        Options of :class:`Registrar`.

    Returns
    -------
    Reference

    Raises
    ------
    UemError
        Where there is no frame, or sizes differ.

    Examples
    --------
    >>> flat = np.full((32, 32), 7.0)
    >>> float(build_reference([flat]).image[0, 0])
    7.0
    """
    if callable(frames):
        source: Callable[[int], np.ndarray] = frames
        number = count or 0
    else:
        source = frames.__getitem__
        number = len(frames) if count is None else count
    if number < 1:
        raise UemError("reference: no frames to build it from; name at least one usable frame")

    def load(i: int) -> npt.NDArray[np.float32]:
        frame = np.array(source(i), dtype=np.float32)
        if frame.ndim != 2:
            raise UemError(f"frame {i}: expected two dimensions (y, x), found shape {frame.shape}")
        broken = ~np.isfinite(frame)
        if bad is not None:
            broken |= bad
        return frame if broken.all() else repair_pixels(frame, broken)

    if number == 1:
        return Reference(load(0), np.zeros((1, 2)), np.ones(1), np.ones(1))

    found = _on_first(load, number, registration)
    good = np.array([not drift.failed for drift in found])
    if good.sum() < 2:
        found, good = [FAILED] * number, np.ones(number, bool)
        rounds = 0
    gain = np.ones(number)
    mean, drift, gain = _average(load, found, good, gain, None)
    for _ in range(rounds):
        registrar = (
            None
            if good.sum() in range(3, _LEAVE_OUT + 1)
            else Registrar(mean.image, **registration)
        )
        for i in range(number):
            frame = load(i)
            own = registrar or Registrar(
                mean.without(frame, drift[i], gain[i]) if good[i] else mean.image, **registration
            )
            found[i] = own.drift(frame)
        good = np.array([not each.failed for each in found])
        if not good.any():
            break
        mean, drift, gain = _average(load, found, good, gain, mean.image)
    return Reference(mean.image, drift, gain, np.array([each.quality for each in found]))


class _Mean:
    """Running mean of aligned frames that knows which pixels each one covered."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._sum = np.zeros(shape, np.float32)
        self._weight = np.zeros(shape, np.float32)
        self._spare = np.zeros(shape, np.float32)
        self._count = 0

    def add(self, frame: np.ndarray, drift: np.ndarray, gain: float) -> None:
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

    def without(self, frame: np.ndarray, drift: np.ndarray, gain: float) -> npt.NDArray[np.float32]:
        """Mean of all frames but one."""
        moved, covered = sample_shifted(frame, drift)
        moved /= np.float32(gain)
        rest = self._weight - covered
        alone = (self._sum - moved * covered) / np.maximum(rest, 1)
        return np.where(rest > 0.5, alone, self.image)


def _on_first(
    load: Callable[[int], np.ndarray], number: int, registration: dict[str, Any]
) -> list[Drift]:
    """Drift of every frame on the first one that most others agree with."""
    best: list[Drift] = []
    most = -1
    for start in range(min(_STARTS, number)):
        registrar = Registrar(load(start), **registration)
        found = []
        for i in range(number):
            itself = Drift(0.0, 0.0, 1.0, 0.0)
            found.append(itself if i == start else registrar.drift(load(i)))
        agreeing = sum(not drift.failed for drift in found)
        if agreeing > most:
            best, most = found, agreeing
        if agreeing > number / 2:
            break
    return best


def _average(
    load: Callable[[int], np.ndarray],
    found: list[Drift],
    good: np.ndarray,
    gain: np.ndarray,
    target: np.ndarray | None,
) -> tuple[_Mean, np.ndarray, np.ndarray]:
    """Mean of the good frames at equal brightness; drift and gain of all, centred."""
    drift = np.array([(each.x, each.y) for each in found])
    drift[good] -= drift[good].mean(axis=0)
    gain = gain.copy()
    first = load(int(np.argmax(good)))
    target = first if target is None else target
    for i in range(len(found)):
        moved, covered = sample_shifted(load(i), drift[i])
        gain[i] = brightness(moved, target, covered)
    gain /= gain[good].mean()
    mean = _Mean(first.shape)
    for i in range(len(found)):
        if good[i]:
            mean.add(load(i), drift[i], float(gain[i]))
    return mean, drift, gain
