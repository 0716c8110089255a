"""A disk that becomes full, and has room again later."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """Give the folder of the results, on a disk of its own of 100 MB."""
    place = tmp_path / "results"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_full_then_freed(slurm, work, small_disk, receipts, undisturbed, until, finish):
    here = work("run0")
    store = here.store("run0")
    process = here.start()
    until(lambda: any(stage == "label" for stage, _, _ in receipts(store)))
    ballast = small_disk / "ballast"
    _fill(ballast)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 2, said
    assert "Traceback" not in said
    told = said.split("0 of 1 runs done")[1].splitlines()
    (fault,) = (line for line in told if "No space left on device" in line)
    assert "make room" in fault
    before = receipts(store)

    ballast.unlink()
    finish(here.start())
    assert receipts(store)[: len(before)] == before
    undisturbed(store)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert os.statvfs(ballast.parent).f_bavail == 0
