"""A run on disk, as xarray, as zarr, and as the stages see it."""

import errno
import json
import os
import shutil
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
import zarr

from uemdask.cube import VARIABLES, Run, faults_of, missing_stages, open_run
from uemdask.cube.layout import Region
from uemdask.cube.store import RECORD
from uemdask.errors import FaultsError, UemError


def refuse(*_args, **_kwargs):
    raise AssertionError("something was computed")


# ---- what others read


def test_plain_xarray_reads_back_what_was_written(run, frames):
    with xr.open_zarr(run.path) as dataset:
        assert faults_of(dataset) == []
        np.testing.assert_array_equal(dataset["intensity"], frames)
        np.testing.assert_array_equal(dataset["time"], np.arange(20) * 5.0 - 30)
        np.testing.assert_array_equal(dataset["y"][:2], [1.5, 4.5])  # pixel centres in nm
        np.testing.assert_array_equal(dataset["x"][:2], [1.25, 3.75])
        assert dataset["source_file"].values.tolist()[7] == "Überlauf_007.tif"
        assert dataset.attrs["sample"] == "Germanium, keilförmig"
        assert dataset.attrs["pixel_size"] == [3.0, 2.5]
        assert set(dataset.coords) >= {"time", "y", "x", "frame_ok", "frame_flag", "scan_count"}


def test_plain_zarr_reads_back_what_was_written(run, frames):
    group = zarr.open_group(str(run.path), mode="r")
    assert group.metadata.zarr_format == 3
    np.testing.assert_array_equal(group["intensity"][:], frames)
    assert group["intensity"].metadata.dimension_names == ("time", "y", "x")
    assert group["source_file"][3] == "Überlauf_003.tif"


def test_consolidated_metadata_are_those_that_zarr_makes(labelled):
    ours = json.loads((labelled.path / "zarr.json").read_text())
    with pytest.warns(match="Consolidated metadata"):
        zarr.consolidate_metadata(str(labelled.path))
    assert json.loads((labelled.path / "zarr.json").read_text()) == ours


def test_metadata_are_strict_json_that_any_language_reads(run):
    def refuse_constant(name):
        raise AssertionError(name)

    for file in run.path.rglob("zarr.json"):
        found = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        assert found["zarr_format"] == 3
        assert "pickle" not in json.dumps(found).casefold()
        if found["node_type"] == "array" and "source_file" in file.parts:
            assert found["data_type"] == "string"  # variable-length


def test_dates_and_odd_numbers_in_metadata_become_plain_json(make):
    import datetime

    run = make(
        metadata={
            "date": datetime.date(2024, 5, 3),
            "gain": float("nan"),
            "scan": {1: np.int64(4), "offset": (np.float32(0.5), None)},
        }
    )
    attributes = dict(run.group.attrs)
    assert attributes["date"] == "2024-05-03"
    assert attributes["gain"] == "nan"
    assert attributes["scan"] == {"1": 4, "offset": [0.5, None]}


@pytest.mark.parametrize("moment", ["created", "noted", "begun", "begun early", "finished"])
def test_a_run_opens_without_a_warning_at_every_moment_of_its_life(labelled, make, moment):
    # Warnings are errors here; among them xarray's for metadata that are not consolidated.
    run = labelled
    if moment == "created":
        run = make("b.zarr")
    elif moment == "noted":
        run.note("label", created=True)
    elif moment == "begun":
        run.begin("label", digest="d5", parameters={})
    elif moment == "begun early":
        run.begin("spectrum", digest="", parameters={})
    with xr.open_zarr(run.path) as dataset:
        assert faults_of(dataset) == []
        # Nothing is listed that is not there, to be read as fill values.
        on_disk = {path.parent.name for path in run.path.glob("*/zarr.json")}
        assert set(dataset.variables) == on_disk


def test_open_run_is_lazy_and_in_chunks_for_analysis(labelled, frames):
    with dask.config.set(scheduler=refuse):
        dataset = open_run(labelled.path)
        assert dataset["intensity"].chunks == ((20,), (40,), (256, 44))
        assert dataset["label_confidence"].chunks[0] == (3,)
        with pytest.raises(AssertionError, match="computed"):
            dataset["intensity"].compute()
    np.testing.assert_array_equal(dataset["intensity"].compute(), frames)


def test_a_variable_that_was_deleted_is_gone_and_not_nan(labelled):
    assert "mask" in open_run(labelled.path)
    shutil.rmtree(labelled.path / "mask")
    assert "mask" not in open_run(labelled.path)


