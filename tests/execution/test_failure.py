"""What one run meets is its own matter: no other run stops for it, and nothing is left behind."""

import resource
import shutil

import numpy as np
import pytest
import tifffile

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.execution import Capacity, Cluster, Driver, campaign_status, preview
from uemdask.execution.ledger import last_entry, ledger_path
from uemdask.execution.ledger_entries import Failed

TRAIN = ("train",)


@pytest.fixture
def twins(finished):
    """Return a folder with two finished runs, `raw` and `other`."""
    shutil.copytree(finished / "results" / "raw.zarr", finished / "results" / "other.zarr")
    return finished


@pytest.fixture
def planned_twins(twins, plan, quick):
    """Return a function that plans both, to be trained anew with a seed."""

    def planned(seed, **more):
        train = quick["train"] | {"training": quick["train"]["training"] | {"seed": seed}}
        runs = [{"run": f"results/{name}.zarr"} for name in ("raw", "other")]
        return plan(twins, runs=runs, parameters={"train": train}, **more)

    return planned


@pytest.mark.parametrize("one_model", ["all", "each"])
def test_a_run_that_cannot_be_told_of_its_network_fails_alone(
    planned_twins, drive, monkeypatch, one_model
):
    begin = Run.begin

    def full(self, stage, **facts):
        if self.name == "raw":
            raise UemError(f"{self.path}: cannot be written (No space left on device)")
        begin(self, stage, **facts)

    monkeypatch.setattr(Run, "begin", full)
    outcome = drive(planned_twins(1, one_model=one_model), only=TRAIN).outcome
    assert outcome.done == ["other"]
    assert "No space left" in outcome.failed["raw"]


def test_a_folder_of_models_that_cannot_be_made_fails_the_runs_that_want_one(
    twins, planned_twins, drive
):
    shutil.rmtree(twins / "results" / "models")
    (twins / "results" / "models").write_text("in the way")
    outcome = drive(planned_twins(1), only=TRAIN).outcome
    assert set(outcome.failed) == {"raw", "other"}
    assert "models" in outcome.failed["raw"]


def test_a_kill_while_runs_are_told_of_their_network_costs_no_training(
    planned_twins, drive, monkeypatch
):
    class Killed(BaseException):
        pass

    begin = Run.begin

    def kill(self, stage, **facts):
        if self.name == "other":
            raise Killed
        begin(self, stage, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "begin", kill)
        with pytest.raises(Killed):
            drive(planned_twins(1), only=TRAIN)
    again = drive(planned_twins(1), only=TRAIN)
    assert again.outcome.failed == {}
    assert again.tasks == []


def test_a_ledger_that_cannot_be_written_stops_no_other_run(two, plan, drive):
    (two / "bad" / "frame_0020.tif").write_bytes((two / "raw" / "frame_0020.tif").read_bytes())
    ready = plan(two, runs=[{"raw": "bad"}, {"raw": "raw"}])
    ledger = ledger_path(two / "results" / "bad.zarr")

    def spoil(stage, region):
        if ledger.is_file():
            ledger.unlink()
            ledger.mkdir()

    outcome = drive(ready, spoil, only=("ingest",)).outcome
    assert "raw" in outcome.done


def test_a_run_whose_folder_is_closed_stops_no_other_run(two, plan, drive):
    (two / "results").mkdir()
    ledger_path(two / "results" / "bad.zarr").mkdir()  # stands for a folder of somebody else
    ready = plan(two, runs=[{"raw": "bad"}, {"raw": "raw"}])
    outcome = drive(ready, only=("ingest",)).outcome
    assert outcome.done == ["raw"]
    assert "bad.ledger.jsonl" in outcome.failed["bad"]
    assert "bad.ledger.jsonl" in campaign_status(ready)[0].failed


def test_more_runs_than_files_may_be_open(raw, plan, drive):
    runs = [
        {"raw": "raw", "name": f"run{number}", "delays": "-30:500:5 ps"} for number in range(80)
    ]
    ready = plan(raw, runs=runs)  # 30 frames: the plan of delays is refused at once
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        outcome = drive(ready).outcome
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(outcome.failed) == 80
    assert all("delay" in message for message in outcome.failed.values())


def test_a_failure_at_the_end_of_a_stage_names_that_stage(finished, plan, drive):
    # The run that is to be replaced is whole; what failed is the ingest of the new one.
    for file in (finished / "raw").glob("frame_*.tif"):
        tifffile.imwrite(file, np.full((64, 64), 7, np.uint16))
    ready = plan(finished)
    outcome = drive(ready, only=("ingest",), overwrite=True).outcome
    assert "frames can be used" in outcome.failed["raw"]
    assert campaign_status(ready)[0].failed_stage == "ingest"
    assert not list((finished / "results").glob(".*"))


