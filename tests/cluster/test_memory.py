"""A task that uses up its worker's memory ends in one plain sentence."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.execution import open_cluster, read_profile
from uemdask.execution.cluster import report_task_begin
from uemdask.execution.task_window import SentTask, TaskWindow


def hog(piece: int) -> None:
    """Take memory piece by piece, until something happens."""
    report_task_begin()
    held = []
    for _ in range(200):
        held.append(np.ones(piece, np.uint8))
        time.sleep(0.05)


def too_much() -> None:
    """Ask for more memory than there is address space."""
    report_task_begin()
    np.empty(1 << 60, np.uint8)


@pytest.fixture
def window(slurm, work, monkeypatch):
    """Give the window of a CPU worker of 700 MiB."""
    here = work("run0", pools=[{"name": "cpu", "cores": 1, "memory": "700MiB"}])
    monkeypatch.chdir(here.folder)
    # The tasks are functions of this module, which a worker elsewhere does not find by itself.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with open_cluster(read_profile(here.folder / "profile.yaml")) as cluster:
        yield TaskWindow(cluster)


def land(window: TaskWindow, limit: float = 150):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        for ended in window.ended(0.5):
            return ended
    raise AssertionError("the task neither ended nor was given up")


def test_a_worker_over_its_memory(window, capfd):
    work = SimpleNamespace(stage=SimpleNamespace(name="label"))
    window.submit(SentTask([], "pair=0:8", False, work), "label:pairs", hog, 40 * 2**20)
    error = land(window).error
    assert isinstance(error, UemError)
    assert str(error).startswith(
        "stage label, region pair=0:8: needs more memory than a worker of pool 'cpu' has "
        "(limit 700.00 MiB); it was stopped 2 times"
    )
    assert "raise 'memory'" in str(error)
    assert "KilledWorker" not in str(error)
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert "Killed" not in out + err


def test_numpy_without_memory(window):
    work = SimpleNamespace(stage=SimpleNamespace(name="spectrum"))
    window.submit(SentTask([], "y=0:256", False, work), "spectrum:map", too_much)
    error = land(window).error
    assert isinstance(error, UemError)
    assert "stage spectrum, region y=0:256: ran out of memory" in str(error)
    assert "Unable to allocate" in str(error)
