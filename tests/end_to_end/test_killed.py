"""A driver killed with -9 loses nothing: the same command goes on, and the result is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

pytestmark = pytest.mark.slow


def kill_when(ready, command: list[object], *, limit: float = 240) -> None:
    """Start a command, kill it with -9 once `ready` says so, and wait for its workers to go."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uemdask_cli", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + limit
    try:
        while not ready():
            assert process.poll() is None, "the command ended before it could be killed"
            assert time.monotonic() < end, "nothing to kill within the time limit"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    assert process.wait() == -signal.SIGKILL
    while time.monotonic() < end:  # Dask's workers notice that their parent is gone
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("workers outlived their driver")


def test_killed_twice_and_equal_to_an_undisturbed_run(
    tmp_path, raw, tiny, uemdask, receipts, same_arrays
):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    uemdask("run", raw, "--output", undisturbed, *tiny)
    store = killed / f"{raw.name}.zarr"
    command = ["run", raw, "--output", killed, *tiny]

    kill_when(lambda: any(stage == "label" for stage, _, _ in receipts(store)), command)
    before = receipts(store)
    checkpoints = killed / "models"
    kill_when(lambda: any(checkpoints.glob("*.checkpoint")), command)
    uemdask(*command)

    repeated = [task for task, count in Counter(receipts(store)).items() if count > 1]
    assert repeated == []
    assert receipts(store)[: len(before)] == before
    same_arrays(undisturbed / f"{raw.name}.zarr", store)


def test_a_second_driver_is_refused(tmp_path, raw, tiny, uemdask, receipts):
    store = tmp_path / f"{raw.name}.zarr"
    # A training that does not end before the second one has started.
    endless = "train.training={pretrain_steps: 1000000, crop: 32, batch: 2}"
    command = ["run", raw, "--output", tmp_path, *tiny, "--set", endless]

    def second_is_refused() -> bool:
        if not receipts(store):
            return False
        answer = uemdask(*command, expect=2)
        assert "another uemdask is at work" in answer.stderr
        return True

    kill_when(second_is_refused, command)
