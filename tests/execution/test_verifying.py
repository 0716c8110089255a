"""What the store promises: a damaged file is named, and just that is made again."""

import json
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import uemdask.execution
from uemdask.cube import STAGES, Run, missing_stages
from uemdask.errors import UemError
from uemdask.execution import Capacity, Cluster, Repair, plan_runs, preview, verify
from uemdask.execution.file_manifest import FileManifest
from uemdask.execution.ledger import Ledger
from uemdask_cli.main import _run


def delete(file: Path) -> None:
    file.unlink()


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


WRONG = {delete: "missing", truncate: "short", empty: "short", flip: "changed"}


@pytest.fixture
def store(finished):
    return finished / "results" / "raw.zarr"


@pytest.fixture
def mend(drive):
    """Return a function that repairs a run as the command does."""

    def repair(store, *, deep=False):
        return drive(plan_runs([store]), pipeline=partial(Repair, deep=deep))

    return repair


def damages(store, *, deep=False):
    (run,) = verify(plan_runs([store]), deep=deep).runs
    return run.damages


def chunk(store, variable, number=0):
    files = sorted(f for f in (store / variable / "c").rglob("*") if f.is_file())
    return files[number]


def test_a_sound_run_is_sound(store):
    found = verify(plan_runs([store]), deep=True)
    assert found.sound
    assert found.runs[0].notes == []
    assert found.runs[0].files > 80


def test_every_chunk_file_has_its_size(store):
    there = [file for file in store.glob("*/c/**/*") if file.is_file()]
    for file in there:
        file.write_bytes(file.read_bytes() + b"x")
    found = damages(store)
    assert {store / damage.file for damage in found} == set(there)
    assert {damage.wrong for damage in found} == {"too long"}


def test_every_chunk_file_has_its_sum(store):
    there = [file for file in store.glob("*/c/**/*") if file.is_file()]
    for file in there:
        flip(file)
    assert damages(store) == []
    found = damages(store, deep=True)
    assert {store / damage.file for damage in found} == set(there)
    assert {damage.wrong for damage in found} == {"changed"}


@pytest.mark.parametrize(
    ("variable", "harm"),
    [
        ("reference", flip),
        ("drift", delete),
        ("peak_snr", truncate),
        ("wave", flip),
        ("wave", delete),
        ("frequency", delete),
        ("time_from", flip),
        ("label", empty),
        ("flow", flip),
        ("flow_sd", delete),
        ("roi_feature", truncate),
        ("mode", flip),
    ],
)
def test_what_is_damaged_is_named_and_just_that_made_again(
    store, finished, tmp_path, mend, same_arrays, variable, harm
):
    whole = shutil.copytree(store, tmp_path / "whole.zarr")
    file = chunk(store, variable)
    harm(file)
    assert bool(damages(store)) == (harm is not flip)  # sums need a look at the bytes
    (damage,) = damages(store, deep=True)
    assert (damage.file, damage.variable, damage.wrong) == (
        file.relative_to(store).as_posix(), variable, WRONG[harm]
    )  # fmt: skip
    array = Run(store).group[variable]
    assert len(damage.region.split(",")) == array.ndim
    repaired = mend(store, deep=True)
    assert repaired.outcome.failed == {}
    assert len(repaired.tasks) <= 1
    assert damages(store, deep=True) == []
    same_arrays(whole, store)
    assert all(Run(store).is_done(stage) for stage in STAGES)


@pytest.mark.parametrize("harm", [delete, truncate], ids=lambda harm: harm.__name__)
def test_a_run_that_goes_on_makes_it_again_by_itself(store, finished, plan, drive, harm, tmp_path):
    whole = Run(shutil.copytree(store, tmp_path / "whole.zarr"))
    harm(chunk(store, "label", 1))
    (announced,) = preview(plan(finished)).runs
    assert list(announced.to_do) == ["label"]
    assert "label/c/" in announced.to_do["label"]
    assert announced.tasks == 1
    again = drive(plan(finished))
    assert again.tasks == [("label", "pair=8:16,y=0:64,x=0:64")]
    np.testing.assert_array_equal(whole.read("label"), Run(store).read("label"))
    assert drive(plan(finished)).tasks == []


