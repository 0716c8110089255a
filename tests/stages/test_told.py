"""Pairs whose motion nobody can tell have no valid pixel, whatever the flow says."""

import numpy as np
import pytest

from uemdask.cube import create_run
from uemdask.stages.flow import FlowParameters, _told

BAND = {"low": 15.0, "high": 21.0, "centre": 18.0, "significance": 9.0, "found": True}


@pytest.fixture
def run(tmp_path):
    """Return a run of fine and then coarse delays: 0.09 and 0.9 periods."""
    delays = np.array([-10.0, -5.0, 0.0, 5.0, 10.0, 60.0, 110.0])
    run = create_run(
        tmp_path / "coarse.zarr",
        delays=delays,
        shape=(8, 8),
        dtype="uint16",
        pixel_size=(3.0, 3.0),
        source_file=[f"{i}.tif" for i in range(len(delays))],
    )
    run.begin("spectrum", digest="", parameters={})
    run.note("spectrum", results={"band": BAND})
    return run


def test_not_before_time_zero_and_not_over_too_many_periods(run):
    pairs = np.array([(i, i + 1) for i in range(6)])
    assert _told(run, pairs, FlowParameters()).tolist() == [False, False, True, True, False, False]


def test_the_limit_is_a_parameter(run):
    pairs = np.array([(2, 3), (2, 4)])  # 0.09 and 0.18 periods
    told = _told(run, pairs, FlowParameters(displacement_limit=0.1))
    assert told.tolist() == [True, False]
