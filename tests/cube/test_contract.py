"""The data contract: names, dims, units and owners."""

import numpy as np
import pytest
import xarray as xr

from uemdask.cube import STAGES, VARIABLES, faults_of, validate
from uemdask.cube.contract import later_stages, variables_of
from uemdask.errors import FaultsError


def sound() -> xr.Dataset:
    """Return the coordinates of a run of four frames, as the contract wants them."""
    count = 4
    values = {
        "time": np.arange(-1.0, 3.0),
        "y": np.arange(3) + 0.5,
        "x": 2 * (np.arange(5) + 0.5),
        "frame_ok": np.ones(count, bool),
        "frame_flag": np.array([""] * count, object),
        "source_file": np.array(["ü.tif"] * count, object),
        "scan_count": np.ones(count, np.int32),
    }
    return xr.Dataset(
        {"intensity": (("time", "y", "x"), np.zeros((4, 3, 5), np.uint16), {"units": "counts"})},
        coords={
            name: (VARIABLES[name].dims, value, {"units": VARIABLES[name].units})
            for name, value in values.items()
        },
    )


def test_a_sound_run_has_no_faults():
    assert faults_of(sound()) == []
    validate(sound())


def test_an_export_without_frames_is_sound():
    assert faults_of(sound().drop_vars("intensity")) == []


def test_variables_beyond_the_contract_are_allowed():
    assert faults_of(sound().assign(my_own=("whatever", [1, 2]))) == []


def test_all_faults_are_listed_at_once():
    run = sound().drop_vars("scan_count")
    run["time"] = ("time", [0.0, 2.0, 1.0, 3.0], {"units": "ps"})
    run["x"] = ("x", [1.0, 2.0, 4.0, 5.0, 6.0], {"units": "um"})
    run["mask"] = (("y", "x"), np.zeros((3, 5), np.int8), {"units": "1"})
    run["speed"] = (("y", "x"), np.zeros((3, 5), np.float32), {"units": "nm/ps"})
    with pytest.raises(FaultsError) as caught:
        validate(run, "a.zarr")
    assert caught.value.subject == "a.zarr"
    places = sorted(fault.split(":")[0] for fault in caught.value.faults)
    assert places == ["mask", "scan_count", "speed", "time", "x", "x"]


@pytest.mark.parametrize(
    "delays", [[0, 1, 1, 2], [3, 2, 1, 0], [0, 1, np.nan, 2], [0, 1, 2, np.inf]]
)
def test_delays_are_finite_and_rise(delays):
    run = sound()
    run["time"] = ("time", np.array(delays, float), {"units": "ps"})
    assert [fault.split(":")[0] for fault in faults_of(run)] == ["time"]


def test_uneven_delays_are_allowed():
    run = sound()
    run["time"] = ("time", [-30.0, 0.0, 5.0, 500.0], {"units": "ps"})
    assert faults_of(run) == []


def test_checking_computes_nothing():
    class Touched(Exception):
        pass

    def scheduler(*_args, **_kwargs):
        raise Touched

    import dask

    run = sound()
    run["intensity"] = run["intensity"].chunk()
    with dask.config.set(scheduler=scheduler):
        assert faults_of(run) == []
        with pytest.raises(Touched):
            run["intensity"].compute()


def test_the_table_is_consistent():
    assert {v.stage for v in VARIABLES.values()} <= set(STAGES)
    for name, variable in VARIABLES.items():
        assert variable.name == name
        assert variable.units
        assert variable.long_name
    # A dim with a coordinate of its name is as long as that coordinate.
    for variable in VARIABLES.values():
        for dim in variable.dims:
            if dim in VARIABLES:
                assert VARIABLES[dim].dims == (dim,)


def test_every_variable_has_one_owner_and_coordinates_come_first():
    names = [name for stage in STAGES for name in variables_of(stage)]
    assert sorted(names) == sorted(VARIABLES)
    for stage in STAGES:
        kinds = [VARIABLES[name].coordinate for name in variables_of(stage)]
        assert kinds == sorted(kinds, reverse=True)


def test_later_stages_begin_with_the_stage():
    assert later_stages("flow") == ("flow", "feature", "mode")
    assert later_stages(STAGES[0]) == STAGES