def test_a_replacement_that_is_refused_at_once_leaves_nothing(finished, plan, drive):
    ready = plan(
        finished,
        runs=[{"raw": "raw", "time_zero": "10 ps"}],
        parameters={"spectrum": {"band": [400, 500]}},
    )
    outcome = drive(ready, overwrite=True).outcome
    assert "GHz" in outcome.failed["raw"]
    assert Run(finished / "results" / "raw.zarr").is_done("mode")
    assert not list((finished / "results").glob(".*"))


def test_single_stages_with_a_gap_that_the_first_would_open_are_refused(finished, plan, drive):
    ready = plan(finished, parameters={"spectrum": {"smoothing": 3.0}})
    (expected,) = preview(ready, only=("spectrum", "flow")).runs
    failed = drive(ready, only=("spectrum", "flow")).outcome.failed
    assert failed == {"raw": expected.fault}
    assert "'spectrum' is to be made anew, which removes 'pairs', and 'flow' needs" in failed["raw"]
    assert Run(finished / "results" / "raw.zarr").is_done("flow")


def test_a_model_of_the_same_weights_is_taken_once(finished, plan, drive):
    store = finished / "results" / "raw.zarr"
    given = plan(finished, model="results/models/raw.pt")
    assert drive(given).tasks == []
    assert "start" not in Run(store).stage("train")["results"]
    written = (store / "zarr.json").stat().st_mtime_ns
    assert drive(given).tasks == []
    assert (store / "zarr.json").stat().st_mtime_ns == written
    back = drive(plan(finished))
    assert back.outcome.done == ["raw"]
    assert Run(store).stage("train")["results"]["start"] == "new"
    assert set(back.stages) == {"train"}  # a task that finds its network there


def test_damaged_metadata_of_a_variable_stop_no_other_run(twins, plan, drive):
    Run(twins / "results" / "raw.zarr").begin("mode", digest="", parameters={})
    (twins / "results" / "raw.zarr" / "flow" / "zarr.json").write_bytes(b'{"sha')
    runs = [{"run": f"results/{name}.zarr"} for name in ("raw", "other")]
    outcome = drive(plan(twins, runs=runs), only=("mode",)).outcome
    assert outcome.done == ["other"]
    assert "flow/zarr.json: is damaged" in outcome.failed["raw"]


def test_what_was_at_work_when_a_run_failed_is_not_done_again(finished, plan, in_process):
    ready = plan(
        finished, runs=[{"run": "results/raw.zarr"}], parameters={"label": {"base": False}}
    )
    ledger = ledger_path(finished / "results" / "raw.zarr")

    def run(client):
        cluster = Cluster(client=client, dashboard="", cpu=Capacity(slots=2))
        return Driver(ready, cluster, only=("label",)).run()

    def full(stage, region):
        if len(client.tasks) == 1:
            raise UemError("No space left on device")

    client = in_process(full)
    assert run(client).failed
    first, *others = client.tasks
    assert others
    assert isinstance(last_entry(ledger), Failed)
    assert campaign_status(ready)[0].failed == "No space left on device"
    again = in_process()
    assert run(again).failed == {}
    assert again.tasks[0] == first
    assert set(again.tasks).isdisjoint(others)


def test_what_a_later_stage_refuses_is_its_failure(raw, plan, drive):
    ready = plan(raw, parameters={"spectrum": {"band": [400, 500]}})
    done = drive(ready)
    assert done.tasks == []
    assert done.outcome.stages == {"raw": "spectrum"}
    assert campaign_status(ready)[0].failed_stage == "spectrum"


def test_features_alone_bring_their_modes(finished, plan, drive):
    rois = [{"name": "left", "rectangle": {"x": [0, 60], "y": [0, 120]}}]
    changed = plan(finished, parameters={"feature": {"rois": rois}})
    (expected,) = preview(changed, only=("feature",)).runs
    Run(finished / "results" / "raw.zarr").remember(["run", "ge.yaml"])
    asked = changed.model_copy(update={"command": ("run", "raw.zarr")})
    done = drive(asked, only=("feature",))
    assert done.outcome.done == ["raw"], done.outcome.failed
    assert list(expected.to_do) == ["feature", "mode"]
    run = Run(finished / "results" / "raw.zarr")
    assert run.is_done("mode")
    assert run.record["command"] == ["run", "ge.yaml"]  # a single stage is not the whole
    assert list(run.read("roi")) == ["left"]
    assert len(run.read("mode")) == 1
