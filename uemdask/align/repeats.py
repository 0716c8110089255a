"""The average of repeats: images of one delay from several scans.

Repeats that lie still are averaged as recorded, to the last bit. Those that have moved are brought
onto the first. Where three or more stand for a pixel they vote, and a value far from the others is
left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.align.bad_pixels import find_bad_pixels, repair_pixels
from uemdask.align.brightness import brightness
from uemdask.align.outlier_rejection import (
    RepeatNoise,
    measure_repeat_noise,
    median_of_known,
    outliers,
)
from uemdask.align.registration import FAILED, Drift, Registrar
from uemdask.align.shift import KERNEL_RADIUS, covered_range, sample_window
from uemdask.errors import UemError

SHIFT_TOLERANCE = 0.05
"""Shift in px below which a repeat is not resampled: what alignment leaves in good frames."""

_SHIFT_SURE = 4.0
"""Standard errors that a shift must be away from zero; else it is the noise that seems to move."""

_STARTS = 3
"""First repeats tried as target until one agrees with half of the others."""

_ROWS = 256
"""Rows that are held as floats at a time."""

_REGISTERED = 2048
"""Longest edge in px of the images that are registered; larger ones are averaged down, which keeps
their counts and so their precision."""

_AROUND = 32
"""Rows beyond its own that the search for bad pixels looks at."""

_COARSE = 256
"""Longest edge in px of the block means on which whole repeats are compared."""

_LEAST_BLOCK = 4
"""Smallest edge of a block in px: single pixels are mostly noise."""

_SAMPLE = 2**18
"""Pixels on which the noise is measured."""

_FAR_FACTOR = 4.0
_FAR_SHARE = 0.05
"""A repeat is far from the others where its blocks differ from the median of all by more than
this many times what theirs do and by more than this share of the brightness."""

_DIMMEST = 0.5
"""A repeat is also far from the others at less than this share of their brightness, or at more
than one over it."""


@dataclass(frozen=True, slots=True)
class Average:
    """The average of repeats, and what became of each.

    Attributes
    ----------
    image : ndarray of float32, shape (y, x)
        Counts.
    left_out : tuple of str
        Why a repeat is not in the average, one for each; empty where it is.
    shift : ndarray, shape (n, 2)
        (x, y) px by which each was moved; 0 where it was not.
    unregistered : int
        Repeats whose shift could not be found; they are taken where they lie.
    outliers : int
        Values of single pixels that were left out.
    """

    image: npt.NDArray[np.float32]
    left_out: tuple[str, ...]
    shift: npt.NDArray[np.float64]
    unregistered: int = 0
    outliers: int = 0


def average_repeats(
    repeats: Sequence[np.ndarray],
    *,
    dark: np.ndarray | None = None,
    register: bool = True,
    tolerance: float = SHIFT_TOLERANCE,
) -> Average:
    """Average repeats of one image, in the order given.

    Sums are taken in double precision, so that for counts the order does not matter. A repeat that
    moved by less than `tolerance`, or by less than four standard errors of its registration, stays
    as recorded. Others are resampled onto the first; bad pixels are then mended and the dark image
    taken off before, and put back after, as both stand still on the detector.

    From three repeats on, a repeat far from the others is left out as a whole, and single values
    more than 8 standard deviations of the noise from the median of their pixel are (see
    :mod:`uemdask.align.outlier_rejection`). Two cannot vote.

    Parameters
    ----------
    repeats : sequence of ndarray, shape (y, x)
        Counts, all of one dtype. Not changed. Pixels that are not finite are left out.
    dark : ndarray, shape (y, x), optional
        Dark image, counts.
    register : bool
        Look for shifts.
    tolerance : float
        px.

    Returns
    -------
    Average

    Raises
    ------
    UemError
        Where there is no repeat, or sizes differ.

    Examples
    --------
    >>> repeats = [np.full((32, 32), counts, np.uint16) for counts in (9, 10, 12)]
    >>> float(average_repeats(repeats).image[0, 0])
    10.333333015441895
    """
    if not repeats:
        raise UemError("repeats: none to average; give at least one image")
    shapes = {repeat.shape for repeat in repeats}
    if len(shapes) > 1 or len(repeats[0].shape) != 2:
        raise UemError(f"repeats: shapes {sorted(shapes)}; all must be images (y, x) of one size")
    count = len(repeats)
    if count == 1:
        return Average(repeats[0].astype(np.float32), ("",), np.zeros((1, 2)))
    drifts, bad = [_STILL] * count, None
    if register:
        bad = _bad_pixels(repeats)
        drifts = _register(repeats, dark, bad, tolerance)
    shift = np.array([(drift.x, drift.y) for drift in drifts])
    stack = _Stack(repeats, shift, dark, bad)
    coarse = stack.coarse()
    gain = _gains(coarse)
    left_out = _far_repeats(coarse, gain)
    used = [i for i, reason in enumerate(left_out) if not reason]
    image, lost = _average(stack, used, gain)
    return Average(
        image=image,
        left_out=tuple(left_out),
        shift=shift,
        unregistered=sum(drift.failed for drift in drifts),
        outliers=lost,
    )


_STILL = Drift(0.0, 0.0, 1.0, 0.0)


def _register(
    repeats: Sequence[np.ndarray],
    dark: np.ndarray | None,
    bad: npt.NDArray[np.bool_],
    tolerance: float,
) -> list[Drift]:
    """Return the shift of each repeat against the first that most others agree with."""
    block = -(-max(repeats[0].shape) // _REGISTERED)

    def load(i: int) -> np.ndarray:
        frame = repeats[i].astype(np.float32)
        if dark is not None:
            frame -= dark
        broken = bad | ~np.isfinite(frame)
        frame = frame if broken.all() else repair_pixels(frame, broken)
        height, width = (edge // block for edge in frame.shape)
        cropped = frame[: height * block, : width * block]
        return cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA)

    best: list[Drift] = []
    most = -1
    for start in range(min(_STARTS, len(repeats))):
        target = load(start)
        if not np.isfinite(target).all():
            continue
        registrar = Registrar(target)
        found = [_STILL if i == start else registrar.drift(load(i)) for i in range(len(repeats))]
        agreeing = sum(not drift.failed for drift in found)
        if agreeing > most:
            best, most = found, agreeing
        if agreeing > len(repeats) / 2:
            break
    drifts = []
    for drift in best or [FAILED] * len(repeats):
        x, y, error = block * drift.x, block * drift.y, block * drift.error
        moved = max(abs(x), abs(y)) > max(tolerance, _SHIFT_SURE * error)
        drifts.append(Drift(x if moved else 0.0, y if moved else 0.0, drift.quality, error))
    return drifts


def _bad_pixels(repeats: Sequence[np.ndarray]) -> npt.NDArray[np.bool_]:
    """Find hot and dead pixels in the mean of the repeats, some rows at a time."""
    height, width = repeats[0].shape
    bad = np.empty((height, width), bool)
    for start in range(0, height, 4 * _ROWS):
        stop = min(start + 4 * _ROWS, height)
        low, high = max(start - _AROUND, 0), min(stop + _AROUND, height)
        mean = np.zeros((high - low, width), np.float64)
        for repeat in repeats:
            part = repeat[low:high].astype(np.float64)
            mean += np.nan_to_num(part, posinf=0.0, neginf=0.0) / len(repeats)
        bad[start:stop] = find_bad_pixels(mean)[start - low : stop - low]
    return bad


class _Stack:
    """Repeats brought onto the first, some rows at a time."""

    def __init__(
        self,
        repeats: Sequence[np.ndarray],
        shift: np.ndarray,
        dark: np.ndarray | None,
        bad: npt.NDArray[np.bool_] | None,
    ) -> None:
        self.shape: tuple[int, int] = repeats[0].shape
        self.count = len(repeats)
        exact = np.result_type(repeats[0].dtype, np.float32) == np.float32
        #: Holds every recorded value without rounding.
        self.dtype = np.dtype(np.float32 if exact else np.float64)
        self._repeats, self._shift, self._dark = list(repeats), shift, dark
        if bad is not None and shift.any():
            # Moved along with the sample, bad pixels of the detector would be found nowhere.
            self._repeats = [_mended(repeat, bad) for repeat in repeats]

    def rows(self, i: int, start: int, stop: int) -> np.ndarray:
        """Return rows of a repeat where the first lies; NaN where it has no data."""
        repeat, (x, y) = self._repeats[i], self._shift[i]
        if not (x or y):
            rows = repeat[start:stop].astype(self.dtype)
            if repeat.dtype.kind == "f":
                rows[~np.isfinite(rows)] = np.nan
            return rows
        height, width = self.shape
        out = np.full((stop - start, width), np.nan, self.dtype)
        there = (
            covered_range(stop - start, y + start, 0, height - 1),
            covered_range(width, x, 0, width - 1),
        )
        if there[0].start == there[0].stop:
            return out
        # Enough around for the kernel; at the edge of the image it repeats the edge.
        first = max(0, start + int(np.floor(y)) - KERNEL_RADIUS)
        last = min(height, stop + int(np.ceil(y)) + KERNEL_RADIUS)
        source = repeat[first:last].astype(np.float32)
        if self._dark is not None:
            source -= self._dark[first:last]
        moved = sample_window(source, (x, y), (start - first, 0), (stop - start, width))
        if self._dark is not None:
            moved += self._dark[start:stop]
        out[there] = moved[there]
        return out

    def coarse(self) -> npt.NDArray[np.float32]:
        """Return block means of every repeat (n, y, x), NaN where one has no data."""
        block = max(_LEAST_BLOCK, -(-max(self.shape) // _COARSE))
        rows = max(block, _ROWS // block * block)
        height, width = (edge // block for edge in self.shape)
        if min(height, width) < 1:
            block, height, width = 1, *self.shape
        out = np.empty((self.count, height, width), np.float32)
        for i in range(self.count):
            for start in range(0, height * block, rows):
                stop = min(start + rows, height * block)
                part = self.rows(i, start, stop)[:, : width * block].astype(np.float32)
                size = (width, (stop - start) // block)
                out[i, start // block : stop // block] = cv2.resize(
                    part, size, interpolation=cv2.INTER_AREA
                )
        return out


def _mended(repeat: np.ndarray, bad: npt.NDArray[np.bool_]) -> np.ndarray:
    broken = bad if repeat.dtype.kind != "f" else bad | ~np.isfinite(repeat)
    return repeat if broken.all() else repair_pixels(repeat.copy(), broken)


def _gains(coarse: np.ndarray) -> npt.NDArray[np.float64]:
    """Return the brightness of each repeat; their median is one."""
    middle = median_of_known(coarse)
    known = np.isfinite(middle)
    middle = np.where(known, middle, 0).astype(np.float32)
    gains = np.empty(len(coarse))
    for i, image in enumerate(coarse):
        covered = np.isfinite(image) & known
        gains[i] = brightness(np.where(covered, image, 0).astype(np.float32), middle, covered)
    return gains / np.median(gains)


def _far_repeats(coarse: np.ndarray, gain: np.ndarray) -> list[str]:
    """Say of each repeat why it is left out as a whole, or nothing."""
    reasons = [""] * len(coarse)
    if len(coarse) < 3:
        return reasons
    for i, factor in enumerate(gain):
        if not _DIMMEST <= factor <= 1 / _DIMMEST:
            reasons[i] = f"{factor:.2g} times as bright as the other repeats"
    level = coarse / gain[:, None, None].astype(np.float32)
    while True:
        used = [i for i, reason in enumerate(reasons) if not reason]
        if len(used) < 3:
            return reasons
        middle = median_of_known(level[used])
        scale = float(np.nanmean(np.abs(middle)))
        far = np.array([float(np.nanmean(np.abs(level[i] - middle))) for i in used])
        worst = int(np.argmax(far))
        others = float(np.median(np.delete(far, worst)))
        if scale == 0 or not far[worst] > max(_FAR_FACTOR * others, _FAR_SHARE * scale):
            return reasons
        reasons[used[worst]] = (
            f"differs from the other repeats by {far[worst] / scale:.0%} of their brightness"
        )


def _average(
    stack: _Stack, used: Sequence[int], gain: np.ndarray
) -> tuple[npt.NDArray[np.float32], int]:
    image = np.empty(stack.shape, np.float32)
    level = gain[used]
    noise: RepeatNoise | None = None
    if len(used) >= 3:
        noise = measure_repeat_noise(_sample(stack, used, level))
    lost = 0
    for start in range(0, stack.shape[0], _ROWS):
        stop = min(start + _ROWS, stack.shape[0])
        values = np.stack([stack.rows(i, start, stop) for i in used])
        out = ~np.isfinite(values)
        if noise is not None:
            wrong = outliers(values / level[:, None, None].astype(values.dtype), noise)
            lost += int(np.count_nonzero(wrong))
            out |= wrong
        total = np.zeros(values.shape[1:], np.float64)
        if not out.any():
            for part in values:
                total += part
            image[start:stop] = total / len(used)
            continue
        # Of what is left, as bright as if all were there.
        weight = np.zeros_like(total)
        for part, gone, factor in zip(values, out, level, strict=True):
            total += np.where(gone, 0.0, part)
            weight += np.where(gone, 0.0, factor)
        whole = ~out.any(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            image[start:stop] = np.where(
                whole, total / len(used), total / weight * float(level.mean())
            )
    return image, lost


def _sample(stack: _Stack, used: Sequence[int], level: np.ndarray) -> np.ndarray:
    """Return rows spread over the image, of all repeats at equal brightness."""
    height, width = stack.shape
    rows = min(height, 8)
    bands = max(1, min(height, _SAMPLE // width) // rows)
    starts = np.unique(np.linspace(0, height - rows, bands).astype(int)).tolist()
    parts = [np.stack([stack.rows(i, a, a + rows) for i in used]) for a in starts]
    return np.concatenate(parts, axis=1) / level[:, None, None]
