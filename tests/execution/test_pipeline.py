"""The way of runs through their stages: what is done again, and what is not."""

import shutil

import numpy as np
import pytest
import tifffile
import torch
import xarray as xr

from uemdask.cube import STAGES, Run, describe_run, export_run, faults_of, missing_stages
from uemdask.errors import UemError
from uemdask.execution import preview, run_status
from uemdask.execution.ledger import ledger_path
from uemdask.execution.pipeline import Pipeline, TrainingWanted
from uemdask.execution.worker import run_task
from uemdask.network import BASE_MODEL, UNet, UNetConfig, load_model
from uemdask.network.checkpoint import save_model
from uemdask.simulate import scenario, simulate, write_acquisition


def stamps(store, *names):
    """Return when each file of some variables was written."""
    files = [file for name in names for file in (store / name).rglob("*") if file.is_file()]
    return {file: file.stat().st_mtime_ns for file in files if file.name != "zarr.json"}


def through(planned, *, backwards=False):
    """Take one run as far as training, and return it."""
    for work in Pipeline(planned):
        if isinstance(work, TrainingWanted):
            return work.run
        for region in reversed(work.missing) if backwards else work.missing:
            result = run_task(
                str(planned.store),
                work.made,
                work.stage.name,
                work.phase.name,
                region,
                work.parameters,
            )
            work.note(region, result)
    raise AssertionError("no training was wanted")


def test_all_stages_give_a_run_that_keeps_the_contract(finished, first_tasks):
    store = finished / "results" / "raw.zarr"
    assert missing_stages(Run(store)) == []
    assert len(set(first_tasks)) > 10
    with xr.open_zarr(store) as dataset:
        assert faults_of(dataset) == []
        for name in ("reference", "wave", "label", "flow", "speed", "roi_feature", "mode"):
            assert name in dataset
            assert dataset[name].attrs["inputs_digest"]


def test_a_task_of_a_driver_that_is_gone_writes_nothing(plan, raw):
    planned = plan(raw).runs[0]
    steps = Pipeline(planned)
    work = next(work for work in steps if work.regions)
    task = str(planned.store), work.made, "ingest", "frames", work.regions[0], work.parameters
    again = Pipeline(planned, overwrite=True)
    assert next(again).made == work.made  # taken up, not made anew
    Run(planned.store).begin("ingest", digest="another", parameters={})
    with pytest.raises(UemError, match="begun anew"):
        run_task(*task)


def test_what_is_done_is_passed_over(finished, plan, drive):
    before = stamps(finished / "results" / "raw.zarr", "intensity", "wave", "flow", "mode")
    again = drive(plan(finished))
    assert again.outcome.done == ["raw"]
    assert again.tasks == []
    assert stamps(finished / "results" / "raw.zarr", "intensity", "wave", "flow", "mode") == before
    record = finished / "results" / "raw.zarr" / "zarr.json"
    written = record.stat().st_mtime_ns
    assert drive(plan(finished)).tasks == []
    assert record.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"spectrum": {"smoothing": 3.0}}, "spectrum"),
        ({"label": {"methods": ["farneback"], "base": False}}, "label"),
        (
            {"feature": {"rois": [{"name": "half", "rectangle": {"x": [0, 90], "y": [0, 90]}}]}},
            "feature",
        ),
    ],
    ids=["spectrum", "label", "feature"],
)
def test_a_changed_parameter_redoes_its_stage_and_the_later_ones(
    finished, plan, drive, changes, first
):
    store = finished / "results" / "raw.zarr"
    kept = {"spectrum": ("intensity", "reference"), "label": ("wave",), "feature": ("flow",)}[first]
    before = stamps(store, *kept)
    again = drive(plan(finished, parameters=changes))
    assert again.outcome.failed == {}
    later = STAGES[STAGES.index(first) :]
    assert set(again.stages) == set(later) - {"pairs"}  # pairs have no tasks
    assert stamps(store, *kept) == before
    assert missing_stages(Run(store)) == []


