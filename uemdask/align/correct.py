"""Frames brought onto the reference: shifted, repaired, at equal brightness.

Tiles
-----
The kernels work on a tile with `halo` px more on every side, as drift carries pixels in from the
neighbours. A tile gives what the same part of the whole frame gives. At the frame's border the halo
is missing: the caller fills it with anything and says through `inside` which part is real.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from uemdask.align.bad_pixels import PixelRepair, find_hits, repair_pixels
from uemdask.align.illumination import hidden_now
from uemdask.align.shift import KERNEL_RADIUS, covered_range, sample_nearest, sample_window
from uemdask.errors import UemError

REPAIR_MARGIN = 2
"""Pixels beyond the kernel in which a bad pixel finds its neighbours."""

Inside = tuple[int, int, int, int]
"""Real part of a tile with halo: ``(y_begin, y_end, x_begin, x_end)``, ends excluded."""


def required_halo(drift: npt.ArrayLike) -> int:
    """Halo in px that tiles need for these drifts.

    Parameters
    ----------
    drift : array_like, shape (..., 2)
        (x, y), px.

    Returns
    -------
    int

    Examples
    --------
    >>> required_halo([[0.5, -2.2], [0.0, 1.0]])
    9
    """
    largest = np.max(np.abs(np.asarray(drift, np.float64)), initial=0.0)
    if not np.isfinite(largest):
        raise UemError("drift: contains a value that is not finite; register the frames again")
    return int(np.ceil(largest)) + KERNEL_RADIUS + REPAIR_MARGIN


def aligned_frames(
    frames: np.ndarray,
    drift: npt.ArrayLike,
    gain: npt.ArrayLike,
    bad: npt.NDArray[np.bool_] | None = None,
    *,
    halo: int,
    inside: Inside | None = None,
    shaded: npt.NDArray[np.bool_] | None = None,
    dark_below: float = np.inf,
    passed: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Bring frames onto the reference: ``frame(r + drift) / gain``.

    Parameters
    ----------
    frames : ndarray, shape (t, h + 2 halo, w + 2 halo)
        Raw tile with halo; any real type; counts. Not changed.
    drift : array_like, shape (t, 2)
        (x, y), px.
    gain : array_like, shape (t,)
        Brightness factors.
    bad : ndarray of bool, shape (h + 2 halo, w + 2 halo), optional
        Bad pixels of the detector, to be repaired.
    halo : int
        At least :func:`required_halo`.
    inside : tuple of int, optional
        Part of the tile that lies in the frame, ``(y_begin, y_end, x_begin, x_end)``, ends
        excluded, where the tile reaches beyond the frame's border. What lies outside is not read.
    shaded : ndarray of bool, shape (h + 2 halo, w + 2 halo), optional
        Areas of the detector that no beam reaches.
    dark_below : float
        Counts below which they are dark in a frame at the brightness of the reference.
    passed : ndarray of float32, shape (h + 2 halo, w + 2 halo), optional
        Share of the light that shades let pass on the detector, above 0. What drifts along their
        soft edges gets the share of its place in the reference.

    Returns
    -------
    ndarray of float32, shape (t, h, w)
        Counts; bad pixels and X-ray hits repaired. NaN where the frame did not show the pixel:
        beyond its edge, where it is not finite, and where the detector is shaded.

    Raises
    ------
    UemError
        Where shapes do not match, the halo is too small, or a gain is not positive.

    Examples
    --------
    >>> frames = np.full((1, 16, 16), 6, np.uint16)
    >>> aligned_frames(frames, [(0.0, 0.0)], [2.0], halo=6)[0].tolist()[0]
    [3.0, 3.0, 3.0, 3.0]
    """
    shape = (frames.shape[0], *(max(0, edge - 2 * halo) for edge in frames.shape[1:]))
    out = np.full(shape, np.nan, np.float32)
    for i, factor, moved, covered, hidden, _ in _moved(
        frames, drift, gain, bad, halo, inside, shaded, dark_below, passed
    ):
        part = out[i][covered]
        np.multiply(moved[covered], np.float32(1.0 / factor), out=part)
        if hidden is not None:
            np.copyto(part, np.float32(np.nan), where=hidden[covered])
    return out


