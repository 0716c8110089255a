"""Tasks that do not come back as they should; on a real cluster in tests/cluster."""

import gc
from types import SimpleNamespace

import pytest

from uemdask.errors import UemError
from uemdask.execution import Capacity, Cluster
from uemdask.execution.task_window import SentTask, TaskWindow


@pytest.fixture
def cluster(in_process):
    """Give a cluster on which tasks finish, and their results are lost with the worker."""

    def lose(future, do):
        future.end("finished", OSError(116, "Stale file handle"))

    return Cluster(client=in_process(play=lose), dashboard="", cpu=Capacity(slots=4))


@pytest.mark.parametrize("count", [1, 3])
def test_a_result_that_is_lost_is_an_error_of_its_task(cluster, count):
    window = TaskWindow(cluster)
    for number in range(count):
        window.submit(SentTask([], str(number), False, work=object()), "label:pairs", print)
    ended = list(window.ended(1))
    assert [each.sent.region for each in ended] == [str(number) for number in range(count)]
    assert all(isinstance(each.error, OSError) for each in ended)
    assert len(window) == 0


def test_tasks_of_one_driver_after_another_are_never_taken_for_the_same(cluster):
    for _ in range(5):
        window = TaskWindow(cluster)
        window.submit(SentTask([], "all", False, work=object()), "label:pairs", print)
        del window
        gc.collect()
    assert len(set(cluster.client.keys)) == 5


@pytest.fixture
def losing(in_process):
    """Give a cluster whose scheduler is lost while the driver waits for a task."""

    def cancel(future, do):
        if worker_failures.scheduler_is_lost:
            raise RuntimeError("Client not running. Status: closed")
        future.end("cancelled")

    worker_failures = SimpleNamespace(scheduler_is_lost=False, place="tcp://a", over_memory=list)
    client = in_process(play=cancel)
    return Cluster(
        client=client, dashboard="", cpu=Capacity(slots=4), worker_failures=worker_failures
    )


def test_tasks_that_went_with_the_scheduler_are_no_failures_of_theirs(losing, monkeypatch):
    window, sent = TaskWindow(losing), SentTask([], "all", False, work=object())
    drain = window._drain

    def lost_meanwhile(timeout):
        losing.worker_failures.scheduler_is_lost = True
        return drain(timeout)

    window.submit(sent, "label:pairs", print)
    monkeypatch.setattr(window, "_drain", lost_meanwhile)
    with pytest.raises(UemError, match="connection to the scheduler was lost"):
        list(window.ended(1))
    with pytest.raises(UemError, match="connection to the scheduler was lost"):
        window.submit(sent, "label:pairs", print)