def test_going_back_to_old_parameters_does_not_trust_old_receipts_blindly(finished, plan, drive):
    # The ledger has receipts of the old labels, but the store no longer has those labels.
    label = np.asarray(Run(finished / "results" / "raw.zarr").read("label"))
    drive(plan(finished, parameters={"label": {"methods": ["farneback"], "base": False}}))
    back = drive(plan(finished))
    assert back.stages["label"] > 0
    np.testing.assert_array_equal(Run(finished / "results" / "raw.zarr").read("label"), label)


def test_a_stage_killed_in_between_goes_on_from_the_ledger(raw, finished, plan, drive):
    class Killed(BaseException):
        pass

    left = 2

    def kill_in_label(stage, region):
        nonlocal left
        if stage == "label":
            left -= 1
            if left < 0:
                raise Killed

    with pytest.raises(Killed):
        drive(plan(raw), kill_in_label)
    store = raw / "results" / "raw.zarr"
    ledger = ledger_path(store)
    ledger.write_bytes(ledger.read_bytes()[:-20])  # and the last line is torn
    again = drive(plan(raw))
    assert again.outcome.done == ["raw"]
    assert set(again.stages) == {"label", "train", "flow", "feature", "mode"}
    assert again.stages["label"] == 3  # of four slabs, one was in the ledger
    whole = Run(finished / "results" / "raw.zarr")
    for name in ("wave", "label", "label_confidence"):
        np.testing.assert_array_equal(Run(store).read(name), whole.read(name))


def test_the_order_in_which_tasks_end_changes_nothing(raw, finished, plan):
    run = through(plan(raw).runs[0], backwards=True)
    other = Run(finished / "results" / "raw.zarr")
    for name in ("intensity", "drift", "gain", "reference", "spectrum", "mask", "wave", "label"):
        np.testing.assert_array_equal(run.read(name), other.read(name))
    assert run.stage("spectrum")["results"] == other.stage("spectrum")["results"]


# ---- single stages


def test_only_some_stages(raw, plan, drive):
    first = drive(plan(raw), only=("ingest", "align"))
    assert first.outcome.done == ["raw"]
    assert set(first.stages) == {"ingest", "align"}
    early = drive(plan(raw), only=("label",))
    assert "stage 'spectrum' is not done and 'label' needs it" in early.outcome.failed["raw"]
    assert drive(plan(raw), only=("spectrum",)).outcome.done == ["raw"]
    run = Run(raw / "results" / "raw.zarr")
    assert missing_stages(run)[0] == "pairs"


def test_an_export_is_not_emptied_by_other_parameters(finished, plan, drive):
    home = finished / "home.zarr"
    export_run(finished / "results" / "raw.zarr", home)
    changed = plan(
        finished, runs=[{"run": "home.zarr"}], parameters={"spectrum": {"smoothing": 3.0}}
    )
    (broken,) = preview(changed).broken
    failed = drive(changed).outcome.failed["home"]
    assert failed == broken.fault
    assert "without frames" in failed
    assert Run(home).is_done("mode")
    assert Run(home).read("flow").size


def test_a_store_works_without_its_raw_data(finished, plan, drive):
    ready = plan(finished)
    assert drive(ready).tasks == []
    run = Run(finished / "results" / "raw.zarr")
    record = run.record
    record["stages"]["ingest"]["parameters"] = ready.runs[0].parameters.ingest.model_dump(
        mode="json"
    )  # as if it had been ingested here
    run.describe(uemdask=record)
    shutil.rmtree(finished / "raw")
    again = drive(ready)
    assert again.outcome.done == ["raw"]
    assert again.tasks == []


# ---- raw data


