"""Whatever is killed with -9, the result is that of an undisturbed run, and nothing done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from uemdask.errors import UemError
from uemdask.network import load_model
from uemdask.network.checkpoint import load_checkpoint
from uemdask.stages.training_history import history_path


def test_a_worker_every_6_s(slurm, work, receipts, undisturbed, until, finish, worker_processes):
    here = work("run0", "run1", idle=120.0)  # there is always one to be killed
    stores = [here.store("run0"), here.store("run1")]
    models = here.folder / "results" / "models"

    def network() -> tuple[int, ...]:
        flows = [stage == "flow" for store in stores for stage, _, _ in receipts(store)]
        return _checkpoint(models), len(list(models.glob("*.pt"))), sum(flows)

    process = here.start()
    until(lambda: worker_processes("cpu"))
    killed, seen = Counter(), network()
    while not _ends_within(6 if killed else 2, process):
        # A training that is killed before its first step each time would never end.
        pool = "gpu" if worker_processes("gpu") and network() != seen else "cpu"
        if workers := worker_processes(pool):
            workers[killed[pool] % len(workers)].kill()
            killed[pool] += 1
        if pool == "gpu":
            seen = network()
    said = finish(process)
    assert killed["cpu"] >= 2
    assert killed["gpu"] >= 1
    assert "Traceback" not in said
    for store in stores:
        undisturbed(store)


def _ends_within(seconds: float, process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_the_training_twice(
    slurm, work, local, undisturbed, until, finish, worker_processes, json_lines
):
    here = work("run0")
    models = here.folder / "results" / "models"
    process = here.start()
    steps = [0]
    for _ in range(2):
        until(lambda: _checkpoint(models) > steps[-1])
        (victim,) = worker_processes("gpu")
        victim.kill()
        psutil.wait_procs([victim])
        steps.append(_checkpoint(models))
        history = _history(json_lines, models)
    finish(process)

    # What was done before is not done again: it has the speed of then.
    assert steps[1] < steps[2] < 10
    assert _history(json_lines, models)[: steps[2]] == history[: steps[2]]
    assert [step for step, _ in _history(json_lines, models)] == list(range(1, 11))
    killed, whole = (load_model(folder / "run0.pt")[0] for folder in (models, local / "models"))
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, killed.state_dict()[name]), name
    undisturbed(here.store("run0"))


def _checkpoint(models: Path) -> int:
    """Return the step of a checkpoint that is there; 0 where there is none, or no longer."""
    for path in models.glob("*.checkpoint"):
        with suppress(UemError):
            return load_checkpoint(path)["step"]
    return 0


def _history(json_lines, models: Path) -> list[tuple[int, float]]:
    """Return step and speed of the entries of a training; the first line says where it runs."""
    _, *lines = json_lines(history_path(models / "run0.pt"))
    return [(line["step"], line["images_per_second"]) for line in lines if "step" in line]


def test_the_driver(slurm, work, receipts, undisturbed, until, finish):
    late = {"name": "late", "cores": 1, "memory": "2GiB", "directives": ["--begin=now+1hour"]}
    here = work("run0")
    pools = here.profile["pools"]
    here.set_profile(pools=[late, *pools])
    store = here.store("run0")
    process = here.start()
    until(lambda: any(stage == "label" for stage, _, _ in receipts(store)))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = receipts(store)
    # Workers without a scheduler give their jobs back by themselves.
    until(lambda: slurm.running() == [], limit=100)
    (waits,) = slurm.waiting_or_running("uemdask-late")

    # What still waits in the queue is cancelled by the driver that goes on.
    here.set_profile(pools=pools)
    process = here.start()
    until(lambda: waits not in slurm.waiting_or_running(), limit=60)
    assert f"had left: job {waits}" in finish(process)
    assert receipts(store)[: len(before)] == before
    undisturbed(store)
    assert [path.name for path in (here.folder / "uemdask-jobs").iterdir()] == ["logs"]


def test_the_scheduler(slurm, work, receipts, undisturbed, until, finish, dask):
    here = work("run0")
    here.profile = {"kind": "existing", "scheduler_file": "scheduler.json"}
    here.set_profile()
    store = here.store("run0")
    scheduler = dask(here.folder)
    process = here.start()
    until(lambda: any(stage == "label" for stage, _, _ in receipts(store)))
    scheduler.kill()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.count("uemdask: ") == 1, said
    assert "the connection to the scheduler was lost" in said
    assert "give the same command again" in said
    assert "Traceback" not in said
    before = receipts(store)
    until(lambda: slurm.running() == [], limit=100)

    dask(here.folder)
    finish(here.start())
    assert receipts(store)[: len(before)] == before
    undisturbed(store)


@pytest.fixture
def dask(slurm, until):
    """Return a function that starts a Dask scheduler, and workers for it in jobs of Slurm."""
    schedulers = []

    def start(folder: Path) -> subprocess.Popen[bytes]:
        file = folder / "scheduler.json"
        file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
        anywhere = ["--port", "0", "--dashboard-address", "127.0.0.1:0"]
        with (folder / "scheduler.txt").open("a") as log:
            schedulers.append(
                subprocess.Popen(
                    [*command, *anywhere, "--scheduler-file", file],
                    stdout=log,
                    stderr=log,
                )
            )
        until(file.exists)
        worker = (
            f"export OMP_NUM_THREADS=1\n{sys.executable} -m distributed.cli.dask_worker "
            f"--scheduler-file {file} --nthreads 1 --no-dashboard --death-timeout 20 "
            f"--local-directory /tmp --resources "
        )
        # One core each, so that a training has as many threads as on a local cluster.
        slurm.submit(f"{worker} CPU=1", "-C", "cpu", "-c", "1", "--mem=2G", folder=folder)
        slurm.submit(f"{worker} GPU=1", "-C", "gpu", "-c", "1", "--mem=3G", folder=folder)
        until(lambda: len(slurm.running()) == 2)
        return schedulers[-1]

    yield start
    for scheduler in schedulers:
        scheduler.kill()
        scheduler.wait()
