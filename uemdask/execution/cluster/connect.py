"""Connect to a cluster: on this machine, of a batch system, or one that runs already."""

from __future__ import annotations

import getpass
import json
import multiprocessing
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.utils import get_ip, get_ip_interface

from uemdask.errors import UemError
from uemdask.execution.cluster.allocation import Allocation
from uemdask.execution.cluster.batch import batch_system
from uemdask.execution.cluster.capacity import Capacity, Cluster, Supervisor, capacity_of_pools
from uemdask.execution.cluster.dashboard_access import guard_dashboard
from uemdask.execution.cluster.environment import SETTINGS
from uemdask.execution.cluster.log_filters import filter_driver_log
from uemdask.execution.cluster.pools import Pools
from uemdask.execution.cluster.profile import (
    TLS_IS_WANTED,
    BatchProfile,
    ClusterProfile,
    ExistingProfile,
    LocalProfile,
)
from uemdask.execution.cluster.security import security_from, session_keys
from uemdask.execution.cluster.session import end_abandoned, session
from uemdask.execution.cluster.worker_failures import WorkerFailures

# How long to wait for the first worker, and for a scheduler that runs already, in s.
_PATIENCE = 60
_ANSWER = 30

_OwnProfile = LocalProfile | BatchProfile


@contextmanager
def open_cluster(profile: ClusterProfile) -> Iterator[Cluster]:
    """Start or join the cluster of a profile; what was started is stopped at the end.

    Raises
    ------
    UemError
        If it cannot be started or joined.
    """
    filter_driver_log()
    with dask.config.set(SETTINGS), ExitStack() as stack:
        if isinstance(profile, ExistingProfile):
            found = _surveyed(stack.enter_context(_join(profile)), stack)
            yield replace(found, dashboard_hosts=profile.dashboard_hosts)
        elif isinstance(profile, LocalProfile):
            yield _local(profile, stack)
        else:
            yield _batch(profile, stack)


def _local(profile: LocalProfile, stack: ExitStack) -> Cluster:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker that starts imports the script that starts it, and the script is here again.
        raise SystemExit(1)
    try:
        workers = LocalCluster(
            n_workers=profile.workers,
            threads_per_worker=1,
            memory_limit=profile.memory,
            host="127.0.0.1",
            # Loopback is open to everyone on a login node, and a scheduler runs what it is
            # told: only who has this session's certificate may talk to it.
            security=True,
            dashboard_address=_dashboard(profile.dashboard_port),
        )
    except RuntimeError as error:
        raise UemError(
            f"the workers of this machine did not start ({error}); a script must start them under "
            "`if __name__ == '__main__':`, because each of them imports it"
        ) from None
    local = stack.enter_context(workers)
    client = stack.enter_context(Client(local, set_as_default=False))
    port, hints = _open_dashboard(local, profile)
    if "SSH_CONNECTION" in os.environ:
        hints += _tunnel(port)
    found = _surveyed(client, stack, training_threads=profile.workers, hints=hints)
    return replace(found, dashboard=_address(port))


def _batch(profile: BatchProfile, stack: ExitStack) -> Cluster:
    folder = make_folder(profile)
    system = batch_system(profile)
    home = system.home()
    own = stack.enter_context(session(folder, home))
    security = session_keys(own.place) if profile.tls else None
    local = stack.enter_context(
        LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            host=host_of(profile.interface),
            protocol="tls://" if security else "tcp://",
            security=security,
            dashboard_address=_dashboard(profile.dashboard_port),
        )
    )
    client = stack.enter_context(Client(local, set_as_default=False))
    keeper: Pools | Allocation
    if profile.launch == "allocation":
        keeper = Allocation(profile, system, local.scheduler_address, security, folder / "logs")
        keeper.start()
        stack.callback(keeper.close)
    else:
        keeper = Pools(local.scheduler, profile, system, security, folder / "logs", own.note)
        local.sync(keeper.start)
        stack.callback(local.sync, keeper.close)
    port, hints = _open_dashboard(local, profile)
    hints += _tunnel(port)
    if cancelled := local.sync(end_abandoned, folder, home, system.cancel):
        hints += (f"cancelled what an uemdask that was killed had left: {_jobs(cancelled)}",)
    if not profile.tls:
        hints += (
            "the profile says 'tls: false': whoever reaches this host can run programs in your "
            "name",
        )
    found = _pooled(profile, client, hints, keeper, _worker_failures(client, stack))
    return replace(found, dashboard=_address(port))


def _jobs(numbers: Sequence[str]) -> str:
    return f"job{'s' * (len(numbers) > 1)} {', '.join(numbers)}"


def _worker_failures(client: Client, stack: ExitStack) -> WorkerFailures:
    worker_failures = WorkerFailures(client)
    stack.callback(worker_failures.close)
    return worker_failures


def _pooled(
    profile: BatchProfile,
    client: Client,
    hints: tuple[str, ...],
    supervisor: Supervisor,
    worker_failures: WorkerFailures,
) -> Cluster:
    has_both = len({pool.resource for pool in profile.pools}) == 2
    training = profile.pools_for(True)[0]
    # Where a training runs alone in a job, the cores of the job's other processes are idle.
    cores = training.cores // training.processes if training.gpus else training.cores
    return Cluster(
        client=client,
        dashboard=client.dashboard_link,
        cpu=capacity_of_pools(profile, gpu=False),
        gpu=capacity_of_pools(profile, gpu=True) if has_both else None,
        training_threads=cores,
        hints=hints,
        supervisor=supervisor,
        worker_failures=worker_failures,
    )