def test_open_run_lists_what_breaks_the_contract(run):
    run.group["scan_count"].attrs["units"] = "pieces"
    del run.group["frame_flag"]
    run.consolidate()
    with pytest.raises(FaultsError, match="2 faults"):
        open_run(run.path)


def test_confidence_is_one_byte_in_the_store_and_a_share_to_readers(run):
    sizes = run.sizes | {"pair": 1}
    given = np.linspace(-0.2, 1.2, 40 * 300, dtype=np.float32).reshape(1, 40, 300)
    given[0, 0, 0] = np.nan
    run.put("label_confidence", given, sizes)
    run.consolidate()
    wanted = np.clip(np.nan_to_num(given), 0, 1)
    assert run.read_stored("label_confidence").dtype == np.uint8
    np.testing.assert_allclose(run.read("label_confidence"), wanted, atol=(1 / 255) / 2 + 1e-6)
    with xr.open_zarr(run.path) as dataset:
        np.testing.assert_allclose(dataset["label_confidence"], wanted, atol=(1 / 255) / 2 + 1e-6)


# ---- what stages do


def test_regions_are_written_and_read_back(run, frames):
    run.create("mask", run.sizes)
    right = Region((("x", 256, 300),))
    run.write("mask", np.ones((40, 44), bool), right)
    assert run.read("mask").sum() == 40 * 44
    assert run.read("mask", right).all()
    np.testing.assert_array_equal(
        run.read("intensity", Region((("time", 3, 5), ("x", 7, 9)))), frames[3:5, :, 7:9]
    )


def test_a_write_inside_a_chunk_is_refused_and_changes_nothing(run, frames):
    with pytest.raises(UemError, match="whole units"):
        run.write("intensity", np.zeros((4, 40, 300), np.uint16), Region((("time", 0, 4),)))
    np.testing.assert_array_equal(run.read("intensity"), frames)


def test_a_write_inside_a_shard_is_refused(make):
    count = 16 * 600  # enough slabs for shards
    run = make(
        delays=np.arange(count, dtype=float),
        source_file=["stack.tif"] * count,
        metadata={},
    )
    assert run.group["intensity"].shards == (16, 40, 512)
    slab = np.ones((16, 40, 300), np.uint16)
    run.write("intensity", slab, Region((("time", 16, 32),)))
    with pytest.raises(UemError, match="whole units"):
        run.write("intensity", slab[:, :, :256], Region((("time", 0, 16), ("x", 0, 256))))
    assert run.read("intensity", Region((("time", 0, 48),))).sum() == slab.sum()


def test_data_of_another_shape_are_refused(run):
    with pytest.raises(UemError, match=r"gain: data of shape \(1,\)"):
        run.put("gain", [1.0], run.sizes)


def test_every_variable_can_be_made_and_is_in_the_contract(run):
    sizes = run.sizes | {
        "component": 2, "pair": 19, "frequency": 5, "roi": 1, "feature": 2, "mode_class": 4
    }  # fmt: skip
    for name, variable in VARIABLES.items():
        if variable.stage != "ingest" or name == "dark":
            run.create(name, sizes)
    run.consolidate()
    with xr.open_zarr(run.path) as dataset:
        assert set(dataset.variables) == set(VARIABLES)
        assert faults_of(dataset) == []
        coordinates = {v.name for v in VARIABLES.values() if v.coordinate}
        assert set(dataset.coords) == coordinates
        for name in ("flow", "speed", "wave"):  # what was never written is not a measurement
            assert np.isnan(dataset[name].values).all()


def test_making_a_stage_again_removes_its_own_and_all_later_ones(labelled):
    labelled.begin("spectrum", digest="new", parameters={})
    assert "mask" not in labelled
    assert "frame_from" not in labelled
    assert "label_confidence" not in labelled
    assert "gain" in labelled
    assert missing_stages(labelled)[0] == "spectrum"
    fresh = Run(labelled.path)
    assert fresh.stage("spectrum")["digest"] == "new"
    assert not fresh.is_done("spectrum")
    assert fresh.stage("label") == {}
    assert fresh.is_done("align")


def test_every_making_of_a_stage_has_its_own_identity(labelled, make):
    first = labelled.identity("label")
    assert Run(labelled.path).identity("label") == first
    labelled.begin("label", digest="d4", parameters={"methods": ["dis"]})  # the very same again
    assert labelled.identity("label") != first
    assert labelled.identity("align").split("/")[0] == first.split("/")[0]
    assert make("b.zarr").identity("ingest").split("/")[0] != first.split("/")[0]


