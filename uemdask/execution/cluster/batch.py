"""Batch systems: the job of a pool as text, and what has become of jobs that were submitted."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shlex
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from dask.utils import parse_bytes
from distributed import Security

from uemdask.execution.cluster.environment import exports
from uemdask.execution.cluster.profile import BatchProfile, Pool, seconds_of
from uemdask.execution.cluster.security import quoted

if TYPE_CHECKING:
    from dask_jobqueue.core import Job

#: Modules and conda are set up by the profile of a login shell.
SHEBANG = "#!/bin/bash -l"
# The profile alone says how jobs look, not what another project left in ~/.config/dask.
_CONFIG = "uemdask"
_NOTHING_BY_DEFAULT: dict[str, Any] = dict.fromkeys(
    (
        *("account", "env-extra", "extra", "header-skip", "interface", "job-extra", "job-mem"),
        *("project", "queue"),
    )
) | {"shebang": SHEBANG, "worker-command": "distributed.cli.dask_worker"}
#: How the end of a job begins that somebody cancelled.
CANCELLED = "CANCELLED"
# Exit status of a job that was given SIGTERM, or SIGKILL: 256 and the signal.
_PBS_CANCELLED = ("271", "265")
# What the names of all worker jobs begin with.
_OURS = "uemdask-"
# How long the batch system may take to say what it is called, s.
_PATIENCE = 60
# Why a job waits that will not start, however long it waits; of Slurm's many reasons.
_HOPELESS = re.compile(
    r"Partition(Config|TimeLimit)$|BadConstraints|Invalid(Account|QOS)|"
    r"(Account|QOS)NotAllowed|PerJob|NotSatisfied"
)
# What asks for GPUs in a line of a job script.
_ASKS_FOR_GPUS = re.compile(r"(--gpus|--gres|-G)\b")


@dataclass(frozen=True)
class JobState:
    """What the batch system says of a job.

    Attributes
    ----------
    waits : bool
        Whether it has not begun yet.
    reason : str
        Why it waits, in the words of the batch system.
    name : str
        What it is called there.
    hopeless : bool
        Whether it asks for what it will never be given.
    """

    waits: bool = False
    reason: str = ""
    name: str = ""
    hopeless: bool = False


class BatchSystem(ABC):
    """The commands of a batch system, and its words."""

    name = ""
    submit = ""

    def __init__(self, profile: BatchProfile) -> None:
        self.profile = profile
        self._job_class = _job_classes()[profile.kind]

    # ---- the job script

    def job(
        self,
        pool: Pool,
        *,
        name: str,
        scheduler: str,
        security: Security | None = None,
        logs: Path,
        lifetime: bool = True,
    ) -> Job:
        """Return the job of a pool: its script, and how to submit and cancel it."""
        profile = self.profile
        options: dict[str, Any] = {
            "cores": pool.processes,  # one thread each; the other cores are the kernels'
            "processes": pool.processes,
            "memory": pool.memory,
            "queue": pool.queue or profile.queue,
            "account": pool.account or profile.account,
            "walltime": profile.walltime_of(pool),
            "job_name": f"{_OURS}{pool.name}",
            "job_extra_directives": [*profile.directives, *pool.directives],
            "job_directives_skip": profile.skip_directives,
            "job_script_prologue": [*exports(pool.gpus > 0), *profile.prologue],
            "python": profile.python,
            "interface": profile.interface,
            "local_directory": f'"{profile.scratch}"',
            "log_directory": str(logs),
            "death_timeout": f"{profile.death_timeout:g}",
            "security": security and quoted(security),
            "protocol": "tls://" if security else "tcp://",
            "config_name": _CONFIG,
            "worker_extra_args": worker_arguments(
                pool, seconds_of(profile.walltime_of(pool)) if lifetime else None
            ),
        }
        with dask.config.set({f"jobqueue.{_CONFIG}": _NOTHING_BY_DEFAULT}):
            job: Job = self._job_class(scheduler, name=name, **options | self._options(pool))
        # dask-jobqueue writes paths as they are; both batch systems read quotes like a shell.
        job.job_header = job.job_header.replace(f" {logs}/", f" {shlex.quote(str(logs))}/")
        return job

    @abstractmethod
    def _options(self, pool: Pool) -> dict[str, Any]: ...

    # ---- jobs that were submitted

    @abstractmethod
    async def answers(self) -> bool:
        """Return whether the batch system answers at all."""

    @abstractmethod
    async def living(self, jobs: Collection[str]) -> dict[str, JobState] | None:
        """Return the state of those jobs that wait or run; None if the system does not answer."""

    async def ours(self) -> dict[str, JobState] | None:
        """Return the state of all of the user's worker jobs; None if the system does not answer."""
        living = await self._all_living()
        return None if living is None else _of_ours(living)

    @abstractmethod
    async def _all_living(self) -> dict[str, JobState] | None: ...

    @abstractmethod
    async def end_of(self, job: str) -> str:
        """Return how a job ended, in the words of the batch system; empty where it is forgotten.

        One that was cancelled begins with `CANCELLED`.
        """

    def home(self) -> str:
        """Return its kind and, where that can be known, its name; job numbers are unique there."""
        return f"{self.name} {self._cluster()}".strip()

    @abstractmethod
    def _cluster(self) -> str: ...

    async def cancel(self, jobs: Collection[str]) -> list[str] | None:
        """Cancel those jobs that wait or run still, and return their numbers.

        A job that another program submitted is left alone, whatever its number. None if the
        system does not answer, or cannot cancel them all.
        """
        if not jobs:
            return []
        living = await self.living(jobs)
        if living is None:
            return None
        left = sorted(_of_ours(living))
        if left:
            code, _, _ = await call(*self._job_class.cancel_command.split(), *left)
            if code:
                return None
        return left


