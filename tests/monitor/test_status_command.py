"""``uemdask status`` as a user sees it, while a driver is at work and after."""

import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from uemdask.cube import STAGES
from uemdask.execution import read_campaign
from uemdask.monitor import RunState
from uemdask.monitor.publishing import progress_path, write_progress
from uemdask_cli.status import _again, _picture, status

LONG = "Überlagerung_von_zwei_Wellenzügen_schräg_[80 K]_Messreihe_17"


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """Return a campaign file of 40 runs, one with a long name, none of which was begun."""
    (tmp_path / "raw").mkdir()
    names = [LONG, *(f"run{number:02d}" for number in range(39))]
    lines = [f"  - {{raw: raw, name: '{name}'}}" for name in names]
    file = tmp_path / "ge.yaml"
    file.write_text("\n".join(["runs:", *lines, ""]), encoding="utf-8")
    return file


@pytest.fixture
def at_work(campaign, progress):
    """Return the progress of a driver that is at work on them."""
    made = progress([LONG, *(f"run{number:02d}" for number in range(39))])
    made.cluster_is_up("http://127.0.0.1:8787/status", 4)
    made.phase_begins(LONG, "ingest", "dark", 0, 0)
    made.phase_begins(LONG, "ingest", "frames", 3, 0)
    for _ in range(3):
        made.task_done(LONG, "ingest", "frames", {"seconds": 1.0, "bytes": 2_000_000})
    made.run_failed(LONG, "ingest", "frame_0020.tif: cannot be read")
    made.phase_begins("run17", "flow", "calibrate", 3, 0)
    write_progress(progress_path(read_campaign(campaign)), made.state())
    return made


def said(campaign, *options):
    done = CliRunner().invoke(status, [str(campaign), *options], standalone_mode=False)
    assert done.exception is None, done.output
    return done.output


def test_before_any_driver_all_is_left(campaign):
    text = said(campaign)
    assert "0 done, 0 failed, 40 left" in text
    output = campaign.parent / "results"
    assert f"no driver has been at work in {output}, which is not there; --output names" in text
    output.mkdir()
    assert said(campaign).endswith(f"no driver has been at work in {output}\n")


def test_names_are_never_cut(campaign, at_work):
    (line,) = [line for line in said(campaign).splitlines() if line.startswith(LONG + " ")]
    assert line.split()[-9:] == ["failed"] + ["-"] * 8


def test_a_driver_at_work_is_told_from_one_that_is_gone(campaign, at_work):
    text = said(campaign)
    assert "driver at work on" in text
    assert "time left: over" in text
    assert f"{LONG}: frame_0020.tif: cannot be read" in text
    at_work.ends("stopped")
    write_progress(progress_path(read_campaign(campaign)), at_work.state())
    text = said(campaign)
    assert "stopped" in text
    assert "campaign page" not in text  # it went with the driver


def test_what_needs_attention_fits_a_low_terminal(at_work):
    console = Console(file=io.StringIO(), width=80, height=24)
    console.print(_picture(at_work.state(), console))
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= console.height
    assert lines[0] == "0 done, 1 failed, 39 left"
    assert any("cannot be read" in line for line in lines)
    assert any(line.startswith("run17") and " 0 %" in line for line in lines)
    assert any("of 40 runs" in line for line in lines)


def test_watching_ends_with_the_driver(campaign, at_work):
    at_work.ends("ended")
    write_progress(progress_path(read_campaign(campaign)), at_work.state())
    text = said(campaign, "--watch")
    assert text.count("0 done, 0 failed, 40 left") == 1  # once
    assert "run38" in text  # all runs, once nothing changes any more


def test_what_is_done_and_would_be_made_again_is_told():
    done = dict.fromkeys(STAGES, 1.0)
    changed = {"flow": "changed: views was 4, is 2", "feature": "after flow"}
    runs = [
        RunState(run="a", state="waiting", done=False, stages=done, left=changed),
        RunState(run="b", state="waiting", done=False, stages=done | {"mode": 0.5},
                 left={"mode": "begun"}),
        RunState(run="c", state="waiting", done=False, stages=done, fault="c.zarr: is damaged"),
        RunState(run="d", state="done", done=True, stages=done),
    ]  # fmt: skip
    assert list(_again(runs)) == [
        "a: 'uemdask run' would make flow, feature again: flow changed: views was 4, is 2",
        "c: 'uemdask run' would fail: c.zarr: is damaged",
    ]


def test_a_driver_that_came_to_its_end_knows_of_nothing_left(campaign, at_work):
    at_work.ends("ended")
    write_progress(progress_path(read_campaign(campaign)), at_work.state())
    text = said(campaign)
    assert "40 left" in text
    assert "time left" not in text