def test_a_kill_while_forgetting_leaves_no_false_record(labelled, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_args):
        raise Killed

    monkeypatch.setattr(shutil, "rmtree", kill)
    with pytest.raises(Killed):
        labelled.begin("spectrum", digest="", parameters={})
    monkeypatch.undo()
    fresh = Run(labelled.path)
    assert not fresh.stage("spectrum").get("created")
    assert fresh.stage("label") == {}
    with xr.open_zarr(fresh.path) as dataset:
        assert "mask" not in dataset
    fresh.begin("spectrum", digest="again", parameters={})
    assert "mask" not in fresh


def test_what_a_kill_left_of_a_variable_goes_with_the_next_making(labelled):
    (labelled.path / "label_confidence" / "zarr.json").unlink()  # the chunks are still there
    labelled.begin("label", digest="again", parameters={})
    assert not (labelled.path / "label_confidence").exists()


def test_finished_variables_say_what_made_them(labelled):
    labelled.begin("flow", digest="d6", parameters={"tile": 128})
    labelled.put("valid", np.ones((3, 40, 300), bool), labelled.sizes)
    labelled.note("flow", results={"model_digest": "m1"})
    labelled.note("flow", results={"pairs": 3})
    labelled.finish("flow")
    with xr.open_zarr(labelled.path) as dataset:
        attributes = dataset["valid"].attrs
        assert attributes["stage"] == "flow"
        assert json.loads(attributes["parameters"]) == {"tile": 128}
        assert attributes["inputs_digest"] == "d6"
        assert attributes["model_digest"] == "m1"
        assert attributes["uemdask_version"]
        assert attributes["units"] == "1"
        assert attributes["long_name"]
        assert "model_digest" not in dataset["label_confidence"].attrs
    assert Run(labelled.path).stage("flow")["results"] == {"model_digest": "m1", "pairs": 3}


# ---- faults


def test_a_missing_run_is_named_and_not_made(tmp_path):
    with pytest.raises(UemError, match="uemdask ingest"):
        Run(tmp_path / "none.zarr")
    with pytest.raises(UemError, match=r"none\.zarr"):
        open_run(tmp_path / "none.zarr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "torn", "array", "group", "empty"])
def test_what_is_not_a_run_is_an_error_for_people(tmp_path, kind):
    path = tmp_path / "b.zarr"
    if kind == "file":
        path.write_text("hello")
    elif kind == "torn":
        path.mkdir()
        (path / "zarr.json").write_text('{"zarr_format": 3, "node_')
    elif kind == "array":
        zarr.create_array(str(path), shape=(3,), dtype="f4")
    elif kind == "group":
        zarr.create_group(str(path))
    else:
        path.mkdir()
    with pytest.raises(UemError, match=r"b\.zarr"):
        Run(path)


def test_a_run_of_somebody_else_is_an_error_for_people(run, monkeypatch):
    def closed(*arguments, **options):
        raise PermissionError(13, "Permission denied", "zarr.json")

    monkeypatch.setattr(zarr, "open_group", closed)
    with pytest.raises(UemError, match=r"a\.zarr: cannot be read \(Permission denied\); ask"):
        Run(run.path)


@pytest.mark.parametrize("name", ["time", "intensity"])
@pytest.mark.parametrize("part", ["zarr.json", "c"])
def test_a_disk_that_fails_for_a_moment_is_no_damage(run, monkeypatch, name, part):
    # So that a task is tried again.
    place, read_bytes, open_file = str(run.path / name / part), Path.read_bytes, os.open

    def failing(do):
        def instead(path, *arguments, **options):
            if os.fspath(path).startswith(place):
                raise OSError(errno.ESTALE, "Stale file handle")
            return do(path, *arguments, **options)

        return instead

    with monkeypatch.context() as away:
        away.setattr(Path, "read_bytes", failing(read_bytes))
        away.setattr(Path, "open", failing(Path.open))
        away.setattr(os, "open", failing(open_file))
        with pytest.raises(OSError, match="Stale"):
            run.read(name)
    assert run.read(name).shape[0] == run.sizes["time"]


def test_a_variable_that_is_not_there_names_the_stage_that_makes_it(run):
    with pytest.raises(UemError, match=r"only=\['flow'\]"):
        run.read("speed")


def test_a_name_that_no_variable_has_is_told_with_those_that_are_there(run):
    with pytest.raises(UemError, match="'refrence' is no variable of a run; here are") as told:
        run.read("refrence")
    assert "intensity" in str(told.value)
    assert "speed" not in str(told.value)


def test_the_record_is_ours_alone(run):
    # What a user's metadata are called must not break the run.
    assert RECORD in run.group.attrs
    assert set(run.record) == {"contract", "run_id", "created_by", "stages"}


def test_what_is_described_is_on_the_disk_whatever_another_handle_wrote(run):
    run.describe(notes=["first"])
    other = Run(run.path)
    other.describe(notes=["second"])
    run.describe(notes=["first"])
    assert on_disk(run)["notes"] == ["first"]
    assert Run(run.path).group.attrs["notes"] == ["first"]


@pytest.mark.parametrize("change", ["set_step", "finish"])
def test_changed_metadata_of_a_variable_are_on_the_disk_at_once(labelled, monkeypatch, change):
    synced, settled, replace, sync = set(), set(), os.replace, os.fsync

    def synced_now(handle):
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    def renamed(old, new):
        if os.fspath(old) in synced:
            settled.add(os.fspath(new))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced_now)
    monkeypatch.setattr(os, "replace", renamed)
    with labelled.at_once():
        if change == "set_step":
            labelled.set_step("label_confidence", 0.5)
        else:
            labelled.note("label", results={"model_digest": "m1"})
            labelled.finish("label")
        # Before the run itself tells of it.
        assert str(labelled.path / "label_confidence" / "zarr.json") in settled
    assert labelled.packing("label_confidence").step == (0.5 if change == "set_step" else 1 / 255)


