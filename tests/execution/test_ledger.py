"""The ledger: append-only, and nothing in it is believed that should not be."""

import json
import os
import resource
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.execution.ledger import Ledger, last_entry, ledger_path, read_entries
from uemdask.execution.ledger_entries import Mended, TaskDone


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "a.zarr", "id1")


def note(ledger, region, *, stage="label", phase="pairs", digest="d1", receipt=None):
    ledger.done(stage=stage, phase=phase, digest=digest, region=region, receipt=receipt or {"n": 1})


def test_it_lies_beside_the_store(tmp_path):
    assert ledger_path(tmp_path / "a.b.zarr") == tmp_path / "a.b.ledger.jsonl"
    assert ledger_path(tmp_path / "plain") == tmp_path / "plain.ledger.jsonl"


def test_no_ledger_is_an_empty_one(ledger):
    assert ledger.receipts("label", "pairs", "d1") == {}
    assert list(read_entries(ledger.path)) == []


def test_receipts_come_back(ledger):
    note(ledger, "pair=0:8", receipt={"confidence": 0.25, "flags": ["ü", ""]})
    note(ledger, "pair=8:16")
    assert ledger.receipts("label", "pairs", "d1") == {
        "pair=0:8": {"confidence": 0.25, "flags": ["ü", ""]},
        "pair=8:16": {"n": 1},
    }


def test_a_task_done_twice_counts_once_with_its_last_receipt(ledger):
    note(ledger, "all", receipt={"n": 1})
    note(ledger, "all", receipt={"n": 2})
    assert ledger.receipts("label", "pairs", "d1") == {"all": {"n": 2}}


@pytest.mark.parametrize(
    "other", [{"stage": "flow"}, {"phase": "base"}, {"digest": "d2"}], ids=lambda o: next(iter(o))
)
def test_receipts_of_other_work_do_not_count(ledger, other):
    note(ledger, "all", **other)
    assert ledger.receipts("label", "pairs", "d1") == {}


def test_receipts_of_an_earlier_making_do_not_count(ledger, tmp_path):
    note(ledger, "all")
    assert Ledger(tmp_path / "a.zarr", "id2").receipts("label", "pairs", "d1") == {}


def test_failures_are_kept_but_are_no_receipts(ledger):
    ledger.failed(stage="label", phase="pairs", region="all", message="x: broken", trace="Trace")
    assert ledger.receipts("label", "pairs", "d1") == {}
    (entry,) = read_entries(ledger.path)
    assert (entry.failed, entry.traceback) == ("x: broken", "Trace")


@pytest.mark.parametrize("torn", ['{"stage": "lab', "{", "12", "null", '"', "\x00\x00", "\xff\xfe"])
def test_a_torn_line_is_passed_over_and_swallows_nothing(ledger, torn):
    note(ledger, "pair=0:8")
    with ledger.path.open("ab") as file:
        file.write(torn.encode("latin-1"))
    assert list(ledger.receipts("label", "pairs", "d1")) == ["pair=0:8"]
    note(ledger, "pair=8:16")  # after a restart
    note(ledger, "pair=16:24")
    assert list(ledger.receipts("label", "pairs", "d1")) == ["pair=0:8", "pair=8:16", "pair=16:24"]


@given(st.data())
def test_a_kill_at_any_byte_loses_at_most_the_last_line(tmp_path_factory, data):
    store = tmp_path_factory.mktemp("kill") / "a.zarr"
    ledger = Ledger(store, "id1")
    for i in range(3):
        note(ledger, f"time={i}:{i + 1}")
    content = ledger.path.read_bytes()
    ledger.path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    whole = ledger.path.read_bytes().count(b"\n")
    kept = list(ledger.receipts("label", "pairs", "d1"))
    assert len(kept) in (whole, whole + 1)
    note(ledger, "last")
    assert list(ledger.receipts("label", "pairs", "d1")) == [*kept, "last"]


@pytest.mark.parametrize("length", [10, 200_000])
def test_the_last_word_is_found_however_long_it_is(ledger, length):
    ledger.mended()  # there is nothing to mend
    note(ledger, "all")
    ledger.mended()
    assert isinstance(last_entry(ledger.path), TaskDone)
    ledger.failed(stage="label", phase="", region="", message="no", trace="x" * length)
    ledger.mended()
    assert isinstance(last_entry(ledger.path), Mended)


def test_every_line_is_json_with_its_time(ledger):
    note(ledger, "all")
    (line,) = [json.loads(text) for text in ledger.path.read_text().splitlines()]
    assert line["made"] == "id1"
    assert line["at"].startswith("20")


def test_lines_of_tasks_are_put_on_the_disk_together(ledger, monkeypatch):
    synced = []
    monkeypatch.setattr("uemdask.execution.ledger.os.fsync", synced.append)
    for number in range(5):
        note(ledger, f"pair={number}:{number + 1}")
    of_tasks = len(synced) - 1  # the folder of a new ledger
    ledger.settle()
    assert (of_tasks, len(synced)) == (0, 2)
    ledger.wrote(stage="label", digest="d1", files={})  # before a stage is noted as done
    assert len(synced) == 3
    assert len(ledger.receipts("label", "pairs", "d1")) == 5


def test_what_counts_no_more_is_known_until_the_stage_is_finished_again(ledger):
    note(ledger, "all", receipt={"n": 1})
    for n in (2, 3):
        ledger.void(stage="label", regions=[("pairs", "all")])
        note(ledger, "all", receipt={"n": n})
    done, void = ledger.history("label", "d1")
    assert [task.receipt for task in (*done.values(), *void.values())] == [{"n": 3}, {"n": 1}]
    ledger.wrote(stage="label", digest="d1", files={})
    assert ledger.history("label", "d1") == (done, {})


# ---- a disk that fails


@contextmanager
def full(ledger, *, takes):
    """Let the disk take so many bytes more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = ledger.path.stat().st_size if ledger.path.exists() else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + takes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("takes", [0, 20])
def test_a_line_that_could_not_be_written_goes_with_the_next(ledger, takes):
    note(ledger, "pair=0:8")
    with full(ledger, takes=takes):
        note(ledger, "pair=8:16")
        assert list(ledger.receipts("label", "pairs", "d1")) == ["pair=0:8"]
    ledger.wrote(stage="label", digest="d1", files={"valid/c/0": (3, "00000000")})
    assert list(ledger.receipts("label", "pairs", "d1")) == ["pair=0:8", "pair=8:16"]
    assert ledger.written("label", "d1") == {"valid/c/0": (3, "00000000")}


def test_no_stage_is_done_on_lines_that_are_not_there(ledger):
    note(ledger, "pair=0:8")
    with full(ledger, takes=20):
        with pytest.raises(UemError, match="make room"):
            ledger.wrote(stage="label", digest="d1", files={})
        with pytest.raises(UemError, match="make room"):
            ledger.void(stage="label", regions=[("pairs", "pair=0:8")])


def test_lines_that_the_disk_may_have_lost_are_written_again(ledger, monkeypatch):
    def fail(handle):
        raise OSError(5, "Input/output error")

    note(ledger, "pair=0:8")
    with monkeypatch.context() as failing:
        failing.setattr("uemdask.execution.ledger.os.fsync", fail)
        ledger.settle()
        with pytest.raises(OSError, match="Input/output"):
            ledger.wrote(stage="label", digest="d1", files={})
    os.truncate(ledger.path, 0)
    ledger.settle()
    assert list(ledger.receipts("label", "pairs", "d1")) == ["pair=0:8"]
