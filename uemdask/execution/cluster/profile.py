"""Cluster profiles: what a YAML file says of a machine, a scheduler or a batch system."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from dask.utils import parse_bytes
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from uemdask.errors import FaultsError, UemError, keys_of, located_faults
from uemdask.readers.yaml_faults import Lines, format_faults
from uemdask.readers.yaml_text import read_yaml


def _size(text: str) -> str:
    with suppress(ValueError):
        if parse_bytes(text) > 0:
            return text
    raise ValueError(f"{text!r} is no size; give one with its unit, such as 2GiB")


def _size_or_auto(text: str) -> str:
    return text if text == "auto" else _size(text)


def _walltime(text: str) -> str:
    if not re.fullmatch(r"\d+:[0-5]\d:[0-5]\d", text) or not seconds_of(text):
        raise ValueError(f"{text!r} is no time; write hours, minutes and seconds as '02:00:00'")
    return text


def _one_line(text: str) -> str:
    # A line break would start another line of the job script.
    if "\n" in text or "\r" in text:
        raise ValueError("goes over several lines; write one line for each entry of the list")
    return text


#: What is said where a scheduler wants TLS and the profile has none.
TLS_IS_WANTED = "give the files of its certificate as 'tls: {ca: ..., certificate: ..., key: ...}'"
_ADDRESS = re.compile(r"((tcp|tls|ucx|ws|wss)://)?(\[[0-9a-fA-F:]+\]|[^\s:/]+):[0-9]{1,5}")


def _directive(text: str) -> str:
    if text.lstrip().startswith("#"):
        raise ValueError(f"{text!r} would be a comment; leave out '#SBATCH' or '#PBS'")
    return _one_line(text)


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+", text):
        raise ValueError(f"{text!r} is no host name; write it without scheme and port")
    return text.lower()


Size = Annotated[str, AfterValidator(_size)]
Line = Annotated[str, AfterValidator(_one_line)]
Directive = Annotated[str, AfterValidator(_directive)]
Walltime = Annotated[str, AfterValidator(_walltime)]
Hosts = tuple[Annotated[str, AfterValidator(_host)], ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalProfile(_Strict):
    """The machine that uemdask runs on.

    Attributes
    ----------
    workers : int
        Worker processes, one thread each; default: one a core.
    memory : str
        Of each worker, such as ``"2GiB"``; default: its share of the machine.
    dashboard_port : int
        On loopback; another free port is taken where it is in use.
    dashboard_hosts : list of str
        Names under which a proxy shows the dashboard; all others but the loopback's are refused.
    """

    kind: Literal["local"] = "local"
    workers: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1)
    memory: Annotated[str, AfterValidator(_size_or_auto)] = "auto"
    dashboard_port: int = Field(default=8787, ge=0, le=65535)
    dashboard_hosts: Hosts = ()


class TlsFiles(_Strict):
    """Files of a scheduler that talks TLS, as given to ``dask scheduler``."""

    ca: Path
    certificate: Path
    key: Path


class ExistingProfile(_Strict):
    """A Dask scheduler that runs already.

    Attributes
    ----------
    address, scheduler_file : str
        Where it is; one of the two.
    tls : TlsFiles
        What this side shows to it, where its address begins with ``tls://``.
    dashboard_hosts : list of str
        Names under which a proxy shows the campaign page, beside those of the scheduler's host.
    """

    kind: Literal["existing"]
    address: str | None = None
    scheduler_file: str | None = None
    tls: TlsFiles | None = None
    dashboard_hosts: Hosts = ()

    @model_validator(mode="after")
    def _has_a_place(self) -> ExistingProfile:
        if bool(self.address) == bool(self.scheduler_file):
            raise ValueError("kind 'existing' needs 'address' or 'scheduler_file', one of the two")
        if self.address and not _ADDRESS.fullmatch(self.address):
            raise ValueError(
                f"address {self.address!r} is none of a scheduler; write it like tcp://host:8786"
            )
        if self.address and self.address.startswith("tls://") and not self.tls:
            raise ValueError(f"the address begins with tls://; {TLS_IS_WANTED}")
        return self


class Pool(_Strict):
    """One kind of worker job.

    Attributes
    ----------
    name : str
        Such as ``cpu``; in the names of its jobs and logs.
    cores : int
        CPU cores of one job.
    memory : str
        Of one job; its worker processes share it equally.
    gpus : int
        GPUs of one job. A pool that has some takes training and inference; any other takes the
        rest.
    processes : int
        Worker processes of one job; default: one a GPU, or one a core. A pool of several GPUs may
        have a single one: then each training has all GPUs of the job.
    minimum, maximum : int
        Jobs at a time; with a minimum of 0 there are none while there is nothing to do.
    nodes : int
        With ``launch: allocation``, nodes of the one batch job that this pool has.
    queue, account, walltime
        As in the profile, for this pool alone.
    directives : list of str
        More lines for the head of the job script, without ``#SBATCH`` or ``#PBS``.
    select : str
        PBS: the whole ``-l select=...`` of one node, without ``select=1:``.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
    cores: int = Field(ge=1)
    memory: Size
    gpus: int = Field(default=0, ge=0)
    processes: int = Field(default=0, ge=0)
    minimum: int = Field(default=0, ge=0)
    maximum: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    queue: Line | None = None
    account: Line | None = None
    walltime: Walltime | None = None
    directives: list[Directive] = Field(default_factory=list)
    select: Line | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_process_a_gpu_or_core(cls, found: Any) -> Any:
        if isinstance(found, dict) and found.get("processes") is None:
            found = found | {"processes": found.get("gpus") or found.get("cores") or 0}
        return found

    @model_validator(mode="after")
    def _fits(self) -> Pool:
        if not 1 <= self.processes <= self.cores:
            raise ValueError(
                f"{self.processes} processes (one a GPU or core, where 'processes' does not say "
                f"otherwise) on 'cores': {self.cores}; give each process a core"
            )
        if self.gpus and self.processes not in (1, self.gpus):
            raise ValueError(
                f"{self.processes} processes for {self.gpus} GPUs; leave 'processes' out for one "
                f"a GPU, or write 1 for one that has them all"
            )
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is over maximum {self.maximum}; lower it")
        return self

    @property
    def worker_memory(self) -> int:
        """Memory of one worker process, bytes."""
        return int(parse_bytes(self.memory)) // self.processes

    @property
    def worker_gpus(self) -> int:
        """GPUs of one worker process."""
        return self.gpus // self.processes

    @property
    def resource(self) -> str:
        """The Dask resource of which each worker process has one."""
        return "GPU" if self.gpus else "CPU"


