"""The progress of a campaign: what the driver told, counted, and what follows for the time left."""

import json
import os

import numpy as np
import pytest

from uemdask.cube import STAGES, create_run
from uemdask.execution import plan_campaign
from uemdask.monitor.campaign_progress import MOST_RUNS, CampaignProgress
from uemdask.monitor.state import CampaignState
from uemdask.monitor.training_curve import TrainingCurve


class Clock:
    """A clock that goes when told to."""

    now = 1000.0

    def __call__(self):
        return self.now


def make(folder, runs=3, only=(), model="base", **more):
    for number in range(runs):
        (folder / f"raw{number}").mkdir(exist_ok=True)
    found = {"runs": [{"raw": f"raw{number}"} for number in range(runs)], "model": model} | more
    clock = Clock()
    progress = CampaignProgress(plan_campaign(found, name="ge", folder=folder), only, clock=clock)
    progress.cluster_is_up("http://127.0.0.1:8787/status", 4)
    return progress, clock


def by_name(state):
    return {run.run: run for run in state.runs}


def test_before_the_first_task_nothing_is_made_up(tmp_path):
    state = make(tmp_path)[0].state()
    assert state.rates is None
    assert state.seconds_left is None
    assert state.not_counted == [s for s in STAGES if s != "pairs"]
    assert state.totals.waiting == 3
    assert all(set(run.stages.values()) == {0.0} for run in state.runs)


def test_runs_are_where_their_tasks_are(tmp_path):
    progress, _ = make(tmp_path)
    progress.phase_begins("raw0", "ingest", "frames", 4, 0)
    progress.phase_begins("raw1", "align", "follow", 4, 2)
    progress.phase_begins("raw2", "ingest", "frames", 4, 0)
    progress.task_done("raw0", "ingest", "frames", {"seconds": 2.0, "bytes": 500})
    progress.run_failed("raw2", "ingest", "frame_0001.tif: truncated")
    state = progress.state()
    runs = by_name(state)
    # The first of two phases is done, and a quarter of the second.
    assert runs["raw0"].stages["ingest"] == 0.625
    # The first of five phases is done, and half of the second.
    assert (runs["raw1"].stages["ingest"], runs["raw1"].stages["align"]) == (1.0, 0.3)
    assert (runs["raw2"].state, runs["raw2"].failed_stage) == ("failed", "ingest")
    ingest = state.stages[0]
    assert (ingest.runs_done, ingest.runs_at_work, ingest.runs_failed) == (1, 1, 1)
    assert (ingest.tasks_done, ingest.tasks_known, ingest.seconds_per_task) == (1, 8, 2.0)
    assert (state.totals.at_work, state.totals.failed) == (2, 1)


def test_a_phase_without_tasks_is_no_progress(tmp_path):
    progress, _ = make(tmp_path)
    progress.phase_begins("raw0", "ingest", "dark", 0, 0)
    assert by_name(progress.state())["raw0"].stages["ingest"] == 0.0
    progress.phase_begins("raw0", "ingest", "frames", 4, 1)
    assert by_name(progress.state())["raw0"].stages["ingest"] == 0.25
    progress.phase_begins("raw0", "align", "pixels", 2, 1)
    assert by_name(progress.state())["raw0"].stages["align"] == 0.1


def test_time_left_is_that_of_the_tasks_to_come(tmp_path):
    progress, clock = make(tmp_path, only=("ingest",))
    for run, frames in (("raw0", 4), ("raw1", 8)):
        progress.phase_begins(run, "ingest", "dark", 0, 0)
        progress.phase_begins(run, "ingest", "frames", frames, 0)
    for _ in range(2):
        clock.now += 1.0
        progress.task_done("raw0", "ingest", "frames", {"seconds": 2.0})
    state = progress.state()
    # Open are 2 and 8 tasks, and the third run will have about 6: 16 tasks of 2 s on 4 slots.
    assert (state.seconds_left, state.not_counted) == (8.0, [])
    assert state.rates.tasks_per_second == 1.0
    assert state.rates.bytes_per_second is None
    for run in ("raw0", "raw1", "raw2"):
        progress.run_done(run)
    assert progress.state().seconds_left == 0.0
    assert progress.state().totals.done == 3


