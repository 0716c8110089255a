"""Packed variables: small in the store, and sums of them are right."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from uemdask.cube import VARIABLES, open_run
from uemdask.cube.packing import Packing
from uemdask.errors import UemError

INT16 = Packing(2.0**-13, np.dtype("int16"), missing=-32768)
BYTE = Packing(1 / 255, np.dtype("uint8"))
IMAGES = [v for v in VARIABLES.values() if v.dims[-2:] == ("y", "x")]
EDGE = 512  # sums of half precision overflow on frames from about 256 px on


@given(st.lists(st.floats(-3.75, 3.75, width=32), min_size=1))
def test_a_value_within_the_limits_is_off_by_half_a_step_at_most(values):
    values = np.array(values, np.float32)
    assert INT16.beyond(values) == 0
    back = INT16.unpack(INT16.pack(values))
    assert back.dtype == np.float32
    assert np.abs(back - values).max() <= INT16.step / 2
    np.testing.assert_array_equal(INT16.pack(back), INT16.pack(values))


def test_a_value_beyond_the_limits_is_the_limit_and_counted():
    values = np.array([-np.inf, -4.5, -3.9, np.nan, 3.9, 4.5, np.inf], np.float32)
    back = INT16.unpack(INT16.pack(values))
    low, high = INT16.limits
    np.testing.assert_allclose(back, [low, low, -3.9, np.nan, 3.9, high, high], atol=1e-4)
    assert INT16.beyond(values) == 4
    assert BYTE.pack(np.array([-1.0, np.nan, 0.5, 2.0])).tolist() == [0, 0, 128, 255]


def test_what_an_earlier_version_did_not_pack_is_told(run):
    run.group.create_array(
        "wave", shape=(20, 40, 300), dtype="float16", dimension_names=VARIABLES["wave"].dims
    )
    with pytest.raises(UemError, match=r"only=\['spectrum'\]"):
        run.packing("wave")


@pytest.mark.parametrize("variable", IMAGES, ids=lambda v: v.name)
@pytest.mark.parametrize("opened", [xr.open_zarr, open_run])
def test_means_over_a_frame_are_right(make, variable, opened):
    run = make(shape=(EDGE, EDGE), delays=np.arange(2.0), source_file=["a", "b"])
    sizes = run.sizes | {"component": 2, "pair": 1}
    if variable.name != "intensity":
        run.create(variable.name, sizes)
    shape = tuple(sizes[dim] for dim in variable.dims)
    values = np.random.default_rng(1).normal(0.7, 0.1, shape)
    if variable.dtype == "bool":
        values = values > 0.7
    if variable.dtype == "frame":
        values = np.rint(90_000 * values).clip(0, 65535).astype(np.uint16)
    run.write(variable.name, values)
    run.consolidate()
    with opened(run.path) as dataset:
        found, exact = dataset[variable.name], np.float64(run.read(variable.name))
        np.testing.assert_allclose(found.mean(), exact.mean(), rtol=1e-5)
        np.testing.assert_allclose(found.std(("y", "x")), exact.std((-2, -1)), rtol=1e-4)
        if variable.dtype != "frame":  # squares of counts are the camera's type, as in numpy
            np.testing.assert_allclose((found**2).mean(), (exact**2).mean(), rtol=1e-5)


def test_plain_zarr_finds_what_it_needs(run):
    run.put("wave", np.full((20, 40, 300), 0.25), run.sizes)
    stored = run.group["wave"]
    assert stored[0, 0, 0] * stored.attrs["scale_factor"] == 0.25
    run.set_step("wave", 0.5)
    with xr.open_zarr(run.path, consolidated=True) as dataset:
        assert float(dataset["wave"][0, 0, 0]) == stored[0, 0, 0] * 0.5
