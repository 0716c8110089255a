"""Settings of all tests, and the real driver without a cluster."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import settings

from uemdask.execution import Capacity, Cluster, Driver

# Shared machines are slow at times; that is no fault of the code.
settings.register_profile("uemdask", deadline=None)
settings.load_profile("uemdask")


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
    cluster = Cluster(client=client, dashboard="", cpu=Capacity(slots=0.5))
    outcome = Driver(plan, cluster, **{"back_off": 0.0} | options).run()
    return SimpleNamespace(outcome=outcome, tasks=client.tasks, stages=client.stages)


@pytest.fixture(scope="session")
def drive():
    """Return a function that takes a plan through its stages in this process."""
    return _drive