def test_rates_forget_what_was_long_ago(tmp_path):
    progress, clock = make(tmp_path)
    progress.phase_begins("raw0", "ingest", "frames", 99, 0)
    for _ in range(60):
        progress.task_done("raw0", "ingest", "frames", {"seconds": 1.0, "bytes": 1000})
    clock.now += 30
    assert progress.state().rates.tasks_per_second == 2.0
    assert progress.state().rates.bytes_per_second == 2000
    clock.now += 31
    for _ in range(2):
        assert progress.state().rates.tasks_per_second == 0.0
        assert progress.state().rates.bytes_per_second == 0


def test_a_training_tells_its_own_time(tmp_path):
    progress, _ = make(tmp_path, only=("train",))
    progress.phase_begins("ge", "train", "model", 1, 0)
    progress.training(
        "ge", {"phase": "start", "device": "CPU: no GPU", "threads": 2, "processes": 1}
    )
    assert progress.state().not_counted == ["train"]
    for step in (10, 20, 20):
        entry = {"step": step, "steps": 40, "phase": "pretrain", "loss": 1 / step}
        entry |= {"images_per_second": 5.0, "seconds_left": 60.0, "device": "CPU: no GPU"}
        progress.training("ge", entry)
    progress.training("ge", entry | {"step": 38, "phase": "finetune", "loss": 7.0})
    progress.training("ge", entry | {"seconds_left": 60.0})
    state = progress.state()
    (training,) = state.trainings
    assert (training.step, training.steps, training.threads) == (20, 40, 2)
    assert not training.done
    # Losses of the phases are of two kinds.
    assert training.curves == {"pretrain": [(10, 0.1), (20, 0.05)], "finetune": [(38, 7.0)]}
    assert state.seconds_left == 60.0
    progress.task_done("ge", "train", "model", {"seconds": 70.0})
    assert progress.state().trainings[0].done


@pytest.mark.parametrize(("one_model", "model"), [("all", "ge"), ("each", "raw1")])
def test_runs_whose_model_is_trained_are_at_work(tmp_path, one_model, model):
    progress, _ = make(tmp_path, one_model=one_model)
    for run in ("raw0", "raw1", "raw2"):
        progress.phase_begins(run, "label", "base", 1, 1)
    assert progress.state().totals.waiting == 3
    progress.phase_begins(model, "train", "model", 1, 0)
    progress.training(model, {"step": 10, "steps": 40, "phase": "pretrain", "loss": 1.0})
    state = progress.state()
    run = by_name(state)["raw1"]
    assert (run.state, run.stage, run.stages["train"], run.stages["label"]) == (
        "at work", "train", 0.25, 1.0,
    )  # fmt: skip
    at_work = {"all": 3, "each": 1}[one_model]
    (train,) = [stage for stage in state.stages if stage.stage == "train"]
    assert (train.runs_at_work, state.totals.at_work) == (at_work, at_work)
    progress.task_done(model, "train", "model", {"seconds": 1.0})
    assert progress.state().totals.at_work == 0


def test_a_training_that_failed_goes_on_no_more(tmp_path):
    progress, _ = make(tmp_path)
    progress.phase_begins("ge", "train", "model", 1, 0)
    for run in ("raw0", "raw1", "raw2"):
        progress.run_failed(run, "train", "broken")
    state = progress.state()
    assert state.trainings[0].done
    assert (state.totals.failed, state.totals.at_work, state.seconds_left) == (3, 0, 0.0)


def test_no_time_is_told_where_only_unknown_stages_are_left(tmp_path):
    progress, _ = make(tmp_path, runs=1)
    progress.phase_begins("raw0", "label", "base", 1, 0)
    progress.task_done("raw0", "label", "base", {"seconds": 2.0})
    state = progress.state()
    assert state.seconds_left is None
    assert state.not_counted == ["train", "flow", "feature", "mode"]


