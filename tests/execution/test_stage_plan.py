"""What is previewed, checked, told and done is one list."""

from collections import Counter

import pytest

from uemdask.cube import STAGES, Run
from uemdask.execution import campaign_status, preview
from uemdask.execution.damage import damages_of, reopen
from uemdask.execution.ledger import ledger_path, read_entries
from uemdask.execution.preconditions import stages_asked
from uemdask.execution.requirements import at_work
from uemdask.execution.run_plan import plan_stages

#: Stages without tasks of their own in the ledger.
SILENT = {"pairs", "train"}


class Killed(BaseException):
    """The driver is killed."""


def stages_in_ledger(store):
    entries = read_entries(ledger_path(store)) if ledger_path(store).exists() else ()
    return Counter(entry.stage for entry in entries if hasattr(entry, "receipt"))


def one_list(plan, drive, only=()):
    """Return what four callers say is to be done, when they are one; then it is done."""
    store = plan.runs[0].store
    (previewed,) = preview(plan, only=only).runs
    assert previewed.fault == ""
    asked = stages_asked(only)
    plans = plan_stages(plan, only=asked, read_raw=False)  # as the driver checks memory and disk
    assert plans[0].to_do == previewed.to_do
    assert [run.planned.name for run in at_work(plans)] == (["raw"] if previewed.to_do else [])
    if not only:
        (told,) = campaign_status(plan)
        assert (told.left, told.fault) == (previewed.to_do, "")
        assert told.done == (not previewed.to_do)
    before = stages_in_ledger(store)
    done = drive(plan, only=only)
    assert done.outcome.failed == {}
    made = stages_in_ledger(store) - before
    assert {*made} | SILENT == {*previewed.to_do} | SILENT
    trains = previewed.network == "trained" and "train" in previewed.to_do
    assert done.stages["train"] == trains
    assert len(done.tasks) == previewed.tasks + trains
    assert preview(plan, only=only).runs[0].to_do == {}
    return previewed.to_do


def test_of_a_fresh_run(raw, plan, drive):
    assert list(one_list(plan(raw), drive, only=("ingest", "align"))) == ["ingest", "align"]
    left = one_list(plan(raw), drive)
    assert left == {"spectrum": "not done"} | dict.fromkeys(STAGES[3:], "after spectrum")


@pytest.mark.parametrize(
    ("changes", "first", "why"),
    [
        ({}, None, ""),
        ({"spectrum": {"smoothing": 3.0}}, "spectrum", "changed: smoothing was 2.0, is 3.0"),
        (
            {"flow": {"displacement_limit": 0.3}},
            "flow",
            "changed: displacement_limit was 0.4, is 0.3",
        ),
    ],
    ids=["as it was", "spectrum", "flow"],
)
def test_of_a_finished_run(finished, plan, drive, changes, first, why):
    to_do = one_list(plan(finished, parameters=changes), drive)
    later = STAGES[STAGES.index(first) + 1 :] if first else ()
    assert to_do == ({first: why} if first else {}) | dict.fromkeys(later, f"after {first}")


def test_of_single_stages(finished, plan, drive):
    changed = plan(finished, parameters={"flow": {"displacement_limit": 0.3}})
    assert one_list(changed, drive, only=("feature",)) == {}
    assert list(one_list(changed, drive, only=("flow",))) == ["flow"]
    assert list(one_list(changed, drive)) == ["feature", "mode"]


def test_of_a_run_half_done(raw, plan, drive):
    labelled = []

    def kill(stage, region):
        if stage == "label":
            labelled.append(region)
        if len(labelled) == 3:
            raise Killed

    with pytest.raises(Killed):
        drive(plan(raw), kill)
    to_do = one_list(plan(raw), drive)
    assert to_do == {"label": "begun"} | dict.fromkeys(STAGES[5:], "after label")


@pytest.mark.parametrize("variable", ["wave", "label", "flow"])
def test_of_a_damaged_run(finished, plan, drive, variable):
    store = plan(finished).runs[0].store
    stage = "spectrum" if variable == "wave" else variable
    victim = next(file for file in (store / variable / "c").rglob("*") if file.is_file())
    victim.unlink()
    to_do = one_list(plan(finished), drive)
    assert list(to_do) == [stage]
    assert to_do[stage].startswith("damaged: ")
    assert victim.is_file()


def test_of_a_run_whose_repair_was_killed(finished, plan, drive):
    store = plan(finished).runs[0].store
    next(file for file in (store / "label" / "c").rglob("*") if file.is_file()).unlink()
    run = Run(store)
    reopen(run, "label", damages_of(run, "label", store), store)
    # Its tasks are void now; what was made of its labels stays.
    assert one_list(plan(finished), drive) == {"label": "begun"}


def test_of_a_deleted_wave_that_is_wanted(finished, plan, drive):
    run = Run(plan(finished).runs[0].store)
    del run.group["wave"]
    run.consolidate()
    assert one_list(plan(finished), drive) == {}
    assert list(one_list(plan(finished), drive, only=("spectrum",))) == ["spectrum"]


def test_of_an_ingest_that_is_damaged_the_same_is_said(finished, plan, drive):
    ready = plan(finished)
    (ready.runs[0].store / "intensity" / "c" / "0" / "0" / "0").unlink()
    (previewed,) = preview(ready).runs
    (told,) = campaign_status(ready)
    assert "`overwrite=True`" in previewed.fault
    assert told.fault == previewed.fault
    assert drive(ready).outcome.failed == {"raw": previewed.fault}
    assert at_work(plan_stages(ready, read_raw=False)) == []
