"""The window of tasks on the cluster, and what it means when one does not come back."""

from __future__ import annotations

import queue
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dask.utils import format_bytes
from distributed import Future
from distributed.scheduler import KilledWorker

from uemdask.errors import UemError
from uemdask.execution.cluster import Capacity, Cluster
from uemdask.execution.pipeline import PhaseWork
from uemdask.execution.training import Training

#: Tasks in flight per slot: one at work and one on its way.
_WINDOW = 2
#: Times a task may use up its worker's memory; another one may have left it little before.
_MEMORY_ATTEMPTS = 2
#: Workers lost at one task, by which it is taken to be the cause.
_CRASHES = 3

_Run = TypeVar("_Run")


@dataclass
class SentTask(Generic[_Run]):
    """A task on the cluster.

    Attributes
    ----------
    runs : list
        Whose task it is.
    region : str
        Its region's key.
    gpu : bool
        Whether it is for a GPU worker.
    work : PhaseWork, optional
        The phase; None for a training.
    training : Training, optional
        The training.
    """

    runs: list[_Run]
    region: str
    gpu: bool
    work: PhaseWork | None = None
    training: Training | None = None
    over_memory: int = 0
    verdict: UemError | None = None

    @property
    def name(self) -> str:
        """Say what it is, for messages."""
        if self.work is None:
            return "stage train"
        return f"stage {self.work.stage.name}, region {self.region}"


@dataclass
class EndedTask(Generic[_Run]):
    """A task that ended: its result, or the error that ended it."""

    sent: SentTask[_Run]
    result: Any = None
    error: Exception | None = None


