"""How far a campaign has come, from the disk alone."""

import pytest

from uemdask.cube import STAGES, Run
from uemdask.execution import campaign_status, preview, run_status
from uemdask.execution.ledger import Ledger


def test_nothing_done(raw, plan):
    (status,) = campaign_status(plan(raw))
    assert not status.done
    assert status.shares == {}
    assert list(raw.iterdir()) == [raw / "raw"]  # looking makes nothing


def test_all_done(finished, plan):
    (status,) = campaign_status(plan(finished))
    assert status.done
    assert status.shares == dict.fromkeys(STAGES, 1.0)
    assert preview(plan(finished)).runs[0].to_do == {}


def test_a_stage_at_work_shows_its_share(raw, plan, drive):
    class Killed(BaseException):
        pass

    def kill(stage, region):
        if stage == "align" and region == "time=16:30":
            raise Killed

    with pytest.raises(Killed):
        drive(plan(raw), kill)
    (status,) = campaign_status(plan(raw))
    assert status.shares["ingest"] == 1.0
    assert status.shares["align"] == pytest.approx(2 / 7)  # bad pixels, and one of two slabs
    assert "spectrum" not in status.shares
    (expected,) = preview(plan(raw)).runs
    assert expected.done == ["ingest"]
    assert expected.to_do["align"] == "begun"
    assert expected.to_do["spectrum"] == "after align"


def test_a_failure_shows_until_the_run_goes_on(raw, plan, drive):
    planned = plan(raw).runs[0]

    def broken(stage, region):
        if stage == "align":
            raise ZeroDivisionError("no")

    drive(plan(raw), broken)
    status = run_status(planned)
    assert status.shares["ingest"] == 1.0
    assert status.shares.get("align", 0.0) < 1.0
    assert status.failed_stage == "align"
    assert "ZeroDivisionError" in status.failed
    assert "ZeroDivisionError" in preview(plan(raw)).runs[0].failed_before
    drive(plan(raw), only=("align",))
    status = run_status(planned)
    assert (status.shares["align"], status.failed, status.failed_stage) == (1.0, "", "")


def test_a_failure_is_over_when_its_stage_is_finished_without_a_task(finished, plan):
    # The driver failed after the last task; the next one only closes the stage.
    planned = plan(finished).runs[0]
    ledger = Ledger(planned.store, "")
    ledger.failed(stage="mode", phase="numbers", region="", message="disk full", trace="")
    assert run_status(planned).failed == "disk full"
    run = Run(planned.store)
    record = run.record
    record["stages"]["mode"]["finished"] = "2999-01-01T00:00:00+00:00"
    run.describe(uemdask=record)
    assert run_status(planned).failed == ""


def test_only_the_wanted_stages_are_previewed(raw, plan, drive):
    early = preview(plan(raw), only=("align",))
    assert early.runs[0].fault  # as `drive` would say: there is no run yet
    drive(plan(raw), only=("ingest",))
    assert list(preview(plan(raw), only=("align",)).runs[0].to_do) == ["align"]
    assert "'align' is not done" in preview(plan(raw), only=("label",)).runs[0].fault


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({"spectrum": {"smoothing": 3.0}}, {}),
        ({"train": {"training": {"seed": 3}}}, {}),
        ({"flow": {"displacement_limit": 0.3}}, {}),
        ({"flow": {"displacement_limit": 0.3}}, {"only": ("feature", "mode")}),
        ({"spectrum": {"smoothing": 3.0}}, {"only": ("label",)}),
        ({"mode": {}, "label": {"methods": ["farneback"], "base": False}}, {"only": ("label",)}),
    ],
)
def test_what_was_announced_is_what_is_done(finished, plan, drive, quick, changes, options):
    train = quick["train"] | changes.get("train", {})
    changed = plan(finished, parameters=changes | {"train": train})
    announced = preview(changed, **options)
    done = drive(changed, **options)
    assert done.outcome.done == ["raw"]
    stages = [stage for stage in STAGES if stage in done.stages]
    (run,) = announced.runs
    assert [stage for stage in run.to_do if stage != "pairs"] == stages
    counted = {stage.stage: stage.tasks for stage in announced.stages if stage.tasks}
    assert counted == dict(done.stages)
    assert announced.tasks == len(done.tasks)


def test_raw_data_at_fault_are_found_without_starting(raw, plan):
    (raw / "raw" / "delays.csv").unlink()
    assert "no delays found" in preview(plan(raw)).runs[0].fault
    assert list(raw.iterdir()) == [raw / "raw"]


def test_a_stage_is_never_done_too_soon(finished, plan):
    run = Run(finished / "results" / "raw.zarr")
    record = run.record
    del record["stages"]["mode"]["finished"]
    run.describe(uemdask=record)
    assert campaign_status(plan(finished))[0].shares["mode"] == 0.99


def test_a_failure_shows_though_the_clock_was_ahead_before_it(finished, plan):
    planned = plan(finished).runs[0]
    run = Run(planned.store)
    run.begin("align", digest="", parameters={})
    record = run.record
    record["stages"]["ingest"]["finished"] = "2999-01-01T00:00:00+00:00"
    run.describe(uemdask=record)
    Ledger(planned.store, "").failed(
        stage="align", phase="", region="", message="out of memory", trace=""
    )
    assert run_status(planned).failed == "out of memory"


def test_damaged_metadata_of_a_variable_are_no_end_of_the_table(finished, plan):
    planned = plan(finished).runs[0]
    run = Run(planned.store)
    record = run.record
    del record["stages"]["flow"]["finished"]
    run.describe(uemdask=record)
    (run.path / "flow" / "zarr.json").write_bytes(b"")
    assert run_status(planned).shares["label"] == 1.0
