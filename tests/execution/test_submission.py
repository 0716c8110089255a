"""What ``sbatch`` and ``qsub`` answer: the job number among other lines, or no job left behind."""

import asyncio

import pytest

from uemdask.errors import UemError
from uemdask.execution.cluster.profile import Pool
from uemdask.execution.cluster.submission import Submissions, job_number

POOL = Pool(name="cpu", cores=1, memory="2GiB")


@pytest.mark.parametrize(
    ("command", "said", "number"),
    [
        ("sbatch", "Submitted batch job 7\n", "7"),
        ("sbatch", "Submitted batch job 7 on cluster nautilus2\n", "7"),
        ("sbatch", "--> quota of /scratch2/me ... ok\nSubmitted batch job 7\n", "7"),
        ("sbatch", "Submitted batch job 7\r\n12 jobs of 40 in use\n", "7"),
        ("sbatch", "\x1b[32msbatch: Submitted batch job 7\x1b[0m\n", "7"),
        ("sbatch", "7\n", "7"),
        ("sbatch", "7;nautilus2\n", "7"),
        ("sbatch", "project 2041\n7\n", "7"),
        ("sbatch", "job 7 queued\n", None),
        ("sbatch", "Submitted batch job 7\nSubmitted batch job 8\n", None),
        ("sbatch", "", None),
        ("qsub", "7.pbs1\n", "7"),
        ("qsub", "7.pbs-server.site.org\n", "7"),
        ("qsub", "2024-07-08 project 2041, 17.5 node hours left\n17.5\n7.pbs1\n", "7"),
        ("qsub", "7\n", "7"),
        ("qsub", "job 7 queued\n", None),
        ("qsub", "7.pbs1\n8.pbs1\n", None),
    ],
)
def test_the_job_number_is_that_of_its_line(command, said, number):
    assert job_number(command, said) == number


def listed(kind, *numbers, name="uemdask-cpu"):
    if kind == "slurm":
        return "".join(f"{number}|PENDING|Priority|{name}\n" for number in numbers)
    return "".join(
        f"Job Id: {number}.pbs1\n    Job_Name = {name}\n    job_state = Q\n" for number in numbers
    )


@pytest.fixture(name="queue")
def _queue(play, tmp_path):
    """Return a function that sets up a queue: its jobs, and the answer to one more, number 7."""

    def queue(kind, answer, *before, listing=True):
        submit, show, cancel = {
            "slurm": ("sbatch", "squeue", "scancel"),
            "pbs": ("qsub", "qstat", "qdel"),
        }[kind]
        play(show, listed(kind, *before))
        play("qselect", "".join(f"{number}.pbs1\n" for number in before))
        (tmp_path / "listed").write_text(listed(kind, *before, "7") * listing)
        (tmp_path / "selected").write_text("7.pbs1\n" * listing)
        arrives = (
            f"cat {tmp_path}/listed > {tmp_path}/{show}.said\n"
            f"cat {tmp_path}/selected >> {tmp_path}/qselect.said"
        )
        play(submit, answer, does=arrives)
        return play(cancel)

    return queue


def submit(system, tmp_path):
    job = system.job(POOL, name="cpu.0", scheduler="tcp://h:1", logs=tmp_path)
    return asyncio.run(Submissions(system).submit(job))


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("slurm", "quota of /scratch2 ok\nSubmitted batch job 7\n"), ("pbs", "project 2041\n7.pbs1")],
)
def test_a_banner_with_numbers_is_not_the_job(queue, system_of, tmp_path, kind, answer):
    cancelled = queue(kind, answer)
    assert submit(system_of(kind), tmp_path) == "7"
    assert not cancelled.exists()


@pytest.mark.parametrize("kind", ["slurm", "pbs"])
@pytest.mark.parametrize("answer", ["queued as job no. 7 of project 5\n", "thank you\n", ""])
def test_a_job_whose_number_is_not_told_is_cancelled(queue, system_of, tmp_path, kind, answer):
    cancelled = queue(kind, answer, "5")
    with pytest.raises(UemError, match=r"tells no job number .*job 7 was cancelled"):
        submit(system_of(kind), tmp_path)
    # The 5 of the answer is a job too, but it was there before.
    assert cancelled.read_text().split() == ["7"]


@pytest.mark.parametrize("kind", ["slurm", "pbs"])
def test_where_nothing_came_of_it_that_is_said(queue, system_of, tmp_path, kind, monkeypatch):
    monkeypatch.setattr("uemdask.execution.cluster.submission._PAUSE", 0.0)
    cancelled = queue(kind, "try again tomorrow\n", listing=False)
    with pytest.raises(UemError, match="no new job 'uemdask-cpu' is in the queue"):
        submit(system_of(kind), tmp_path)
    assert not cancelled.exists()


def test_of_several_new_jobs_none_is_cancelled(queue, play, system_of, tmp_path):
    # One is ours, the other one perhaps that of a driver in another folder.
    cancelled = queue("slurm", "thank you\n", "5")
    (tmp_path / "listed").write_text(listed("slurm", "5", "6", "7"))
    with pytest.raises(UemError, match="may be left in the queue: cancel it"):
        submit(system_of("slurm"), tmp_path)
    assert not cancelled.exists()


def test_a_refusal_is_told_in_its_own_words(play, system_of, tmp_path):
    play("squeue")
    play("sbatch", "quota 7 ok\n", code=1, does="echo 'sbatch: error: Invalid qos' >&2")
    with pytest.raises(RuntimeError, match=r"^sbatch: error: Invalid qos$"):
        submit(system_of("slurm"), tmp_path)
