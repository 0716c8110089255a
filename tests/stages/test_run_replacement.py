"""A run that replaces another: killed or without room, nothing is lost."""

import resource

import numpy as np
import pytest
import tifffile

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.execution import plan_ingest, plan_runs
from uemdask.stages import run_replacement
from uemdask.stages.ingest import IngestParameters

DELAYS = (-5, 0, 5, 10)


class Killed(BaseException):
    pass


@pytest.fixture
def raw(tmp_path):
    """Frames that no compression makes small."""
    raw = tmp_path / "raw"
    raw.mkdir()
    random = np.random.default_rng(0)
    for delay in DELAYS:
        noise = random.integers(0, 60000, (256, 256)).astype(np.uint16)
        tifffile.imwrite(raw / f"Ge_{delay}ps.tif", noise)
    return raw


@pytest.fixture
def ingest(raw, drive, tmp_path):
    """Return a function that ingests with a time zero, and gives the tasks and the failure."""

    def ingest(zero, *, overwrite=True):
        parameters = IngestParameters(raw=str(raw), pixel_size="3nm", time_zero=zero)
        plan = plan_ingest({tmp_path / "run.zarr": parameters})
        done = drive(plan, only=("ingest",), overwrite=overwrite)
        return done.tasks, done.outcome.failed.get("run", "")

    return ingest


@pytest.fixture
def killed(ingest, tmp_path, monkeypatch):
    """Give the store after a replacement that was killed between its two renames."""
    store = tmp_path / "run.zarr"
    assert ingest("0ps")[1] == ""

    def rename(source, target):
        if target == store:
            raise Killed
        rename_it(source, target)

    rename_it = run_replacement.os.replace
    with monkeypatch.context() as patch:
        patch.setattr(run_replacement.os, "replace", rename)
        with pytest.raises(Killed):
            ingest("5ps")
    assert not store.exists()
    return store


def hidden(folder):
    return [path.name for path in folder.glob(".*")]


def test_the_same_command_finishes_a_replacement_that_was_killed(killed, ingest):
    assert ingest("5ps") == ([], "")  # no frame is read again
    assert Run(killed).read("time")[0] == -10
    assert hidden(killed.parent) == []


def test_without_overwrite_the_old_run_is_back(killed, ingest):
    assert run_replacement.is_whole(killed)
    _, message = ingest("5ps", overwrite=False)
    assert "holds a run of other raw data or parameters" in message
    assert Run(killed).read("time")[0] == -5
    assert Run(killed).is_done("ingest")
    assert hidden(killed.parent) == []


def test_a_bad_replacement_brings_the_old_run_back(killed, ingest, raw):
    (raw / "Ge_0ps.tif").write_bytes(b"")
    assert "is empty" in ingest("5ps")[1]
    assert Run(killed).read("time")[0] == -5


def test_a_run_that_is_not_in_its_place_says_how_it_comes_back(killed):
    with pytest.raises(UemError, match=r"run\.zarr: its replacement was killed half-way; give"):
        Run(killed)


def test_going_on_with_such_a_run_brings_it_back(killed, drive):
    plan = plan_runs([killed])
    assert drive(plan, only=("align",)).outcome.failed == {}
    assert Run(killed).read("time")[0] == -5


def test_what_was_replaced_goes_where_it_was_killed_after_the_renames(killed, ingest):
    new = run_replacement.sidecar(killed, "new")
    new.rename(killed)
    assert ingest("5ps") == ([], "")
    assert Run(killed).read("time")[0] == -10
    assert hidden(killed.parent) == []


def test_a_full_disk_names_the_run_that_was_to_be_replaced(ingest, tmp_path):
    ingest("0ps")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        _, message = ingest("5ps")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert message.startswith(f"{tmp_path / 'run.zarr'}: cannot be written (File too large)")
    assert Run(tmp_path / "run.zarr").read("time")[0] == -5
    assert hidden(tmp_path) == []


def test_a_replacement_killed_before_it_has_begun_is_begun_again(ingest, tmp_path, monkeypatch):
    ingest("0ps")

    def kill(self, stage, **facts):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, "note", kill)  # the new store is there, and does not know its sources
        with pytest.raises(Killed):
            ingest("5ps")
    assert ingest("5ps")[1] == ""
    assert Run(tmp_path / "run.zarr").read("time")[0] == -10
    assert hidden(tmp_path) == []


def test_a_replacement_that_is_damaged_is_begun_again(ingest, tmp_path, monkeypatch):
    ingest("0ps")
    place = run_replacement.sidecar(tmp_path / "run.zarr", "new")
    place.mkdir()
    (place / "zarr.json").write_bytes(b"")
    assert ingest("5ps")[1] == ""
    assert Run(tmp_path / "run.zarr").read("time")[0] == -10
