"""The driver among failures; the same on a real cluster is in tests/end_to_end."""

import os
import shutil
import threading
import time

import numpy as np
import pytest

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.execution import Capacity, Cluster, Driver, NullListener, campaign_status, preview
from uemdask.execution.ledger import last_entry, ledger_path

ONLY = ("ingest", "align")


def test_one_bad_run_does_not_stop_the_others(two, plan, drive):
    ready = plan(two, runs=[{"raw": "bad"}, {"raw": "raw"}])
    outcome = drive(ready, only=ONLY).outcome
    assert outcome.done == ["raw"]
    assert "frame_0020.tif" in outcome.failed["bad"]
    assert not (two / "results" / "bad.zarr").exists()  # no half store
    bad, good = campaign_status(ready)
    assert bad.failed_stage == "ingest"
    assert "frame_0020.tif" in bad.failed
    assert good.failed == ""
    assert "Traceback" in last_entry(ledger_path(two / "results" / "bad.zarr")).traceback


def test_a_mended_run_goes_on(two, plan, drive):
    ready = plan(two, runs=[{"raw": "bad"}])
    assert drive(ready, only=ONLY).outcome.failed
    (two / "bad" / "frame_0020.tif").write_bytes((two / "raw" / "frame_0020.tif").read_bytes())
    assert drive(ready, only=ONLY).outcome.done == ["bad"]
    assert campaign_status(ready)[0].failed == ""


def test_a_task_that_fails_for_no_fault_of_the_user_is_tried_again(raw, plan, drive):
    failures = {"time=0:16": 2}

    def flaky(stage, region):
        if stage == "ingest" and failures.get(region, 0):
            failures[region] -= 1
            raise OSError(5, "Input/output error")

    done = drive(plan(raw), flaky, only=ONLY)
    assert done.outcome.done == ["raw"]
    assert done.tasks.count(("ingest", "time=0:16")) == 3


def test_a_task_that_always_fails_ends_its_run_with_stage_and_region(raw, plan, drive):
    def broken(stage, region):
        if stage == "align" and region == "time=16:30":
            raise ZeroDivisionError("of the third kind")

    done = drive(plan(raw), broken, only=ONLY)
    message = done.outcome.failed["raw"]
    assert message == "stage align, region time=16:30: ZeroDivisionError: of the third kind"
    assert done.tasks.count(("align", "time=16:30")) == 3
    assert Run(raw / "results" / "raw.zarr").is_done("ingest")  # what was done is kept


def test_a_task_rests_before_it_is_tried_again_twice_as_long_each_time(raw, plan, drive):
    begun = []

    def flaky(stage, region):
        if stage == "ingest" and region == "time=16:30":
            begun.append(time.monotonic())
            if len(begun) < 3:
                raise OSError(5, "Input/output error")

    assert drive(plan(raw), flaky, only=ONLY, back_off=0.2).outcome.done == ["raw"]
    first, second = np.diff(begun)
    assert first >= 0.2
    assert second >= 0.4


def test_a_fault_of_the_user_is_not_tried_again(raw, plan, drive):
    def fault(stage, region):
        if stage == "align":
            raise UemError("align.max_drift: too small; give more")

    done = drive(plan(raw), fault, only=ONLY)
    assert done.outcome.failed["raw"] == "align.max_drift: too small; give more"
    assert done.stages["align"] == 1


def test_a_run_has_one_driver_at_a_time(raw, plan, drive):
    inner = []

    def second(stage, region):
        if not inner:
            inner.append(True)
            with pytest.raises(UemError, match="another uemdask is at work"):
                drive(plan(raw), only=ONLY)

    assert drive(plan(raw), second, only=ONLY).outcome.done == ["raw"]
    assert inner
    assert drive(plan(raw), only=ONLY).tasks == []  # and lets go of it


def test_runs_take_turns(two, plan, drive):
    (two / "bad" / "frame_0020.tif").write_bytes((two / "raw" / "frame_0020.tif").read_bytes())
    order = []

    class Order(NullListener):
        def task_done(self, run, stage, phase, result):
            order.append(run)

    ready = plan(two, runs=[{"raw": "bad"}, {"raw": "raw"}])
    drive(ready, only=("ingest",), listener=Order())
    assert order == ["bad", "raw", "bad", "raw"]  # not the first run first


def test_the_first_runs_are_at_work_while_the_last_are_looked_at(two, plan, drive):
    begun = []

    def look(stage, region):
        begun.append((two / "results" / "raw.zarr").exists())

    drive(plan(two, runs=[{"raw": "bad"}, {"raw": "raw"}]), look, only=("ingest",))
    assert not begun[0]
    assert begun[-1]