def test_receipts_are_not_trusted_where_their_chunks_are_gone(raw, finished, plan, drive):
    class Killed(BaseException):
        pass

    def kill(stage, region):
        if stage == "label" and region.startswith("pair=16"):
            raise Killed

    with pytest.raises(Killed):
        drive(plan(raw), kill)
    store = raw / "results" / "raw.zarr"
    delete(chunk(store, "label", 0))
    truncate(chunk(store, "label", 0))  # the one that is first now
    again = drive(plan(raw))
    assert again.stages["label"] == 4
    whole = Run(finished / "results" / "raw.zarr")
    np.testing.assert_array_equal(whole.read("label"), Run(store).read("label"))


def test_what_was_made_of_a_changed_file_is_made_again(raw, finished, plan, drive, mend):
    drive(plan(raw), only=STAGES[:4])
    store = raw / "results" / "raw.zarr"
    file = chunk(store, "peak_amplitude")
    flip(file)
    os.utime(file, (1.0, 1.0))  # long before what was made of it
    drive(plan(raw))
    repaired = mend(store, deep=True)
    assert repaired.outcome.failed == {}
    assert set(repaired.stages) == {"spectrum", "label", "flow", "feature", "mode"}
    whole = Run(finished / "results" / "raw.zarr")
    for name in ("peak_amplitude", "wave", "label", "valid"):
        np.testing.assert_array_equal(whole.read(name), Run(store).read(name))
    assert damages(store, deep=True) == []


def test_what_the_driver_makes_again_is_on_the_disk_and_known_by_its_new_sum(
    store, mend, monkeypatch
):
    run, file = Run(store), chunk(store, "time_from")
    ledger, digest = Ledger(store, run.identity("pairs")), run.stage("pairs")["digest"]
    # As if another version of the library had compressed the same numbers to other bytes.
    keys = [key for key in ledger.written("pairs", digest) if key.startswith("time_from/")]
    others = dict.fromkeys(keys, (7, "00000000"))
    ledger.wrote(stage="pairs", digest=digest, files=others, partly=True)
    assert {damage.file for damage in damages(store)} == set(keys)
    synced, sync, values = [], os.fsync, run.read("time_from")

    def noted(handle):
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    assert mend(store, deep=True).outcome.failed == {}
    np.testing.assert_array_equal(Run(store).read("time_from"), values)
    assert str(file) in synced
    assert damages(store, deep=True) == []


def test_chunks_that_a_variable_has_no_more_are_not_missed(store):
    run = Run(store)
    ledger, digest = Ledger(store, run.identity("align")), run.stage("align")["digest"]
    # As an earlier version made it, in more chunks.
    older = {"gain/c/0": (9, "00000000"), "gain/c/9": (9, "00000000")}
    ledger.wrote(stage="align", digest=digest, files=older)
    assert len(damages(store)) == 2
    run.put("gain", run.read("gain"), run.sizes)
    manifest = FileManifest.of(run, "align", store)
    own = manifest.others(run.take_checksums())
    assert own.keys() >= {"gain/c/0", "component/c/0"}
    assert "gain/c/9" not in own
    ledger.wrote(stage="align", digest=digest, files=own)
    assert damages(store, deep=True) == []


# ---- frames


