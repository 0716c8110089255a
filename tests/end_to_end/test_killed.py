"""A driver killed with -9 loses nothing: the same command goes on, and the result is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zarr

from uemdask.execution.ledger import ledger_path, read_lines

pytestmark = pytest.mark.end_to_end

#: Written by the network; equal to rounding of the training's arithmetic only.
NETWORK = {"flow", "flow_sd", "valid", "speed", "angle", "roi_feature", "roi_feature_sd"}


def kill_when(ready, command: list[object], *, limit: float = 240) -> None:
    """Start a command, kill it with -9 once `ready` says so, and wait for its workers to go."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uemdask_cli", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + limit
    while not ready():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < end, "nothing to kill within the time limit"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    while time.monotonic() < end:  # Dask's workers notice that their parent is gone
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("workers outlived their driver")


def done(store: Path) -> list[tuple[str, str, str]]:
    """Give stage, phase and region of every receipt."""
    return [
        (line["stage"], line["phase"], line["region"])
        for line in read_lines(ledger_path(store))
        if "receipt" in line
    ]


def same_arrays(one: Path, other: Path) -> None:
    left, right = (zarr.open_group(str(path), mode="r") for path in (one, other))
    assert set(left.array_keys()) == set(right.array_keys())
    for name, array in left.arrays():
        a, b = array[...], right[name][...]
        if name in NETWORK and a.dtype.kind == "f":
            scale = np.nanmax(np.abs(a))
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_killed_twice_and_equal_to_an_undisturbed_run(tmp_path, raw, tiny, uemdask):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    uemdask("run", raw, "--output", undisturbed, *tiny)
    store = killed / f"{raw.name}.zarr"
    command = ["run", raw, "--output", killed, *tiny]

    kill_when(lambda: any(stage == "label" for stage, _, _ in done(store)), command)
    before = done(store)
    checkpoints = killed / "models"
    kill_when(lambda: any(checkpoints.glob("*.checkpoint")), command)
    uemdask(*command)

    repeated = [task for task, count in Counter(done(store)).items() if count > 1]
    assert repeated == []
    assert done(store)[: len(before)] == before
    same_arrays(undisturbed / f"{raw.name}.zarr", store)


def test_a_second_driver_is_refused(tmp_path, raw, tiny, uemdask):
    store = tmp_path / f"{raw.name}.zarr"
    command = ["run", raw, "--output", tmp_path, *tiny]

    def second_is_refused() -> bool:
        if not done(store):
            return False
        answer = uemdask(*command, expect=2)
        assert "another uemdask is at work" in answer.stderr
        return True

    kill_when(second_is_refused, command)