class Slurm(BatchSystem):
    """Slurm: ``sbatch``, ``squeue``, ``scancel``."""

    name = "Slurm"
    submit = "sbatch"

    def _options(self, pool: Pool) -> dict[str, Any]:
        directives = [*self.profile.directives, *pool.directives]
        if pool.gpus and not asks_for_gpus(directives):
            directives.append(f"--gres=gpu:{pool.gpus}")
        return {"job_cpu": pool.cores, "job_extra_directives": directives}

    def _cluster(self) -> str:
        if name := os.environ.get("SLURM_CLUSTER_NAME"):
            return name
        return _found(r"^ClusterName\s*=\s*(\S+)", _ask("scontrol", "show", "config"))

    async def answers(self) -> bool:
        """Return whether Slurm's controller answers."""
        return await self._all_living() is not None

    async def living(self, jobs: Collection[str]) -> dict[str, JobState] | None:
        """Return the state of those jobs that wait or run; None if it does not answer."""
        living = await self._all_living()
        return living and {job: state for job, state in living.items() if job in jobs}

    async def _all_living(self) -> dict[str, JobState] | None:
        states = "PENDING,RUNNING,CONFIGURING,SUSPENDED,REQUEUED,STOPPED,RESIZING"
        code, out, _ = await call("squeue", "--me", "-h", "-o", "%A|%T|%r|%j", "-t", states)
        if code:
            return None
        found = {}
        for job, state, reason, name in re.findall(
            r"^(\d+)\|(\w+)\|(.*?)\|(.*)$", out, re.MULTILINE
        ):
            waits = state == "PENDING"
            hopeless = waits and bool(_HOPELESS.search(reason))
            found[job] = JobState(waits, reason, name, hopeless)
        return found

    async def end_of(self, job: str) -> str:
        """Return how a job ended; empty where it is forgotten."""
        code, out, _ = await call("scontrol", "show", "job", "-o", job)
        if code:
            return ""
        words = dict(word.split("=", 1) for word in out.split() if "=" in word)
        state = words.get("JobState", "")
        if words.get("ExitCode", "0:0") != "0:0":
            state += f", exit code {words['ExitCode']}"
        return state


