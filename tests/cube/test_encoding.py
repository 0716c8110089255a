"""Chunks and shards written here are what Zarr itself would have written."""

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BloscShuffle

from uemdask.cube.encoding import can_write, write_units


def make(path, shape, chunks, shards, dtype, fill=0):
    return zarr.create_array(
        str(path),
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype=dtype,
        fill_value=fill,
        compressors=BloscCodec(cname="lz4", clevel=1, shuffle=BloscShuffle.bitshuffle),
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float16"])
@pytest.mark.parametrize(
    ("shape", "chunks", "shards"),
    [
        ((16, 64, 64), (16, 32, 32), None),
        ((20, 50, 70), (16, 32, 32), None),
        ((16, 64, 64), (16, 16, 16), (16, 32, 32)),
        ((20, 50, 70), (16, 16, 16), (16, 32, 64)),
        ((5, 7, 9), (5, 7, 9), None),
    ],
)
def test_zarr_reads_what_was_written(tmp_path, dtype, shape, chunks, shards):
    data = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    array = make(tmp_path / "a.zarr", shape, chunks, shards, dtype)
    assert can_write(array)
    unit = shards or chunks
    for start in range(0, shape[0], unit[0]):
        stop = min(start + unit[0], shape[0])
        region = (slice(start, stop), slice(0, shape[1]), slice(0, shape[2]))
        write_units(array, region, data[region])
    again = zarr.open_array(str(tmp_path / "a.zarr"), mode="r")
    np.testing.assert_array_equal(again[:], data)
    np.testing.assert_array_equal(again[1, 3:40:7, ::5], data[1, 3:40:7, ::5])


def test_the_bytes_of_a_chunk_are_those_of_zarr(tmp_path):
    data = np.random.default_rng(0).integers(0, 200, (4, 30, 40)).astype("uint16")
    region = tuple(slice(0, size) for size in data.shape)
    ours = make(tmp_path / "ours.zarr", data.shape, (4, 16, 16), None, "uint16")
    theirs = make(tmp_path / "theirs.zarr", data.shape, (4, 16, 16), None, "uint16")
    write_units(ours, region, data)
    theirs[:] = data
    files = [path for path in (tmp_path / "theirs.zarr").rglob("*") if path.is_file()]
    assert len(files) == 7
    for file in files:
        mine = tmp_path / "ours.zarr" / file.relative_to(tmp_path / "theirs.zarr")
        assert mine.read_bytes() == file.read_bytes()


def test_parts_that_are_never_written_read_as_the_fill_value(tmp_path):
    array = make(tmp_path / "a.zarr", (8, 8, 8), (4, 8, 8), None, "float32", np.nan)
    write_units(array, (slice(4, 8), slice(0, 8), slice(0, 8)), np.ones((4, 8, 8), "float32"))
    assert np.isnan(array[:4]).all()
    assert (array[4:] == 1).all()


def test_arrays_of_another_kind_are_left_to_zarr(tmp_path):
    plain = zarr.create_array(str(tmp_path / "b.zarr"), shape=(4,), dtype="u2", compressors=None)
    memory = zarr.create_array(zarr.storage.MemoryStore(), shape=(4,), dtype="u2")
    assert not can_write(plain)
    assert not can_write(memory)
