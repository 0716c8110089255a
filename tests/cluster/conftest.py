"""A real Slurm of three nodes on this machine, and small campaigns on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import yaml

from uemdask.simulate import scenario, simulate, write_acquisition

_SCRIPT = Path(__file__).parents[2] / "deploy" / "one-machine-slurm.sh"
_FOLDER = Path("/tmp/one-machine-slurm-of-tests")

#: A training that takes seconds, from the base model, which knows waves already; 10 steps with a
#: checkpoint after each.
PARAMETERS = {
    "label": {"methods": ["dis", "phase"]},
    # After so few steps the network need not agree with the labels.
    "flow": {"views": 1, "disagreement_limit": 10.0},
    "train": {
        "exact_share": 0.0,
        "adapt": {"steps": 8, "finetune_steps": 2},
        "training": {"crop": 32, "batch": 2, "checkpoint_every": 1e-3, "record_every": 1},
    },
}
#: One core each, so that a training has as many threads as on a local cluster.
POOLS = [
    {"name": "cpu", "cores": 1, "memory": "2GiB", "maximum": 2, "directives": ["-C cpu"]},
    {"name": "gpu", "cores": 1, "memory": "3GiB", "gpus": 1, "directives": ["-C gpu"]},
]


@dataclass(frozen=True)
class Job:
    """A job that has ended, as Slurm wrote it down."""

    number: str
    name: str
    state: str
    nodes: str


class Slurm:
    """The Slurm that is up."""

    def waiting_or_running(self, name: str = "") -> list[str]:
        out = self._ask("squeue", "-h", "-o", "%A %j", "-t", "PD,R,CF")
        jobs = [line.split(maxsplit=1) for line in out.splitlines()]
        return [number for number, found in jobs if not name or found == name]

    def running(self, name: str = "") -> list[str]:
        out = self._ask("squeue", "-h", "-o", "%A %j", "-t", "R")
        jobs = [line.split(maxsplit=1) for line in out.splitlines()]
        return [number for number, found in jobs if not name or found == name]

    def ended(self) -> list[Job]:
        path = _FOLDER / "log" / "jobs.txt"
        found = []
        for line in path.read_text().splitlines() if path.exists() else ():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            found.append(Job(words["JobId"], words["Name"], words["JobState"], words["NodeList"]))
        return found

    def submit(self, script: str, *options: str, folder: Path) -> str:
        """Submit a script and return the number of its job; what it says is in ``NUMBER.txt``."""
        done = subprocess.run(
            ["sbatch", "--parsable", "-o", "%j.txt", *options],
            input=f"#!/bin/bash\n{script}\n",
            check=True,
            capture_output=True,
            text=True,
            cwd=folder,
        )
        return done.stdout.strip()

    def cancel(self, *jobs: str) -> None:
        subprocess.run(["scancel", *jobs], check=False)  # one may have ended since

    def kill_controller(self) -> None:
        """Kill the daemon that all commands talk to; jobs go on without it."""
        os.kill(int((_FOLDER / "run" / "slurmctld.pid").read_text()), signal.SIGKILL)

    def start(self) -> subprocess.CompletedProcess[str]:
        """Start the daemons that are not there."""
        return self._daemons("start")

    def stop(self) -> None:
        """Cancel all jobs and end the daemons."""
        self._daemons("stop").check_returncode()

    def _daemons(self, what: str) -> subprocess.CompletedProcess[str]:
        settings = {"ONE_MACHINE_SLURM_DIR": str(_FOLDER), "ONE_MACHINE_SLURM_GPUS": "2"}
        return subprocess.run(
            [_SCRIPT, what],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def _ask(self, *command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session", name="_slurm")
def _started():
    slurm = Slurm()
    up = slurm.start()
    if up.returncode:
        pytest.exit(up.stderr.strip() or up.stdout.strip(), returncode=1)
    os.environ["SLURM_CONF"] = str(_FOLDER / "etc" / "slurm.conf")
    yield slurm
    if "already" not in up.stdout:
        slurm.stop()


@pytest.fixture
def slurm(_slurm):
    """Give the Slurm, without jobs; and leave none."""
    assert _slurm.waiting_or_running() == []
    yield _slurm
    left = _slurm.waiting_or_running()
    if left:
        _slurm.cancel(*left)
        _until(lambda: not _slurm.waiting_or_running(), limit=60)


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Path:
    """Give six small raw acquisitions, and one with a truncated frame."""
    folder = tmp_path_factory.mktemp("raw")
    for seed in range(6):
        waves = simulate(scenario("plane", shape=(64, 80), frames=40, seed=seed))
        write_acquisition(waves, folder / f"run{seed}")
    waves = simulate(scenario("plane", shape=(64, 80), frames=40, seed=9))
    write_acquisition(waves, folder / "broken")
    frame = folder / "broken" / "frame_0020.tif"
    os.truncate(frame, frame.stat().st_size // 2)
    return folder


@dataclass
class Work:
    """A campaign in a folder of its own, and the profile of a cluster for it."""

    folder: Path
    runs: list[Path]
    profile: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=lambda: PARAMETERS)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        campaign = {
            "output": "results",
            "runs": [{"raw": str(run)} for run in self.runs],
            "one_model": "each",
            "parameters": self.parameters,
        }
        (self.folder / "campaign.yaml").write_text(yaml.safe_dump(campaign))
        self.set_profile()

    def set_profile(self, **changes) -> Path:
        self.profile = self.profile | changes
        path = self.folder / "profile.yaml"
        path.write_text(yaml.safe_dump(self.profile))
        return path

    @property
    def command(self) -> list[str]:
        return ["run", "campaign.yaml", "--cluster", "profile.yaml"]

    def store(self, name: str) -> Path:
        return self.folder / "results" / f"{name}.zarr"

    def start(self) -> subprocess.Popen[str]:
        """Start the campaign, to do something to it while it runs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "uemdask_cli", *self.command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # What a shell starts in the background is deaf to Ctrl-C, and its children are.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process


