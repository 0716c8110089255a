"""Outlines of regions as GeoJSON text, coordinates (x, y) in nm, y downwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from uemdask.regions.rasterising import pixel_step, rasterise, to_nm
from uemdask.regions.roi import Roi


def outline(
    roi: Roi,
    y_nm: np.ndarray,
    x_nm: np.ndarray,
    masks: Mapping[str, np.ndarray] | None = None,
    *,
    smallest_px: int = 1,
) -> str:
    """Outline of a region as GeoJSON geometry text (RFC 7946).

    Parameters
    ----------
    roi : Roi
    y_nm, x_nm : ndarray, (y,), (x,)
        Pixel centres of the whole image, nm.
    masks : mapping of str to ndarray of bool (y, x), optional
        Named masks of the whole image.
    smallest_px : int
        Patches and holes of a mask with fewer pixels are left out; 1 keeps all.

    Returns
    -------
    str
        A Polygon or MultiPolygon. Reading it back as a region gives the same pixels.

    Examples
    --------
    >>> from uemdask.regions import Roi
    >>> import numpy as np
    >>> axis = np.arange(4.0)
    >>> outline(Roi(name="a", rectangle={"x": (0, 2), "y": (0, 1)}), axis, axis)
    '{"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]]]}'
    """
    polygons: list[list[list[tuple[float, float]]]]
    if roi.mask is not None:
        mask = rasterise(roi, y_nm, x_nm, masks)
        return mask_outline(mask, y_nm, x_nm, smallest_px=smallest_px)
    box = to_nm(roi, y_nm, x_nm).rectangle
    if box is not None:
        (x0, x1), (y0, y1) = box.x, box.y
        polygons = [[[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]]
    else:
        polygons = [[list(ring) for ring in polygon] for polygon in roi.polygons]
    return _geojson(polygons)


def mask_outline(
    mask: np.ndarray, y_nm: np.ndarray, x_nm: np.ndarray, *, smallest_px: int = 1
) -> str:
    """Outline of a mask along its pixel edges as GeoJSON geometry text.

    Parameters
    ----------
    mask : ndarray of bool, (y, x)
    y_nm, x_nm : ndarray, (y,), (x,)
        Pixel centres, nm.
    smallest_px : int
        Patches and holes with fewer pixels are left out; 1 keeps all.

    Returns
    -------
    str
        A MultiPolygon; patches that touch at a corner only are apart. Empty if the mask is.

    Examples
    --------
    >>> import numpy as np
    >>> mask_outline(np.array([[1, 0], [0, 0]]), np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    '{"type": "MultiPolygon", "coordinates": [[[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], \
[-0.5, 0.5], [-0.5, -0.5]]]]}'
    """
    mask = np.asarray(mask, dtype=bool)
    if smallest_px > 1:
        mask = _without_small(mask, smallest_px)
        # Holes are joined over corners where patches are not, so that both can be drawn.
        mask = ~_without_small(~mask, smallest_px, corners=True)
    size_x, size_y = pixel_step(x_nm, "x"), pixel_step(y_nm, "y")
    left, top = float(x_nm[0]) - size_x / 2, float(y_nm[0]) - size_y / 2
    patches, _ = ndimage.label(mask)
    outer: dict[int, list[tuple[float, float]]] = {}
    holes: dict[int, list[list[tuple[float, float]]]] = {}
    for loop, patch in _loops(mask, patches):
        corners = np.asarray(loop, dtype=np.float64)
        after = np.roll(corners, -1, axis=0)
        area = float(np.sum(corners[:, 0] * after[:, 1] - after[:, 0] * corners[:, 1]))
        ring = [(left + x * size_x, top + y * size_y) for x, y in loop]
        if area > 0:
            outer[patch] = ring
        else:
            holes.setdefault(patch, []).append(ring)
    polygons = [[ring, *holes.get(patch, [])] for patch, ring in sorted(outer.items())]
    return _geojson(polygons, multiple=True)


def _without_small(mask: np.ndarray, smallest: int, *, corners: bool = False) -> np.ndarray:
    patches, count = ndimage.label(mask, np.ones((3, 3)) if corners else None)
    if count == 0:
        return mask
    sizes = np.bincount(patches.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= smallest)[patches])


def _loops(mask: np.ndarray, patches: np.ndarray) -> list[tuple[list[tuple[int, int]], int]]:
    """Walk along pixel edges in closed loops with the mask on the right hand (y downwards).

    Corners are (x, y) in px from the upper left corner of the image, straight runs merged.
    """
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    # Edges as (start corner, direction); 0 right, 1 down, 2 left, 3 up.
    steps = ((1, 0), (0, 1), (-1, 0), (0, -1))
    sides = (
        (inner & ~padded[:-2, 1:-1], (0, 0)),  # upper side, walked right
        (inner & ~padded[1:-1, 2:], (1, 0)),  # right side, walked down
        (inner & ~padded[2:, 1:-1], (1, 1)),  # lower side, walked left
        (inner & ~padded[1:-1, :-2], (0, 1)),  # left side, walked up
    )
    edges: dict[tuple[int, int, int], int] = {}
    for direction, (side, (dx, dy)) in enumerate(sides):
        rows, columns = np.nonzero(side)
        labels = patches[rows, columns]
        for row, column, label in zip(
            rows.tolist(), columns.tolist(), labels.tolist(), strict=True
        ):
            edges[column + dx, row + dy, direction] = label
    loops = []
    left = dict(edges)
    while left:
        start, patch = next(iter(left.items()))
        x, y, direction = start
        loop: list[tuple[int, int]] = []
        while True:
            del left[x, y, direction]
            x, y = x + steps[direction][0], y + steps[direction][1]
            # Turn right first: the walk stays with its own patch where two touch at a corner.
            following = next(
                (direction + turn) % 4
                for turn in (1, 0, 3)
                if (x, y, (direction + turn) % 4) in edges
            )
            if following != direction:
                loop.append((x, y))
            direction = following
            if (x, y, direction) == start:
                break
        loops.append((_rotated(loop), patch))
    return loops


def _rotated(loop: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Start at the uppermost, then leftmost corner."""
    start = loop.index(min(loop, key=lambda point: (point[1], point[0])))
    return loop[start:] + loop[:start]


def _number(value: float) -> float | int:
    rounded = round(float(value), 6)
    return int(rounded) if rounded == int(rounded) else rounded


def _geojson(polygons: list[list[list[tuple[float, float]]]], *, multiple: bool = False) -> str:
    closed = [
        [
            [
                [_number(x), _number(y)]
                for x, y in (ring if ring[0] == ring[-1] else [*ring, ring[0]])
            ]
            for ring in polygon
        ]
        for polygon in polygons
    ]
    geometry: dict[str, Any]
    if len(closed) == 1 and not multiple:
        geometry = {"type": "Polygon", "coordinates": closed[0]}
    else:
        geometry = {"type": "MultiPolygon", "coordinates": closed}
    return json.dumps(geometry)
