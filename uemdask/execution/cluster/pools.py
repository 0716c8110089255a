"""Pools of worker jobs behind one scheduler, as many jobs as there is work for.

A cluster object of dask-jobqueue has one kind of job, and does not notice one that ends before its
worker came. Here its jobs (their scripts, how they are submitted and cancelled) are kept by pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from distributed import Scheduler, Security
from distributed.scheduler import TaskState, WorkerState

from uemdask.errors import UemError
from uemdask.execution.cluster.batch import CANCELLED, BatchSystem, JobState
from uemdask.execution.cluster.job_log import end_of_log
from uemdask.execution.cluster.profile import BatchProfile, Pool
from uemdask.execution.cluster.submission import Submissions

if TYPE_CHECKING:
    from dask_jobqueue.core import Job

_LOG = logging.getLogger(__name__)
#: How often demand is looked at, s; that costs nothing outside this process.
_TICK = 1.0
#: What to do about a job that the batch system does not want.
_REMEDY = (
    "compare 'queue', 'account', 'walltime', 'directives' and the sizes of the pool in the profile "
    "with what the site gives"
)
#: A job that waits longer than this in the queue is told of, s.
_LONG_WAIT = 60.0


@dataclass
class _Submitted:
    """A job that was submitted."""

    job: Job
    name: str
    missed: int = 0  # times the batch system did not list it
    hopeless: int = 0  # times in a row it said that it will never start
    worked: bool = False  # a worker of it has come
    idle_since: float | None = None
    submitted: float = field(default_factory=time.monotonic)
    wait_told: bool = False

    @property
    def number(self) -> str:
        return str(self.job.job_id)


@dataclass
class _Pool:
    """A pool at work."""

    profile: Pool
    jobs: dict[str, _Submitted] = field(default_factory=dict)
    serial: int = 0
    has_worked: bool = False  # a worker has come
    failures: list[str] = field(default_factory=list)  # in a row
    rest_until: float = 0.0
    fault: str = ""


class Pools:
    """Submits worker jobs as work comes up, replaces lost ones, and gives idle ones back.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        In this process.
    profile : BatchProfile
        The pools.
    system : BatchSystem
        Where the jobs go.
    security : Security or None
        With paths of files that the jobs can read.
    logs : Path
        Folder of the jobs' logs.
    note : callable
        Is told the number of each job that was submitted.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        profile: BatchProfile,
        system: BatchSystem,
        security: Security | None,
        logs: Path,
        note: Callable[[str], None],
    ) -> None:
        self._scheduler = scheduler
        self._profile = profile
        self._system = system
        self._security = security
        self._logs = logs
        self._note = note
        self._submissions = Submissions(system)
        self._submission: asyncio.Task[str] | None = None  # the newest
        self._pools = {pool.name: _Pool(pool) for pool in profile.pools}
        self._asked = 0.0
        self._silent = False  # the batch system did not answer when it was given a job
        self._loop: asyncio.Task[None] | None = None
        self._events: deque[str] = deque()

    # ---- for the driver, from its own thread

    def faults(self) -> dict[str, str]:
        """Return by pool why it cannot give a worker, a sentence and the end of a log."""
        return {name: pool.fault for name, pool in self._pools.items() if pool.fault}

    def events(self) -> list[str]:
        """Return what happened since the last call, one sentence each."""
        told = []
        with contextlib.suppress(IndexError):
            while True:
                told.append(self._events.popleft())
        return told

    def counts(self) -> dict[str, int]:
        """Return the number of jobs that wait or run, by pool."""
        return {name: len(pool.jobs) for name, pool in self._pools.items()}

    # ---- life

    async def start(self) -> None:
        """Begin to look after the pools, in the scheduler's event loop."""
        self._loop = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Cancel all jobs, also those that still wait in the queue."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        if self._submission is not None:
            await asyncio.gather(self._submission, return_exceptions=True)
        jobs = [job for pool in self._pools.values() for job in pool.jobs.values()]
        await asyncio.gather(*(submitted.job.close() for submitted in jobs))

    async def _run(self) -> None:
        while True:
            try:
                await self._tick()
            except Exception:  # whatever it is, the jobs must go on being looked after
                _LOG.exception("looking after the worker jobs")
            await asyncio.sleep(_TICK)

    async def _tick(self) -> None:
        members = self._members()
        await self._notice_lost(members)
        wanted = self._wanted()
        for name, pool in self._pools.items():
            if pool.fault:
                continue
            missing = wanted[name] - len(pool.jobs)
            if missing > 0 and time.monotonic() >= pool.rest_until:
                for _ in range(missing):
                    if not await self._submit(pool):
                        break
            await self._give_back(pool, members, -missing)

    # ---- how many

    def _members(self) -> dict[str, list[WorkerState]]:
        """Return the workers that are there, by the name of their job."""
        members: dict[str, list[WorkerState]] = {}
        for worker in self._scheduler.workers.values():
            members.setdefault(str(worker.name).rsplit("-", 1)[0], []).append(worker)
        for pool in self._pools.values():
            for name, submitted in pool.jobs.items():
                if name in members:
                    submitted.worked = True
                    pool.failures.clear()
                    if not pool.has_worked:
                        pool.has_worked = True
                        self._events.append(
                            f"pool '{pool.profile.name}': its first worker has come"
                        )
        return members

    def _wanted(self) -> dict[str, int]:
        """Return how many jobs each pool should have; the first of a kind is filled first."""
        tasks = {"CPU": 0, "GPU": 0}
        for task in self._open_tasks():
            for resource in task.resource_restrictions or {}:
                if resource in tasks:
                    tasks[resource] += 1
        wanted = {}
        for name, pool in self._pools.items():
            profile = pool.profile
            jobs = math.ceil(tasks[profile.resource] / profile.processes)
            jobs = min(max(jobs, profile.minimum), profile.maximum)
            tasks[profile.resource] = max(0, tasks[profile.resource] - jobs * profile.processes)
            wanted[name] = jobs
        return wanted

    def _open_tasks(self) -> Iterable[TaskState]:
        """Yield the tasks that wait for a worker or are on one."""
        yield from self._scheduler.unrunnable
        yield from self._scheduler.queued
        for worker in self._scheduler.workers.values():
            yield from worker.processing

    # ---- jobs come and go

    async def _submit(self, pool: _Pool) -> bool:
        profile = pool.profile
        name = f"{profile.name}.{pool.serial}"
        pool.serial += 1
        job = self._system.job(
            profile,
            name=name,
            scheduler=self._scheduler.address,
            security=self._security,
            logs=self._logs,
        )
        try:
            # Where this is called off, the number must be known all the same.
            self._submission = asyncio.create_task(self._submissions.submit(job))
            self._submission.add_done_callback(lambda done: self._submitted(pool, name, job, done))
            await asyncio.shield(self._submission)
        except UemError as error:
            self._failed(pool, str(error))
            return False
        except (RuntimeError, OSError) as error:
            if isinstance(error, FileNotFoundError) or await self._system.answers():
                refused = f"{self._system.submit} refused the job: {error}"
                self._failed(pool, f"{refused}; {_REMEDY}")
            else:
                self._wait_for_system(pool)
            return False
        self._silent = False
        return True

    def _submitted(self, pool: _Pool, name: str, job: Job, submission: asyncio.Task[str]) -> None:
        if submission.cancelled() or submission.exception() is not None:
            return
        pool.jobs[name] = _Submitted(job, name)
        self._note(submission.result())

    def _wait_for_system(self, pool: _Pool) -> None:
        """Try again later; that the batch system is away is no fault of the job."""
        pool.rest_until = time.monotonic() + self._profile.poll
        if not self._silent:
            self._silent = True
            self._events.append(f"{self._system.name} does not answer; it is asked again and again")

    async def _notice_lost(self, members: dict[str, list[WorkerState]]) -> None:
        """Drop jobs that the batch system no longer knows; what they did is wanted again."""
        silent = {
            submitted.number: (pool, submitted)
            for pool in self._pools.values()
            for name, submitted in pool.jobs.items()
            if name not in members
        }
        if not silent or time.monotonic() < self._asked + self._profile.poll:
            return
        self._asked = time.monotonic()
        living = await self._system.living(silent)
        if living is None:
            return  # it does not answer; that says nothing of the jobs
        workless: dict[str, list[str]] = {}
        for number, (pool, submitted) in silent.items():
            if number in living:
                submitted.missed = 0
                await self._look_at(pool, submitted, living[number])
                continue
            submitted.missed += 1
            # A job may be gone from the list for a moment, while the batch system moves it.
            if submitted.missed < 2:
                continue
            del pool.jobs[submitted.name]
            if submitted.worked:
                self._events.append(
                    f"pool '{pool.profile.name}': job {number} has ended "
                    f"({await self._system.end_of(number) or 'unknown why'}); "
                    f"its tasks are done by others"
                )
            else:
                workless.setdefault(pool.profile.name, []).append(number)
        # What ended together has one cause, such as somebody who cancelled all: that is one try.
        for name, numbers in workless.items():
            self._failed(self._pools[name], await self._autopsy(numbers))

    async def _look_at(self, pool: _Pool, submitted: _Submitted, state: JobState) -> None:
        """Tell of a job that waits for long, and give up one that will never start."""
        submitted.hopeless = submitted.hopeless + 1 if state.hopeless else 0
        if submitted.hopeless >= 2:
            del pool.jobs[submitted.name]
            await submitted.job.close()
            why = f"job {submitted.number} would wait for ever ({state.reason})"
            self._failed(pool, f"{why}; {_REMEDY}")
            return
        waited = time.monotonic() - submitted.submitted
        if state.waits and waited > _LONG_WAIT and not submitted.wait_told:
            submitted.wait_told = True
            self._events.append(
                f"pool '{pool.profile.name}': job {submitted.number} waits in the queue "
                f"({state.reason or 'no reason given'})"
            )

    async def _autopsy(self, numbers: list[str]) -> str:
        """Return how jobs ended whose worker never came, with the end of the log of the last."""
        *others, number = numbers
        more = f"; {len(others)} more ended with it" if others else ""
        end = await self._system.end_of(number)
        if end.startswith(CANCELLED):  # what it says of that in its log tells nothing
            return f"job {number} was cancelled before its worker came{more}"
        text = f"job {number} ended before its worker came" + (f" ({end})" if end else "") + more
        path, lines = end_of_log(number, self._logs)
        if path is None:
            return f"{text}; it left no log in {self._logs}"
        return "\n".join([f"{text}; its log {path} ends:", *(f"  | {line}" for line in lines)])

    def _failed(self, pool: _Pool, message: str) -> None:
        pool.failures.append(message)
        count = len(pool.failures)
        # What was wrong may pass, such as a limit on jobs; do not hammer the batch system.
        pool.rest_until = time.monotonic() + min(self._profile.poll * 2 ** (count - 1), 120.0)
        if count >= self._profile.start_attempts and not pool.jobs:
            tries = f" in {count} tries; the last" if count > 1 else ""
            pool.fault = f"pool '{pool.profile.name}': no worker could be started{tries}: {message}"
        else:
            self._events.append(f"pool '{pool.profile.name}': {message}")

    async def _give_back(
        self, pool: _Pool, members: dict[str, list[WorkerState]], surplus: int
    ) -> None:
        """Give back jobs that have not been needed for a while."""
        now = time.monotonic()
        for name, submitted in list(pool.jobs.items()):
            workers = members.get(name, [])
            if surplus <= 0 or any(worker.processing for worker in workers):
                submitted.idle_since = None
                continue
            submitted.idle_since = submitted.idle_since or now
            if now - submitted.idle_since < self._profile.idle:
                continue
            surplus -= 1
            if workers:
                await self._scheduler.retire_workers(
                    names=[worker.name for worker in workers], close_workers=True
                )
            del pool.jobs[name]
            await submitted.job.close()
