"""Time zero from the data: when the sample begins to change.

The change is the energy of the difference to the earliest frames. Noise adds to an energy; so the
pixels of small squares are split like the fields of a chess board, and the two halves, whose noise
is independent, are multiplied: noise then averages out, whatever the brightness of the frame. The
template is moved onto the frame and not the frame onto it, as interpolation would mix the halves.

The first change to be seen is at time zero or after it: an upper bound. Bend contours move from the
moment the lattice warms; a wave may come a hundred picoseconds later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.align.shift import (
    KERNEL_RADIUS,
    covered_range,
    sample_nearest,
    sample_shifted,
    sample_window,
)

EARLY = 4
"""Earliest frames, with which all others are compared."""

_SQUARE = 4
"""Edge of a square, px: below a fringe of a bend contour."""

_LARGEST = 1024
"""Longest edge of the part of the frame that is compared, px."""

_SIGNIFICANT = 4.0
"""Standard deviations from which a change is one, in two frames of three in a row."""

_RISE = 6
"""Frames from the first significant one on that tell how fast the change rises."""

_OPEN = 0.15
"""Share of the change by which its rise may differ from the model."""

_MODEL = 0.25
"""Uncertainty of the extrapolation from the first significant change back to the onset."""


class EarlyFrames:
    """The earliest frames of a series, to compare others with.

    Parameters
    ----------
    load : callable
        ``load(i)`` returns frame `i`, (y, x), counts, bad pixels repaired.
    frames : sequence of int
        The earliest usable frames, :data:`EARLY` of them.
    drift : ndarray, shape (n, 2)
        (x, y) px of these frames.
    """

    def __init__(
        self,
        load: Callable[[int], np.ndarray],
        frames: Sequence[int],
        drift: npt.NDArray[np.float64],
    ) -> None:
        self._moved: list[npt.NDArray[np.float32]] = []
        self._covered = np.ones(0, bool)
        for number, frame in enumerate(frames):
            moved, covered = sample_shifted(load(frame), drift[number])
            part = _middle(moved.shape)
            level = float(moved[part].mean())
            self._moved.append(moved[part] / np.float32(level if level > 0 else 1.0))
            self._covered = covered[part] & self._covered if number else covered[part]
        self._sum = np.sum(self._moved, axis=0)
        # What is moved by a part of a pixel takes from pixels around.
        square = np.ones((2 * KERNEL_RADIUS + 1,) * 2, np.uint8)
        self._known = cv2.erode(self._covered.astype(np.uint8), square) > 0
        self._frames = list(frames)

    def change(
        self, number: int, image: npt.NDArray[np.float32], drift: npt.NDArray[np.float64]
    ) -> tuple[float, float]:
        """Energy of the change of a frame, relative to the brightness, and its standard error.

        Parameters
        ----------
        number : int
            Of the frame.
        image : ndarray of float32, shape (y, x)
            The frame as recorded, bad pixels repaired; counts.
        drift : ndarray, shape (2,)
            (x, y) px.

        Returns
        -------
        change, error : float
            NaN where nothing can be compared.
        """
        # Every frame leaves one early frame out, an early one itself: all are treated alike.
        left_out = (
            self._frames.index(number) if number in self._frames else number % len(self._frames)
        )
        template = self._sum - self._moved[left_out]
        frame = image[_middle(image.shape)]
        back = -np.asarray(drift)
        there = sample_window(template, back, (0, 0), template.shape)
        known = sample_nearest(self._known, back, (0, 0), template.shape)
        rows, columns = (
            covered_range(size, by, 0, size - 1)
            for size, by in zip(template.shape, back[::-1], strict=True)
        )
        inside = np.zeros_like(known)
        inside[rows, columns] = known[rows, columns]
        squares = _means(inside.astype(np.float32)) > 0.99
        before, after = _halves(there), _halves(frame)
        use = squares & (np.minimum(*before) > 0.1 * float(np.mean(before)))
        if use.sum() < 32:
            return float("nan"), float("nan")
        halves = []
        for one, other in zip(after, before, strict=True):
            ratio = one[use] / other[use]
            # Neither the brightness nor a slope of it is a change.
            halves.append(ratio / ratio.mean() - 1.0)
        product = halves[0] * halves[1]
        return float(product.mean()), float(product.std() / np.sqrt(product.size))


@dataclass(frozen=True, slots=True)
class Onset:
    """When the sample begins to change.

    Attributes
    ----------
    time : float or None
        ps; None where that cannot be told.
    error : float or None
        Standard error, ps.
    reason : str
        Why it cannot be told, or empty.
    """

    time: float | None
    error: float | None
    reason: str


def first_change(
    delays: npt.NDArray[np.float64],
    change: npt.NDArray[np.float64],
    error: npt.NDArray[np.float64],
) -> Onset:
    """Find the onset of change in a series.

    The change is zero up to the onset, and its amplitude rises in proportion to the time from
    there. All onsets up to the first significant change are weighed by how well they fit.

    Parameters
    ----------
    delays : ndarray, shape (time,)
        ps, rising.
    change, error : ndarray, shape (time,)
        By :meth:`EarlyFrames.change`; the first :data:`EARLY` frames are the early ones.

    Returns
    -------
    Onset

    Examples
    --------
    >>> t = np.arange(-30.0, 60.0, 5.0)
    >>> energy = np.where(t > 0, 1e-8 * t**2, 0.0)
    >>> round(first_change(t, energy, np.full(t.size, 1e-7)).time)
    0
    """
    known = np.isfinite(change) & np.isfinite(error) & (error > 0)
    known[:EARLY] &= True
    if known.sum() < EARLY + 4 or not known[:EARLY].all():
        return Onset(None, None, "too few frames can be compared")
    t, c, s = delays[known], change[known], error[known]
    base = float(c[:EARLY].mean())
    # Errors of the drift add to the noise within a frame: the early frames show how much.
    spread = float(np.std(c[:EARLY], ddof=1))
    floor = max(float(s[:EARLY].mean()), spread)
    total = np.sqrt(s**2 + floor**2 / EARLY + max(spread**2 - s[:EARLY].mean() ** 2, 0.0))
    high = (c - base) > _SIGNIFICANT * total
    lasting = [i for i in range(len(t)) if high[i] and high[i : i + 3].sum() >= 2]
    if not lasting:
        return Onset(None, None, "nothing changes in the series")
    first = lasting[0]
    if first < EARLY:
        return Onset(None, None, "the first frames differ already; record some before time zero")
    stop = min(first + _RISE, len(t))
    step = float(np.median(np.diff(t)))
    onsets = np.arange(t[0], t[first], 0.05 * step)
    misfit = np.empty(onsets.size)
    for number, onset in enumerate(onsets):
        rise = np.square(np.maximum(t[:stop] - onset, 0.0)) / (t[stop - 1] - onset) ** 2
        misfit[number] = _misfit(c[:stop], total[:stop], rise)
    likely = np.exp(-0.5 * (misfit - misfit.min()))
    likely /= likely.sum()
    time = float((likely * onsets).sum())
    variance_of_time = float((likely * np.square(onsets - time)).sum())
    # The rise need not be that of the model: its onset is uncertain by a share of what was added.
    variance_of_time += step**2 / 12.0 + (_MODEL * (t[first] - time)) ** 2
    return Onset(time, float(np.sqrt(variance_of_time)), "")


def _misfit(
    change: npt.NDArray[np.float64], error: npt.NDArray[np.float64], rise: npt.NDArray[np.float64]
) -> float:
    """Minus twice the logarithm of the likelihood of an onset, up to a constant."""
    model = np.stack([np.ones_like(rise), rise], axis=1)
    variance = np.square(error)
    for _ in range(3):
        scaled = model / np.sqrt(variance)[:, None]
        normal = scaled.T @ scaled
        base, size = np.linalg.lstsq(scaled, change / np.sqrt(variance), rcond=None)[0]
        # The rise is not exactly that of the model.
        variance = np.square(error) + np.square(_OPEN * max(size, 0.0) * rise)
    if size <= 0:
        return np.inf
    rest = change - base - size * rise
    # Base and size are integrated out.
    return float((rest**2 / variance + np.log(variance)).sum() + np.linalg.slogdet(normal)[1])


def _middle(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the middle of a frame, at most :data:`_LARGEST` px on a side, whole squares."""
    sides = []
    for size in shape:
        kept = min(size, _LARGEST) // _SQUARE * _SQUARE
        begin = (size - kept) // 2
        sides.append(slice(begin, begin + kept))
    return sides[0], sides[1]


def _means(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the mean over every square."""
    size = image.shape[1] // _SQUARE, image.shape[0] // _SQUARE
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _halves(image: npt.NDArray[np.float32]) -> tuple[np.ndarray, np.ndarray]:
    """Return the means over the dark and over the light fields of every square."""
    mean, difference = _means(image), _means(image * _chess_board(image.shape))
    return mean + difference, mean - difference


@lru_cache(maxsize=1)
def _chess_board(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return 1 for dark fields and -1 for light ones."""
    rows, columns = (np.arange(size) for size in shape)
    return (2.0 * (np.add.outer(rows, columns) % 2) - 1.0).astype(np.float32)