def test_a_poisoned_region_fails_its_run_alone(raw, plan, drive):
    shutil.copytree(raw / "raw", raw / "short")
    table = raw / "short" / "delays.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join(rows[:-2]) + "\n")
    for row in rows[-2:]:
        (raw / "short" / row.split(",")[0]).unlink()

    def poisoned(stage, region):
        if stage == "align" and region == "time=16:28":
            raise ZeroDivisionError("poison")

    ready = plan(raw, runs=[{"raw": "short"}, {"raw": "raw"}])
    outcome = drive(ready, poisoned, only=ONLY).outcome
    assert outcome.done == ["raw"]
    assert outcome.failed["short"] == ("stage align, region time=16:28: ZeroDivisionError: poison")


def test_tasks_of_a_failed_run_are_waited_for_and_leave_nothing(raw, plan, in_process):
    # One task meets the truncated frame while another is still writing to the same store.
    os.truncate(raw / "raw" / "frame_0020.tif", 1000)
    second_ended = threading.Event()

    def side_by_side(future, do):
        second = client.tasks[-1][1] != "time=0:16"

        def work():
            if not second:
                second_ended.wait(10)
            do()
            if second:
                second_ended.set()

        threading.Thread(target=work).start()

    client = in_process(play=side_by_side)
    cluster = Cluster(client=client, dashboard="", cpu=Capacity(slots=1))
    outcome = Driver(plan(raw), cluster, only=ONLY).run()
    assert "frame_0020.tif" in outcome.failed["raw"]
    assert client.ended == [("ingest", "time=16:30"), ("ingest", "time=0:16")]
    assert not (raw / "results" / "raw.zarr").exists()
    # The failure is still there to be read.
    assert "frame_0020.tif" in last_entry(ledger_path(raw / "results" / "raw.zarr")).failed


def test_a_model_that_was_replaced_behind_a_run_is_refused(finished, plan, drive):
    from uemdask.network import UNet, UNetConfig, save_model

    assert drive(plan(finished)).tasks == []
    model = next((finished / "results" / "models").glob("*.pt"))
    save_model(model, UNet(UNetConfig(filters=(4, 8))))
    changed = plan(finished, parameters={"flow": {"derived": False}})
    (expected,) = preview(changed, only=("flow",)).runs
    again = drive(changed, only=("flow",))
    assert "no longer the model" in again.outcome.failed["raw"]
    assert expected.fault == again.outcome.failed["raw"]
    assert Run(finished / "results" / "raw.zarr").is_done("flow")


def test_a_model_that_moved_with_its_run_is_found(finished, plan, drive):
    moved = finished.rename(finished.with_name("elsewhere"))
    ready = plan(
        moved,
        runs=[{"run": "results/raw.zarr"}],
        parameters={"flow": {"derived": False}},
    )
    again = drive(ready)
    assert again.outcome.done == ["raw"], again.outcome.failed
    assert again.stages["train"] == 0


def test_a_warning_of_a_stage_is_told_while_it_runs(raw, plan, drive):
    heard = []
    ears = NullListener()
    ears.notice = heard.append
    rows = [f"{i},{i % 5 * 2},{-(i % 3) * 3}.5" for i in range(30)]
    (raw / "drift.csv").write_text("\n".join(["frame,x,y", *rows]))
    table = plan(raw, parameters={"align": {"drift_table": "drift.csv"}})
    done = drive(table, only=ONLY, listener=ears)
    assert done.outcome.failed == {}
    (text,) = (text for text in heard if "drift" in text)
    assert text.startswith("raw: the drift table makes the series less steady (")


def test_a_stage_of_raw_data_that_are_not_ingested_says_what_to_do(raw, plan, drive):
    planned = plan(raw)
    store = planned.runs[0].store
    wanted = (
        f"{store}: {raw / 'raw'} is not ingested yet, and `only=['align']` leaves that out; "
        f"add `only=['ingest']`, or leave `only` out"
    )
    (expected,) = preview(planned, only=("align",)).runs
    assert expected.fault == wanted
    assert drive(planned, only=("align",)).outcome.failed == {"raw": wanted}
    assert not store.exists()


def test_half_an_ingest_is_kept_when_something_else_is_wrong(raw, plan, drive):
    """A share that is away for a moment, or a stage asked for too early, costs nothing."""

    class Killed(BaseException):
        pass

    def kill(stage, region):
        if (stage, region) == ("ingest", "time=16:30"):
            raise Killed

    planned = plan(raw)
    store = planned.runs[0].store
    with pytest.raises(Killed):
        drive(planned, kill)
    assert drive(planned, only=("flow",)).outcome.failed
    assert store.exists()
    (raw / "raw").rename(raw / "away")
    assert drive(planned).outcome.failed
    assert store.exists()
    (raw / "away").rename(raw / "raw")
    again = drive(planned, only=("ingest",))
    assert again.outcome.failed == {}
    assert again.stages["ingest"] == 1
