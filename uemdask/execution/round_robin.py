"""Runs at work, round robin: every run gets on, however many tasks another one has."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from uemdask.execution.campaign import PlannedRun
from uemdask.execution.failure import Failure
from uemdask.execution.pipeline import PhaseWork, Pipeline, TrainingWanted, Work


@dataclass(eq=False)
class ActiveRun:
    """A run at work.

    Attributes
    ----------
    planned : PlannedRun
        The run.
    pipeline : Pipeline
        Takes it through the stages.
    work : PhaseWork or TrainingWanted, optional
        What it is at; None before it has begun.
    pending : deque of str
        Regions of tasks that wait.
    in_flight : int
        Its tasks on the cluster.
    attempts : Counter of str
        How often a task has failed.
    over : bool
        Whether it is done or has failed.
    failure : Failure, optional
        Why it was given up.
    """

    planned: PlannedRun
    pipeline: Pipeline
    work: Work | None = None
    pending: deque[str] = field(default_factory=deque)
    in_flight: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    over: bool = False
    failure: Failure | None = None
    _rests_until: dict[str, float] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether nothing of it waits or is on the cluster."""
        return not (self.over or self.pending or self.in_flight)

    @property
    def wants_training(self) -> bool:
        """Whether it waits for its network."""
        return self.idle and isinstance(self.work, TrainingWanted)

    def has_resting(self) -> bool:
        """Return whether a task of it rests, or has rested."""
        return not self.over and bool(self._rests_until)

    def rests(self, task: str) -> bool:
        """Return whether a task that failed is to wait still."""
        return self._rests_until.get(task, 0.0) > time.monotonic()

    def let_rest(self, task: str, seconds: float) -> None:
        """Let a task wait before it is tried again."""
        self._rests_until[task] = time.monotonic() + seconds

    def take_up(self, work: PhaseWork) -> None:
        """Begin with the tasks of a phase."""
        self.pending.extend(work.missing)
        self.attempts.clear()
        self._rests_until.clear()

    def end(self) -> None:
        """Begin with no further task."""
        self.over = True
        self.pending.clear()

    def next_task(self) -> str | None:
        """Take the first task that does not rest."""
        for _ in range(len(self.pending)):
            task = self.pending.popleft()
            if not self.rests(task):
                return task
            self.pending.append(task)
        return None


class RoundRobin:
    """Round robin over runs: next is the one that has waited longest since its last task.

    Parameters
    ----------
    runs : sequence of ActiveRun
        All of them.
    """

    def __init__(self, runs: Sequence[ActiveRun]) -> None:
        self._queue = deque(runs)

    def __iter__(self) -> Iterator[tuple[ActiveRun, PhaseWork]]:
        """Yield runs with waiting tasks, each again and again as long as it takes its turn."""
        passed = 0
        while passed < len(self._queue):
            active = self._queue.popleft()
            self._queue.append(active)
            waiting = len(active.pending)
            if waiting and isinstance(active.work, PhaseWork):
                yield active, active.work
            passed = 0 if len(active.pending) < waiting else passed + 1
