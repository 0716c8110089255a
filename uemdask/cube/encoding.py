"""Writing whole chunks and shards of frames without a detour.

Zarr copies each chunk of a write into a fresh array, takes a shard apart and joins it again, which
costs about as much as the compression itself. Frames and wave are most of what is ever written, so
their chunks are encoded here as they lie in the task's memory, and a shard goes to its file part by
part. The bytes are those of the Zarr 3 specification [1]_; reading is left to Zarr.

References
----------
.. [1] Zarr core specification version 3, and its sharding codec version 1.0,
   https://zarr-specs.readthedocs.io/en/latest/v3/core/v3.0.html
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec

from uemdask.cube.disk import Disk


def can_write(array: zarr.Array[Any]) -> bool:
    """Return whether an array is of the kind that `write_units` knows: Blosc alone, on a disk."""
    return (
        isinstance(array.store, zarr.storage.LocalStore)
        and len(array.compressors) == 1
        and isinstance(array.compressors[0], BloscCodec)
        and not array.filters
    )


def write_units(array: zarr.Array[Any], index: tuple[slice, ...], data: np.ndarray) -> None:
    """Write a region that covers whole chunks (shards, where there are any).

    Parameters
    ----------
    array : zarr.Array
        One for which `can_write` holds.
    index : tuple of slice
        The region; see `uemdask.cube.layout.check_whole_units`.
    data : ndarray
        Of the shape of the region.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    unit = array.shards or array.chunks
    dtype = np.dtype(array.dtype).newbyteorder("<")
    codec = _codec(array.compressors[0])
    store = array.store
    disk = store if isinstance(store, Disk) else Disk(store.root)
    for place, inside in _parts(data.shape, unit):
        coordinates = [
            at + part.start // step for at, part, step in zip(place, index, unit, strict=True)
        ]
        key = array.metadata.encode_chunk_key(tuple(coordinates))
        # All parts before the first byte is written: what fails to encode leaves no draft.
        parts = list(_encoded(data[inside], array, dtype, codec))
        disk.put(f"{array.path}/{key}".lstrip("/"), parts)


def _codec(compressor: Any) -> Blosc:
    shuffle = {
        "noshuffle": Blosc.NOSHUFFLE,
        "shuffle": Blosc.SHUFFLE,
        "bitshuffle": Blosc.BITSHUFFLE,
    }
    return Blosc(
        compressor.cname.value,
        clevel=compressor.clevel,
        shuffle=shuffle[compressor.shuffle.value],
        blocksize=compressor.blocksize,
    )


def _parts(
    shape: tuple[int, ...], step: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Cut a shape into steps; the last ones may be smaller."""
    counts = [-(-size // edge) for size, edge in zip(shape, step, strict=True)]
    for place in itertools.product(*map(range, counts)):
        yield (
            place,
            tuple(
                slice(i * edge, min((i + 1) * edge, size))
                for i, edge, size in zip(place, step, shape, strict=True)
            ),
        )


def _encoded(
    values: np.ndarray, array: zarr.Array[Any], dtype: np.dtype[Any], codec: Blosc
) -> Iterator[bytes]:
    """Yield the bytes of a chunk, or those of the chunks of a shard and of its index."""
    if array.shards is None:
        yield codec.encode(_chunk(values, array, dtype))
        return
    grid = [shard // chunk for shard, chunk in zip(array.shards, array.chunks, strict=True)]
    # Offset and length of each chunk; all ones where a shard reaches over the edge of the array.
    where = np.full((*grid, 2), 2**64 - 1, "<u8")
    offset = 0
    for place, inside in _parts(values.shape, array.chunks):
        data = codec.encode(_chunk(values[inside], array, dtype))
        where[place] = offset, len(data)
        offset += len(data)
        yield data
    index = where.tobytes()
    yield index + google_crc32c.value(index).to_bytes(4, "little")


def _chunk(values: np.ndarray, array: zarr.Array[Any], dtype: np.dtype[Any]) -> np.ndarray:
    """Return a chunk in one piece, filled up where it reaches over the edge of the array."""
    if values.shape == array.chunks:
        return np.ascontiguousarray(values, dtype)
    whole = np.full(array.chunks, array.fill_value, dtype)
    whole[tuple(slice(0, size) for size in values.shape)] = values
    return whole
