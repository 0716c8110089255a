"""The Dask cluster that does the work: this machine, or a scheduler that runs already."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dask
from dask.utils import parse_bytes
from distributed import Client, LocalCluster
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from uemdask.errors import FaultsError, UemError, faults_in
from uemdask.readers.yaml_text import read_yaml

# A Dask nanny sets MALLOC_TRIM_THRESHOLD_, which sends large temporary arrays back to the system
# after every use; kernels then spend their time in page faults. A high mmap threshold undoes it.
_WORKER_ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "OMP_NUM_THREADS": "1",
    # Threads that wait for others must not burn the time of other people's processes.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


# Ctrl-C reaches every process of the terminal; the driver alone decides what it means.
# A worker that ends in the middle of a task says so at length; the driver knows.
_WORKER_PRELOAD = """import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""


class _EndsAnyway(logging.Filter):
    """Drops the remark that a worker had to be killed in the middle of a task: it was to end."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "still alive after" not in str(record.msg)


_ENDS_ANYWAY = _EndsAnyway()


# How long to wait for the first worker, in s.
_PATIENCE = 60


class ClusterProfile(BaseModel):
    """A cluster as a YAML file describes it.

    Attributes
    ----------
    kind : {"local", "existing"}
        This machine, or a scheduler that runs already.
    workers : int
        Worker processes on this machine, one thread each; default: one a core.
    memory : str
        Of each worker, such as ``"2GiB"``; default: its share of the machine.
    dashboard_port : int
        On loopback; another free port is taken where it is in use.
    address, scheduler_file : str
        Of the scheduler that runs already.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["local", "existing"] = "local"
    workers: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1)
    memory: str = "auto"
    dashboard_port: int = Field(default=8787, ge=0, le=65535)
    address: str | None = None
    scheduler_file: str | None = None

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, memory: str) -> str:
        if memory != "auto":
            try:
                parse_bytes(memory)
            except ValueError:
                raise ValueError("needs a size with its unit, such as 2GiB") from None
        return memory


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up.

    Attributes
    ----------
    client : distributed.Client
        To submit tasks with.
    dashboard : str
        Address of the dashboard.
    slots : int
        Tasks that run at a time.
    gpu : bool
        Whether a worker has the Dask resource ``GPU``.
    training_threads : int or None
        CPU threads for a training task that runs while nothing else does; None: all CPUs that
        belong to its worker.
    """

    client: Client
    dashboard: str
    slots: int
    gpu: bool
    training_threads: int | None


def read_profile(path: Path | None) -> ClusterProfile:
    """Read a cluster profile; the local machine where there is none.

    Raises
    ------
    UemError, FaultsError
        If the file is not YAML, or not a profile; all faults are listed.
    """
    if path is None:
        return ClusterProfile()
    found = read_yaml(path)
    try:
        profile = ClusterProfile.model_validate(found or {})
    except ValidationError as error:
        raise FaultsError(str(path), faults_in(error)) from None
    if profile.kind == "existing" and not (profile.address or profile.scheduler_file):
        raise UemError(f"{path}: kind 'existing' needs 'address' or 'scheduler_file'")
    return profile


@contextmanager
def open_cluster(profile: ClusterProfile) -> Iterator[Cluster]:
    """Start or join the cluster of a profile; what was started is stopped at the end."""
    settings = {
        # Libraries that a reader or a training uses may start processes, which daemons must not.
        "distributed.worker.daemon": False,
        "distributed.scheduler.allowed-failures": 10,
        "distributed.admin.low-level-log-length": 0,
        # Tasks block on the disk and hold the GIL in decoding; that is not an event to report.
        "distributed.admin.tick.limit": "60s",
        "distributed.worker.preload": [_WORKER_PRELOAD],
        "distributed.nanny.pre-spawn-environ": _WORKER_ENVIRONMENT,
    }
    logging.getLogger("distributed.nanny").addFilter(_ENDS_ANYWAY)
    with dask.config.set(settings):
        if profile.kind == "existing":
            with _join(profile) as client:
                yield _describe(client)
            return
        with (
            LocalCluster(
                n_workers=profile.workers,
                threads_per_worker=1,
                memory_limit=profile.memory,
                host="127.0.0.1",
                # Loopback is open to everyone on a login node, and a scheduler runs what it is
                # told: only who has this session's certificate may talk to it.
                security=True,
                dashboard_address=f"127.0.0.1:{_free_port(profile.dashboard_port)}",
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield _describe(client, training_threads=profile.workers)


def _join(profile: ClusterProfile) -> Client:
    place = profile.address or profile.scheduler_file
    if profile.scheduler_file and not Path(profile.scheduler_file).exists():
        raise UemError(f"{place}: there is no such scheduler file; start the scheduler first")
    if profile.scheduler_file:
        try:
            json.loads(Path(profile.scheduler_file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UemError(
                f"{place}: is not the file of a Dask scheduler ({error}); name the one that "
                f"'dask scheduler --scheduler-file' wrote"
            ) from None
    try:
        return Client(
            address=profile.address, scheduler_file=profile.scheduler_file, set_as_default=False
        )
    except (OSError, ValueError) as error:
        raise UemError(f"{place}: no Dask scheduler answers ({error}); is it running?") from None


def _describe(client: Client, training_threads: int | None = None) -> Cluster:
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        raise UemError(
            f"{client.scheduler.address}: no worker came within {_PATIENCE} s; start workers there"
        ) from None
    workers = client.run_on_scheduler(_survey_workers)
    return Cluster(
        client=client,
        dashboard=client.dashboard_link,
        slots=sum(threads for threads, _ in workers),
        gpu=any("GPU" in resources for _, resources in workers),
        training_threads=training_threads,
    )


def _survey_workers(dask_scheduler: object) -> list[tuple[int, list[str]]]:
    states = dask_scheduler.workers.values()  # type: ignore[attr-defined]
    return [(state.nthreads, list(state.resources)) for state in states]


def _free_port(wanted: int) -> int:
    """Return `wanted`, or 0 (any free port) where something listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
