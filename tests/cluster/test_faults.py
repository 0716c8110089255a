"""What happens to jobs on a real cluster: the result is that of an undisturbed run."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from uemdask.execution import open_cluster, read_profile


def test_slurm_is_away_a_job_is_cancelled_then_all(
    slurm, work, receipts, undisturbed, until, finish
):
    here = work("run0", "run1")
    stores = [here.store("run0"), here.store("run1")]
    process = here.start()
    until(lambda: receipts(stores[0]))
    slurm.kill_controller()
    _hear(process, "Slurm does not answer")  # as the GPU is wanted
    assert slurm.start().returncode == 0
    until(lambda: slurm.running("uemdask-cpu"))
    slurm.cancel(slurm.running("uemdask-cpu")[0])
    before = len(receipts(stores[0]) + receipts(stores[1]))
    until(lambda: len(receipts(stores[0]) + receipts(stores[1])) > before + 1)
    slurm.cancel(*slurm.waiting_or_running())
    said = finish(process)
    assert "has ended (CANCELLED" in said
    assert "Traceback" not in said
    for store in stores:
        undisturbed(store)


def _hear(process: subprocess.Popen[str], words: str) -> None:
    """Read what a campaign says until it says these words."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    raise AssertionError("".join(said))


def test_a_job_reaches_its_walltime(slurm, work, undisturbed, until, finish, worker_processes):
    here = work("run0", walltime="00:01:00")
    before = len(slurm.ended())
    process = here.start()
    models = here.folder / "results" / "models"
    until(lambda: list(models.glob("*.history.jsonl")) and worker_processes("gpu"))
    # It hangs, so that it cannot retire in time, until Slurm ends its job.
    worker_processes("gpu")[0].send_signal(signal.SIGSTOP)
    said = finish(process)
    assert "has ended (TIMEOUT" in said
    assert "Traceback" not in said
    states = [job.state for job in slurm.ended()[before:] if job.name == "uemdask-gpu"]
    assert states[0] == "TIMEOUT"
    undisturbed(here.store("run0"))


def test_workers_retire_before_the_walltime(slurm, work, until, monkeypatch):
    here = work("run0", walltime="00:01:00")
    monkeypatch.chdir(here.folder)
    with open_cluster(read_profile(here.folder / "profile.yaml")) as cluster:
        tasks = [
            cluster.client.submit(time.sleep, 1, pure=False, resources={"CPU": 1})
            for _ in range(400)
        ]
        logs = here.folder / "uemdask-jobs" / "logs"
        until(lambda: any("lifetime-reached" in log.read_text() for log in logs.glob("*.err")))
        cluster.client.cancel(tasks)


def test_a_python_that_has_no_dask_is_shown_after_a_few_tries(slurm, work, uemdask):
    here = work("run0", python="/usr/bin/python3", start_attempts=2)
    before = len(slurm.ended())
    done = uemdask(*here.command, expect=2, cwd=here.folder)
    assert "pool 'cpu': no worker could be started in 2 tries" in done.stderr
    assert "No module named 'distributed'" in done.stderr
    assert "uemdask cluster check" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert len(slurm.ended()) - before <= 2 * 2  # two tries of at most two jobs
    assert slurm.waiting_or_running() == []


def test_a_job_that_slurm_refuses_is_told_in_its_words(slurm, work, uemdask):
    here = work("run0", queue="nowhere", start_attempts=2)
    done = uemdask(*here.command, expect=2, cwd=here.folder)
    assert "sbatch refused the job" in done.stderr
    assert "invalid partition" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_memory_that_cannot_suffice_is_told_before_the_first_job(slurm, work, uemdask, done_tasks):
    small = [{"name": "cpu", "cores": 2, "memory": "700MiB"}]
    here = work("run0", pools=small)
    before = len(slurm.ended())
    done = uemdask(*here.command, expect=2, cwd=here.folder)
    assert "a worker of pool 'cpu' has 350.00 MiB" in done.stderr
    assert "raise 'memory'" in done.stderr
    assert len(slurm.ended()) == before
    assert not done_tasks(here.store("run0"))


def test_a_second_driver_is_refused_and_ctrl_c_gives_the_jobs_back(
    slurm, work, receipts, until, uemdask
):
    here = work("run0", "run1")
    process = here.start()
    until(lambda: receipts(here.store("run0")))
    done = uemdask(*here.command, expect=2, cwd=here.folder)
    assert "another uemdask is at work" in done.stderr
    assert process.poll() is None
    assert slurm.running()  # it did not take them for jobs of one that was killed
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "goes on from here" in said
    until(lambda: slurm.waiting_or_running() == [], limit=30)


def test_a_job_that_is_cancelled_before_its_worker_comes(slurm, work, until, finish):
    here = work("run0", start_attempts=3, pools=[{"name": "cpu", "cores": 1, "memory": "3GiB"}])
    process = here.start()
    until(slurm.running)
    slurm.cancel(*slurm.running())
    said = finish(process)
    assert "was cancelled before its worker came" in said
    assert "  | " not in said  # a log that says nothing


def test_waiting_jobs_that_are_all_cancelled_are_one_try(slurm, work, until):
    late = {"name": "late", "cores": 1, "memory": "2GiB", "directives": ["--begin=now+1hour"]}
    here = work("run0", "run1", start_attempts=2, pools=[late | {"maximum": 3}])
    process = here.start()
    until(lambda: len(slurm.waiting_or_running()) == 3)
    first = slurm.waiting_or_running()
    slurm.cancel(*first)
    until(lambda: set(slurm.waiting_or_running()) - set(first))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "was cancelled before its worker came; 2 more ended with it" in said


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_kill_and_a_closed_terminal_give_the_jobs_back(slurm, work, until, end):
    late = {"name": "late", "cores": 1, "memory": "2GiB", "directives": ["--begin=now+1hour"]}
    here = work("run0", pools=[late])
    process = here.start()
    until(slurm.waiting_or_running)
    process.send_signal(end)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "goes on from here" in said
    assert slurm.waiting_or_running() == []
