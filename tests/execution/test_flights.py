"""Tasks that do not come back as they should; on a real cluster in tests/cluster."""

import gc
from types import SimpleNamespace

import pytest

from uemdask.errors import UemError
from uemdask.execution import Capacity, Cluster
from uemdask.execution.flights import Flight, Flights


class _Future:
    """Finished, but its result was on a worker that is lost."""

    def __init__(self, key):
        self.key, self.status = key, "finished"

    def add_done_callback(self, callback):
        callback(self)

    def result(self):
        raise OSError(116, "Stale file handle")


class _Client:
    def __init__(self):
        self.keys = []

    def submit(self, task, *arguments, key, pure, resources):
        self.keys.append(key)
        return _Future(key)

    def gather(self, futures, errors):
        raise RuntimeError("the worker is gone")


@pytest.fixture
def cluster():
    return Cluster(client=_Client(), dashboard="", cpu=Capacity(slots=4))


@pytest.mark.parametrize("count", [1, 3])
def test_a_result_that_is_lost_is_an_error_of_its_task(cluster, count):
    flights = Flights(cluster)
    for number in range(count):
        flights.submit(Flight([], str(number), False, work=object()), "label:pairs", print)
    landed = list(flights.landed(1))
    assert [each.flight.region for each in landed] == [str(number) for number in range(count)]
    assert all(isinstance(each.error, OSError) for each in landed)
    assert len(flights) == 0


def test_tasks_of_one_driver_after_another_are_never_taken_for_the_same(cluster):
    for _ in range(5):
        flights = Flights(cluster)
        flights.submit(Flight([], "all", False, work=object()), "label:pairs", print)
        del flights
        gc.collect()
    assert len(set(cluster.client.keys)) == 5


@pytest.fixture
def losing():
    """Give a cluster whose scheduler is lost while the driver waits for a task."""

    class _Lost:
        status = "pending"

        def __init__(self, key):
            self.key = key

        def add_done_callback(self, callback):
            losses.scheduler_is_lost, self.status = True, "cancelled"
            callback(self)

    class Client:
        def submit(self, task, *arguments, key, pure, resources):
            if losses.scheduler_is_lost:
                raise RuntimeError("Client not running. Status: closed")
            return _Lost(key)

    losses = SimpleNamespace(scheduler_is_lost=False, place="tcp://a", over_memory=list)
    return Cluster(client=Client(), dashboard="", cpu=Capacity(slots=4), losses=losses)


def test_tasks_that_went_with_the_scheduler_are_no_failures_of_theirs(losing, monkeypatch):
    flights, flight = Flights(losing), Flight([], "all", False, work=object())
    drain = flights._drain

    def lost_meanwhile(timeout):
        losing.losses.scheduler_is_lost = True
        return drain(timeout)

    flights.submit(flight, "label:pairs", print)
    losing.losses.scheduler_is_lost = False
    monkeypatch.setattr(flights, "_drain", lost_meanwhile)
    with pytest.raises(UemError, match="connection to the scheduler was lost"):
        list(flights.landed(1))
    with pytest.raises(UemError, match="connection to the scheduler was lost"):
        flights.submit(flight, "label:pairs", print)