@dataclass
class TaskWindow(Generic[_Run]):
    """The tasks that are on a cluster.

    Attributes
    ----------
    cluster : Cluster
        Where they run.
    """

    cluster: Cluster
    _in_flight: dict[str, tuple[Future, SentTask[_Run]]] = field(default_factory=dict)
    _ended: queue.SimpleQueue[Future] = field(default_factory=queue.SimpleQueue)
    _count: Counter[bool] = field(default_factory=Counter)  # by whether it is for a GPU worker
    # Drivers share schedulers, and a key that is there already would bring another one's result.
    _name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    _serial: int = 0

    def __len__(self) -> int:
        return len(self._in_flight)

    def __iter__(self) -> Iterator[SentTask[_Run]]:
        return (sent for _, sent in self._in_flight.values())

    def free_slots(self, gpu: bool) -> float:
        """Return how many more tasks of a kind the window takes."""
        capacity = self.cluster.capacity(gpu)
        shared = self.cluster.capacity(not gpu) is capacity
        taken = self._count[gpu] + (self._count[not gpu] if shared else 0)
        return _WINDOW * capacity.slots - taken

    def submit(self, sent: SentTask[_Run], label: str, task: Any, *arguments: Any) -> None:
        """Send a task to a worker that has what it needs.

        Raises
        ------
        UemError
            If the scheduler is lost.
        """
        self._serial += 1
        resources = self.cluster.capacity(sent.gpu).resources
        try:
            future = self.cluster.client.submit(
                task,
                *arguments,
                key=f"{label}-{self._name}-{self._serial}",
                pure=False,
                resources=dict(resources) if resources else None,
            )
        except Exception:
            self._check_scheduler()
            raise
        self._in_flight[future.key] = (future, sent)
        self._count[sent.gpu] += 1
        future.add_done_callback(self._ended.put)

    def ended(self, timeout: float) -> Iterator[EndedTask[_Run]]:
        """Yield the tasks that ended, waiting at most `timeout` s for the first.

        Raises
        ------
        UemError
            If a kind of worker that is needed cannot be had, or the scheduler is lost.
        """
        self._check_scheduler()
        supervisor = self.cluster.supervisor
        if supervisor is not None and (faults := supervisor.faults()):
            hint = "'uemdask cluster check PROFILE' helps to find the cause"
            raise UemError("\n".join([*faults.values(), hint]))
        self._judge_memory()
        ended = self._drain(timeout)
        self._check_scheduler()  # what went with it has not failed
        results = self._results(ended)
        for future in ended:
            yield self._ended_task(future, results)

    def _drain(self, timeout: float) -> list[Future]:
        """Return the tasks that ended, waiting at most `timeout` s for the first."""
        ended: list[Future] = []
        try:
            ended.append(self._ended.get(timeout=timeout))
            while True:
                ended.append(self._ended.get_nowait())
        except queue.Empty:
            return ended

    def _results(self, ended: list[Future]) -> dict[str, Any]:
        """Fetch the results of region tasks in one message; one each would keep workers waiting.

        A training does not belong there: where its worker is lost just now, all would wait for it.
        """
        finished = [
            future
            for future in ended
            if future.status == "finished" and self._in_flight[future.key][1].work is not None
        ]
        try:
            several = len(finished) > 1
            found = self.cluster.client.gather(finished, errors="skip") if several else []
        except Exception:
            found = []
        # What was lost on the way is asked for by itself, and says why.
        if len(found) < len(finished):
            return {}
        return {future.key: result for future, result in zip(finished, found, strict=True)}

    def _check_scheduler(self) -> None:
        failures = self.cluster.worker_failures
        if failures is not None and failures.scheduler_is_lost:
            raise UemError(
                f"{failures.place}: the connection to the scheduler was lost; see that one runs "
                f"there, then give the same command again, and it goes on from here"
            )

    def _ended_task(self, future: Future, results: Mapping[str, Any]) -> EndedTask[_Run]:
        _, sent = self._in_flight.pop(future.key)
        self._count[sent.gpu] -= 1
        if sent.verdict is not None:
            return EndedTask(sent, error=sent.verdict)
        if future.key in results:
            return EndedTask(sent, result=results[future.key])
        error: Any = None
        try:
            if future.status == "finished":
                return EndedTask(sent, result=future.result())
            if future.status == "error":
                error = future.exception()
        except Exception as lost:  # with its worker, after it had ended
            error = lost
        if not isinstance(error, Exception):
            error = RuntimeError(f"task {future.status}")
        return EndedTask(sent, error=self._in_plain_words(sent, future.key, error))

    def _judge_memory(self) -> None:
        """Give up tasks that used up the memory of their workers again and again."""
        failures = self.cluster.worker_failures
        for loss in failures.over_memory() if failures is not None else ():
            if loss.key not in self._in_flight:
                continue
            future, sent = self._in_flight[loss.key]
            sent.over_memory += 1
            if sent.over_memory >= _MEMORY_ATTEMPTS and sent.verdict is None:
                capacity = self.cluster.capacity(sent.gpu)
                sent.verdict = UemError(
                    f"{sent.name}: needs more memory than a worker of {capacity.place} has "
                    f"({_limit(capacity)}); it was stopped {sent.over_memory} times, the last "
                    f"time at {format_bytes(loss.used)}; {_REMEDY}"
                )
                future.cancel()

    def _in_plain_words(self, sent: SentTask[_Run], key: str, error: Exception) -> Exception:
        capacity = self.cluster.capacity(sent.gpu)
        if isinstance(error, MemoryError):
            said = f" ({error})" if str(error) else ""
            return UemError(
                f"{sent.name}: ran out of memory on a worker of {capacity.place} "
                f"({_limit(capacity)}){said}; {_REMEDY}"
            )
        failures = self.cluster.worker_failures
        if isinstance(error, KilledWorker):
            crashes = failures.crashes(key) if failures is not None else _CRASHES
            if crashes >= _CRASHES:
                return UemError(
                    f"{sent.name}: {crashes} workers of {capacity.place} died while they were "
                    f"at it, most likely for want of memory on their nodes; {_REMEDY}, and look "
                    f"into the logs of the workers"
                )
        return error


_REMEDY = (
    "give each worker more: raise 'memory' or lower 'processes' (or 'workers') in the cluster "
    "profile"
)


def _limit(capacity: Capacity) -> str:
    return f"limit {format_bytes(capacity.memory)}" if capacity.memory else "no limit set"
