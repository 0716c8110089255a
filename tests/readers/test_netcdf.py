"""NetCDF, version 4 and classic."""

import h5py
import numpy as np
import pytest
import xarray as xr
from written_files import check_stack, write_netcdf

from uemdask.errors import UemError
from uemdask.readers import describe_image


@pytest.fixture
def stack(frame):
    return np.stack([frame(i, "int16") for i in range(4)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.nc"


def dataset(stack, order="tyx"):
    dims = {"t": "time", "y": "y", "x": "x"}
    coords = {
        "time": ("time", np.arange(4) * 5.0, {"units": "ps"}),
        "y": ("y", np.arange(24) * 2.5, {"units": "nm"}),
        "x": ("x", np.arange(32) * 0.003, {"units": "µm"}),
    }
    lying = stack.transpose(["tyx".index(letter) for letter in order])
    return xr.Dataset({"counts": ([dims[letter] for letter in order], lying)}, coords)


@pytest.mark.parametrize("order", ["tyx", "yxt", "xyt"])
def test_the_classic_format_as_scipy_writes_it(path, stack, order):
    found = dataset(stack, order).assign_attrs(sample="MoS2")
    found.to_netcdf(path, engine="scipy", unlimited_dims=["time"] if order == "tyx" else [])
    info = check_stack(path, stack)
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    assert info.notes == ()
    assert info.vendor["@sample"] == "MoS2"


def test_packed_values_of_the_classic_format(path, stack):
    values = stack.astype(np.float32)
    values[2, 3, 4] = np.nan
    packing = {"dtype": "i2", "scale_factor": 0.5, "add_offset": 7.0, "_FillValue": -9}
    dataset(values).to_netcdf(path, engine="scipy", encoding={"counts": packing})
    check_stack(path, values)


def test_version_4_is_hdf5(path, stack):
    write_netcdf(path, stack)
    assert check_stack(path, stack).pixel_size == pytest.approx((2.5, 3.0))
    with h5py.File(path, "a") as file:
        file["counts"].attrs.update({"scale_factor": 2.0, "add_offset": -1.0})
    check_stack(path, stack.astype(np.float32) * 2 - 1)


def test_one_of_several_variables_is_named(path, stack):
    found = dataset(stack)
    found.assign(other=found["counts"] + 1).to_netcdf(path, engine="scipy")
    with pytest.raises(UemError, match=r"holds 2 images or stacks; name one with `dataset`"):
        describe_image(path)
    check_stack(path, stack + 1, dataset="other")


def test_a_truncated_file_is_told(path, stack):
    dataset(stack).to_netcdf(path, engine="scipy")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UemError, match=r"a\.nc: cannot be opened as NetCDF"):
        describe_image(path)
