"""Training on several processors of one machine: processes that are started, watched and ended."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from uemdask.errors import UemError
from uemdask.network.checkpoint import load_model
from uemdask.network.training import TrainingResult
from uemdask.network.training_job import Job, do_job, write_job

_Report = Callable[[dict[str, Any]], None]

#: How often processes are looked at, in s.
_LOOK = 0.1

#: How long others may take to end after the first that failed, in s: they fail because of it,
#: and which of them was the first shows only when all have ended.
_LAST_WORDS = 2.0

#: Lines of a process's log that are shown where it broke down.
_LINES = 8


def train_on(job: Job, folder: Path, report: _Report) -> TrainingResult:
    """Train on the devices of a job: in this process on one, in a process for each on several.

    Processes are started anew, not forked, so this works in a worker of a cluster with threads,
    and they end with this process however it ends.

    Parameters
    ----------
    job : Job
        The training.
    folder : path
        A folder of this training alone; what several processes share lies there meanwhile.
    report : callable
        Gets each entry of the history as it is made.

    Returns
    -------
    TrainingResult

    Raises
    ------
    UemError
        As `uemdask.network.train`, or if the folder cannot be written.
    RuntimeError
        If a process died; the message says how, and the others are ended.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a training that was killed
    devices = job.devices
    if len(devices) == 1:
        return do_job(job, devices[0], report)
    try:
        write_job(folder, job)
        del job  # the processes have the data now
        ending = _run(folder, len(devices), report)
        model, _ = load_model(folder / "model.pt")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return TrainingResult(model.to(devices[0]), ending["history"], ending["step"], True)


def _run(folder: Path, count: int, report: _Report) -> dict[str, Any]:
    """Start the processes, pass on what they say, and return how the training ended."""
    said: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
    ending: dict[str, Any] = {}
    errors: dict[int, str] = {}

    def hear() -> None:
        rank, words = said.get(timeout=_LOOK)
        if "entry" in words:
            report(words["entry"])
        elif "error" in words:
            errors[rank] = words["error"]
        else:
            ending.update(words["ending"])

    with ExitStack() as stack:
        # Not on a shared disk: its locks may not work, which a meeting needs.
        meeting = stack.enter_context(tempfile.TemporaryDirectory(prefix="uemdask-"))
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, processes)
        for rank in range(count):
            processes.append(_start(folder, rank, Path(meeting) / "meeting"))
        ears = [
            threading.Thread(target=_listen, args=(rank, process, said), daemon=True)
            for rank, process in enumerate(processes)
        ]
        for ear in ears:
            ear.start()
        patience = None
        while any(process.poll() is None for process in processes):
            if processes[0].poll() == 0:
                break  # it has written the network; the others only wait to be ended
            if patience is None and any(process.poll() for process in processes):
                patience = time.monotonic() + _LAST_WORDS
            if patience is not None and time.monotonic() > patience:
                break
            with suppress(queue.Empty):
                hear()
        codes = [process.poll() for process in processes]
        _end(processes)
        for ear in ears:
            ear.join()
        while not said.empty():
            hear()
    if ending:
        return ending
    if errors:
        raise UemError(errors[min(errors)])
    raise RuntimeError(_why(folder, codes))


def _start(folder: Path, rank: int, meeting: Path) -> subprocess.Popen[bytes]:
    loopback = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
    environment = {
        # Threads that wait for others must not burn the time of other processes.
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    if loopback:  # no other machine has any business with these processes
        environment |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    # -P: the folder that the command was given in is no place to import from.
    command = [sys.executable, "-P", "-m", "uemdask.network.process_main"]
    with _log(folder, rank).open("wb") as log:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [*command, str(folder), str(rank), str(meeting)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the driver, which decides what it means
        )


def _listen(
    rank: int,
    process: subprocess.Popen[bytes],
    said: queue.SimpleQueue[tuple[int, dict[str, Any]]],
) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            with suppress(json.JSONDecodeError):  # killed in the middle of a word
                said.put((rank, json.loads(line)))


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _why(folder: Path, codes: list[int | None]) -> str:
    """Say which process failed first: one that was killed, else the one with the first error."""
    failed = [(code or 0, rank) for rank, code in enumerate(codes) if code not in (None, 0)]
    code, rank = min(failed)
    name = f"process {rank + 1} of {len(codes)} of the training"
    if code == -signal.SIGKILL:
        return f"{name} was killed, perhaps because the memory of this machine or its job is full"
    how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    lines = _log(folder, rank).read_text(encoding="utf-8", errors="replace").splitlines()
    return f"{name} broke down ({how}):\n" + "\n".join(lines[-_LINES:])


def _log(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.log"
