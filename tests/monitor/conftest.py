"""A scheduler that knows nothing of uemdask, and campaigns to show on it."""

from __future__ import annotations

import subprocess
import sys
import urllib.request

import pytest
from distributed import Client

from uemdask.execution import Cluster, plan_campaign
from uemdask.monitor.board import Board

#: A scheduler in whose process uemdask cannot be imported, as one that somebody else started.
FOREIGN = """
import asyncio, sys
sys.modules["uemdask"] = None
from distributed import Scheduler
async def main():
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(main())
"""


@pytest.fixture(scope="session")
def foreign():
    """Return the client of a scheduler without uemdask."""
    with subprocess.Popen([sys.executable, "-c", FOREIGN], stdout=subprocess.PIPE, text=True) as it:
        with Client(it.stdout.readline().strip(), set_as_default=False) as client:
            yield client
        it.terminate()


@pytest.fixture
def cluster(foreign):
    """Return the cluster of that scheduler; it has no workers."""
    return Cluster(foreign, foreign.dashboard_link, 4, False, 1)


@pytest.fixture
def get():
    """Return a function that fetches an address: status, headers, text."""

    def get(address):
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()

    return get


@pytest.fixture
def board(tmp_path):
    """Return a function that makes the board of a campaign whose runs have the given names."""

    def board(names, name="ge"):
        (tmp_path / "raw").mkdir(exist_ok=True)
        runs = [{"raw": "raw", "name": run} for run in names]
        return Board(plan_campaign({"runs": runs}, name=name, folder=tmp_path))

    return board
