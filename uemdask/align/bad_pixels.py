"""Hot and dead detector pixels, lines and X-ray hits: finding and repairing them.

Defects stay where they are while the sample drifts, so they pull the registration to zero and leave
streaks in the aligned series.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from uemdask.errors import UemError

_MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

_LINE = 31
"""Shortest piece of a column or row, px, that is a defect: no fringe is so straight and thin."""

_LINE_SHARE = 0.85
"""Share of such a piece that must stand out."""

_COLUMN_SHARE = 0.5
"""Share of a column with a piece, or of what lies between two, that must stand out weakly for all
of it to be a defect."""

_STUCK = 0.02
"""Share of the variance of counting below which a pixel does not count."""

_STUCK_COUNTS = 50.0
"""Electrons over all frames from which a variance of nothing is no chance."""

_STUCK_FRAMES = 12
"""Frames from which it is none either; below, only what is next to nothing is dead."""

_AROUND = 7
"""Edge, px, of the surroundings of a dark pixel."""

_DEAD = 0.1
"""Share of the variance of the surroundings below which a dark pixel does not count; some is the
noise of reading."""

_DEAD_COUNTS = 0.5
"""Share of the counts of the surroundings below which a pixel is dark: where nothing is counted an
offset is left."""

_HIT = 0.2
"""Smallest X-ray hit that matters, as a share of the local brightness."""

_NEAR = 2
"""Radius, px, up to which a bad pixel is the mean of its neighbours; then it is the nearest."""


def find_bad_pixels(
    mean_frame: np.ndarray, *, threshold: float = 8.0, floor: float = 0.03
) -> npt.NDArray[np.bool_]:
    """Find pixels that stand alone against their neighbours in the mean of several frames.

    A pixel is bad where two things hold. It differs from the median of its 5 x 5 neighbourhood by
    more than `threshold` standard deviations; the deviation is the largest of that of the
    neighbourhood, its average over 31 x 31 px, and that of counting noise, whose scale is taken
    from the frame itself. And it lies outside the range of values on the ring two pixels away,
    which a bend contour or an edge, however steep, crosses. Clusters up to 2 x 2 are found.
    Columns and rows up to two pixels wide, also parts of them and at the edge, are found by what
    lies on both sides of them.

    Parameters
    ----------
    mean_frame : ndarray, shape (y, x)
        Mean of several raw (not aligned) frames, so that the sample is blurred by its drift and
        the detector is not; counts.
    threshold : float
        In standard deviations. At 8 a 4096 x 4096 frame of counting noise has no false find.
    floor : float
        Smallest deviation that matters, as a share of the local brightness. Fixed-pattern
        differences of sensitivity below it are not faults.

    Returns
    -------
    ndarray of bool, shape (y, x)
        True for a bad pixel; pixels that are not finite are bad.

    Raises
    ------
    UemError
        For an array that is not two-dimensional.

    Examples
    --------
    >>> frame = np.random.default_rng(0).poisson(100, (64, 64)).astype(float)
    >>> frame[20, 30] = 5000
    >>> np.argwhere(find_bad_pixels(frame)).tolist()
    [[20, 30]]
    """
    if mean_frame.ndim != 2 or mean_frame.size == 0:
        raise UemError(
            f"mean_frame: expected a two-dimensional array (y, x), found shape {mean_frame.shape}; "
            "average the frames over time first"
        )
    frame = np.array(mean_frame, dtype=np.float32)
    broken = ~np.isfinite(frame)
    if broken.all():
        return broken
    if broken.any():
        frame[broken] = np.median(frame[~broken])

    middle = cv2.medianBlur(frame, 5)
    residual = np.abs(frame - middle)
    spread = _MAD_TO_SD * cv2.medianBlur(residual, 5)
    around = cv2.blur(spread, (31, 31), borderType=cv2.BORDER_REFLECT)
    # Counting noise has variance = quantum * mean; the quantum is unknown (gain, frames averaged).
    lit = middle > 0
    if 2 * np.count_nonzero(lit) > lit.size:
        quantum = float(np.median(spread[lit] ** 2 / middle[lit]))
    else:
        quantum = _smallest(frame)
    counting = np.sqrt(quantum * (np.clip(middle, 0.0, None) + quantum))
    deviation = np.maximum(np.maximum(spread, around), counting)
    limit = np.maximum(threshold * deviation, floor * np.abs(middle))
    # The last digit of float32 is not a fault in a frame without noise.
    limit = np.maximum(limit, 1e-5 * float(np.abs(frame).max()))

    # A median over 3 x 3 takes other bad pixels off the ring.
    calm = cv2.medianBlur(frame, 3)
    ring = np.ones((5, 5), np.uint8)
    ring[1:4, 1:4] = 0
    margin = 0.5 * limit
    outside = frame > cv2.dilate(calm, ring, borderType=cv2.BORDER_REFLECT_101) + margin
    outside |= frame < cv2.erode(calm, ring, borderType=cv2.BORDER_REFLECT_101) - margin
    alone = (residual > limit) & outside
    return alone | _columns(frame, limit) | _columns(frame.T, limit.T).T | broken


def _smallest(frame: npt.NDArray[np.float32]) -> float:
    """Smallest positive value: one count, where hardly anything is counted."""
    positive = frame[frame > 0]
    return float(positive.min()) if positive.size else 0.0


def _columns(
    frame: npt.NDArray[np.float32], limit: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Find columns up to two pixels wide, or long pieces, outside of what lies on both sides."""
    width = frame.shape[1]
    if width < 8 or frame.shape[0] < 3:
        return np.zeros(frame.shape, bool)
    # Means of the second and third pixel to either side.
    near = 0.5 * (frame[:, :-1] + frame[:, 1:])
    before, behind = np.empty_like(frame), np.empty_like(frame)
    before[:, 3:], behind[:, :-3] = near[:, : width - 3], near[:, 2:]
    # At the edge the missing side is what the other one and its slope say.
    before[:, :3] = 2 * behind[:, :3] - near[:, 4:7]
    behind[:, -3:] = 2 * before[:, -3:] - near[:, width - 8 : width - 5]
    away = np.abs(frame - 0.5 * (before + behind)) - 0.5 * np.abs(before - behind)
    stands_out = (away > limit).astype(np.float32)
    pieces = cv2.blur(stands_out, (1, _LINE), borderType=cv2.BORDER_REFLECT) >= _LINE_SHARE
    if not pieces.any():
        return pieces
    # A defect is on one side of its good neighbours' neighbours; it stands out most itself.
    height = cv2.blur(away, (1, _LINE), borderType=cv2.BORDER_REFLECT)
    pieces &= height >= 0.5 * cv2.dilate(height, np.ones((1, 7), np.uint8))
    found = cv2.dilate(pieces.astype(np.uint8), np.ones((_LINE, 1), np.uint8)) * stands_out > 0
    # Where contours are steep or dark pieces do not show; the column is one.
    for column in np.flatnonzero(found.any(axis=0)):
        rows = np.flatnonzero(found[:, column])
        for span in (slice(rows[0], rows[-1] + 1), slice(None)):
            weak = away[span, column] > 0.25 * limit[span, column]
            if weak.mean() >= _COLUMN_SHARE:
                found[span, column] = True
    return found