def make_folder(profile: BatchProfile) -> Path:
    """Make the folder of a batch profile for logs and keys, and return its absolute path.

    Raises
    ------
    UemError
        If it cannot be made, or not be written to.
    """
    folder = profile.folder.expanduser().absolute()
    remedy = "name one that you may write to and that the compute nodes see"
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UemError(f"folder: {folder} cannot be made ({error.strerror}); {remedy}") from None
    for place in (folder, folder / "logs"):
        if not os.access(place, os.W_OK | os.X_OK):
            raise UemError(f"folder: {place} cannot be written to; {remedy}")
    return folder


def host_of(interface: str | None) -> str:
    """Return the address of this host on a network interface.

    Raises
    ------
    UemError
        If there is no such interface.
    """
    if interface is None:
        return str(get_ip())
    try:
        return str(get_ip_interface(interface))
    except ValueError:
        known = [name for _, name in socket.if_nameindex() if _has_address(name)]
        raise UemError(
            f"interface: {interface!r} is no network interface with an address on this host; "
            f"write that of the cluster's network: {' or '.join(known)}"
        ) from None


def _has_address(interface: str) -> bool:
    try:
        get_ip_interface(interface)
    except (ValueError, KeyError):
        return False
    return True


def _dashboard(port: int) -> str:
    return f"127.0.0.1:{_free_port(port)}"


def _open_dashboard(local: LocalCluster, profile: _OwnProfile) -> tuple[int, tuple[str, ...]]:
    """Guard the dashboard, and return its port, and a line if that is not the wanted one."""
    guard_dashboard(local.scheduler.http_application, profile.dashboard_hosts)
    wanted, port = profile.dashboard_port, int(local.scheduler.http_server.port)
    if wanted in (0, port):
        return port, ()
    return port, (f"port {wanted} is in use or closed here; the dashboard is on port {port}",)


def _address(port: int) -> str:
    """Return where the dashboard is, which listens on loopback whatever the scheduler does."""
    return f"http://127.0.0.1:{port}/status"


def _tunnel(port: int) -> tuple[str, ...]:
    """Return how the dashboard is seen from elsewhere; it listens on this host's loopback alone."""
    host = socket.gethostname()
    login = os.environ.get("SLURM_SUBMIT_HOST") or os.environ.get("PBS_O_HOST")
    jump = f"-J {getpass.getuser()}@{login} " if login and login != host else ""
    return (
        f"to see the dashboard from your own machine: "
        f"ssh -N -L {port}:127.0.0.1:{port} {jump}{getpass.getuser()}@{host}",
    )


def _join(profile: ExistingProfile) -> Client:
    place = address = profile.address or ""
    remedy = "is it running?"
    if profile.scheduler_file:
        file = Path(profile.scheduler_file).expanduser().absolute()
        place, address = str(file), _address_in(file)
        remedy = "the file may be that of one that has ended: start a scheduler, and name its file"
    if address.startswith("tls://") and not profile.tls:
        raise UemError(f"{place}: the scheduler talks TLS; {TLS_IS_WANTED}")
    for key, file in profile.tls or ():
        if not file.is_file():
            raise UemError(f"tls.{key}: {file.absolute()} is not there; check the path")
    try:
        return Client(
            address=address,
            security=security_from(profile.tls) if profile.tls else None,
            timeout=_ANSWER,
            set_as_default=False,
        )
    except (OSError, ValueError, TypeError) as error:
        raise UemError(f"{place}: no Dask scheduler answers ({error}); {remedy}") from None


def _address_in(file: Path) -> str:
    """Return the address in the file of a Dask scheduler."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except FileNotFoundError:
        raise UemError(
            f"{file}: there is no such scheduler file; start the scheduler first, or check the path"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UemError(
            f"{file}: is not the file of a Dask scheduler ({error}); name the one that "
            f"'dask scheduler --scheduler-file' wrote"
        ) from None


def _surveyed(
    client: Client,
    stack: ExitStack,
    training_threads: int | None = None,
    hints: tuple[str, ...] = (),
) -> Cluster:
    """Describe a cluster by the workers that are there."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError:
        raise UemError(
            f"{client.scheduler.address}: no worker came within {_PATIENCE} s; start workers there"
        ) from None
    workers = client.scheduler_info(n_workers=-1)["workers"].values()

    def capacity(resource: str) -> Capacity | None:
        able = [worker for worker in workers if resource in worker["resources"]]
        if not able:
            return None
        return Capacity(
            slots=sum(worker["nthreads"] for worker in able),
            resources={resource: 1},
            memory=_least_memory(able),
            place=f"the workers with the resource {resource}",
        )

    anywhere = Capacity(
        slots=sum(worker["nthreads"] for worker in workers), memory=_least_memory(workers)
    )
    return Cluster(
        client=client,
        dashboard=client.dashboard_link,
        cpu=capacity("CPU") or anywhere,
        gpu=capacity("GPU"),
        training_threads=training_threads,
        hints=hints,
        worker_failures=_worker_failures(client, stack),
    )


def _least_memory(workers: Iterable[Mapping[str, Any]]) -> int:
    """Return the smallest limit of the memory of workers, bytes; 0 where there is none."""
    limits = [int(worker["memory_limit"]) for worker in workers if worker["memory_limit"]]
    return min(limits, default=0)


def _free_port(wanted: int) -> int:
    """Return `wanted`, or 0 (any free port) where something listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