def test_frames_are_stored_as_recorded(finished):
    run = Run(finished / "results" / "raw.zarr")
    for i in (0, 17, 29):
        frame = tifffile.imread(finished / "raw" / f"frame_{i:04d}.tif")
        np.testing.assert_array_equal(run.read("intensity")[i], frame)
    assert run.read("source_file")[17] == "frame_0017.tif"


def test_other_raw_data_never_replace_a_run_unasked(finished, plan, drive):
    other = plan(finished, runs=[{"raw": "raw", "time_zero": "10 ps"}])
    failed = drive(other)
    assert "`overwrite=True`" in failed.outcome.failed["raw"]
    store = finished / "results" / "raw.zarr"
    assert missing_stages(Run(store)) == []
    drive(other, only=("ingest",), overwrite=True)
    assert Run(store).read("time")[0] == -40
    assert missing_stages(Run(store))[0] == "align"


def test_bad_frames_are_flagged_and_passed_over_by_pairs(raw, plan, drive):
    tifffile.imwrite(raw / "raw" / "frame_0010.tif", np.full((64, 64), 7, np.uint16))
    assert drive(plan(raw), only=("ingest",)).outcome.done == ["raw"]
    run = Run(raw / "results" / "raw.zarr")
    assert run.read("frame_flag")[10].startswith("blank")
    assert run.read("frame_ok").sum() == 29
    drive(plan(raw), only=("align", "spectrum", "pairs"))
    pairs = list(zip(run.read("frame_from"), run.read("frame_to"), strict=True))
    assert (9, 11) in pairs
    assert len(pairs) == 28


def test_frames_of_file_names_with_a_hash(raw, plan, drive):
    for file in (raw / "raw").glob("frame_*.tif"):
        file.rename(file.with_name(file.name.replace("frame_", "run#7 #")))
    table = raw / "raw" / "delays.csv"
    table.write_text(table.read_text().replace("frame_", "run#7 #"))
    done = drive(plan(raw), only=("ingest",))
    assert done.outcome.done == ["raw"], done.outcome.failed


def test_notes_of_the_user_are_kept(raw, plan, drive):
    with (raw / "raw" / "metadata.yaml").open("a") as file:
        file.write("notes: tilted by 2 degrees\ndate: 2024-05-03\n")
    drive(plan(raw), only=("ingest",))
    attributes = Run(raw / "results" / "raw.zarr").group.attrs
    assert attributes["notes"] == ["tilted by 2 degrees"]
    assert attributes["date"] == "2024-05-03"


def test_a_run_that_is_half_ingested_and_given_as_a_store_is_not_deleted(raw, plan, drive):
    class Killed(BaseException):
        pass

    def kill(stage, region):
        if region != "time=0:16":
            raise Killed

    with pytest.raises(Killed):
        drive(plan(raw), kill)
    store = raw / "results" / "raw.zarr"
    given = plan(raw, runs=[{"run": "results/raw.zarr"}])
    assert "did not finish" in drive(given).outcome.failed["raw"]
    assert store.exists()
    again = drive(plan(raw), only=("ingest",))
    assert again.tasks == [("ingest", "time=16:30")]


def test_training_goes_on_from_the_base_model(tmp_path, plan, drive):
    raw = tmp_path
    write_acquisition(simulate(scenario("plane", shape=(96, 96), frames=60)), raw / "raw")
    quick = {"train": {"adapt": {"steps": 2, "finetune_steps": 0}, "training": {"batch": 2}}}
    adapted = plan(raw, model="base", parameters=quick)
    assert drive(adapted).outcome.done == ["raw"]
    record = Run(raw / "results" / "raw.zarr").stage("train")["results"]
    assert record["start"] == "base"
    assert record["trained"]
    base, _ = load_model(BASE_MODEL)
    model, provenance = load_model(record["model"])
    assert model.config == base.config
    assert provenance["facts"]["start"] == "base"
    # Two small steps: other weights, but not far away.
    old, new = (
        torch.cat([weight.detach().ravel() for weight in network.parameters()])
        for network in (base, model)
    )
    assert 0 < float((new - old).norm() / old.norm()) < 0.1
    again = drive(plan(raw, model="base", parameters=quick))
    assert again.tasks == []
    # Another start is another training.
    assert drive(plan(raw)).stages["train"] == 1


