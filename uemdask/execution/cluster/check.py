"""Whether a cluster profile works: one worker of each pool is started, and asked what it finds."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dask.utils import format_bytes
from distributed import Client

from uemdask.errors import UemError
from uemdask.execution.cluster.allocation import allocation_script
from uemdask.execution.cluster.batch import BatchSystem, batch_system
from uemdask.execution.cluster.capacity import IDLE_WORKER, Cluster
from uemdask.execution.cluster.connect import host_of, make_folder, open_cluster
from uemdask.execution.cluster.profile import BatchProfile, ClusterProfile, Pool, TlsFiles
from uemdask.execution.cluster.security import security_from

#: Where these differ between driver and workers, tasks may not be understood, or give other bytes.
_PACKAGES = ("uemdask", "dask", "distributed", "numpy", "zarr", "torch", "opencv-python-headless")
#: Free space for temporary files that is little, bytes.
_LITTLE_SPACE = 2 * 2**30
#: Around the lines of a prologue: those that fail are noted where the worker can tell them.
_NOTED = "UEMDASK_PROLOGUE_FAILED"
_NOTE = f"""export {_NOTED}=''; trap '{_NOTED}+="$BASH_COMMAND (exit code $?); "' ERR"""
#: How often is looked whether workers have come, s, and how long one may take to answer.
_LOOK, _ANSWER = 0.5, 120

Tell = Callable[[str], None]


def check_cluster(profile: ClusterProfile, tell: Tell) -> list[str]:
    """Start one worker of each pool of a profile, and return what is wrong, in plain words.

    Parameters
    ----------
    profile : ClusterProfile
        The cluster.
    tell : callable
        Is told what is done and found, line by line.

    Raises
    ------
    UemError
        If it is of no use to go on.
    """
    if not isinstance(profile, BatchProfile):
        with open_cluster(profile) as cluster:
            worker = next(iter(cluster.client.scheduler_info()["workers"]))
            return _asked(cluster.client, worker, None, Path.cwd(), tell, "worker")
    system = batch_system(profile)
    folder = make_folder(profile)
    for text in job_scripts(profile, system, folder / "logs"):
        tell(text)
    if small := _too_small(profile):
        return small
    profile = profile.model_copy(
        update={
            "start_attempts": 1,
            "idle": 3600.0,
            "poll": min(profile.poll, 5.0),
            "prologue": [_NOTE, *profile.prologue, "trap - ERR"],
            "pools": [
                pool.model_copy(update={"minimum": 1, "maximum": 1}) for pool in profile.pools
            ],
        }
    )
    if profile.launch == "jobs" and shutil.which(system.submit) is None:
        raise UemError(
            f"{system.submit}: command not found on {socket.gethostname()}; run this on a login "
            f"node of the cluster, with {system.name} loaded"
        )
    tell(f"scheduler on {socket.gethostname()}, address {host_of(profile.interface)}")
    with open_cluster(profile) as cluster:
        for hint in cluster.hints:
            tell(hint)
        return _wait_and_ask(profile, cluster, folder, tell)


def job_scripts(profile: BatchProfile, system: BatchSystem, logs: Path) -> list[str]:
    """Return the scripts that a profile gives, each with a line that says what it is."""
    if profile.launch == "allocation":
        script = allocation_script(profile, ["uemdask", "run", "CAMPAIGN.yaml"])
        return [f"the one job, as 'uemdask cluster script' writes it:\n\n{script}"]
    protocol, security = "tcp", None
    if profile.tls:
        keys = TlsFiles(
            ca=Path("KEYS/ca.pem"), certificate=Path("KEYS/cert.pem"), key=Path("KEYS/key.pem")
        )
        protocol, security = "tls", security_from(keys)
    return [
        f"job of pool '{pool.name}', up to {pool.maximum} at a time:\n\n"
        + system.job(
            pool,
            name=f"{pool.name}.0",
            scheduler=f"{protocol}://SCHEDULER:PORT",
            security=security,
            logs=logs,
        ).job_script()
        for pool in profile.pools
    ]


def _too_small(profile: BatchProfile) -> list[str]:
    """Return the pools whose workers would be ended for their memory before their first task."""
    return [
        f"pool '{pool.name}': a worker has {format_bytes(pool.worker_memory)}, and takes about "
        f"{format_bytes(IDLE_WORKER)} before its first task; raise 'memory', or lower 'processes'"
        for pool in profile.pools
        if pool.worker_memory <= IDLE_WORKER
    ]


def _wait_and_ask(profile: BatchProfile, cluster: Cluster, folder: Path, tell: Tell) -> list[str]:
    """Ask the first worker of each pool, as they come; pools whose jobs fail are given up."""
    assert cluster.supervisor is not None
    waiting = {pool.name: pool for pool in profile.pools}
    faults: list[str] = []
    begun = time.monotonic()
    tell(f"waiting for a worker of {' and '.join(waiting)} ...")
    while waiting:
        for event in cluster.supervisor.events():
            tell(event)
        for name, fault in cluster.supervisor.faults().items():
            if waiting.pop(name, None):
                faults.append(fault)
        for address, info in cluster.client.scheduler_info(n_workers=-1)["workers"].items():
            name = str(info["name"]).split(".")[0]
            if name in waiting:
                tell(f"pool '{name}': a worker came after {time.monotonic() - begun:.0f} s")
                pool = waiting.pop(name)
                faults += _asked(cluster.client, address, pool, folder, tell, f"pool '{name}'")
        time.sleep(_LOOK)
    return faults


def _asked(
    client: Client, worker: str, pool: Pool | None, folder: Path, tell: Tell, place: str
) -> list[str]:
    token = f"{os.getpid()}-{time.time_ns()}"
    note = folder / f".check-{token}"
    with note.open("x", encoding="utf-8") as file:  # not where somebody put a link
        file.write(token)
    try:
        begun = time.monotonic()
        future = client.submit(inspect_worker, str(note), workers=[worker], pure=False)
        found = future.result(timeout=_ANSWER)
        found["answer"] = time.monotonic() - begun
    except ModuleNotFoundError as error:
        return [
            f"{place}: its python has no module {error.name!r}; set 'python' or 'prologue' in the "
            f"profile so that the workers use the environment of the driver"
        ]
    except TimeoutError:
        return [f"{place}: a worker came but did not answer within {_ANSWER} s; see its log"]
    finally:
        note.unlink(missing_ok=True)
    tell(
        f"{place}: {found['host']}, python {found['python']}, {found['cores']} cores, "
        f"{format_bytes(found['memory'])} a worker, {format_bytes(found['free'])} free in "
        f"{found['scratch']}, {', '.join(found['gpus']) or 'no GPU'}"
    )
    return [f"{place}: {fault}" for fault in worker_faults(found, versions(), token, pool)]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter, of this process."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def inspect_worker(note: str) -> dict[str, Any]:
    """Return what a worker finds about itself; runs there."""
    import torch
    from distributed import get_worker

    worker = get_worker()
    try:
        text = Path(note).read_text(encoding="utf-8")
    except OSError as error:
        text = f"{error.strerror}"
    try:
        with Path(note).with_suffix(".answer").open("x", encoding="utf-8") as file:
            file.write(text)
        Path(note).with_suffix(".answer").unlink()
        written = ""
    except OSError as error:
        written = f"{error.strerror}"
    gpus, trouble = [], ""
    cuda = torch.version.cuda is not None or torch.version.hip is not None
    if torch.cuda.is_available():
        try:
            gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
            torch.zeros(1, device="cuda")
        except RuntimeError as error:
            trouble = str(error).splitlines()[0]
    elif not cuda:
        trouble = f"torch {torch.__version__} is a build without CUDA"
    else:
        trouble = "torch finds no CUDA device"
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "versions": versions(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": int(worker.memory_manager.memory_limit or 0),
        "scratch": worker.local_directory,
        "free": shutil.disk_usage(worker.local_directory).free,
        "note": text,
        "folder": str(Path(note).parent),
        "written": written,
        "gpus": gpus,
        "gpu_trouble": trouble,
        "cuda": cuda,
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "prologue": os.environ.get(_NOTED, ""),
    }


def worker_faults(
    found: dict[str, Any], wanted: dict[str, str], token: str, pool: Pool | None
) -> list[str]:
    """Return what is wrong with a worker, from what it found about itself.

    Parameters
    ----------
    found : dict
        From `inspect_worker`.
    wanted : dict of str to str
        `versions` of the driver.
    token : str
        What the worker should have read from the common folder.
    pool : Pool or None
        What it was asked for.
    """
    faults = []
    theirs: dict[str, str] = found["versions"]
    different = [
        f"{name} {theirs.get(name, 'none')} (here {mine})"
        for name, mine in wanted.items()
        if theirs.get(name) != mine
    ]
    if different:
        faults.append(
            f"it has {', '.join(different)}; let workers use the same environment as the driver, "
            f"by 'python' or 'prologue' in the profile"
        )
    if found["prologue"]:
        faults.append(
            f"its prologue failed at: {found['prologue'].removesuffix('; ')}; try these lines on a "
            f"compute node, and mend 'prologue' in the profile"
        )
    if found["note"] != token:
        faults.append(
            f"it does not see {found['folder']} ({found['note']}); run uemdask on, and set "
            f"'folder' to, a file system that the compute nodes share with this host"
        )
    elif found["written"]:
        faults.append(f"it cannot write to {found['folder']} ({found['written']})")
    if found["free"] < _LITTLE_SPACE:
        faults.append(
            f"only {format_bytes(found['free'])} are free in {found['scratch']}; set 'scratch' to "
            f"a folder with more"
        )
    if pool is None:
        return faults
    if found["cores"] < pool.processes:
        faults.append(
            f"its {pool.processes} processes have {found['cores']} cores; ask for more 'cores', or "
            f"lower 'processes'"
        )
    if found["memory"] < 0.9 * pool.worker_memory:
        faults.append(
            f"a worker has {format_bytes(found['memory'])}, not {format_bytes(pool.worker_memory)}"
            f" as the profile says; its node has less: lower 'memory'"
        )
    if pool.gpus and (found["gpu_trouble"] or not found["gpus"]):
        remedy = (
            "look at the GPU line of the job script, and at the driver of the node"
            if found["cuda"]
            else "install a torch with CUDA there, see pytorch.org"
        )
        faults.append(
            f"no GPU can be used: {found['gpu_trouble'] or 'there is none'} "
            f"(CUDA_VISIBLE_DEVICES is {found['visible'] or 'not set'!r}); {remedy}"
        )
    elif len(found["gpus"]) < pool.worker_gpus:
        faults.append(
            f"a worker has {len(found['gpus'])} of {pool.worker_gpus} GPUs; look at the GPU line "
            f"of the job script, or lower 'gpus'"
        )
    return faults