def aligned_ratio(
    frames: np.ndarray,
    reference: np.ndarray,
    drift: npt.ArrayLike,
    gain: npt.ArrayLike,
    bad: npt.NDArray[np.bool_] | None = None,
    *,
    halo: int,
    inside: Inside | None = None,
    shaded: npt.NDArray[np.bool_] | None = None,
    dark_below: float = np.inf,
    passed: npt.NDArray[np.float32] | None = None,
    unlit: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float32]:
    """Change of the sample relative to the reference: ``frame(r + drift) / gain / reference - 1``.

    Parameters
    ----------
    frames, drift, gain, bad, halo, inside, shaded, dark_below, passed
        As for :func:`aligned_frames`.
    reference : ndarray, shape (h, w)
        The reference without halo; counts.
    unlit : ndarray of bool, shape (h, w), optional
        Pixels of the reference that say nothing.

    Returns
    -------
    ndarray of float32, shape (t, h, w)
        NaN where there is nothing to form a ratio of: where the frame did not show the pixel, at
        bad pixels and X-ray hits, where the pixel is unlit or the reference not positive.

    Raises
    ------
    UemError
        As for :func:`aligned_frames`.

    Examples
    --------
    >>> frames = np.full((1, 16, 16), 6, np.uint16)
    >>> ratio = aligned_ratio(frames, np.full((4, 4), 2.0), [(0, 0)], [2.0], halo=6)
    >>> float(ratio[0, 0, 0])
    0.5
    """
    shape = (frames.shape[0], *(max(0, edge - 2 * halo) for edge in frames.shape[1:]))
    if reference.shape != shape[1:]:
        raise UemError(
            f"reference: shape {reference.shape} does not match the tile {shape[1:]} "
            f"(frames {frames.shape} less a halo of {halo} px on every side)"
        )
    use = reference > 0
    if unlit is not None:
        use = use & ~unlit
    inverse = np.full(shape[1:], np.nan, np.float32)
    np.divide(1.0, reference, out=inverse, where=use, casting="unsafe")
    out = np.full(shape, np.nan, np.float32)
    for i, factor, moved, covered, hidden, broken in _moved(
        frames, drift, gain, bad, halo, inside, shaded, dark_below, passed
    ):
        part = out[i][covered]
        np.multiply(moved[covered], inverse[covered], out=part)
        if factor != 1.0:
            part *= np.float32(1.0 / factor)
        part -= np.float32(1.0)
        for lost in (hidden, broken):
            if lost is not None:
                np.copyto(part, np.float32(np.nan), where=lost[covered])
    return out


def even_out(
    values: npt.NDArray[np.float32],
    slope: npt.ArrayLike,
    corner: tuple[int, int],
    shape: tuple[int, int],
    *,
    ratio: bool,
) -> None:
    """Take out of a tile what a beam that wanders does to its brightness, in place.

    Parameters
    ----------
    values : ndarray, shape (t, h, w)
        From :func:`aligned_frames` or :func:`aligned_ratio`.
    slope : array_like, shape (t, 2)
        Of the logarithm of the brightness along (x, y), 1/px, about the middle of the frame; see
        :func:`uemdask.align.brightness_slope`.
    corner, shape : tuple of int
        (y, x) of the tile's first pixel in the frame, and the size of the frame.
    ratio : bool
        Whether the values are ratios minus 1.
    """
    y = corner[0] + np.arange(values.shape[1]) - (shape[0] - 1) / 2
    x = corner[1] + np.arange(values.shape[2]) - (shape[1] - 1) / 2
    for frame, (along_x, along_y) in zip(values, np.asarray(slope, np.float64), strict=True):
        if along_x == along_y == 0:
            continue
        factor = np.exp(-along_y * y)[:, None] * np.exp(-along_x * x)[None]
        if ratio:
            frame += 1
        frame *= factor.astype(np.float32)
        if ratio:
            frame -= 1


