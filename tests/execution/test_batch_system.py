"""What the batch systems say of jobs, and what that means for them."""

import asyncio

import pytest

from uemdask.execution.cluster import batch
from uemdask.execution.cluster.profile import BatchProfile, Pool

POOL = Pool(name="cpu", cores=1, memory="2GiB")


@pytest.fixture(name="system")
def _system(monkeypatch):
    """Return a function that gives a batch system whose commands all say one text."""

    def make(kind, said):
        async def call(*command):
            return 0, said, ""

        monkeypatch.setattr(batch, "call", call)
        return batch.batch_system(BatchProfile(kind=kind, pools=[POOL]))

    return make


def state(system, job):
    return asyncio.run(system.living([job]))[job]


@pytest.mark.parametrize(
    ("reason", "hopeless"),
    [
        ("PartitionTimeLimit", True),
        ("PartitionConfig", True),
        ("BadConstraints", True),
        ("InvalidQOS", True),
        ("AccountNotAllowed", True),
        ("QOSMaxWallDurationPerJobLimit", True),
        ("Resources", False),
        ("Priority", False),
        ("QOSMaxJobsPerUserLimit", False),  # passes when another job ends
        ("PartitionDown", False),  # maintenance
        ("ReqNodeNotAvail, Reserved for maintenance", False),
    ],
)
def test_slurm_jobs_that_will_never_start(system, reason, hopeless):
    found = state(system("slurm", f"7|PENDING|{reason}|uemdask-cpu\n"), "7")
    assert (found.waits, found.reason, found.hopeless) == (True, reason, hopeless)


def test_a_job_that_runs_is_not_hopeless(system):
    assert not state(system("slurm", "7|RUNNING|PartitionTimeLimit|uemdask-cpu\n"), "7").hopeless


@pytest.mark.parametrize(
    ("comment", "hopeless"),
    [
        ("Can Never Run: Insufficient amount of resource: ngpus (R: 8 A: 4 T: 4)", True),
        ("Not Running: Insufficient amount of resource: ncpus", False),
    ],
)
def test_pbs_jobs_that_will_never_start(system, comment, hopeless):
    said = (
        f"Job Id: 7.pbs1\n    Job_Name = uemdask-cpu\n    job_state = Q\n    comment = {comment}\n"
    )
    assert state(system("pbs", said), "7").hopeless == hopeless


@pytest.mark.parametrize(
    ("kind", "said", "cancelled"),
    [
        ("slurm", "JobState=CANCELLED ExitCode=0:15", True),
        ("slurm", "JobState=FAILED ExitCode=1:0", False),
        ("pbs", "Exit_status = 271", True),
        ("pbs", "Exit_status = 1", False),
    ],
)
def test_how_a_job_that_was_cancelled_ended(system, kind, said, cancelled):
    end = asyncio.run(system(kind, said).end_of("7"))
    assert end.startswith(batch.CANCELLED) == cancelled
    assert any(character.isdigit() for character in end)