def _finish(process: subprocess.Popen[str], limit: float = 300) -> str:
    """Wait for a campaign, and return what it said."""
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        raise AssertionError(f"still at work after {limit} s:\n{said}") from None
    assert process.returncode == 0, said
    return said


def _until(ready, limit: float = 200) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + limit
    while not ready():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture
def work(tmp_path, raw):
    """Return a function that makes a campaign of some runs, with a profile for the Slurm."""

    made: list[Work] = []

    def make(*names: str, parameters: dict | None = None, **changes) -> Work:
        profile = {
            "kind": "slurm",
            "interface": "lo",
            "walltime": "00:10:00",
            "idle": 10.0,
            "death_timeout": 60.0,
            "poll": 1.0,
            "dashboard_port": 0,
            "pools": POOLS,
        }
        runs = [raw / name for name in names]
        made.append(Work(tmp_path, runs, profile | changes, parameters or PARAMETERS))
        return made[-1]

    yield make
    for process in (process for here in made for process in here.started):
        if process.poll() is None:  # the test failed before its end
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture(scope="session")
def local(tmp_path_factory, raw, uemdask) -> Path:
    """Give the stores of the six runs as a local cluster makes them."""
    folder = tmp_path_factory.mktemp("local")
    here = Work(folder, [raw / f"run{n}" for n in range(6)], {"kind": "local", "workers": 2})
    uemdask(*here.command, cwd=folder)
    return folder / "results"


@pytest.fixture
def undisturbed(local, same_arrays, receipts):
    """Return a function that compares a store to that of an undisturbed run, done once."""

    def compare(store: Path) -> None:
        repeated = [task for task, count in Counter(receipts(store)).items() if count > 1]
        assert repeated == []
        same_arrays(local / store.name, store)

    return compare


def _worker_processes(pool: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "distributed.cli.dask_worker" in words and any(w.startswith(f"{pool}.") for w in words):
            with suppress(psutil.NoSuchProcess):
                found += [child for child in process.children() if _is_up(child)]
    return found


def _is_up(process: psutil.Process) -> bool:
    """Whether a worker is past its imports; one that never comes is another fault."""
    return any(place.status == "LISTEN" for place in process.net_connections("tcp"))


@pytest.fixture(scope="session")
def worker_processes():
    """Return a function that gives the processes that do the tasks of a pool.

    They are children of the nannies that Slurm runs.
    """
    return _worker_processes


@pytest.fixture(scope="session")
def finish():
    """Return a function that waits for a campaign and gives what it said."""
    return _finish


@pytest.fixture(scope="session")
def until():
    """Return a function that waits for something to become true."""
    return _until
