"""How arrays are cut: chunks for reading, write units for tasks, regions for work.

Two passes read a cube: time profiles of a tile (spectrum) and successive frames (flow). Chunks of
16 frames x 256 x 256 pixels serve both. A task writes whole regions, so two tasks never touch one
chunk. Where a variable would have very many chunk files, each region becomes one shard, which is
one file (whole frames become one for each field); the regions stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from uemdask.cube.contract import VARIABLES
from uemdask.errors import UemError

#: Frames in a chunk and in a slab: 2 MiB of 16-bit counts in a 256 x 256 tile.
FRAMES = 16
#: Pairs in a chunk and in a slab. A pair has two components, so half as many as frames.
PAIRS = 8
#: Edge of a chunk and of a tile in px.
TILE = 256
#: Edge of the part of a frame that one flow task holds in px: a multiple of `TILE`.
FIELD = 1024
#: More chunk files than this and a variable is sharded. File systems of clusters count files.
MAX_FILES = 1024

_CHUNK = {"time": FRAMES, "pair": PAIRS, "y": TILE, "x": TILE}


@dataclass(frozen=True)
class Region:
    """A box of a run that one task computes and writes.

    Attributes
    ----------
    bounds : tuple of (dim, start, stop)
        In px, frames or pairs. A dim that is not named is taken whole.
    """

    bounds: tuple[tuple[str, int, int], ...] = ()

    @property
    def key(self) -> str:
        """Name in the ledger, such as ``time=0:16,y=0:256``."""
        return ",".join(f"{dim}={start}:{stop}" for dim, start, stop in self.bounds) or "all"

    @classmethod
    def from_key(cls, key: str) -> Region:
        """Return the region that `key` names."""
        if key == "all":
            return cls()
        bounds = []
        for part in key.split(","):
            dim, span = part.split("=")
            start, stop = span.split(":")
            bounds.append((dim, int(start), int(stop)))
        return cls(tuple(bounds))

    def slices(self, dims: tuple[str, ...], sizes: Mapping[str, int]) -> tuple[slice, ...]:
        """Return the index of the region in a variable with these dims."""
        bounds = {dim: slice(start, stop) for dim, start, stop in self.bounds}
        return tuple(bounds.get(dim, slice(0, sizes[dim])) for dim in dims)

    def span(self, dim: str, size: int) -> tuple[int, int]:
        """Return start and stop along `dim`."""
        return next(((a, b) for d, a, b in self.bounds if d == dim), (0, size))


def regions(sizes: Mapping[str, int], **steps: int) -> list[Region]:
    """Cut a run into regions of ``steps`` along the named dims; the last ones may be smaller.

    Examples
    --------
    >>> [region.key for region in regions({"time": 20, "y": 8}, time=16)]
    ['time=0:16', 'time=16:20']
    """

    def cut(dims: tuple[str, ...]) -> Iterator[tuple[tuple[str, int, int], ...]]:
        if not dims:
            yield ()
            return
        size, step = sizes[dims[0]], steps[dims[0]]
        for start in range(0, size, step):
            for rest in cut(dims[1:]):
                yield ((dims[0], start, min(start + step, size)), *rest)

    return [Region(bounds) for bounds in cut(tuple(steps))]


def frame_slabs(sizes: Mapping[str, int]) -> list[Region]:
    """Return regions of `FRAMES` whole frames."""
    return regions(sizes, time=FRAMES)


def fields(sizes: Mapping[str, int]) -> list[Region]:
    """Return regions of at most `FIELD` x `FIELD` pixels."""
    return regions(sizes, y=FIELD, x=FIELD)


def along_tiles(span: slice) -> list[slice]:
    """Cut a span of pixels where tiles meet.

    Examples
    --------
    >>> along_tiles(slice(200, 520))
    [slice(200, 256, None), slice(256, 512, None), slice(512, 520, None)]
    """
    inner = range(span.start - span.start % TILE + TILE, span.stop, TILE)
    return [slice(low, high) for low, high in pairwise([span.start, *inner, span.stop])]


def tiles(sizes: Mapping[str, int]) -> list[Region]:
    """Return regions of `TILE` x `TILE` pixels for all frames."""
    return regions(sizes, y=TILE, x=TILE)


def pair_fields(sizes: Mapping[str, int], dim: str = "pair") -> list[Region]:
    """Return regions of some pairs (or frames, for base pairs) and at most `FIELD` x `FIELD` px."""
    return regions(sizes, **{dim: _CHUNK[dim]}, y=FIELD, x=FIELD)


def chunks_of(name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the chunk shape of a variable in a run of these sizes.

    Also what has no image is cut along time and pairs as the images are: xarray refuses to tell the
    chunks of a dataset whose variables are cut in several ways.
    """
    return tuple(min(sizes[d], _CHUNK.get(d, sizes[d])) or 1 for d in VARIABLES[name].dims)


def shards_of(name: str, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
    """Return the shard shape of a variable, or None where plain chunks make few enough files."""
    variable, chunks = VARIABLES[name], chunks_of(name, sizes)
    shape = [sizes[d] for d in variable.dims]
    files = math.prod(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True))
    if files <= MAX_FILES or variable.pattern == "whole":
        return None
    edge = {"slab": FIELD, "tile": TILE}[variable.pattern]
    unit = []
    for dim, size, chunk in zip(variable.dims, shape, chunks, strict=True):
        if dim in ("y", "x"):
            span = min(edge, size)
        elif variable.pattern == "tile":
            span = size
        else:
            span = chunk
        unit.append(-(-span // chunk) * chunk)
    return tuple(unit)


def check_whole_units(
    name: str, index: tuple[slice, ...], shape: tuple[int, ...], unit: tuple[int, ...]
) -> None:
    """Refuse a write that does not cover whole chunks (shards, where there are any).

    Two tasks that share a chunk lose each other's data without an error.

    Raises
    ------
    UemError
        If `index` begins or ends inside a unit, or leaves the array.
    """
    for axis, (part, size, step) in enumerate(zip(index, shape, unit, strict=True)):
        start, stop = part.start, part.stop
        aligned = start % step == 0 and (stop % step == 0 or stop == size)
        if not (0 <= start < stop <= size and aligned):
            raise UemError(
                f"{name}: a write to {start}:{stop} on axis {axis} (size {size}) does not cover "
                f"whole units of {step}; write regions that begin and end at multiples of {step}"
            )
