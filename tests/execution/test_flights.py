"""Tasks that do not come back as they should; on a real cluster in tests/cluster."""

import gc
from types import SimpleNamespace

import pytest

from uemdask.errors import UemError
from uemdask.execution import Capacity, Cluster
from uemdask.execution.flights import Flight, Flights


@pytest.fixture
def cluster(in_process):
    """Give a cluster on which tasks finish, and their results are lost with the worker."""

    def lose(future, do):
        future.end("finished", OSError(116, "Stale file handle"))

    return Cluster(client=in_process(play=lose), dashboard="", cpu=Capacity(slots=4))


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
def losing(in_process):
    """Give a cluster whose scheduler is lost while the driver waits for a task."""

    def cancel(future, do):
        if losses.scheduler_is_lost:
            raise RuntimeError("Client not running. Status: closed")
        future.end("cancelled")

    losses = SimpleNamespace(scheduler_is_lost=False, place="tcp://a", over_memory=list)
    client = in_process(play=cancel)
    return Cluster(client=client, dashboard="", cpu=Capacity(slots=4), losses=losses)


def test_tasks_that_went_with_the_scheduler_are_no_failures_of_theirs(losing, monkeypatch):
    flights, flight = Flights(losing), Flight([], "all", False, work=object())
    drain = flights._drain

    def lost_meanwhile(timeout):
        losing.losses.scheduler_is_lost = True
        return drain(timeout)

    flights.submit(flight, "label:pairs", print)
    monkeypatch.setattr(flights, "_drain", lost_meanwhile)
    with pytest.raises(UemError, match="connection to the scheduler was lost"):
        list(flights.landed(1))
    with pytest.raises(UemError, match="connection to the scheduler was lost"):
        flights.submit(flight, "label:pairs", print)