Moved = tuple[
    int,
    float,
    np.ndarray,
    tuple[slice, slice],
    npt.NDArray[np.bool_] | None,
    npt.NDArray[np.bool_] | None,
]


def _moved(
    frames: np.ndarray,
    drift: npt.ArrayLike,
    gain: npt.ArrayLike,
    bad: npt.NDArray[np.bool_] | None,
    halo: int,
    inside: Inside | None,
    shaded: npt.NDArray[np.bool_] | None,
    dark_below: float,
    passed: npt.NDArray[np.float32] | None,
) -> Iterator[Moved]:
    """Yield number, gain, moved frame, covered rectangle, hidden and broken pixels of each frame.

    Hidden is what the frame does not show, broken what was repaired; None where there is none.
    """
    if frames.ndim != 3:
        raise UemError(f"frames: expected three dimensions (t, y, x), found shape {frames.shape}")
    count, *edges = frames.shape
    shifts = np.asarray(drift, np.float64)
    factors = np.asarray(gain, np.float64)
    if shifts.shape != (count, 2) or factors.shape != (count,):
        raise UemError(
            f"drift, gain: shapes {shifts.shape} and {factors.shape} do not match {count} frames; "
            "give drift (t, 2) and gain (t,)"
        )
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        raise UemError("gain: contains a value that is not a positive number; leave that frame out")
    needed = required_halo(shifts)
    if halo < needed:
        raise UemError(
            f"halo: {halo} px is too little for a drift of {np.abs(shifts).max():.2f} px; "
            f"give at least {needed} px"
        )
    height, width = (edge - 2 * halo for edge in edges)
    if min(height, width) < 1:
        raise UemError(f"frames: nothing is left of shape {frames.shape} without a halo of {halo}")
    for name, known in (("bad", bad), ("shaded", shaded), ("passed", passed)):
        if known is not None and known.shape != tuple(edges):
            raise UemError(
                f"{name}: shape {known.shape} does not match the tile with halo {tuple(edges)}"
            )
    y0, y1, x0, x1 = inside or (0, edges[0], 0, edges[1])
    if not (0 <= y0 < y1 <= edges[0] and 0 <= x0 < x1 <= edges[1]):
        raise UemError(f"inside: {inside} is not a part of a tile of {tuple(edges)} px with halo")
    corner = (halo - y0, halo - x0)
    window = (slice(y0, y1), slice(x0, x1))
    broken = np.zeros((y1 - y0, x1 - x0), bool) if bad is None else bad[window]
    dark = np.zeros_like(broken) if shaded is None else shaded[window]
    any_broken = bool(broken.any())
    repair = PixelRepair(broken) if not broken.all() else None
    for i in range(count):
        real = frames[i, y0:y1, x0:x1].astype(np.float32)
        # What neighbours a hidden pixel must not ring; so the nearest one that is seen goes on.
        hidden = hidden_now(real, dark, dark_below * float(factors[i]))
        if frames.dtype.kind == "f":
            hidden = hidden | ~np.isfinite(real)
        any_hidden = bool(hidden.any())
        if repair is None or (any_hidden and (broken | hidden).all()):
            continue
        if any_hidden:
            repair_pixels(real, broken | hidden)
        elif any_broken:
            repair(real)
        hits = find_hits(real)
        any_hits = bool(hits.any())
        if any_hits:
            repair_pixels(real, hits)
        moved = sample_window(real, shifts[i], corner, (height, width))
        if passed is not None:
            here = passed[halo : halo + height, halo : halo + width]
            moved *= here / sample_window(passed[window], shifts[i], corner, (height, width))
        # The window's own position is part of the shift: which of its pixels have a source.
        rows = covered_range(height, shifts[i, 1] + corner[0], 0, y1 - y0 - 1)
        columns = covered_range(width, shifts[i, 0] + corner[1], 0, x1 - x0 - 1)
        where = shifts[i], corner, (height, width)
        hidden_here = sample_nearest(hidden, *where) if any_hidden else None
        repaired_here = sample_nearest(broken | hits, *where) if any_broken or any_hits else None
        yield i, float(factors[i]), moved, (rows, columns), hidden_here, repaired_here