class BatchProfile(_Strict):
    """A batch system, and the kinds of worker job that are submitted to it.

    Attributes
    ----------
    kind : {"slurm", "pbs"}
        The batch system.
    launch : {"jobs", "allocation"}
        Submit a job for each group of workers, as many as there is work for; or do everything
        inside one batch job, which the user submits.
    pools : list of Pool
        Kinds of worker job. Of several that take the same tasks, the first is filled first.
    account, queue, walltime
        For all pools that do not say otherwise.
    directives : list of str
        More lines for the head of every job script.
    skip_directives : list of str
        Lines of the head that contain one of these are left out.
    prologue : list of str
        Lines of shell before the worker starts, such as ``module load python``.
    python : str
        Python of the workers; default: the one that runs this.
    interface : str
        Network interface between scheduler and workers; default: that of the host's name.
    scratch : str
        Folder of the workers for temporary files, on the compute nodes.
    folder : Path
        For job logs and keys; the compute nodes must see it. Relative to where uemdask is run.
    tls : bool
        Encrypt, and admit only who has this session's certificate.
    dashboard_port : int
        On loopback; another free port is taken where it is in use.
    dashboard_hosts : list of str
        Names under which a proxy shows the dashboard; all others but the loopback's are refused.
    start_attempts : int
        Times that jobs of a pool may end before a worker has come; those that end together are one.
    death_timeout : float
        How long a worker may take to start and to find its scheduler before it gives its job back,
        s. Importing PyTorch from a slow shared disk counts; so do jobs of a driver that was killed.
    idle : float
        Time without work after which a job is given back, s.
    poll : float
        How often the batch system is asked for the jobs, s.
    side_by_side : bool
        With ``launch: allocation``: all pools run on each of the nodes, not on nodes of their own.
    launcher : str
        With ``launch: allocation``: the command that runs another one on a node of the job, with
        ``{host}`` and ``{cores}``; default: ``srun`` or ``pbs_tmrsh``.
    """

    kind: Literal["slurm", "pbs"]
    launch: Literal["jobs", "allocation"] = "jobs"
    pools: list[Pool] = Field(min_length=1)
    account: Line | None = None
    queue: Line | None = None
    walltime: Walltime = "01:00:00"
    directives: list[Directive] = Field(default_factory=list)
    skip_directives: list[Line] = Field(default_factory=list)
    prologue: list[Line] = Field(default_factory=list)
    python: Line = shlex.quote(sys.executable)
    interface: Line | None = None
    scratch: Line = "${TMPDIR:-/tmp}"
    folder: Path = Path("uemdask-jobs")
    tls: bool = True
    dashboard_port: int = Field(default=8787, ge=0, le=65535)
    dashboard_hosts: Hosts = ()
    start_attempts: int = Field(default=3, ge=1)
    death_timeout: float = Field(default=180.0, ge=10)
    idle: float = Field(default=60.0, ge=0)
    poll: float = Field(default=15.0, gt=0)
    side_by_side: bool = False
    launcher: Line | None = None

    @model_validator(mode="after")
    def _fits(self) -> BatchProfile:
        names = Counter(pool.name for pool in self.pools)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"two pools are named {twice[0]!r}; give each its own name")
        if self.side_by_side and len({pool.nodes for pool in self.pools}) > 1:
            raise ValueError("side_by_side: the pools share all nodes; give each the same 'nodes'")
        return self

    def pools_for(self, gpu: bool) -> list[Pool]:
        """Return the pools that take GPU tasks or the others, the first ones filled first."""
        return [pool for pool in self.pools if bool(pool.gpus) == gpu] or self.pools

    def walltime_of(self, pool: Pool) -> str:
        """Return the walltime of a pool's jobs."""
        return pool.walltime or self.walltime