def test_a_store_may_be_a_link(run, tmp_path, monkeypatch):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "b.zarr"
    link.symlink_to(run.path)
    replace, folders = os.replace, set()

    def renamed(old, new):
        folders.add(Path(old).parent.resolve())
        replace(old, new)

    monkeypatch.setattr(os, "replace", renamed)
    Run(link).describe(notes=["by the link"])
    Run(link)._disk.put("zarr.json", (run.path / "zarr.json").read_bytes())
    Run(link).put("gain", np.ones(run.sizes["time"]), run.sizes)
    assert on_disk(run)["notes"] == ["by the link"]
    # No rename from one file system to another.
    assert tmp_path / "links" not in folders
    assert tmp_path in folders


def on_disk(run):
    return json.loads((run.path / "zarr.json").read_text())["attributes"]


def test_what_is_noted_at_once_is_on_the_disk_at_the_end_and_here_before(run):
    before = on_disk(run)
    with run.at_once():
        run.begin("align", digest="d1", parameters={})
        run.put("gain", np.ones(run.sizes["time"]), run.sizes)
        run.note("align", created=True, results={"edges": (1, 2)})
        assert run.stage("align")["results"] == {"edges": [1, 2]}
        assert on_disk(run) == before
    assert Run(run.path).stage("align") == run.stage("align")
    with xr.open_zarr(run.path) as dataset:
        assert "gain" in dataset


def test_nothing_is_noted_of_what_fails_on_the_way(run):
    def fill_the_disk():
        with run.at_once():
            run.begin("align", digest="d1", parameters={})
            raise OSError("full")

    before = on_disk(run)
    with pytest.raises(OSError, match="full"):
        fill_the_disk()
    assert on_disk(run) == before


def test_what_was_made_before_goes_only_when_the_record_says_so(labelled):
    with labelled.at_once():
        labelled.begin("spectrum", digest="new", parameters={})
        assert "label" not in on_disk(labelled)["uemdask"]["stages"]


def test_a_record_that_is_changed_by_whoever_asked_for_it_is_not_the_runs(run):
    run.record["stages"]["ingest"]["digest"] = "another"
    assert run.stage("ingest")["digest"] == "d0"


def test_variables_tell_what_makes_them_from_the_start(run):
    run.begin("align", digest="d1", parameters={"a": 1})
    run.create("gain", run.sizes)
    attributes = run.group["gain"].attrs
    assert (attributes["stage"], attributes["inputs_digest"]) == ("align", "d1")


@pytest.mark.parametrize("name", ["intensity", "time"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_chunk_that_is_cut_short_is_told(run, name, share):
    """Blosc would go on to read what lies behind it in memory."""
    chunk = next(path for path in sorted((run.path / name / "c").rglob("*")) if path.is_file())
    data = chunk.read_bytes()
    chunk.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UemError, match=f"'{name}' cannot be read"):
        Run(run.path).read(name)
