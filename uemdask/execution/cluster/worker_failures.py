"""Workers that were lost, the tasks that they were at, and the loss of the scheduler itself."""

from __future__ import annotations

import queue
from collections import Counter
from dataclasses import dataclass
from typing import Any

from distributed import Client, get_worker

#: Under this topic a worker says which task it begins; Dask itself tells of it too late.
_BEGINS = "uemdask-begins"
#: Under this topic a nanny says that it ends its worker, which has used too much memory.
_OVER_MEMORY = "worker-restart-memory"


@dataclass(frozen=True)
class OverMemory:
    """A worker was ended because it used too much memory.

    Attributes
    ----------
    key : str
        Of the task that it was at.
    used : int
        Memory that it used then, bytes.
    """

    key: str
    used: int


def report_task_begin() -> None:
    """Tell the driver which task begins; called on the worker, by the task. Elsewhere, nothing."""
    try:
        worker = get_worker()
    except ValueError:
        return
    worker.log_event(_BEGINS, {"worker": worker.address, "key": worker.get_current_task()})


def name_of_worker() -> str:
    """Return the name of the Dask worker that this runs on; ``driver`` elsewhere."""
    try:
        return str(get_worker().name)
    except ValueError:
        return "driver"


class WorkerFailures:
    """Listens to a scheduler for lost workers.

    Parameters
    ----------
    client : distributed.Client
        Whose event loop calls the listeners.

    Attributes
    ----------
    place : str
        Address of the scheduler.
    """

    def __init__(self, client: Client) -> None:
        self._at: dict[str, str] = {}  # worker: the task it began last
        self._over: queue.SimpleQueue[OverMemory] = queue.SimpleQueue()
        self._crashes: Counter[str] = Counter()
        self._client = client
        self.place = str(client.scheduler.address)
        self._topics = {
            _BEGINS: self._begins,
            _OVER_MEMORY: self._over_memory,
            "all": self._removed,
        }
        for topic, handler in self._topics.items():
            client.subscribe_topic(topic, handler)

    def close(self) -> None:
        """Listen no longer; else the scheduler would tell a client that has gone."""
        if self.scheduler_is_lost:
            return
        for topic in self._topics:
            self._client.unsubscribe_topic(topic)

    @property
    def scheduler_is_lost(self) -> bool:
        """Whether there is no connection to the scheduler any more, and no task will return."""
        return bool(self._client.status != "running")

    def over_memory(self) -> list[OverMemory]:
        """Return the workers ended for their memory since the last call."""
        found = []
        while not self._over.empty():
            found.append(self._over.get())
        return found

    def crashes(self, key: str) -> int:
        """Return how often a worker was lost while it was at this very task."""
        return self._crashes[key]

    def _begins(self, event: tuple[float, dict[str, Any]]) -> None:
        self._at[event[1]["worker"]] = event[1]["key"]

    def _over_memory(self, event: tuple[float, dict[str, Any]]) -> None:
        key = self._at.get(event[1]["worker"])
        if key is not None:
            self._over.put(OverMemory(key, int(event[1]["rss"])))

    def _removed(self, event: tuple[float, dict[str, Any]]) -> None:
        message = event[1]
        if message.get("action") != "remove-worker" or message.get("expected"):
            return
        key = self._at.get(message["worker"])
        if key is not None and key in message["processing-tasks"]:
            self._crashes[key] += 1