def test_a_stage_whose_first_task_is_at_work_has_begun(tmp_path):
    progress, _ = make(tmp_path)
    progress.phase_begins("raw0", "ingest", "dark", 0, 0)
    progress.phase_begins("raw1", "flow", "calibrate", 5, 0)
    state = progress.state()
    assert by_name(state)["raw1"].stage == "flow"
    assert by_name(state)["raw1"].stages["flow"] == 0.0
    (flow,) = [stage for stage in state.stages if stage.stage == "flow"]
    assert flow.runs_at_work == 1


def test_a_given_model_takes_no_time(tmp_path):
    (tmp_path / "m.pt").touch()
    progress, _ = make(tmp_path, model="m.pt")
    assert "train" not in progress.state().not_counted


def test_a_driver_that_was_stopped_works_no_more(tmp_path):
    progress, _ = make(tmp_path)
    progress.phase_begins("raw0", "ingest", "frames", 4, 0)
    progress.ends("stopped")
    state = progress.state()
    assert (state.driver.state, state.driver.alive) == ("stopped", False)
    assert state.driver.pid == os.getpid()
    assert by_name(state)["raw0"].state == "waiting"


def test_the_state_stays_small(tmp_path):
    (tmp_path / "raw").mkdir()
    campaign = {"runs": [{"raw": "raw", "name": f"{i}"} for i in range(MOST_RUNS + 5)]}
    progress = CampaignProgress(plan_campaign(campaign, name="many", folder=tmp_path))
    progress.run_failed(str(MOST_RUNS + 4), "ingest", "x" * 100_000)
    state = progress.state()
    assert (len(state.runs), state.runs_left_out) == (MOST_RUNS, 5)
    assert state.totals.runs == MOST_RUNS + 5
    assert state.runs[0].failed.endswith("…")  # what failed is told first
    assert len(state.model_dump_json()) < 2**20


def test_json_comes_back_as_it_was(tmp_path):
    progress, _ = make(tmp_path)
    state = progress.state()
    assert CampaignState.model_validate_json(state.model_dump_json()) == state
    assert json.loads(state.model_dump_json())["version"] == "uemdask.campaign/1"


@pytest.mark.parametrize("length", [0, 1, 2, 299, 300, 301, 5000])
def test_a_curve_keeps_its_ends(length):
    curve = TrainingCurve()
    for step in range(length):
        curve.add(step, 1.0 + step)
    assert len(curve.points) <= 300
    if length:
        assert (curve.points[0][0], curve.points[-1][0]) == (0, length - 1)
    steps = [step for step, _ in curve.points]
    assert steps == sorted(set(steps))


def test_a_loss_that_is_no_number_is_not_drawn():
    curve = TrainingCurve()
    curve.add(1, float("nan"))
    assert curve.points == []


def test_a_restart_remembers_what_is_done(tmp_path):
    plan = plan_campaign({"runs": [{"raw": "raw"}]}, name="ge", folder=_raw(tmp_path))
    store = plan.runs[0].store
    run = create_run(
        store,
        delays=np.arange(4.0),
        shape=(16, 16),
        dtype="uint16",
        pixel_size=(1.0, 1.0),
        source_file=["a"] * 4,
    )
    for stage in STAGES[:6]:
        run.begin(stage, digest="x", parameters={})
        run.finish(stage)
    for only in ((), ("flow",)):
        progress = CampaignProgress(plan, only)
        (found,) = progress.state().runs
        assert [stage for stage, share in found.stages.items() if share == 1.0] == list(STAGES[:6])
    progress = CampaignProgress(plan)
    # What follows from a stage that is made anew is gone, what comes before it is not.
    progress.phase_begins("raw", "label", "pairs", 4, 2)
    (found,) = progress.state().runs
    done = [stage for stage, share in found.stages.items() if share == 1.0]
    assert done == list(STAGES[: STAGES.index("label")])
    progress.run_done("raw")
    assert set(progress.state().runs[0].stages.values()) == {1.0}


def _raw(folder):
    (folder / "raw").mkdir()
    return folder
