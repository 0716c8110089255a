"""A small acquisition taken through all stages by the real driver, without a cluster."""

import os
import shutil

import pytest

from uemdask.execution import plan_campaign
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