ClusterProfile = LocalProfile | ExistingProfile | BatchProfile

_KINDS: dict[str, type[LocalProfile] | type[ExistingProfile] | type[BatchProfile]] = {
    "local": LocalProfile,
    "existing": ExistingProfile,
    "slurm": BatchProfile,
    "pbs": BatchProfile,
}

#: What Slurm and PBS call it, and how it is called here.
_OTHER_WORDS = {
    "partition": "queue",
    "qos": "directives",
    "constraint": "directives",
    "project": "account",
    "cpus": "cores",
    "ncpus": "cores",
    "ngpus": "gpus",
}


def read_profile(path: Path | None) -> ClusterProfile:
    """Read a cluster profile; the local machine where there is none.

    Raises
    ------
    UemError, FaultsError
        If the file is not YAML, or not a profile; all faults are listed with line and place.
    """
    if path is None:
        return LocalProfile()
    found = read_yaml(path) or {}
    if not isinstance(found, dict):
        raise UemError(f"{path}: holds no 'key: value' lines; see docs/cluster.md for a profile")
    kind = found.get("kind", "local")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UemError(f"{path}: kind {kind!r} was found; write one of {', '.join(_KINDS)}")
    try:
        return _KINDS[kind].model_validate(found)
    except ValidationError as error:
        lines = Lines(path.read_text(encoding="utf-8-sig"))
        keys = keys_of(_KINDS[kind]) | (_OTHER_WORDS if _KINDS[kind] is BatchProfile else {})
        raise FaultsError(str(path), format_faults(located_faults(error, keys), lines)) from None


def seconds_of(walltime: str) -> int:
    """Return a walltime in s.

    Examples
    --------
    >>> seconds_of("01:30:00")
    5400
    """
    hours, minutes, seconds = (int(part) for part in walltime.split(":"))
    return (hours * 60 + minutes) * 60 + seconds
