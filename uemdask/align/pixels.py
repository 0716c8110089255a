"""Hot and dead detector pixels: finding and repairing them.

They stay where they are while the sample drifts, so they pull the registration to zero and leave
streaks in the aligned series.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

_MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def find_bad_pixels(
    mean_frame: np.ndarray, *, threshold: float = 8.0, floor: float = 0.03
) -> npt.NDArray[np.bool_]:
    """Find pixels that stand alone against their neighbours in the mean of several frames.

    A pixel is bad where two things hold. It differs from the median of its 5 x 5 neighbourhood by
    more than `threshold` standard deviations; the deviation is the largest of that of the
    neighbourhood, its average over 31 x 31 px, and that of counting noise, whose scale is taken
    from the frame itself. And it lies outside the range of values on the ring two pixels away,
    which a bend contour or an edge, however steep, crosses. Clusters up to 2 x 2 are found.

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
        positive = frame[frame > 0]
        quantum = float(positive.min()) if positive.size else 0.0
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
    return ((residual > limit) & outside) | broken


def repair_pixels(frames: np.ndarray, bad: npt.NDArray[np.bool_]) -> np.ndarray:
    """Replace bad pixels by the mean of their good neighbours, in place.

    The neighbourhood is 3 x 3 px and grows by a ring at a time where all of it is bad. The cost
    goes with the number of bad pixels, not with the size of the frame.

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
    rows, columns = np.nonzero(bad)
    if rows.size == 0:
        return frames
    if not frames.flags.writeable:
        raise UemError("frames: the array is read-only; pass a copy, repair changes it in place")
    if rows.size == bad.size:
        raise UemError("bad: every pixel is marked bad; nothing is left to repair from")
    radius = 1
    while rows.size:
        near_y, near_x, use = _neighbours(bad, rows, columns, radius)
        count = use.sum(axis=1)
        ready = count > 0
        if ready.any():
            weight = use[ready] / count[ready, None]
            # Only good pixels are read and only bad ones written: the order does not matter.
            values = frames[..., near_y[ready], near_x[ready]]
            values = np.where(use[ready], values, 0)
            mean = (values.astype(np.float64) * weight).sum(axis=-1)
            if np.issubdtype(frames.dtype, np.integer):
                mean = np.rint(mean)
            frames[..., rows[ready], columns[ready]] = mean.astype(frames.dtype)
        rows, columns = rows[~ready], columns[~ready]
        radius += 1
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
