"""Settings of all tests, and the real driver without a cluster."""

import json
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import settings, strategies

from uemdask.errors import UemError
from uemdask.execution import Capacity, Cluster, Driver, plan_campaign
from uemdask.execution.ledger import ledger_path
from uemdask.simulate import scenario, simulate, write_acquisition

#: Three regions of a field of 768 nm, as docs and examples have them.
THREE = [
    {"name": "left half", "rectangle": {"x": [0, 400], "y": [0, 768]}},
    {"name": "corner", "polygon": [[0, 0], [300, 0], [0, 300]]},
    {"name": "everything relevant", "mask": "mask"},
]
#: Settings under which all stages take a few seconds.
QUICK = {
    "label": {"methods": ["dis"], "base": False},
    "train": {
        "unet": {"filters": [4, 8]},
        "training": {"pretrain_steps": 4, "finetune_steps": 2, "crop": 32, "batch": 2},
    },
}
#: Written by the network; equal to rounding of the training's arithmetic only.
NETWORK = {"flow", "flow_sd", "valid", "speed", "angle", "roi_feature", "roi_feature_sd"}

# Shared machines are slow at times; that is no fault of the code.
settings.register_profile("uemdask", deadline=None)
settings.load_profile("uemdask")


#: These take a run through its stages, start the command, a scheduler or a browser: seconds each.
SLOW = {"drive", "wedge", "uemdask", "foreign", "browser"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow what uses one of them; modules of other slow tests say so themselves."""
    for item in items:
        if SLOW.intersection(item.fixturenames):
            item.add_marker(pytest.mark.slow)


class Future:
    """Stands in for a future of Dask; its listener hears of the end, however soon it comes."""

    def __init__(self, key):
        self.key, self.status = key, "pending"
        self._answer = self._listener = None
        self._lock = threading.Lock()

    def do(self, task, *arguments):
        """Do a task, and end with what came of it."""
        try:
            self.end("finished", task(*arguments))
        except Exception as error:
            self.end("error", error)

    def end(self, status, answer=None):
        """End, and tell; an answer that is an error is raised, as one that was lost on its way."""
        with self._lock:
            self.status, self._answer, listener = status, answer, self._listener
        if listener is not None:
            listener(self)

    def result(self):
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def exception(self):
        return self._answer

    def add_done_callback(self, callback):
        with self._lock:
            self._listener, ended = callback, self.status != "pending"
        if ended:
            callback(self)


class InProcess:
    """Stands in for a Dask client: does every task in this process.

    `before(stage, region)` is called before each task and may raise in its stead.
    `play(future, do)` may call `do()` later, which does the task, or end the future otherwise.
    """

    def __init__(self, before=lambda stage, region: None, play=lambda future, do: do()):
        self.tasks, self.ended, self.keys = [], [], []
        self._before, self._play = before, play

    def submit(self, task, *arguments, key, pure, resources):
        assert not pure  # tasks write; Dask must not think that equal calls are one
        stage, region = ("train", "all")
        if getattr(task, "__name__", "") == "run_task":
            _, _, stage, _, region, _ = arguments
        self.tasks.append((stage, region))
        self.keys.append(key)

        def work():
            try:
                self._before(stage, region)
                return task(*arguments)
            finally:
                self.ended.append((stage, region))

        future = Future(key)
        self._play(future, lambda: future.do(work))
        return future

    def gather(self, futures, errors):
        return [future.result() for future in futures]

    @property
    def stages(self):
        return Counter(stage for stage, _ in self.tasks)


def _drive(plan, before=lambda stage, region: None, **options):
    client = InProcess(before)
    # The driver keeps two tasks a slot in flight: one at a time, so that all is in order.
    cluster = Cluster(client=client, dashboard="", cpu=Capacity(slots=0.5))
    outcome = Driver(plan, cluster, **{"back_off": 0.0} | options).run()
    return SimpleNamespace(outcome=outcome, tasks=client.tasks, stages=client.stages)


@pytest.fixture(scope="session")
def drive():
    """Return a function that takes a plan through its stages in this process."""
    return _drive


@pytest.fixture(scope="session")
def wedge(tmp_path_factory) -> Path:
    """Return a folder as docs and examples have it: `raw/wedge`, and `wedge.zarr` made from it."""
    folder = tmp_path_factory.mktemp("docs")
    wave = scenario("plane", shape=(64, 64), frames=45)
    write_acquisition(simulate(wave), folder / "raw" / "wedge")
    plan = plan_campaign(
        {
            "output": ".",
            "model": "new",
            "runs": [{"raw": "raw/wedge", "pixel_size": "12nm"}],
            "rois": THREE,
            "parameters": QUICK,
        },
        name="docs",
        folder=folder,
    )
    outcome = _drive(plan).outcome
    assert outcome.done == ["wedge"], outcome.failed
    return folder


@pytest.fixture(scope="session")
def in_process():
    """Return the stand-in for a Dask client that does every task in this process."""
    return InProcess


class Answers:
    """Counts the inputs of a property that give a result, and those that are refused in words."""

    def __init__(self):
        self._given = self._refused = 0

    def __call__(self, look):
        @wraps(look)
        def counted(*arguments, **options):
            try:
                look(*arguments, **options)
            except UemError:
                self._refused += 1
            else:
                self._given += 1

        return counted

    @property
    def share(self) -> float:
        return self._given / (self._given + self._refused)


@pytest.fixture(scope="session")
def damaged():
    """Return a strategy of a text in which a character is gone or another one, or none is."""

    def damaged(text: str) -> strategies.SearchStrategy[str]:
        def with_changes(changes):
            characters = list(text)
            for place, instead in changes:
                characters[place] = instead
            return "".join(characters)

        change = strategies.tuples(
            strategies.integers(0, len(text) - 1), strategies.text(max_size=1)
        )
        return strategies.lists(change, max_size=1).map(with_changes)

    return damaged


@pytest.fixture
def answers():
    """Return a decorator of what is tested for any input: whoever refuses all has told nothing."""
    return Answers()


def _command(*arguments: object, expect: int = 0, **options) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, and check its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "uemdask_cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=400,
        **options,
    )
    assert done.returncode == expect, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(name="uemdask", scope="session")
def _uemdask():
    return _command


def _lines(path: Path) -> list[dict[str, Any]]:
    """Give the lines of a file of JSON lines; what a kill or a full disk tore is passed over."""
    lines = []
    for text in path.read_text(errors="replace").splitlines() if path.exists() else []:
        with suppress(ValueError):
            lines.append(json.loads(text))
    return lines


@pytest.fixture(scope="session")
def json_lines():
    return _lines


@pytest.fixture(scope="session")
def done_tasks():
    """Give what the ledger of a store says of each task that ended well."""

    def tasks(store: Path) -> list[dict[str, Any]]:
        return [line for line in _lines(ledger_path(store)) if "receipt" in line]

    return tasks


def _receipts(store: Path) -> list[tuple[str, str, str]]:
    """Give stage, phase and region of every receipt."""
    return [
        (line["stage"], line["phase"], line["region"])
        for line in _lines(ledger_path(store))
        if "receipt" in line
    ]


def _same_arrays(one: Path, other: Path) -> None:
    left, right = (zarr.open_group(str(path), mode="r") for path in (one, other))
    assert set(left.array_keys()) == set(right.array_keys())
    for name, array in left.arrays():
        a, b = array[...], right[name][...]
        if name in NETWORK and a.dtype.kind == "f":
            scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.fixture(scope="session")
def receipts():
    """Return a function that gives stage, phase and region of every receipt of a store."""
    return _receipts


@pytest.fixture(scope="session")
def same_arrays():
    """Return a function that compares two stores: bit for bit, or closely behind the network."""
    return _same_arrays