def find_stuck_pixels(mean: np.ndarray, variance: np.ndarray, frames: int) -> npt.NDArray[np.bool_]:
    """Find pixels that do not count: their values vary far less than those of others do.

    A dark one is held against what its surroundings count, so that dead pixels and lines are found
    however uneven the sample is; wide dark areas are not.

    Parameters
    ----------
    mean, variance : ndarray, shape (y, x)
        Over frames as recorded; counts, counts squared.
    frames : int
        How many.

    Returns
    -------
    ndarray of bool, shape (y, x)
        Pixels whose few counts could be alike by chance are not among them.

    Examples
    --------
    >>> frames = np.random.default_rng(0).poisson(100, (32, 16, 16)).astype(float)
    >>> frames[:, 3:9, 4:10] = 4095
    >>> frames[:, :, 13] = 0
    >>> int(find_stuck_pixels(frames.mean(0), frames.var(0), 32).sum())
    52
    """
    lit = (mean > 0) & np.isfinite(variance)
    if not lit.any():
        return np.zeros(mean.shape, bool)
    quantum = float(np.median(variance[lit] / mean[lit]))
    if quantum <= 0:
        return np.zeros(mean.shape, bool)
    signal = np.where(lit, mean, 0.0).astype(np.float32)
    stuck = (variance < _STUCK * quantum * signal) & (signal * frames > _STUCK_COUNTS * quantum)
    dark = _DEAD_COUNTS
    if frames < _STUCK_FRAMES:
        stuck[:] = False
        dark = _DEAD
    # What is stuck or hot does not tell how bright it is around.
    calm = np.where(stuck, np.float32(0), signal)
    bright = cv2.dilate(cv2.medianBlur(calm, 5), np.ones((5, 5), np.uint8))
    around = cv2.blur(np.minimum(calm, bright), (_AROUND, _AROUND), borderType=cv2.BORDER_REFLECT)
    dead = (variance < _DEAD * quantum * around) & (around * frames > _STUCK_COUNTS * quantum)
    return np.asarray(stuck | (dead & (signal < dark * around)))


