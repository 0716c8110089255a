"""A scheduler that knows nothing of uemdask, campaigns to show on it, and a browser."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from distributed import Client
from tornado.websocket import websocket_connect

from uemdask.execution import Cluster, plan_campaign
from uemdask.monitor.campaign_progress import CampaignProgress

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
def progress(tmp_path):
    """Return a function that makes the progress of a campaign whose runs have the given names."""

    def progress(names, name="ge"):
        (tmp_path / "raw").mkdir(exist_ok=True)
        runs = [{"raw": "raw", "name": run} for run in names]
        return CampaignProgress(plan_campaign({"runs": runs}, name=name, folder=tmp_path))

    return progress


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync",
    "disable-background-networking", "disable-component-update", "remote-debugging-port=0",
)  # fmt: skip


class Browser:
    """A headless Chromium, led through its DevTools protocol."""

    def __init__(self, folder: Path) -> None:
        flags = [f"--{flag}" for flag in (*FLAGS, f"user-data-dir={folder}")]
        self._process = subprocess.Popen(
            [CHROMIUM, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._loop, self._socket = asyncio.new_event_loop(), None
        self._asked, self._events = 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._socket is not None:
            self._loop.run_until_complete(self._say_goodbye())
        self._loop.close()
        self._process.terminate()
        self._process.wait(20)

    async def _say_goodbye(self) -> None:
        self._socket.close()
        await asyncio.sleep(0.1)

    def connect(self, folder: Path) -> None:
        port = folder / "DevToolsActivePort"
        self._until(lambda: port.exists() and port.read_text().count("\n"))
        address = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
        with urllib.request.urlopen(address, timeout=20) as answer:
            (tab,) = [tab for tab in json.load(answer) if tab["type"] == "page"]

        async def connect():
            return await websocket_connect(tab["webSocketDebuggerUrl"])

        self._socket = self._loop.run_until_complete(connect())
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, address: str) -> None:
        self._ask("Page.navigate", url=address)
        self._until(lambda: self.says("document.readyState") == "complete")

    def says(self, expression: str):
        """Return the value of an expression of JavaScript."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def wait(self, text: str, limit: float = 120) -> str:
        """Return all that the page shows, once it shows this text too."""
        self._until(lambda: text in self.text, limit)
        return self.text

    @property
    def text(self) -> str:
        return self.says("document.body.innerText")

    @property
    def complaints(self) -> list:
        """Errors of scripts and of the page's policy, and what was written to the console."""
        wanted = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
        return [event for event in self._events if event["method"] in wanted]

    @property
    def hosts(self) -> set:
        """Hosts that the page asked for anything."""
        asked = [e for e in self._events if e["method"] == "Network.requestWillBeSent"]
        return {urlsplit(event["params"]["request"]["url"]).hostname for event in asked}

    def _ask(self, method: str, **parameters):
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}

        async def ask():
            await self._socket.write_message(json.dumps(message))
            while (answer := json.loads(await self._socket.read_message())).get("id") is None:
                self._events.append(answer)
            return answer

        answer = self._loop.run_until_complete(ask())
        assert answer["id"] == self._asked
        return answer["result"]

    def _until(self, ready, limit: float = 60) -> None:
        end = time.monotonic() + limit
        while not ready():
            assert time.monotonic() < end, "the page does not come true in time"
            time.sleep(0.1)


@pytest.fixture
def browser(tmp_path):
    """Return a browser with nothing in it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium in the PATH to look at the page with")
    with Browser(tmp_path / "profile") as found:
        found.connect(tmp_path / "profile")
        yield found
