"""What every worker is started with: settings of Dask and of the libraries it calls."""

from __future__ import annotations

from typing import Any

# A Dask nanny sets MALLOC_TRIM_THRESHOLD_, which sends large temporary arrays back to the system
# after every use; kernels then spend their time in page faults. A high mmap threshold undoes it.
_LIBRARIES = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "OMP_NUM_THREADS": "1",
    # Threads that wait for others must not burn the time of other people's processes.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

# Ctrl-C reaches every process of the terminal; the driver alone decides what it means.
# A worker that ends in the middle of a task says so at length; the driver knows.
_PRELOAD = """import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""

#: Settings of Dask in the process of the driver, its scheduler, and workers on this machine.
SETTINGS: dict[str, Any] = {
    # Libraries that a reader or a training uses may start processes, which daemons must not.
    "distributed.worker.daemon": False,
    # Tasks wait in numbers on a worker for their resource, and its loss counts against them all.
    "distributed.scheduler.allowed-failures": 10,
    "distributed.admin.low-level-log-length": 0,
    # Tasks block on the disk and hold the GIL in decoding; that is not an event to report.
    "distributed.admin.tick.limit": "60s",
    # A busy file system may hold up a worker's handshake for long.
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.preload": [_PRELOAD],
    "distributed.nanny.pre-spawn-environ": _LIBRARIES,
}


def exports(gpu: bool = False) -> list[str]:
    """Return the lines of a job script that give its workers the same settings.

    What tasks need is imported when a worker starts: where that fails, the job ends, and its log
    says why.
    """
    preload = "uemdask.execution.cluster.own_gpu" if gpu else "uemdask.execution.worker"
    dask = {
        "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
        "DASK_DISTRIBUTED__WORKER__PRELOAD": f"'[\"{preload}\"]'",
        "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "60s",
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "60s",
    }
    return [f"export {name}={value}" for name, value in (_LIBRARIES | dask).items()]
