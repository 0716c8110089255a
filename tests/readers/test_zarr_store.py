"""Zarr stores of other programs, in both versions of the format."""

import json
import os
import pickle

import numpy as np
import pytest
import xarray as xr
import zarr
from written_files import check_stack

from uemdask.errors import UemError
from uemdask.readers import describe_image, is_image, read_image


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("chunks", [(1, 24, 32), (2, 10, 10)])
def test_an_array_alone(path, stack, version, chunks):
    zarr.create_array(str(path), data=stack, chunks=chunks, zarr_format=version)
    check_stack(path, stack)


@pytest.mark.parametrize("version", [2, 3])
def test_a_dataset_of_xarray_has_pixel_sizes(path, stack, version):
    coords = {
        "time": np.arange(4) * 5.0,
        "y": ("y", np.arange(24) * 2.5, {"units": "nm"}),
        "x": ("x", np.arange(32) * 0.003, {"units": "µm"}),
    }
    data = xr.Dataset(
        {"counts": (("time", "y", "x"), stack), "dark": (("y", "x"), stack[0])}, coords
    )
    data.attrs["sample"] = "MoS2"
    data.to_zarr(path, zarr_format=version, consolidated=False)
    info = check_stack(path, stack)
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    assert info.vendor["sample"] == "MoS2"
    check_stack(path, stack[:1], dataset="dark")


def test_an_ome_zarr_image_is_its_full_size_array(path, stack):
    group = zarr.create_group(str(path), zarr_format=2)
    for i in range(3):
        group.create_array(str(i), data=stack[:, :: 2**i, :: 2**i])
    group.attrs["multiscales"] = [
        {
            "axes": [
                {"name": "t", "type": "time", "unit": "picosecond"},
                {"name": "y", "type": "space", "unit": "nanometer"},
                {"name": "x", "type": "space", "unit": "micrometer"},
            ],
            "datasets": [
                {
                    "path": str(i),
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [5.0, 2.5 * 2**i, 0.003 * 2**i]}
                    ],
                }
                for i in range(3)
            ],
        }
    ]
    assert check_stack(path, stack).pixel_size == pytest.approx((2.5, 3.0))
    half = check_stack(path, stack[:, ::2, ::2], dataset="1")
    assert half.pixel_size == pytest.approx((5.0, 6.0))


def test_of_several_arrays_one_is_named(path, stack):
    group = zarr.create_group(str(path))
    group.create_array("raw", data=stack)
    group.create_array("deep/er", data=stack[:2])
    with pytest.raises(UemError) as error:
        describe_image(path)
    assert "a.zarr: holds 2 images or stacks; name one with `dataset`: " in str(error.value)
    assert "/raw (4, 24, 32) uint16" in str(error.value)
    assert "/deep/er (2, 24, 32) uint16" in str(error.value)
    check_stack(path, stack[:2], dataset="/deep/er")


def test_a_folder_counts_as_one_image_file(path, stack, tmp_path):
    zarr.create_array(str(path), data=stack)
    assert is_image(path)
    (tmp_path / "b.zarr").write_text("x")
    assert not is_image(tmp_path / "b.zarr")


# ---- faults


def test_a_folder_that_is_no_store(path):
    path.mkdir()
    with pytest.raises(UemError, match=r"a\.zarr: cannot be opened as Zarr \(.*\); copy it again$"):
        describe_image(path)


def test_an_array_alone_has_no_named_ones(path, stack):
    zarr.create_array(str(path), data=stack)
    with pytest.raises(UemError, match=r"holds one array; leave out the dataset 'b'$"):
        describe_image(path, "b")


def test_a_truncated_chunk_is_told(path, stack):
    zarr.create_array(str(path), data=stack, chunks=(1, 24, 32))
    (chunk,) = (path / "c" / "2").rglob("0/0")
    chunk.write_bytes(chunk.read_bytes()[:-20])
    read_image(path, 1, (24, 32), "uint16")
    with pytest.raises(UemError, match=r"a\.zarr: frame 2 cannot be read .*; the file may"):
        read_image(path, 2, (24, 32), "uint16")


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_pickles_are_not_opened(path, stack, place):
    zarr.create_array(str(path), data=stack, zarr_format=2, chunks=(4, 24, 32), compressors=None)
    codec = {"id": "pickle", "protocol": 5}
    file = path / ".zarray"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, place: [codec] if place == "filters" else codec}))
    (path / "0.0.0").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(UemError, match=r"a\.zarr: .*pickle"):
        describe_image(path)
    with pytest.raises(UemError, match=r"a\.zarr: .*pickle"):
        read_image(path, 0, (24, 32), "uint16")


