"""Jobs that a killed driver left: cancelled if they are still ours, and the system answers."""

import asyncio
import os

import pytest

from uemdask.execution import open_cluster
from uemdask.execution.cluster.session import session

SQUEUE = """\
17|PENDING|Resources|uemdask-cpu
18|RUNNING|None|thesis|final uemdask-
19|RUNNING|None|uemdask-gpu
"""
QSTAT = """\
Job Id: 17.pbs1
    Job_Name = uemdask-cpu
    job_state = Q
    comment = Not Running: no room
Job Id: 18.pbs1
    Job_Name = thesis
    job_state = R
"""
CANCEL = {"slurm": "scancel", "pbs": "qdel"}
LIST = {"slurm": "squeue", "pbs": "qstat"}


@pytest.mark.parametrize(("kind", "says"), [("slurm", SQUEUE), ("pbs", QSTAT)])
def test_a_job_of_another_name_is_not_cancelled(play, system_of, kind, says):
    play(LIST[kind], says)
    cancelled = play(CANCEL[kind])
    assert asyncio.run(system_of(kind).cancel(["17", "18"])) == ["17"]
    assert cancelled.read_text().split() == ["17"]


@pytest.mark.parametrize("kind", ["slurm", "pbs"])
def test_a_batch_system_that_is_away_is_not_taken_for_one_without_jobs(play, system_of, kind):
    play(LIST[kind], code=1)
    cancelled = play(CANCEL[kind])
    assert asyncio.run(system_of(kind).cancel(["17"])) is None
    assert not cancelled.exists()


@pytest.mark.parametrize(("kind", "says"), [("slurm", SQUEUE), ("pbs", QSTAT)])
def test_a_cancel_that_fails_is_no_answer(play, system_of, kind, says):
    play(LIST[kind], says)
    play(CANCEL[kind], code=1)
    assert asyncio.run(system_of(kind).cancel(["17"])) is None


def test_without_jobs_nobody_is_asked(play, system_of):
    asked = play("squeue", code=1)
    assert asyncio.run(system_of("slurm").cancel([])) == []
    assert not asked.exists()


def test_a_batch_system_has_a_name(play, system_of, monkeypatch):
    play("scontrol", "Configuration data\nCluster Info = no\nClusterName             = frontier\n")
    play("qstat", "Server: pbs1.site.org\n    server_state = Active\n")
    assert system_of("slurm").home() == "Slurm frontier"
    assert system_of("pbs").home() == "PBS pbs1.site.org"
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "summit")
    assert system_of("slurm").home() == "Slurm summit"


def test_a_batch_system_that_is_away_has_no_name(play, system_of):
    play("scontrol", "slurm_load_ctl_conf error\n", code=1)
    assert system_of("slurm").home() == "Slurm"


def test_the_next_driver_cancels_them_once_the_batch_system_answers(play, profile_of):
    profile = profile_of("slurm")
    (profile.folder / "logs").mkdir(parents=True)
    play("scontrol", "ClusterName = frontier\n")
    cancelled = play("scancel")
    if not (child := os.fork()):
        with session(profile.folder, "Slurm frontier") as own:
            own.note("17")
            os._exit(9)
    os.waitpid(child, 0)
    play("squeue", code=1)
    with open_cluster(profile) as cluster:
        assert not any("cancelled" in hint for hint in cluster.hints)
    play("squeue", SQUEUE)
    with open_cluster(profile) as cluster:
        assert any(hint.endswith("had left: job 17") for hint in cluster.hints)
    assert cancelled.read_text().split() == ["17"]
    assert list(profile.folder.glob("session-*")) == []
