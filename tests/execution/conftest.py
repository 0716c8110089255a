"""A small acquisition taken through all stages by the real driver, without a cluster."""

import os
import shutil

import pytest

from uemdask.execution import plan_campaign, read_profile
from uemdask.execution.cluster.batch import batch_system
from uemdask.simulate import scenario, simulate, write_acquisition

#: Settings under which all stages take a few seconds.
QUICK = {
    "label": {"methods": ["dis"], "base": False},
    "train": {
        "unet": {"filters": [4, 8]},
        "training": {"pretrain_steps": 4, "finetune_steps": 2, "crop": 32, "batch": 2},
    },
}


def _plan(folder, runs=({"raw": "raw"},), parameters=None, **more):
    campaign = {"model": "new", "runs": list(runs), "parameters": QUICK | (parameters or {})}
    campaign |= more
    return plan_campaign(campaign, name="campaign", folder=folder)


@pytest.fixture(scope="session")
def quick():
    """Return the settings under which all stages take a few seconds."""
    return QUICK


@pytest.fixture(scope="session")
def plan():
    """Return a function that plans the raw acquisition in a folder."""
    return _plan


@pytest.fixture(scope="session")
def _raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acquisition")
    write_acquisition(simulate(scenario("plane", shape=(64, 64), frames=30)), folder / "raw")
    return folder


@pytest.fixture(scope="session")
def _finished(_raw, drive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "work"
    shutil.copytree(_raw, folder)
    first = drive(_plan(folder))
    assert first.outcome.done == ["raw"], first.outcome.failed
    return folder, first


@pytest.fixture
def raw(_raw, tmp_path):
    """Return a folder with a raw acquisition, nothing done yet."""
    return shutil.copytree(_raw, tmp_path / "work")


@pytest.fixture
def finished(_finished, tmp_path):
    """Return a folder with a raw acquisition and its finished run."""
    return shutil.copytree(_finished[0], tmp_path / "finished")


@pytest.fixture
def first_tasks(_finished):
    """Return the tasks that made the finished run."""
    return _finished[1].tasks


@pytest.fixture
def two(raw):
    """Two raw folders, of which the second has a truncated frame."""
    shutil.copytree(raw / "raw", raw / "bad")
    frame = raw / "bad" / "frame_0020.tif"
    os.truncate(frame, frame.stat().st_size // 2)
    return raw


@pytest.fixture(name="play")
def _play(tmp_path, monkeypatch):
    """Return a function that puts a program on the path that says something."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("SLURM_CLUSTER_NAME", raising=False)

    def play(name, says="", code=0, does=""):
        (tmp_path / f"{name}.said").write_text(says)
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\necho "$*" >> {tmp_path}/{name}.called\n'
            f"{does}\ncat {tmp_path}/{name}.said\nexit {code}\n"
        )
        program.chmod(0o755)
        return tmp_path / f"{name}.called"

    return play


@pytest.fixture(name="profile_of")
def _profile_of(tmp_path):
    """Return a function that gives a profile of a kind."""

    def profile_of(kind):
        file = tmp_path / "profile.yaml"
        pools = "[{name: cpu, cores: 1, memory: 1GiB}]"
        file.write_text(
            f"kind: {kind}\nfolder: {tmp_path}/jobs\ndashboard_port: 0\npools: {pools}\n"
        )
        return read_profile(file)

    return profile_of


@pytest.fixture(name="system_of")
def _system_of(profile_of):
    """Return a function that gives the batch system of a kind."""
    return lambda kind: batch_system(profile_of(kind))
