"""Where the state of a campaign goes: a file beside the results, and the Dask scheduler."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cloudpickle
from distributed import Client

from uemdask import printable
from uemdask.atomic_write import atomic_write
from uemdask.execution.campaign import Plan
from uemdask.execution.cluster import Cluster, dashboard_access
from uemdask.execution.listeners import Listener, ListenerPair
from uemdask.monitor import curve_drawing, formatting, scheduler_page
from uemdask.monitor.campaign_progress import CampaignProgress
from uemdask.monitor.state import CampaignState

_LOG = logging.getLogger(__name__)
#: The scheduler is told at most this often, s.
_EVERY = 1.0
#: The file is written at most this often, s: parallel file systems do not like small writes.
FILE_EVERY = 4.0
#: Telling takes at most this share of the driver's time, as long as it is heard often enough.
_SHARE, _LONGEST = 0.05, 5.0
#: What is pickled by value.
_TRAVELLERS = (scheduler_page, curve_drawing, formatting, dashboard_access, printable)


def progress_path(plan: Plan) -> Path:
    """Return the file in which a driver says how far it is."""
    return plan.output / f"{plan.name}.progress.json"


@contextmanager
def monitored(
    plan: Plan, cluster: Cluster, listener: Listener, *, only: Sequence[str] = ()
) -> Iterator[Listener]:
    """Show a campaign on the scheduler's dashboard and in a file while a driver is at work.

    Parameters
    ----------
    plan : Plan
        The campaign.
    cluster : Cluster
        Where its tasks run.
    listener : Listener
        Hears everything too, and the address of the page.
    only : sequence of str
        As for the driver.

    Yields
    ------
    Listener
        To be given to the driver.
    """
    progress = CampaignProgress(plan, only)
    key = _key(plan)
    shown = _show(cluster.client, cluster.dashboard_hosts)
    if shown:
        progress.page = page_address(cluster.dashboard, key)
        listener.notice(f"campaign page: {progress.page}")
    else:
        listener.notice("no campaign page: the scheduler takes none; 'uemdask status' shows all")
    publisher = _Publisher(progress, progress_path(plan), cluster.client if shown else None, key)
    publisher.start()
    try:
        yield ListenerPair(listener, progress)
    except BaseException:
        progress.ends("stopped")
        raise
    else:
        progress.ends("ended")
    finally:
        publisher.end()


def page_address(dashboard: str, key: str) -> str:
    """Return where the page of a campaign is, beside the dashboard.

    Examples
    --------
    >>> page_address("http://127.0.0.1:8787/status", "ab12")
    'http://127.0.0.1:8787/uemdask?campaign=ab12'
    """
    return f"{dashboard.rpartition('/')[0]}/uemdask?campaign={key}"


def _key(plan: Plan) -> str:
    """Return a short name of the campaign that no other one on the scheduler has."""
    text = f"{plan.output.absolute()}\n{plan.name}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _show(client: Client, hosts: Sequence[str] = ()) -> bool:
    """Add the pages to the scheduler, which need not know uemdask."""
    here = Path(__file__).parent
    report = here.parent / "report"
    files = {name: (here / name).read_text(encoding="utf-8") for name in ("page.html", "page.js")}
    files["page.css"] = "\n".join(
        path.read_text(encoding="utf-8") for path in (report / "style.css", here / "page.css")
    )
    for module in _TRAVELLERS:
        cloudpickle.register_pickle_by_value(module)
    try:
        client.run_on_scheduler(scheduler_page.install, files, tuple(hosts))
    except Exception as error:
        # A campaign must not fail because it cannot be watched.
        _LOG.debug("no campaign page", exc_info=error)
        return False
    finally:
        for module in _TRAVELLERS:
            cloudpickle.unregister_pickle_by_value(module)
    return True


class _Publisher(threading.Thread):
    """Tells the progress again and again; the driver never waits for it."""

    def __init__(
        self, progress: CampaignProgress, path: Path, client: Client | None, key: str
    ) -> None:
        super().__init__(name="uemdask-publisher", daemon=True)
        self._progress, self._path, self._client, self._key = progress, path, client, key
        self._over = threading.Event()
        self._written = 0.0

    def run(self) -> None:
        """Tell it until the end."""
        pause = _EVERY
        while not self._over.wait(pause):
            begun = time.monotonic()
            self._tell()
            pause = min(max(_EVERY, (time.monotonic() - begun) / _SHARE), _LONGEST)

    def end(self) -> None:
        """Tell it for the last time."""
        self._over.set()
        self.join()
        self._written = 0.0
        self._tell()

    def _tell(self) -> None:
        if not self._progress.is_up:
            return  # another driver may have the runs
        try:
            state = self._progress.state()
            if time.monotonic() - self._written >= FILE_EVERY:
                write_progress(self._path, state)
                self._written = time.monotonic()
            # One that is lost would be waited for.
            if self._client is not None and self._client.status == "running":
                send = getattr(self._client.scheduler, scheduler_page.NAME)
                self._client.sync(
                    send, key=self._key, state=state.model_dump_json(), callback_timeout=30
                )
        except Exception as error:
            # Disk full: the driver will meet it and say so.
            _LOG.debug("state of the campaign not told", exc_info=error)


def write_progress(path: Path, state: CampaignState) -> None:
    """Write the file, so that whoever reads finds it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, settled=False) as file:  # the next one comes in seconds
        file.write(state.model_dump_json().encode())
