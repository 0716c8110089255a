"""A disk that becomes full, and has room again later."""

from __future__ import annotations

import os
import subprocess

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """Give the folder of the results, on a disk of its own of 100 MB."""
    place = tmp_path / "results"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_full_then_freed(slurm, work, small_disk, receipts, undisturbed, until, finish, uemdask):
    here = work("run0", "run1")
    stores = [here.store("run0"), here.store("run1")]
    process = here.start()
    until(lambda: any(stage == "label" for stage, _, _ in receipts(stores[0])))
    ballast = small_disk / "ballast"
    _fill(ballast)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    last = said.split("0 of 2 runs done")[1].splitlines()[1:]
    assert len(last) == 2, said
    for line in last:
        assert "No space left on device" in line
        assert "make room" in line
    before = [receipts(store) for store in stores]

    ballast.unlink()
    uemdask(*here.command, cwd=here.folder)
    for store, done in zip(stores, before, strict=True):
        assert receipts(store)[: len(done)] == done
        undisturbed(store)


def _fill(ballast) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert os.statvfs(ballast.parent).f_bavail == 0
