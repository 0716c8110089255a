"""A small acquisition taken through all stages by the real driver, without a cluster."""

import shutil
from collections import Counter
from types import SimpleNamespace

import pytest

from uemdask.execution import Cluster, Driver, plan_campaign
from uemdask.simulate import scenario, simulate, write_acquisition

#: Settings under which all stages take a few seconds.
QUICK = {
    "label": {"methods": ["dis"], "base": False},
    "train": {
        "unet": {"filters": [4, 8]},
        "training": {"pretrain_steps": 4, "finetune_steps": 2, "crop": 32, "batch": 2},
    },
}


class _Done:
    """A finished future."""

    def __init__(self, key, value, error):
        self.key, self._value, self._error = key, value, error
        self.status = "finished" if error is None else "error"

    def result(self):
        return self._value

    def exception(self):
        return self._error

    def add_done_callback(self, callback):
        callback(self)


class InProcess:
    """Stands in for a Dask client: does every task at once, in this process.

    `before(stage, region)` is called before each task and may raise in its stead.
    """

    def __init__(self, before=lambda stage, region: None):
        self.tasks = []
        self._before = before

    def submit(self, task, *arguments, key, pure, resources):
        assert not pure  # tasks write; Dask must not think that equal calls are one
        stage, region = ("train", "all")
        if task.__name__ == "run_task":
            _, _, stage, _, region, _ = arguments
        self.tasks.append((stage, region))
        try:
            self._before(stage, region)
            return _Done(key, task(*arguments), None)
        except Exception as error:
            return _Done(key, None, error)

    @property
    def stages(self):
        return Counter(stage for stage, _ in self.tasks)


def _drive(plan, before=lambda stage, region: None, **options):
    client = InProcess(before)
    # The driver keeps two tasks a slot in flight: one at a time, so that all is in order.
    cluster = Cluster(client=client, dashboard="", slots=0.5, gpu=False, training_threads=1)
    outcome = Driver(plan, cluster, **options).run()
    return SimpleNamespace(outcome=outcome, tasks=client.tasks, stages=client.stages)


def _plan(folder, runs=({"raw": "raw"},), parameters=None, **more):
    campaign = {"runs": list(runs), "parameters": QUICK | (parameters or {}), **more}
    return plan_campaign(campaign, name="campaign", folder=folder)


@pytest.fixture(scope="session")
def quick():
    """Return the settings under which all stages take a few seconds."""
    return QUICK


@pytest.fixture(scope="session")
def drive():
    """Return a function that takes a plan through its stages in this process."""
    return _drive


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
def _finished(_raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "work"
    shutil.copytree(_raw, folder)
    first = _drive(_plan(folder))
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
