"""Making runs: all or nothing."""

import os

import numpy as np
import pytest

from uemdask.cube import Run, describe_run, open_run
from uemdask.errors import FaultsError, UemError
from uemdask.stages.run_replacement import put_in_place


def test_a_new_run_is_empty_but_whole(make):
    run = make()
    assert run.sizes == {"time": 20, "y": 40, "x": 300}
    assert run.name == "a"
    assert run.pixel_size == (3.0, 2.5)
    assert not run.is_done("ingest")
    assert run.read("scan_count").tolist() == [1] * 20
    assert run.read("frame_ok").all()


def test_two_runs_have_two_identities(make):
    assert make("a.zarr").record["run_id"] != make("b.zarr").record["run_id"]


def test_scan_counts_may_be_an_array(make):
    counts = np.arange(1, 21)
    assert make(scan_count=counts).read("scan_count").tolist() == counts.tolist()


def test_a_run_that_is_there_is_kept(make):
    first = make()
    with pytest.raises(UemError, match="overwrite=True"):
        make()
    assert Run(first.path).record["run_id"] == first.record["run_id"]


def test_a_run_is_replaced_where_that_is_wanted(make):
    first = make()
    second = make(overwrite=True, shape=(20, 30))
    assert second.sizes["y"] == 20
    assert second.record["run_id"] != first.record["run_id"]


def test_what_is_not_a_run_is_never_replaced(make, tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("years of work")
    with pytest.raises(UemError):
        make("thesis", overwrite=True)
    assert (folder / "chapter.tex").read_text() == "years of work"


FAULTS = {
    "delays that fall": {"delays": np.arange(20.0)[::-1]},
    "delays not finite": {"delays": np.where(np.arange(20) == 7, np.nan, np.arange(20.0))},
    "pixels of no size": {"pixel_size": (0.0, 3.0)},
    "too few files": {"source_file": ["a.tif"] * 19},
    "one file": {"source_file": ["a.tif"]},
    "too many scans": {"scan_count": [1] * 21},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_leave_no_half_store(make, tmp_path, fault):
    with pytest.raises(UemError):
        make(**FAULTS[fault])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_keeps_what_was_there(make, tmp_path):
    first = make()
    with pytest.raises(UemError):
        make(overwrite=True, pixel_size=(-1.0, 1.0))
    assert Run(first.path).record["run_id"] == first.record["run_id"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_a_stop_in_between_leaves_no_half_store(make, tmp_path, monkeypatch):
    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "put", stop)
    with pytest.raises(KeyboardInterrupt):
        make()
    assert list(tmp_path.iterdir()) == []


def test_all_faults_are_listed(make):
    with pytest.raises(FaultsError) as caught:
        make(delays=np.zeros(20), pixel_size=(3.0, -3.0))
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["time", "x"]


def test_wrong_metadata_are_refused_and_nothing_is_left(make, tmp_path):
    with pytest.raises(FaultsError) as caught:
        make(metadata={"beam_energy": 200, "exposure": "10 nm", "sample": "Ge"})
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["beam_energy", "exposure"]
    assert list(tmp_path.iterdir()) == []


def test_metadata_get_their_one_spelling_and_vendor_tags_stay_whole(make):
    tags = {"uemdask": 1, "ImageTags": {"Voltage": 2e5}}
    run = make(metadata={"beam_energy": "200keV", "my own": [1, None], "vendor": tags})
    attributes = dict(run.group.attrs)
    assert attributes["beam_energy"] == "200 keV"
    assert attributes["my own"] == [1, None]
    assert attributes["vendor"] == tags
    assert "vendor    2 tags of the first file" in describe_run(run.path)
    assert str(open_run(run.path).uem.metadata()["beam_energy"]) == "200 keV"


def test_what_a_kill_left_beside_the_store_is_in_nobodys_way(make, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(source, target):
        raise Killed

    run = make()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill)  # while zarr.json was replaced
        patch.setattr(os, "unlink", lambda path, **options: None)
        with pytest.raises(Killed):
            run.note("ingest", created=True)
    assert list(tmp_path.glob(".*"))
    run = make(overwrite=True)
    (tmp_path / ".a.zarr.part").mkdir()  # while a store was made
    run.note("ingest", level=1)
    assert run.stage("ingest")["level"] == 1


@pytest.mark.parametrize("kind", ["part", "old"])
def test_a_link_that_somebody_prepared_leads_nothing_elsewhere(make, tmp_path, kind):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "mine.txt").write_text("mine")
    (tmp_path / f".a.zarr.{kind}").symlink_to(theirs)
    run = make("a.zarr")
    put_in_place(make(".a.zarr.new"), run.path)
    assert [file.name for file in theirs.iterdir()] == ["mine.txt"]
    assert Run(run.path).sizes["time"] == 20
