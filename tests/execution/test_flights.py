"""Tasks that do not come back as they should; on a real cluster in tests/cluster."""

import gc

import pytest

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