@pytest.mark.parametrize("harm", WRONG, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("variable", ["intensity", "frame_ok", "time", "source_file"])
def test_only_an_ingest_brings_frames_back(store, finished, plan, drive, mend, variable, harm):
    before = np.asarray(Run(store).read(variable))
    file = chunk(store, variable)
    harm(file)
    name = file.relative_to(store).as_posix()
    (damage,) = damages(store, deep=True)
    assert (damage.file, damage.stage) == (name, "ingest")
    (run,) = verify(plan_runs([store]), deep=True).runs
    assert "`overwrite=True`" in run.remedy
    assert "ingest the raw data" in mend(store, deep=True).outcome.failed["raw"]
    if harm is flip:
        return
    for told in (
        preview(plan(finished)).runs[0].fault,
        drive(plan(finished)).outcome.failed["raw"],
    ):
        assert name in told
        assert "`overwrite=True`" in told
    assert list(preview(plan(finished), overwrite=True).runs[0].to_do) == list(STAGES)
    again = drive(plan(finished), overwrite=True, only=("ingest",))
    assert again.outcome.failed == {}
    np.testing.assert_array_equal(before, Run(store).read(variable))
    assert damages(store, deep=True) == []


# ---- metadata, and what is meant to be


@pytest.mark.parametrize("harm", [delete, truncate, empty], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("variable", ["flow", "mask", "roi"])
def test_metadata_of_a_variable_come_back(store, mend, harm, variable):
    file = store / variable / "zarr.json"
    whole = json.loads(file.read_text())
    harm(file)
    (damage,) = damages(store)
    assert damage.file == f"{variable}/zarr.json"
    repaired = mend(store)
    assert (repaired.outcome.failed, repaired.tasks) == ({}, [])
    assert json.loads(file.read_text()) == whole
    assert damages(store, deep=True) == []


def test_a_variable_that_is_gone_comes_back(store, mend, tmp_path, same_arrays):
    whole = shutil.copytree(store, tmp_path / "whole.zarr")
    shutil.rmtree(store / "flow")
    assert mend(store).stages == Counter({"flow": 4})
    same_arrays(whole, store)


def test_a_wave_that_was_deleted_to_save_space_is_no_damage(store):
    shutil.rmtree(store / "wave")
    assert damages(store, deep=True) == []


@pytest.mark.parametrize("harm", [delete, truncate, empty], ids=lambda harm: harm.__name__)
def test_a_record_that_is_damaged_is_told(store, harm):
    harm(store / "zarr.json")
    found = verify(plan_runs([store]))
    assert not found.sound
    assert found.runs[0].fault
    assert found.runs[0].remedy


def test_a_store_without_its_ledger_cannot_be_checked_and_says_so(store):
    (store.parent / "raw.ledger.jsonl").unlink()
    (run,) = verify(plan_runs([store])).runs
    assert run.sound
    assert "raw.ledger.jsonl" in run.notes[0]


def test_a_copy_elsewhere_is_checked_and_mended_there(store, finished, tmp_path, mend):
    away = tmp_path / "elsewhere"
    shutil.copytree(finished / "results", away)
    shutil.rmtree(finished)
    copy = away / "raw.zarr"
    assert verify(plan_runs([copy]), deep=True).sound
    delete(chunk(copy, "flow"))
    assert mend(copy).outcome.failed == {}
    assert damages(copy, deep=True) == []


def test_a_run_that_is_not_made_yet_is_no_fault(raw, plan):
    (run,) = verify(plan(raw)).runs
    assert (run.sound, run.notes) == (True, ["not made yet"])


def test_what_another_version_made_is_not_mended_in_part(store, mend):
    run = Run(store)
    record = run.record
    record["stages"]["label"]["digest"] = "another"
    run.describe(uemdask=record)
    ledger = Ledger(store, run.identity("label"))
    files = {"label/c/0/0/0/0": (7, "00000000")}
    ledger.done(
        stage="label", phase="pairs", digest="another", region="all", receipt={}, files=files
    )
    assert "another version" in mend(store).outcome.failed["raw"]


def test_a_killed_repair_goes_on(store, drive, tmp_path, same_arrays):
    class Killed(BaseException):
        pass

    def kill(stage, region):
        raise Killed

    whole = shutil.copytree(store, tmp_path / "whole.zarr")
    delete(chunk(store, "label"))
    pipeline = partial(Repair, deep=False)
    with pytest.raises(Killed):
        drive(plan_runs([store]), kill, pipeline=pipeline)
    assert drive(plan_runs([store]), pipeline=pipeline).stages == Counter({"label": 1})
    same_arrays(whole, store)


def kill(*_arguments, **_options):
    raise KeyboardInterrupt


def test_a_kill_before_a_stage_is_finished_again_forgets_no_later_one(store, drive, monkeypatch):
    run, file = Run(store), chunk(store, "flow")
    key, digest = file.relative_to(store).as_posix(), run.stage("flow")["digest"]
    ledger = Ledger(store, run.identity("flow"))
    task = next(t for t in ledger.tasks("flow", digest).values() if key in t.files)
    # As if it had been another when the features were made of it, and had changed since.
    ledger.done(**task.model_dump(exclude={"at", "made", "files"}), files={key: (7, "00000000")})
    later = datetime.now().timestamp() + 1000
    os.utime(file, (later, later))
    repair = partial(drive, plan_runs([store]), pipeline=partial(Repair, deep=True))
    with monkeypatch.context() as killing:
        killing.setattr(Run, "finish", kill)
        with pytest.raises(KeyboardInterrupt):
            repair()
    assert not Run(store).is_done("flow")
    assert set(repair().stages) == {"feature", "mode"}
    assert missing_stages(Run(store)) == []
    assert damages(store, deep=True) == []


@pytest.mark.parametrize("moment", range(6))
def test_a_kill_while_a_repair_is_prepared_loses_nothing_of_it(
    store, drive, tmp_path, same_arrays, monkeypatch, moment
):
    whole, left = shutil.copytree(store, tmp_path / "whole.zarr"), [moment]
    file = chunk(store, "flow")
    flip(file)
    os.utime(file, (1.0, 1.0))  # long before what was made of it

    def killed(do):
        def instead(*arguments, **options):
            left[0] -= 1
            return do(*arguments, **options) if left[0] >= 0 else kill()

        return instead

    repair = partial(drive, plan_runs([store]), pipeline=partial(Repair, deep=True))
    with monkeypatch.context() as killing:
        killing.setattr(Run, "reopen", killed(Run.reopen))
        killing.setattr(Ledger, "void", killed(Ledger.void))
        with pytest.raises(KeyboardInterrupt):
            repair()
    assert set(repair().stages) == {"flow", "feature", "mode"}
    same_arrays(whole, store)
    assert damages(store, deep=True) == []


def test_files_are_on_the_disk_before_their_receipt(raw, plan, drive, monkeypatch):
    settled, wrong = set(), []
    real_sync, real_done = os.fsync, Ledger.done

    def sync(handle):
        settled.add(os.readlink(f"/proc/self/fd/{handle}"))
        real_sync(handle)

    def done(self, *, files, **entry):
        for key, told in files.items():
            file = raw / "results" / "raw.zarr" / key
            if told is not None:
                wrong.extend(p for p in (file, file.parent) if str(p) not in settled)
        return real_done(self, files=files, **entry)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Ledger, "done", done)
    drive(plan(raw), only=("ingest", "align", "spectrum"))
    assert wrong == []
    assert str(raw / "results" / "raw.zarr" / "zarr.json") not in settled  # drafts are, before
    assert str(raw / "results") in settled


def test_an_export_has_no_ledger_and_says_so(store, tmp_path):
    from uemdask.cube import export_run

    export_run(store, tmp_path / "home.zarr")
    (run,) = verify(plan_runs([tmp_path / "home.zarr"])).runs
    assert run.sound
    assert run.notes


# ---- the command


def test_the_command_names_what_is_damaged_and_ends_with_1(store, capsys):
    assert _run(["verify", str(store)]) == 0
    assert "all is well" in capsys.readouterr().out
    delete(chunk(store, "flow"))
    assert _run(["verify", str(store)]) == 1
    said = capsys.readouterr().out
    assert (
        "stage flow: flow/c/0/0/0/0 is missing (flow pair=0:8,component=0:2,y=0:64,x=0:64)" in said
    )
    assert "--repair" in said
    assert _run(["verify", str(store), "--json"]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["damages"][0]["file"] == "flow/c/0/0/0/0"


def test_the_command_repairs(store, in_process, monkeypatch, capsys):
    @contextmanager
    def open_cluster(profile):
        yield Cluster(client=in_process(), dashboard="", cpu=Capacity(slots=0.5))

    monkeypatch.setattr(uemdask.execution, "open_cluster", open_cluster)
    flip(chunk(store, "flow"))
    assert _run(["verify", str(store), "--repair"]) == 0  # sizes are right
    assert "all is well" in capsys.readouterr().out
    assert _run(["verify", str(store), "--deep", "--repair", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["damages"] == []
    flip(chunk(store, "intensity"))
    assert _run(["verify", str(store), "--deep", "--repair"]) == 1
    assert "--overwrite" in capsys.readouterr().out


def test_a_path_that_is_no_run_is_an_error_for_people(tmp_path):
    with pytest.raises(UemError):
        plan_runs([tmp_path / "none.zarr"])
