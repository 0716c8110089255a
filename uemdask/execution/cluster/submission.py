"""Giving a job to the batch system: what it answers, and what becomes of an answer of no use."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from uemdask.errors import UemError
from uemdask.execution.cluster.batch import BatchSystem, JobState, call

if TYPE_CHECKING:
    from dask_jobqueue.core import Job

#: The line of an answer that holds the job's number; sites print others before and after it.
_NUMBERED = {
    "sbatch": re.compile(r"\bSubmitted batch job (\d+)\b"),
    "qsub": re.compile(r"^\s*(\d+)\.[A-Za-z][\w.-]*\s*$", re.MULTILINE),
}
#: A line that is nothing but a number, as ``sbatch --parsable`` prints it.
_BARE = re.compile(r"^\s*(\d+)(?:;\S+)?\s*$", re.MULTILINE)
#: Of an answer that is not understood so much is shown, characters.
_LONGEST = 300
#: A job that was just submitted may not be listed at once: how often and how long is waited, s.
_LOOKS, _PAUSE = 3, 1.0


class Submissions:
    """Submits the jobs of one session, and cancels what was submitted without a known number.

    Parameters
    ----------
    system : BatchSystem
        Where the jobs go.
    """

    def __init__(self, system: BatchSystem) -> None:
        self._system = system
        self._known: set[str] = set()
        self._before: set[str] = set()
        self._has_looked = False

    async def submit(self, job: Job) -> str:
        """Submit a job, and return its number.

        Raises
        ------
        UemError
            If the answer tells no number; what was submitted is cancelled.
        RuntimeError, OSError
            If the command fails, with what it said.
        """
        if not self._has_looked:
            self._before, self._has_looked = set(await self._system.ours() or ()), True
        with job.job_file() as script:
            command = [*shlex.split(job.submit_command), script]
            code, said, complaint = await call(*command)
        if code == _NOT_FOUND:
            raise FileNotFoundError(complaint)
        if code:
            raise RuntimeError(" ".join((complaint.strip() or said).split()))
        number = job_number(self._system.submit, said)
        if number is None:
            raise UemError(await self._undo(job, f"{said}\n{complaint}".strip()))
        self._known.add(number)
        job.job_id = number
        return number

    async def _undo(self, job: Job, said: str) -> str:
        """Cancel the job that an answer without a number stands for, and tell of it."""
        command = self._system.submit
        found = await self._find(job.job_name, set(re.findall(r"\d+", said)))
        cancelled = await self._system.cancel(found) if found else []
        if cancelled:
            undone = f"job {', '.join(cancelled)} was cancelled"
        elif found or found is None:
            undone = f"a job {job.job_name!r} may be left in the queue: cancel it"
        else:
            undone = f"no new job {job.job_name!r} is in the queue"
        shown = " ".join(said.split())[:_LONGEST] or "nothing"
        return (
            f"{command} took the job, but its answer tells no job number ({shown}); {undone}; see "
            f"that {command} prints {_WANTED[command]!r} on this host"
        )

    async def _find(self, name: str, numbers: Collection[str]) -> list[str] | None:
        """Return the new jobs of this name: such as the answer names, or the only one there is."""
        listed: Mapping[str, JobState] | None = None
        for look in range(_LOOKS):
            if look:
                await asyncio.sleep(_PAUSE)
            if named := self._new(name, await self._system.living(numbers)):
                return named
            listed = await self._system.ours()
            if new := self._new(name, listed):
                # Of several, any may be that of another driver.
                return new if len(new) == 1 else None
        return None if listed is None else []

    def _new(self, name: str, listed: Mapping[str, JobState] | None) -> list[str]:
        return sorted(
            job
            for job, state in (listed or {}).items()
            if state.name == name and job not in self._known | self._before
        )


_NOT_FOUND = 127
_WANTED = {"sbatch": "Submitted batch job NUMBER", "qsub": "NUMBER.SERVER"}


def job_number(command: str, said: str) -> str | None:
    r"""Return the job number in the answer of ``sbatch`` or ``qsub``; None where that is not plain.

    Examples
    --------
    >>> job_number("sbatch", "--> quota of /scratch2/me ... ok\nSubmitted batch job 132826\n")
    '132826'
    >>> job_number("qsub", "project 2041, 17 node hours left\n5818.pbs1\n")
    '5818'
    """
    for pattern in (_NUMBERED[command], _BARE):
        numbers = set(pattern.findall(said))
        if numbers:
            return numbers.pop() if len(numbers) == 1 else None
    return None
