"""How the axes of an array lie: which one counts frames, and which are y and x."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.pixel_size import is_time_unit

_X = {"x", "col", "cols", "column", "columns", "width", "horizontal", "kx", "qx"}
_Y = {"y", "row", "rows", "line", "lines", "height", "vertical", "ky", "qy"}
_FRAME = {
    *("t", "time", "times", "timepoint", "timepoints", "delay", "delays", "tau", "dt"),
    *("frame", "frames", "image", "images", "slice", "slices", "stack", "z", "scan", "scans"),
    *("step", "steps", "repeat", "repeats", "channel", "channels", "c"),
}
#: Bytes of frames that are read at a time where a chunk holds several.
_BLOCK_BYTES = 2**26
#: Frames read at a time where they lie across the file.
_BLOCK_FRAMES = 16


@dataclass(frozen=True)
class ImageAxes:
    """An array of frames as it lies in a file.

    Attributes
    ----------
    lying : tuple of int
        Shape of the array in the file.
    order : tuple of int
        Its axes in the order (..., y, x).
    note : str
        What was taken for granted; empty where the file names its axes.
    """

    lying: tuple[int, ...]
    order: tuple[int, ...]
    note: str = ""

    @property
    def frames(self) -> int:
        """Number of frames."""
        return prod(self.lying[axis] for axis in self.order[:-2])

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (y, x) of a frame in px."""
        return self.lying[self.order[-2]], self.lying[self.order[-1]]

    def of_space(self, values: Sequence[Any]) -> list[Any]:
        """Return those for y and x of values that belong to the axes as they lie."""
        return [values[axis] for axis in self.order[-2:]]

    def read(self, array: Any, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield frames as (y, x); what one chunk holds is decoded once.

        Parameters
        ----------
        array : array-like
            The array in the file, with ``shape``, ``dtype`` and perhaps ``chunks``; read by index.
        indices : sequence of int
            Which frames.
        """
        long = [axis for axis in self.order[:-2] if self.lying[axis] > 1]
        turned = self.order[-2] > self.order[-1]
        place: list[Any] = [0] * len(self.lying)
        for axis in self.order[-2:]:
            place[axis] = slice(None)
        if not long:
            for _ in [range(1)[index] for index in indices]:
                image = np.asarray(array[tuple(place)])
                yield image.T if turned else image
            return
        (axis,) = long
        most = self._at_once(array, axis)
        for first, last in _runs(indices, most):
            place[axis] = slice(first, last)
            block = np.asarray(array[tuple(place)])
            # Of the axes that are left, one counts frames.
            block = np.moveaxis(block, sum(axis > other for other in self.order[-2:]), 0)
            for image in block:
                yield image.T if turned else image

    def _at_once(self, array: Any, axis: int) -> int:
        chunks = getattr(array, "chunks", None)
        across = axis > min(self.order[-2:])
        several = chunks[axis] if chunks else (_BLOCK_FRAMES if across else 1)
        room = _BLOCK_BYTES // max(prod(self.shape) * array.dtype.itemsize, 1)
        return int(max(1, min(several, room)))


def _runs(indices: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Yield successive indices as first and end, at most so many, those of one block together."""
    start = 0
    while start < len(indices):
        first = end = int(indices[start])
        stop = (first // most + 1) * most
        while start < len(indices) and indices[start] == end < stop:
            start, end = start + 1, end + 1
        yield first, end


def axes_of(
    path: Path,
    shape: Sequence[int],
    names: Sequence[str] = (),
    units: Sequence[str] = (),
    *,
    known: bool = False,
) -> ImageAxes:
    """Return how the axes of an array lie: as their names and units say, else (frame, y, x).

    Parameters
    ----------
    path : Path
        The file, for messages.
    shape : sequence of int
        Of the whole array.
    names, units : sequence of str, optional
        Of each axis, as they lie; empty where they are not known.
    known : bool
        Whether the format fixes the order, so that there is nothing to note without names.

    Raises
    ------
    UemError
        If it cannot be told which axes are y and x, one of these is in a unit of time, the array
        has no pixels, or images lie along more than one axis. The axes are named.

    Examples
    --------
    >>> from pathlib import Path
    >>> axes_of(Path("a.h5"), (48, 64, 12), ("y", "x", "time")).order
    (2, 0, 1)
    """
    sizes = tuple(int(size) for size in shape)
    if len(sizes) < 2:
        raise UemError(f"{path}: holds no images but an array of shape {sizes}; check the file")
    if 0 in sizes:
        raise UemError(f"{path}: holds no pixels (shape {sizes}); copy it again")
    names = [str(name).strip() for name in names] if len(names) == len(sizes) else [""] * len(sizes)
    units = [str(unit).strip() for unit in units] if len(units) == len(sizes) else [""] * len(sizes)
    listed = _listed(sizes, names, units)
    roles = [_role(name, unit) for name, unit in zip(names, units, strict=True)]
    y, x = _space(path, roles, listed)
    for axis, name in ((y, "y"), (x, "x")):
        if is_time_unit(units[axis]):
            raise UemError(
                f"{path}: its axis {names[axis] or name} is in {units[axis]}, a time and no "
                f"length ({listed}); save the series as frames of y and x"
            )
    lead = [axis for axis in range(len(sizes)) if axis not in (y, x)]
    if sum(sizes[axis] > 1 for axis in lead) > 1:
        raise UemError(
            f"{path}: holds images along more than one axis, {listed}; save one series, an image "
            f"for each delay"
        )
    note = ""
    if not known and not any(roles) and prod(sizes[axis] for axis in lead) > 1:
        note = f"the axes of {path.name}, {listed}, have no names and are taken as frame, y, x"
    return ImageAxes(sizes, (*lead, y, x), note)


def _listed(sizes: Sequence[int], names: Sequence[str], units: Sequence[str]) -> str:
    if not any(names) and not any(units):
        return f"shape {tuple(sizes)}"
    return ", ".join(
        " ".join(filter(None, (name or "unnamed", str(size), f"({unit})" if unit else "")))
        for size, name, unit in zip(sizes, names, units, strict=True)
    )


def _role(name: str, unit: str) -> str:
    """Return ``"x"``, ``"y"``, ``"frame"`` or nothing for what is not told."""
    words = set(re.split(r"[^a-z]+", name.casefold()))
    roles = [role for role, known in (("x", _X), ("y", _Y), ("frame", _FRAME)) if words & known]
    if len(roles) == 1:
        return roles[0]
    return "frame" if is_time_unit(unit) else ""


def _space(path: Path, roles: Sequence[str], listed: str) -> tuple[int, int]:
    """Return the axes y and x."""
    found = {role: [i for i, r in enumerate(roles) if r == role] for role in ("y", "x", "")}
    ys, xs, others = found["y"], found["x"], found[""]
    if len(ys) <= 1 and len(xs) <= 1:
        if ys and xs:
            return ys[0], xs[0]
        if not ys and not xs and len(others) >= 2:
            return others[-2], others[-1]
        if len(others) == 1 and (ys or xs):
            return (ys or others)[0], (xs or others)[0]
    raise UemError(
        f"{path}: which of its axes are y and x cannot be told ({listed}); name them y and x, or "
        f"save the series as (frame, y, x)"
    )
