"""Everything inside one batch job: the workers are started on the nodes that the job has.

For sites that give few jobs to a user, or many nodes at least. The user submits one job, whose
script runs ``uemdask run``; that starts the scheduler, and the workers node by node.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distributed import Security

from uemdask.errors import UemError
from uemdask.execution.cluster.batch import SHEBANG, BatchSystem, asks_for_gpus, chunk_of
from uemdask.execution.cluster.job_log import last_words
from uemdask.execution.cluster.profile import BatchProfile, Pool

#: How often the workers of a node are started, at most.
_ATTEMPTS = 3
#: How often is looked whether they are still there, s.
_LOOK = 1.0
_LAUNCHERS = {
    # A step would have one core to itself; the nodes are all ours.
    "slurm": "srun --overlap --nodes=1 --ntasks=1 --cpus-per-task={cores} --cpu-bind=none "
    "--nodelist={host}{group}",
    "pbs": "pbs_tmrsh {host}",
}


@dataclass
class _Node:
    """The workers of a pool on one node."""

    pool: Pool
    number: int
    host: str
    attempts: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"{self.pool.name}.{self.number}x{self.attempts}"


class Allocation:
    """Starts the workers of a profile's pools on the nodes of this batch job.

    Parameters
    ----------
    profile : BatchProfile
        The pools.
    system : BatchSystem
        That runs the job.
    scheduler : str
        Address of the scheduler.
    security : Security or None
        With paths of files that the nodes can read.
    logs : Path
        Folder for the workers' logs.
    """

    def __init__(
        self,
        profile: BatchProfile,
        system: BatchSystem,
        scheduler: str,
        security: Security | None,
        logs: Path,
    ) -> None:
        self._profile = profile
        self._system = system
        self._scheduler = scheduler
        self._security = security
        self._logs = logs
        self._nodes = [
            _Node(pool, number, host)
            for pool, hosts in _shares(profile, os.environ)
            for number, host in enumerate(hosts)
        ]
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._faults: dict[str, str] = {}
        self._events: deque[str] = deque()

    def start(self) -> None:
        """Start the workers on all nodes, and look after them."""
        for node in self._nodes:
            self._launch(node)
        self._watch.start()

    def close(self) -> None:
        """End the workers."""
        self._over.set()
        self._watch.join()
        for node in self._nodes:
            if node.process is not None:
                node.process.terminate()
        for node in self._nodes:
            if node.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    node.process.wait(timeout=20)

    def faults(self) -> dict[str, str]:
        """Return by pool which node of the job has no workers and will have none."""
        return dict(self._faults)

    def events(self) -> list[str]:
        """Return what happened since the last call, one sentence each."""
        told = []
        with contextlib.suppress(IndexError):
            while True:
                told.append(self._events.popleft())
        return told

    def _look(self) -> None:
        while not self._over.wait(_LOOK):
            for node in self._nodes:
                if node.process is None or node.process.poll() is None:
                    continue
                log = self._log(node)
                lines = last_words(log.read_text(encoding="utf-8", errors="replace"))
                said = "\n".join(f"  | {line}" for line in lines)
                text = (
                    f"pool '{node.pool.name}': its workers on {node.host} have ended "
                    f"(exit code {node.process.returncode})"
                )
                node.process = None
                if node.attempts < _ATTEMPTS:
                    self._events.append(f"{text}; they are started again")
                    self._launch(node)
                    continue
                self._faults[node.pool.name] = (
                    f"{text}, {_ATTEMPTS} times by now; {log} ends:\n{said}"
                )

    def _log(self, node: _Node) -> Path:
        return self._logs / f"{node.pool.name}-{node.host}.log"

    def _launch(self, node: _Node) -> None:
        node.attempts += 1
        job = self._system.job(
            node.pool,
            name=node.name,
            scheduler=self._scheduler,
            security=self._security,
            logs=self._logs,
            lifetime=False,
        )
        script = self._log(node).with_suffix(".sh")
        script.write_text(job.job_script(), encoding="utf-8")
        command = [*launcher(self._profile, node.pool, node.host), "bash", str(script)]
        with self._log(node).open("wb") as log:
            try:
                node.process = subprocess.Popen(  # noqa: S603
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            except FileNotFoundError:
                raise UemError(
                    f"launcher: {command[0]!r} is not found on {os.uname().nodename}; load its "
                    f"module, or give another 'launcher' in the cluster profile"
                ) from None


def launcher(profile: BatchProfile, pool: Pool, host: str) -> list[str]:
    """Return the command that runs another one on one node of the job."""
    template = profile.launcher or _LAUNCHERS[profile.kind]
    several = len(profile.pools) > 1 and not profile.side_by_side
    group = f" --het-group={profile.pools.index(pool)}" if several else ""
    words = {"host": shlex.quote(host), "cores": str(pool.cores), "group": group}
    for name, value in words.items():
        template = template.replace(f"{{{name}}}", value)
    return shlex.split(template)


def allocation_script(profile: BatchProfile, command: Sequence[str]) -> str:
    """Return the script of the one batch job, which runs `command` and all workers."""
    lines = [SHEBANG]
    lines += (_slurm_head if profile.kind == "slurm" else _pbs_head)(profile)
    if profile.kind == "pbs":
        lines.append('cd "$PBS_O_WORKDIR"')
    lines += [*profile.prologue, shlex.join(command)]
    return "\n".join(lines) + "\n"


def _slurm_head(profile: BatchProfile) -> list[str]:
    pools = profile.pools[:1] if profile.side_by_side else profile.pools
    lines: list[str] = []
    for number, pool in enumerate(pools):
        if number:
            lines.append("#SBATCH hetjob")
        asked = _one_node_of(profile, pool)
        options = [f"-N {pool.nodes}", f"--ntasks-per-node=1 --cpus-per-task={asked.cores}"]
        if not any("--mem" in skip for skip in profile.skip_directives):
            options.append(f"--mem={-(-asked.worker_memory * asked.processes // 2**20)}M")
        if asked.gpus and not asks_for_gpus([*profile.directives, *pool.directives]):
            options.append(f"--gres=gpu:{asked.gpus}")
        head = ["-J uemdask", f"-t {profile.walltime}"] if not number else []
        options += [f"-A {account}"] if (account := pool.account or profile.account) else []
        options += [f"-p {queue}"] if (queue := pool.queue or profile.queue) else []
        lines += [
            f"#SBATCH {text}" for text in [*head, *options, *profile.directives, *pool.directives]
        ]
    return lines


def _pbs_head(profile: BatchProfile) -> list[str]:
    pools = profile.pools[:1] if profile.side_by_side else profile.pools
    chunks = [f"{pool.nodes}:{chunk_of(_one_node_of(profile, pool))}" for pool in pools]
    options = ["-N uemdask", f"-l select={'+'.join(chunks)}", f"-l walltime={profile.walltime}"]
    options += [f"-A {profile.account}"] if profile.account else []
    options += [f"-q {profile.queue}"] if profile.queue else []
    more = [*profile.directives, *(line for pool in pools for line in pool.directives)]
    return [f"#PBS {text}" for text in [*options, *more]]


def _one_node_of(profile: BatchProfile, pool: Pool) -> Pool:
    """Return what a node must have: the pool's own, or all pools' where they share it."""
    if not profile.side_by_side:
        return pool
    total = sum(other.worker_memory * other.processes for other in profile.pools)
    gpus = sum(other.gpus for other in profile.pools)
    cores = sum(other.cores for other in profile.pools)
    return pool.model_copy(
        update={"cores": cores, "memory": f"{total}B", "gpus": gpus, "processes": 1}
    )


def _shares(
    profile: BatchProfile, environment: os._Environ[str] | dict[str, str]
) -> list[tuple[Pool, list[str]]]:
    """Return the hosts of each pool.

    Raises
    ------
    UemError
        If this is not a batch job, or the job has too few nodes.
    """
    groups = _hosts(profile, environment)
    shares = []
    for number, pool in enumerate(profile.pools):
        if profile.side_by_side:
            hosts = groups[0]
        elif len(groups) > 1 or profile.kind == "slurm":
            hosts = groups[number] if number < len(groups) else []
        else:
            before = sum(other.nodes for other in profile.pools[:number])
            hosts = groups[0][before : before + pool.nodes]
        if not hosts:
            raise UemError(
                f"pool '{pool.name}': this job has no node for it; submit the script that "
                f"'uemdask cluster script' writes for this profile"
            )
        shares.append((pool, hosts))
    return shares


def _hosts(
    profile: BatchProfile, environment: os._Environ[str] | dict[str, str]
) -> list[list[str]]:
    if profile.kind == "slurm" and "SLURM_JOB_ID" in environment:
        size = int(environment.get("SLURM_HET_SIZE", "1"))
        names = [f"SLURM_JOB_NODELIST_HET_GROUP_{number}" for number in range(size)]
        if size == 1:
            names = ["SLURM_JOB_NODELIST"]
        return [_expanded(environment[name]) for name in names]
    if profile.kind == "pbs" and "PBS_NODEFILE" in environment:
        lines = Path(environment["PBS_NODEFILE"]).read_text(encoding="utf-8").split()
        return [list(dict.fromkeys(lines))]
    raise UemError(
        "launch: allocation works inside a batch job; write its script with 'uemdask cluster "
        f"script PROFILE CAMPAIGN > job.sh' and submit it with '"
        f"{'sbatch' if profile.kind == 'slurm' else 'qsub'} job.sh'"
    )


def _expanded(nodes: str) -> list[str]:
    done = subprocess.run(  # noqa: S603
        ["scontrol", "show", "hostnames", nodes],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()