def test_a_model_that_another_campaign_replaced_is_trained_again(finished, plan, drive):
    (model,) = (finished / "results" / "models").glob("*.pt")
    torch.manual_seed(99)
    save_model(model, UNet(UNetConfig(filters=(4, 8))))
    again = drive(plan(finished))
    assert again.outcome.done == ["raw"]
    assert again.stages["train"] == 1


def test_a_missing_model_fails_in_words(finished, plan, drive):
    changed = plan(finished, model="none.pt")
    with pytest.raises(UemError, match=r"none\.pt"):  # before anything is done
        drive(changed)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"spectrum": {"band": [0.1, 0.2]}}, "spectrum.band is 0.1 to 0.2 GHz"),
        ({"spectrum": {"band": [400, 500]}}, "between 6.67 and 100 GHz"),
    ],
)
def test_wrong_parameters_fail_before_results_are_gone(finished, plan, drive, parameters, match):
    refused = plan(finished, parameters=parameters).model_copy(update={"command": ("run", "it")})
    failed = drive(refused).outcome.failed
    assert match in failed["raw"]
    assert "command" not in Run(refused.runs[0].store).record  # it made nothing
    assert run_status(plan(finished).runs[0]).failed
    with xr.open_zarr(finished / "results" / "raw.zarr") as dataset:
        assert faults_of(dataset) == []
        assert "flow" in dataset
    assert drive(plan(finished)).tasks == []
    assert not run_status(plan(finished).runs[0]).failed  # all is well again


def test_too_few_frames_fail_in_their_stage(raw, plan, drive):
    table = raw / "raw" / "delays.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join(rows[:6]) + "\n")
    for row in rows[6:]:
        (raw / "raw" / row.split(",")[0]).unlink()
    done = drive(plan(raw))
    assert "5 usable frames" in done.outcome.failed["raw"]
    assert done.tasks == []  # known before the first one


def test_a_deleted_wave_comes_back_and_nothing_else_is_made(finished, plan, drive):
    run = Run(finished / "results" / "raw.zarr")
    wave, flow = run.read("wave"), stamps(run.path, "flow", "label")
    del run.group["wave"]
    run.consolidate()
    assert drive(plan(finished)).tasks == []  # nobody wants it
    assert drive(plan(finished), only=("spectrum",)).stages == {"spectrum": 3}
    np.testing.assert_array_equal(Run(run.path).read("wave"), wave)
    assert stamps(run.path, "flow", "label") == flow
    assert drive(plan(finished)).tasks == []


def test_features_of_an_export_can_be_made_anew(finished, plan, drive):
    home = finished / "home.zarr"
    export_run(finished / "results" / "raw.zarr", home)
    half = {"name": "half", "rectangle": {"x": [0, 90], "y": [0, 90]}}
    again = drive(plan(finished, runs=[{"run": "home.zarr", "rois": [half]}]))
    assert set(again.stages) == {"feature", "mode"}
    assert list(Run(home).read("roi")) == ["half"]


def test_a_region_outside_the_frame_is_named(finished, plan, drive):
    far = {"name": "far", "rectangle": {"x": [5000, 6000], "y": [0, 90]}}
    again = plan(finished, parameters={"feature": {"rois": [far]}})
    assert drive(again).outcome.done == ["raw"]
    assert "region 'far' holds no pixel" in describe_run(again.runs[0].store)


def test_a_folder_that_is_no_run_is_an_error_for_people(tmp_path, plan):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(UemError, match="no run here"):
        next(Pipeline(plan(tmp_path, runs=[{"run": "a.zarr"}]).runs[0]))