class Pbs(BatchSystem):
    """PBS Professional and OpenPBS: ``qsub``, ``qstat``, ``qdel``."""

    name = "PBS"
    submit = "qsub"

    def _options(self, pool: Pool) -> dict[str, Any]:
        return {"resource_spec": f"select=1:{chunk_of(pool)}"}

    def _cluster(self) -> str:
        return _found(r"^Server:\s*(\S+)", _ask("qstat", "-B", "-f"))

    async def answers(self) -> bool:
        """Return whether the PBS server answers."""
        code, _, _ = await call("qstat", "-B")
        return not code

    async def living(self, jobs: Collection[str]) -> dict[str, JobState] | None:
        """Return the state of those jobs that wait or run; None if it does not answer."""
        if not jobs:
            return {}
        code, out, err = await call("qstat", "-f", *sorted(jobs))
        # Jobs that have ended make it fail, and so does a server that is away.
        if code and not out and not re.search("unknown job|has finished", err, re.IGNORECASE):
            return None
        found = {}
        for part in re.split(r"^Job Id:", out, flags=re.MULTILINE)[1:]:
            number = re.match(r"\s*(\d+)", part)
            state = re.search(r"job_state = (\w)", part)
            if number and number[1] in jobs and state and state[1] not in "CFX":
                waits, reason = state[1] in "QHW", _found(r"comment = (.+)", part)
                found[number[1]] = JobState(
                    waits=waits,
                    reason=reason,
                    name=_found(r"^\s*Job_Name = (.+)", part),
                    hopeless=waits and "can never run" in reason.casefold(),
                )
        return found

    async def _all_living(self) -> dict[str, JobState] | None:
        code, out, _ = await call("qselect", "-u", getpass.getuser())
        return None if code else await self.living(re.findall(r"^\d+", out, re.MULTILINE))

    async def end_of(self, job: str) -> str:
        """Return how a job ended; empty where it is forgotten."""
        _, out, _ = await call("qstat", "-x", "-f", job)
        found = re.search(r"Exit_status = (-?\d+)", out)
        if not found:
            return ""
        return f"{CANCELLED} " * (found[1] in _PBS_CANCELLED) + f"exit status {found[1]}"


def _job_classes() -> dict[str, type[Job]]:
    """Import dask-jobqueue, which makes Ctrl-C end the process as if all were well, and undo that.

    To be called in the main thread: elsewhere its import fails.
    """
    before = signal.getsignal(signal.SIGINT)
    from dask_jobqueue.pbs import PBSJob
    from dask_jobqueue.slurm import SLURMJob

    signal.signal(signal.SIGINT, before)
    return {"slurm": SLURMJob, "pbs": PBSJob}


def batch_system(profile: BatchProfile) -> BatchSystem:
    """Return the batch system of a profile."""
    return {"slurm": Slurm, "pbs": Pbs}[profile.kind](profile)


def asks_for_gpus(directives: Iterable[str]) -> bool:
    """Return whether lines for Slurm say already how many GPUs a job has."""
    return any(_ASKS_FOR_GPUS.search(line) for line in directives)


def chunk_of(pool: Pool) -> str:
    """Return what PBS is to give on each node of a pool, as in ``select=1:...``."""
    if pool.select:
        return pool.select
    mebibytes = -(-int(parse_bytes(pool.memory)) // 2**20)
    gpus = f":ngpus={pool.gpus}" if pool.gpus else ""
    return f"ncpus={pool.cores}{gpus}:mem={mebibytes}mb"


def worker_arguments(pool: Pool, walltime: int | None) -> list[str]:
    """Return what a pool's workers are started with, beside what dask-jobqueue gives.

    `walltime` in s: they retire shortly before, not all in the same moment, so that a running
    task moves and does not count as one that kills workers. Their time begins when all is
    imported, which takes a while. None: they stay.
    """
    arguments = ["--no-dashboard", "--resources", f"{pool.resource}=1"]
    if walltime is not None:
        margin = min(180, walltime // 3)
        arguments += [
            *("--lifetime", f"{walltime - margin}s"),
            *("--lifetime-stagger", f"{margin // 3}s"),
        ]
    return arguments


def _of_ours(jobs: Mapping[str, JobState]) -> dict[str, JobState]:
    return {job: state for job, state in jobs.items() if state.name.startswith(_OURS)}


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""


def _ask(*command: str) -> str:
    """Return what a command says, before there is an event loop; empty if it does not answer."""
    try:
        done = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout


async def call(*command: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of a command; 127 where there is no such command."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must not end a submission half-way
        )
    except FileNotFoundError:
        return 127, "", f"{command[0]}: command not found"
    out, err = await process.communicate()
    code = process.returncode if process.returncode is not None else 1
    return code, out.decode(errors="replace"), err.decode(errors="replace")