def count_quantum(frame: npt.NDArray[np.float32]) -> float:
    """Return the counts of one electron, from how a frame scatters about its own median.

    Parameters
    ----------
    frame : ndarray of float32, shape (y, x)
        Counts, finite.

    Returns
    -------
    float
        Variance of counting over counts; the smallest count where hardly anything is lit.
    """
    rows = len(frame)
    if rows > 4 * _BAND:  # three bands of it tell as much
        starts = (rows // 6, rows // 2, 5 * rows // 6 - _BAND)
        frame = np.concatenate([frame[start : start + _BAND] for start in starts])
    middle = cv2.medianBlur(frame, 5)[::4, ::4]
    lit = middle > 0
    if 2 * np.count_nonzero(lit) <= lit.size:
        return _smallest(frame)
    away = np.abs(frame[::4, ::4][lit] - middle[lit])
    return float(np.median(away / np.sqrt(middle[lit])) * _MAD_TO_SD) ** 2


def find_hits(
    frame: npt.NDArray[np.float32],
) -> npt.NDArray[np.bool_]:
    """Find X-ray hits: bright pixels of one frame that stand alone.

    A pixel is a hit where it exceeds the median of its 5 x 5 neighbourhood by eight standard
    deviations of counting and a fifth of the brightness, and all but one of the pixels on the ring
    two pixels away by half of that. So up to one pixel in a hundred is found; a fringe is not.

    Parameters
    ----------
    frame : ndarray of float32, shape (y, x)
        One frame as recorded; counts, finite.

    Returns
    -------
    ndarray of bool, shape (y, x)

    Examples
    --------
    >>> frame = np.random.default_rng(0).poisson(100, (64, 64)).astype(np.float32)
    >>> frame[20, 30] += 500
    >>> np.argwhere(find_hits(frame)).tolist()
    [[20, 30]]
    """
    hits = np.zeros(frame.shape, bool)
    if min(frame.shape) < 5:
        return hits
    quantum = count_quantum(frame)
    lowest, highest, _, _ = cv2.minMaxLoc(frame)
    digit = 1e-5 * max(abs(lowest), abs(highest))

    def limit_at(level: np.ndarray) -> np.ndarray:
        counting = 8.0 * np.sqrt(quantum * (level + quantum))
        return np.maximum(np.maximum(counting, _HIT * level), digit)

    # The median is no less than the darkest pixel around, and few stand out against that one. The
    # limit rises ever more slowly, so it is above the chord.
    darkest = cv2.erode(frame, _AROUND_HIT, borderType=cv2.BORDER_REPLICATE)
    low, high = (max(end, 0.0) for end in cv2.minMaxLoc(darkest)[:2])
    from_low, to_high = 8.0 * np.sqrt(quantum * (np.array([low, high]) + quantum))
    rise = (to_high - from_low) / (high - low) if high > low else 0.0
    bound = cv2.addWeighted(darkest, 1 + rise, darkest, 0, from_low - rise * low)
    found = cv2.findNonZero((frame > bound).view(np.uint8))
    if found is None:
        return hits
    # Where there is no noise, all pixels may stand out: what is gathered around them is bounded.
    for begin in range(0, len(found), _AT_ONCE):
        columns, rows = found[begin : begin + _AT_ONCE].reshape(-1, 2).T
        near = _gathered(frame, rows, columns)
        middle = np.partition(near, 12, axis=1)[:, 12]
        limit = limit_at(np.maximum(middle, np.float32(0)))
        above = frame[rows, columns]
        stands = above - middle > limit
        # Another hit may lie on the ring.
        ring = near[stands][:, _ON_RING]
        brightest = np.partition(ring, -2, axis=1)[:, -2]
        alone = above[stands] > brightest + 0.5 * limit[stands]
        hits[rows[stands][alone], columns[stands][alone]] = True
    return hits


_AROUND_HIT = np.ones((5, 5), np.uint8)
_STEP_Y, _STEP_X = (
    grid.ravel() for grid in np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij")
)
_BAND = 32  # rows
_AT_ONCE = 2**14  # pixels looked at
_ON_RING = np.maximum(np.abs(_STEP_Y), np.abs(_STEP_X)) == 2


def _gathered(frame: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the 5 x 5 px around some pixels, (n, 25), the edge repeated."""
    near_y = np.clip(rows[:, None] + _STEP_Y, 0, frame.shape[0] - 1)
    near_x = np.clip(columns[:, None] + _STEP_X, 0, frame.shape[1] - 1)
    return frame[near_y, near_x]


def repair_pixels(frames: np.ndarray, bad: npt.NDArray[np.bool_]) -> np.ndarray:
    """Replace bad pixels by the mean of their good neighbours, in place.

    The neighbourhood is 3 x 3 px, or 5 x 5 where all of that is bad; deeper inside a bad area it is
    the nearest good pixel.

    Parameters
    ----------
    frames : ndarray, shape (t, y, x) or (y, x)
        Changed in place; counts.
    bad : ndarray of bool, shape (y, x)
        The pixels to replace.

    Returns
    -------
    ndarray
        `frames` itself.

    Raises
    ------
    UemError
        Where shapes differ, `frames` cannot be written to, or every pixel is bad.

    Examples
    --------
    >>> frame = np.ones((5, 5)); frame[2, 2] = 99
    >>> float(repair_pixels(frame, frame > 50)[2, 2])
    1.0
    """
    if frames.ndim not in (2, 3) or frames.shape[-2:] != bad.shape:
        raise UemError(
            f"frames: shape {frames.shape} does not match the bad-pixel map {bad.shape}; "
            "pass frames (t, y, x) or (y, x) of the map's size"
        )
    if not bad.any():
        return frames
    if not frames.flags.writeable:
        raise UemError("frames: the array is read-only; pass a copy, repair changes it in place")
    if bad.all():
        raise UemError("bad: every pixel is marked bad; nothing is left to repair from")
    return PixelRepair(bad)(frames)


class PixelRepair:
    """What replaces the pixels of one map, for many frames; see `repair_pixels`.

    Parameters
    ----------
    bad : ndarray of bool, shape (y, x)
        The pixels to replace; not all of them.
    """

    def __init__(self, bad: npt.NDArray[np.bool_]) -> None:
        self._means: list[tuple[np.ndarray, ...]] = []
        rows, columns = np.nonzero(bad)
        for radius in range(1, _NEAR + 1):
            if not rows.size:
                break
            near_y, near_x, use = _neighbours(bad, rows, columns, radius)
            count = use.sum(axis=1)
            ready = count > 0
            weight = use[ready] / count[ready, None]
            self._means.append((rows[ready], columns[ready], near_y[ready], near_x[ready], weight))
            rows, columns = rows[~ready], columns[~ready]
        self._deep = rows, columns
        self._nearest = np.empty((2, 0), np.intp)
        if rows.size:
            nearest = distance_transform_edt(bad, return_distances=False, return_indices=True)
            self._nearest = nearest[:, rows, columns]

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Replace them in frames (..., y, x), in place."""
        for rows, columns, near_y, near_x, weight in self._means:
            # Only good pixels are read and only bad ones written: the order does not matter.
            values = np.where(weight > 0, frames[..., near_y, near_x], 0)
            mean = (values.astype(np.float64) * weight).sum(axis=-1)
            if np.issubdtype(frames.dtype, np.integer):
                mean = np.rint(mean)
            frames[..., rows, columns] = mean.astype(frames.dtype)
        frames[..., *self._deep] = frames[..., *self._nearest]
        return frames


def _neighbours(
    bad: npt.NDArray[np.bool_], rows: np.ndarray, columns: np.ndarray, radius: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the square around each pixel, and which of it is inside and good."""
    height, width = bad.shape
    offset = np.arange(-radius, radius + 1)
    dy, dx = (grid.ravel() for grid in np.meshgrid(offset, offset, indexing="ij"))
    near_y, near_x = rows[:, None] + dy, columns[:, None] + dx
    inside = (near_y >= 0) & (near_y < height) & (near_x >= 0) & (near_x < width)
    near_y, near_x = np.clip(near_y, 0, height - 1), np.clip(near_x, 0, width - 1)
    return near_y, near_x, inside & ~bad[near_y, near_x]
