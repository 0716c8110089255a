"""Which pixels belong to a region.

Rule: a pixel belongs to a region if its *centre* lies inside. Inside is half open: a centre on a
left or upper edge is in, one on a right or lower edge is out. So regions that share an edge share
no pixel, and an image cut into tiles gives the same pixels as the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.regions.roi import Point, Rectangle, Roi


def pixel_step(centres: np.ndarray, axis: str) -> float:
    """Pixel size on an axis of evenly spaced, rising pixel centres."""
    if centres.ndim != 1 or centres.size == 0:
        raise UemError(f"{axis}: found shape {centres.shape}; give the pixel centres in nm")
    if centres.size == 1:
        raise UemError(f"{axis}: one pixel has no size; give at least two pixel centres")
    size = float(centres[-1] - centres[0]) / (centres.size - 1)
    if not size > 0:
        raise UemError(f"{axis}: pixel centres must rise; found a step of {size:g} nm")
    return size


def to_nm(roi: Roi, y_nm: np.ndarray, x_nm: np.ndarray) -> Roi:
    """Turn a region given in px into the same region in nm; others pass unchanged.

    Call it with the axes of the whole image before the image is cut into tiles.

    Parameters
    ----------
    roi : Roi
    y_nm, x_nm : ndarray, (y,), (x,)
        Pixel centres of the whole image, nm.

    Returns
    -------
    Roi

    Examples
    --------
    >>> from uemdask.regions import Roi
    >>> import numpy as np
    >>> roi = Roi(name="a", rectangle={"x": (0, 2), "y": (0, 1), "unit": "px"})
    >>> to_nm(roi, np.array([1.5, 4.5]), np.array([1.5, 4.5, 7.5])).rectangle.x
    (0.0, 6.0)
    """
    box = roi.rectangle
    if box is None or box.unit == "nm":
        return roi
    bounds: dict[str, tuple[float, float]] = {}
    for axis, centres, (low, high) in (("x", x_nm, box.x), ("y", y_nm, box.y)):
        size = pixel_step(centres, axis)
        edge = float(centres[0]) - size / 2
        bounds[axis] = (edge + low * size, edge + high * size)
    return Roi(name=roi.name, rectangle=Rectangle(x=bounds["x"], y=bounds["y"], unit="nm"))


def rasterise(
    roi: Roi,
    y_nm: np.ndarray,
    x_nm: np.ndarray,
    masks: Mapping[str, np.ndarray] | None = None,
) -> npt.NDArray[np.bool_]:
    """Pixels of an image or tile that belong to a region.

    Parameters
    ----------
    roi : Roi
        In nm for a tile (see `to_nm`); a rectangle in px is counted from the first pixel given.
    y_nm, x_nm : ndarray, (y,), (x,)
        Rising pixel centres, nm, y downwards.
    masks : mapping of str to ndarray of bool (y, x), optional
        Named masks, cut to the same image or tile.

    Returns
    -------
    ndarray of bool, (y, x)

    Raises
    ------
    UemError
        If a named mask is missing or has another shape.

    Examples
    --------
    >>> from uemdask.regions import Roi
    >>> import numpy as np
    >>> roi = Roi(name="a", rectangle={"x": (0, 2), "y": (0, 9)})
    >>> rasterise(roi, np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0]))[0]
    array([ True,  True, False])
    """
    y_nm, x_nm = np.asarray(y_nm, dtype=np.float64), np.asarray(x_nm, dtype=np.float64)
    if roi.mask is not None:
        known = masks or {}
        if roi.mask not in known:
            raise UemError(
                f"region {roi.name}: no mask named {roi.mask!r} was found; "
                f"there {'is ' + ', '.join(known) if known else 'are none'}"
            )
        mask = np.asarray(known[roi.mask], dtype=bool)
        if mask.shape != (y_nm.size, x_nm.size):
            raise UemError(
                f"region {roi.name}: mask {roi.mask!r} has shape {mask.shape}, the image "
                f"{(y_nm.size, x_nm.size)}; give a mask of the image's size"
            )
        return mask
    if roi.rectangle is not None:
        # Only a rectangle in px needs the pixel size, so that a one-pixel tile works in nm.
        box = to_nm(roi, y_nm, x_nm).rectangle
        assert box is not None
        rows = (y_nm >= box.y[0]) & (y_nm < box.y[1])
        columns = (x_nm >= box.x[0]) & (x_nm < box.x[1])
        return rows[:, None] & columns[None, :]
    return _inside(roi.rings, y_nm, x_nm)


def _inside(
    rings: tuple[tuple[Point, ...], ...], y_nm: np.ndarray, x_nm: np.ndarray
) -> npt.NDArray[np.bool_]:
    """Even-odd rule, by counting the edges crossed left of each pixel centre."""
    crossings = np.zeros((y_nm.size, x_nm.size + 1), dtype=np.uint8)
    for ring in rings:
        points = np.asarray(ring, dtype=np.float64)
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if y0 == y1:
                continue
            # Always compute an edge from its upper end: a shared edge then rounds the same way.
            if y0 > y1:
                x0, y0, x1, y1 = x1, y1, x0, y0
            first, last = np.searchsorted(y_nm, (y0, y1), side="left")
            rows = np.arange(first, last)
            x_edge = x0 + (y_nm[first:last] - y0) * ((x1 - x0) / (y1 - y0))
            crossings[rows, np.searchsorted(x_nm, x_edge, side="left")] ^= 1
    inside: npt.NDArray[np.bool_] = np.bitwise_xor.accumulate(crossings, axis=1)[:, :-1].view(bool)
    return np.ascontiguousarray(inside)
