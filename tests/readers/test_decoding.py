"""Values packed as CF and NetCDF pack them."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.readers.decoding import decoding_of

PATH = Path("a.nc")


def decode(values, dtype, **attributes):
    found = decoding_of(PATH, attributes, np.dtype(dtype))(np.array(values, dtype))
    assert found.dtype == decoding_of(PATH, attributes, np.dtype(dtype)).dtype
    return found.tolist()


@given(
    st.lists(st.integers(-1000, 1000), min_size=1),
    st.sampled_from([0.01, 0.5, -2.0]),
    st.sampled_from([0.0, 300.0]),
    st.integers(-1000, 1000),
)
def test_values_are_those_of_xarray(values, scale, offset, fill):
    attributes = {"scale_factor": scale, "add_offset": offset, "_FillValue": np.int16(fill)}
    packed = np.array(values, np.int16)
    theirs = xr.decode_cf(xr.Dataset({"a": ("t", packed, attributes)}))["a"].values
    mine = decoding_of(PATH, attributes, packed.dtype)(packed)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("attributes", [{}, {"valid_range": [0, 65535]}, {"_FillValue": -1}])
def test_what_says_nothing_changes_nothing(attributes):
    found = decoding_of(PATH, attributes, np.dtype(">u2"))
    assert found.is_plain
    assert found.dtype == np.uint16


def test_what_is_not_valid_is_missing():
    nan = pytest.approx(np.nan, nan_ok=True)
    assert decode([0, 1, 9, 10], "u2", valid_range=np.array([1, 9])) == [nan, 1, 9, nan]
    assert decode([0, 1, 9], "u2", valid_min=1, missing_value=9) == [nan, 1, nan]
    assert decode([1, 2, 3], "i2", missing_value=[1, 3]) == [nan, 2, nan]
    assert decode([1.5, -9999], "f4", missing_value=-9999.0) == [1.5, nan]
    # Limits of the type of the counts are counts.
    assert decode([10, 50], "i2", scale_factor=0.1, valid_max=2.0) == [pytest.approx(1), nan]


def test_bytes_may_be_meant_unsigned():
    nan = pytest.approx(np.nan, nan_ok=True)
    assert decode([1, -1], "i1", _Unsigned="true") == [1, 255]
    assert decode([1, -2, -1], ">i2", _Unsigned=b"true", _FillValue=-1) == [1, 65534, nan]
    assert decode([200], "u1", _Unsigned="false") == [-56]


def test_xarray_s_fill_values_of_zarr_3_are_text():
    assert decode([1.0, 2.0], "f8", _FillValue="AAAAAAAAAEA=")[0] == 1
    assert np.isnan(decode([1.0, 2.0], "f8", _FillValue="AAAAAAAAAEA=")[1])
    assert decode([1.0], "f8", _FillValue="AAAAAAAA+H8=") == [1.0]


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"scale_factor": 0}, "scale_factor 0 and add_offset 0 leave no counts"),
        ({"add_offset": float("inf")}, "scale_factor 1 and add_offset inf leave no counts"),
        ({"scale_factor": "two"}, "scale_factor is 'two'; it must be a number"),
        ({"scale_factor": [1, 2]}, r"scale_factor is \[1.0, 2.0\]; it must be one number"),
        ({"valid_range": [1]}, r"valid_range is \[1\]; it must be two numbers"),
        ({"valid_min": 70_000}, "its valid range, 70000 to inf, holds no value of uint16"),
        ({"valid_range": [9, 1]}, "its valid range, 9 to 1, holds no value"),
    ],
)
def test_what_means_nothing_is_refused(attributes, words):
    with pytest.raises(UemError, match=f"a.nc: {words}"):
        decoding_of(PATH, attributes, np.dtype("u2"))
