"""What a cluster that is up has to offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from distributed import Client

from uemdask.execution.cluster.profile import BatchProfile
from uemdask.execution.cluster.worker_failures import WorkerFailures

#: A worker with everything imported and no task takes about this, bytes.
IDLE_WORKER = 400 * 2**20


class Supervisor(Protocol):
    """Looks after workers that come and go."""

    def faults(self) -> dict[str, str]:
        """Return by pool why it can have no worker."""

    def events(self) -> list[str]:
        """Return what happened since the last call, one sentence each."""


@dataclass(frozen=True)
class Capacity:
    """What there is for one kind of task.

    Attributes
    ----------
    slots : float
        Tasks that run at a time, at most.
    resources : mapping of str to int, optional
        Dask resources that such a task asks for.
    memory : int
        Of a worker process, bytes; 0 where there is no limit.
    place : str
        Where that is, in messages.
    """

    slots: float
    resources: Mapping[str, int] | None = None
    memory: int = 0
    place: str = "this machine"


def capacity_of_pools(profile: BatchProfile, gpu: bool) -> Capacity:
    """Return the capacity for GPU tasks or for the others that the pools of a profile give."""
    pools = profile.pools_for(gpu)
    inside = profile.launch == "allocation"
    return Capacity(
        slots=sum((pool.nodes if inside else pool.maximum) * pool.processes for pool in pools),
        resources={pools[0].resource: 1},
        memory=min(pool.worker_memory for pool in pools),
        place=" and ".join(f"pool '{pool.name}'" for pool in pools),
    )


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up.

    Attributes
    ----------
    client : distributed.Client
        To submit tasks with.
    dashboard : str
        Address of the dashboard.
    cpu : Capacity
        For tasks.
    gpu : Capacity, optional
        For training and inference, where that is elsewhere.
    training_threads : int or None
        CPU threads for a training task that runs while nothing else does; None: all CPUs that
        belong to its worker.
    hints : tuple of str
        What to tell the user at the start.
    supervisor : Supervisor, optional
        Looks after workers that come and go.
    worker_failures : WorkerFailures, optional
        Hears of lost workers.
    dashboard_hosts : tuple of str
        Names under which a proxy shows the dashboard of a scheduler that ran already.
    """

    client: Client
    dashboard: str
    cpu: Capacity
    gpu: Capacity | None = None
    training_threads: int | None = None
    hints: tuple[str, ...] = ()
    supervisor: Supervisor | None = None
    worker_failures: WorkerFailures | None = None
    dashboard_hosts: tuple[str, ...] = ()

    def capacity(self, gpu: bool) -> Capacity:
        """Return the capacity for GPU tasks or for the others."""
        return self.gpu if gpu and self.gpu else self.cpu

    @property
    def slots(self) -> float:
        """Tasks of any kind that run at a time, at most."""
        return self.cpu.slots + (self.gpu.slots if self.gpu else 0)
