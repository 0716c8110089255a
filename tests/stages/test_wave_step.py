"""The wave is stored in steps that suit the run, and what has no room is told."""

import numpy as np
import pytest

from uemdask.cube import Run, describe_run
from uemdask.execution import plan_campaign
from uemdask.simulate import scenario, simulate, write_acquisition

STAGES = ("ingest", "align", "spectrum")


@pytest.fixture
def planned(tmp_path):
    write_acquisition(simulate(scenario("plane", shape=(64, 64), frames=30)), tmp_path / "raw")
    return plan_campaign({"runs": [{"raw": "raw"}]}, name="step", folder=tmp_path)


def test_the_step_is_a_small_part_of_the_noise(planned, drive):
    assert drive(planned, only=STAGES).outcome.done == ["raw"]
    run = Run(planned.runs[0].store)
    step, results = run.packing("wave").step, run.stage("spectrum")["results"]
    assert results["wave_noise"] / 64 < step <= results["wave_noise"] / 16
    assert results["warnings"] == []
    assert np.isfinite(run.read("wave")).all()


def test_values_without_room_are_told(planned, drive):
    store = planned.runs[0].store

    def narrow(stage, region):
        # Between the survey, which chooses the step, and the tasks that write.
        if stage == "spectrum" and "band" in Run(store).stage("spectrum").get("results", {}):
            Run(store).set_step("wave", 2.0**-22)

    assert drive(planned, narrow, only=STAGES).outcome.done == ["raw"]
    run = Run(store)
    limit = run.packing("wave").limits[1]
    assert np.abs(run.read("wave")).max() == pytest.approx(limit)
    (told,) = run.stage("spectrum")["results"]["warnings"]
    at_limit = np.count_nonzero(np.abs(run.read("wave")) >= limit)
    assert 0 < int(told.split()[0]) <= at_limit
    assert told in describe_run(store)