# ---- named axes, packed values


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("order", ["yxt", "xyt", "ytx"])
def test_axes_lie_as_they_are_named(path, stack, version, order):
    names = {"t": "time", "y": "y", "x": "x"}
    coords = {
        "time": ("time", np.arange(4) * 5.0, {"units": "ps", "calendar": "none"}),
        "y": ("y", np.arange(24) * 2.5, {"units": "nm"}),
        "x": ("x", np.arange(32) * 3.0, {"units": "nm"}),
    }
    lying = stack.transpose(["tyx".index(letter) for letter in order])
    data = xr.Dataset({"counts": ([names[letter] for letter in order], lying)}, coords)
    data.to_zarr(path, zarr_format=version, consolidated=False)
    assert check_stack(path, stack).pixel_size == pytest.approx((2.5, 3.0))


@pytest.mark.parametrize("axes", ["yxt", "xyt", "tyx"])
@pytest.mark.parametrize("plain", [True, False])
def test_the_axes_of_ome_zarr(path, stack, axes, plain):
    group = zarr.create_group(str(path), zarr_format=2)
    group.create_array("0", data=stack.transpose(["tyx".index(letter) for letter in axes]))
    units = {"t": "picosecond", "y": "nanometer", "x": "nanometer"}
    named = list(axes) if plain else [{"name": a, "unit": units[a]} for a in axes]
    scale = [{"t": 5.0, "y": 2.5, "x": 3.0}[letter] for letter in axes]
    levels = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}]
    group.attrs["multiscales"] = [{"axes": named, "datasets": levels}]
    info = check_stack(path, stack)
    assert info.pixel_size == (None if plain else (2.5, 3.0))


@pytest.mark.parametrize("version", [2, 3])
def test_values_packed_by_xarray_are_counts(path, stack, version):
    values = stack.astype(np.float32)
    values[1, 2, 3] = np.nan
    data = xr.Dataset({"counts": (("time", "y", "x"), values)})
    packing = {"dtype": "int16", "scale_factor": 0.25, "add_offset": 900.0, "_FillValue": -32768}
    data.to_zarr(path, zarr_format=version, consolidated=False, encoding={"counts": packing})
    check_stack(path, values)


def test_zeros_of_a_store_without_packing_are_counts(path, stack):
    stack[1, 2, 3] = 0
    array = zarr.create_array(str(path), data=stack, zarr_format=2, fill_value=0)
    array.attrs["_ARRAY_DIMENSIONS"] = ["time", "y", "x"]
    check_stack(path, stack)


# ---- what lies elsewhere


@pytest.mark.parametrize("name", [".zarray", "0.0.0"])
def test_a_pipe_in_a_store_is_refused(path, stack, name):
    zarr.create_array(str(path), data=stack, chunks=stack.shape, zarr_format=2)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(UemError, match="is a pipe, not a file; move it away"):
        read_image(path, 0, (24, 32), "uint16")


@pytest.mark.parametrize("name", ["zarr.json", "c/0/0/0"])
def test_a_link_out_of_a_store_is_refused(tmp_path, path, stack, name):
    zarr.create_array(str(path), data=stack, chunks=stack.shape, compressors=None)
    (path / name).rename(tmp_path / "secret")
    (path / name).symlink_to(tmp_path / "secret")
    with pytest.raises(UemError, match="leads out of the store; copy the file itself there"):
        read_image(path, 0, (24, 32), "uint16")


def test_a_chunk_that_would_fill_the_memory_is_refused(path, stack):
    zarr.create_array(str(path), shape=(10**4, 2**12, 2**12), chunks=(10**4, 2**12, 64), dtype="u2")
    with pytest.raises(UemError, match="has chunks of 5 GiB, more than can be held"):
        describe_image(path)


def test_a_size_that_no_camera_has_is_refused(path):
    zarr.create_array(str(path), shape=(4, 2**20, 2**20), chunks=(1, 64, 64), dtype="u2")
    with pytest.raises(UemError, match="states 4 frames of 1048576 x 1048576 px, more than any"):
        describe_image(path)
