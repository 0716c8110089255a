"""The plan of a campaign: true, complete, and nothing is done for it."""

import json
import shutil
import stat

import numpy as np
import pytest
import tifffile

from uemdask.cube import STAGES
from uemdask.errors import UemError
from uemdask.execution import Preview, preview, read_profile
from uemdask_cli.main import main

SLURM = """
kind: slurm
queue: standard
pools:
  - {name: cpu, cores: 4, memory: 8GiB, maximum: 3}
  - {name: gpu, cores: 2, gpus: 1, memory: 8GiB, queue: gpus, walltime: "04:00:00"}
"""


@pytest.fixture
def slurm(tmp_path):
    """Return a function that writes a Slurm profile with some lines changed."""

    def write(old="", new=""):
        file = tmp_path / "slurm.yaml"
        file.write_text(SLURM.replace(old, new))
        return file

    return write


@pytest.fixture
def command(raw, capsys, monkeypatch):
    """Return a function that runs ``uemdask run campaign.yaml`` and gives code, output, errors."""
    monkeypatch.chdir(raw)
    (raw / "campaign.yaml").write_text("runs: [{raw: raw}]\nmodel: new\n")

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["run", "campaign.yaml", *map(str, arguments)])
        return caught.value.code, *capsys.readouterr()

    return run


def everything(folder):
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.rglob("*"))}


def test_a_dry_run_writes_nothing_and_submits_nothing(command, raw, slurm, monkeypatch):
    profile = slurm()
    called = raw / "called"
    for name in ("sbatch", "squeue"):
        program = raw / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ntouch {called}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(raw / "bin"), prepend=":")
    before = everything(raw)
    code, out, err = command("--dry-run", "--cluster", profile)
    assert (code, err) == (0, "")
    assert "ingest to mode" in out
    assert everything(raw) == before
    assert not called.exists()


def test_a_dry_run_of_a_finished_run_touches_nothing(finished, plan, drive):
    before = everything(finished)
    seen = preview(plan(finished, parameters={"spectrum": {"smoothing": 3.0}}))
    assert seen.runs[0].to_do["spectrum"] == "changed: smoothing was 2.0, is 3.0"
    assert seen.runs[0].to_do["label"] == "after spectrum"
    assert seen.runs[0].done == ["ingest", "align"]
    assert everything(finished) == before


def test_tasks_bytes_and_memory_are_told_for_each_stage(raw, plan, drive):
    seen = preview(plan(raw))
    assert [stage.stage for stage in seen.stages] == list(STAGES)
    assert all(stage.runs == 1 for stage in seen.stages)
    assert all(s.read and s.memory for s in seen.stages if s.stage not in ("pairs", "mode"))
    assert seen.tasks == sum(stage.tasks for stage in seen.stages)
    done = drive(plan(raw))
    # The wave of this run is not made directional, so that is all.
    assert {s.stage: s.tasks for s in seen.stages if s.tasks} == dict(done.stages)


def test_jobs_follow_the_demand(raw, plan, slurm):
    for number in range(3):
        shutil.copytree(raw / "raw", raw / f"run_{number}")
    profile = read_profile(slurm())
    few = preview(plan(raw), profile=profile)
    assert [(pool.pool, pool.jobs, pool.workers) for pool in few.pools] == [
        ("cpu", 1, 4),  # at most four tasks of one run at a time
        ("gpu", 1, 1),
    ]
    assert few.pools[1].asks == {
        "cores": "2",
        "memory": "8GiB",
        "gpus": "1",
        "walltime": "04:00:00",
        "queue": "gpus",
    }
    many = preview(plan(raw, runs=[{"raw": "run_*"}]), profile=profile)
    assert [pool.jobs for pool in many.pools] == [3, 1]
    assert preview(plan(raw)).pools == []  # this machine


def test_nothing_to_do_needs_no_job(finished, plan, slurm):
    seen = preview(plan(finished), profile=read_profile(slurm()))
    assert [pool.jobs for pool in seen.pools] == [0, 0]
    assert (seen.stages, seen.tasks) == ([], 0)


def test_a_task_too_large_for_every_worker_is_named_at_the_door(command, slurm):
    code, out, err = command(
        "--dry-run", "--cluster", slurm("gpus: 1, memory: 8GiB", "gpus: 1, memory: 600MiB")
    )
    assert code == 2
    (fault,) = err.splitlines()
    assert "stage train of run 'raw' takes about" in fault
    assert "a worker of pool 'gpu' has 600.00 MiB; raise 'memory'" in fault
    assert "572" not in out


def test_the_plan_as_json(command, slurm):
    code, out, _ = command("--dry-run", "--json", "--cluster", slurm())
    assert code == 0
    seen = Preview.model_validate_json(out)
    assert json.loads(out)["version"] == "uemdask.plan/1"
    assert seen.runs[0].to_do["align"] == "after ingest"
    assert command("--json")[0] == 2  # it is for the plan alone


def test_faults_of_campaign_and_profile_are_told_in_one_round(command, raw, slurm):
    (raw / "campaign.yaml").write_text("runs: [{raw: gone}]\ncolour: red\n")
    code, _, err = command("--dry-run", "--cluster", slurm("queue: standard", "quue: standard"))
    assert code == 2
    for words in ("line 1, runs.0.raw", "line 2, colour", "slurm.yaml: line 3, quue", "'queue'?"):
        assert words in err


def test_a_broken_run_is_named_and_the_others_are_planned(command, raw):
    shutil.copytree(raw / "raw", raw / "bad")
    (raw / "bad" / "delays.csv").unlink()
    (raw / "campaign.yaml").write_text("runs: [{raw: raw}, {raw: bad}]\n")
    code, out, err = command("--dry-run")
    assert code == 1
    assert "uemdask: bad: " in err
    assert "no delays found" in err
    assert "for 1 of 2 runs" in out


@pytest.mark.parametrize(
    "parameters",
    [
        {"feature": {"masks": {"left": "mask.tif"}}},
        {"spectrum": {"band": [400, 500]}},
        {"align": {"drift_table": "drift.csv"}},
    ],
)
def test_what_a_late_stage_would_refuse_is_told_first(raw, plan, drive, parameters):
    tifffile.imwrite(raw / "mask.tif", np.ones((32, 32), np.uint8))
    (raw / "drift.csv").write_text("file,dx,dy\nframe_9999.tif,1,1\n")
    ready = plan(raw, parameters=parameters)
    fault = preview(ready).runs[0].fault
    assert fault
    done = drive(ready)
    assert done.tasks == []
    assert done.outcome.failed == {"raw": fault}


def test_a_store_of_other_raw_data_is_told(finished, plan):
    other = plan(finished, runs=[{"raw": "raw", "time_zero": "10 ps"}])
    assert "`overwrite=True`" in preview(other).runs[0].fault
    why = preview(other, overwrite=True).runs[0].to_do["ingest"]
    assert "time_zero was None, is 10 ps" in why


def test_raw_data_that_are_gone_are_told_where_they_are_wanted_again(finished, plan, drive):
    ready = plan(finished, runs=[{"raw": "raw", "time_zero": "10 ps"}])
    shutil.rmtree(finished / "raw")
    (expected,) = preview(ready).runs
    assert str(finished / "raw") in expected.fault
    assert drive(ready).outcome.failed == {"raw": expected.fault}


def test_a_model_that_is_missing_is_told(raw, plan):
    with pytest.raises(UemError, match=r"none\.pt"):
        preview(plan(raw, model="none.pt"))
