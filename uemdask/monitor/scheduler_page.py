"""What runs on the Dask scheduler: it keeps the newest state of each campaign, and shows it.

A scheduler that somebody else started may know nothing of uemdask, so this module and what it
needs of the package travel to it by value. They import nothing but what every scheduler has: Dask,
tornado and jinja2. They run no analysis and trust nothing that they are told: texts are escaped,
sizes are bounded.
"""

from __future__ import annotations

import json
import math
import socket
import time
from collections import OrderedDict
from typing import Any
from urllib.parse import urlencode

import jinja2
from tornado.web import Application, HTTPError, RequestHandler

from uemdask.execution.cluster.dashboard_access import is_foreign, refuse
from uemdask.monitor.curve_drawing import drawing
from uemdask.monitor.formatting import count, duration, phase, share, size
from uemdask.printable import printable

#: Campaigns that are kept; the one that was silent for longest goes first.
MOST_CAMPAIGNS = 8
#: Largest state that is taken, bytes.
LARGEST = 8 * 2**20
#: A driver that was silent for longer is taken to be gone, s.
SILENCE = 15.0
#: Runs on a page.
PAGE_RUNS = 50
#: Kinds of failures, runs of each kind, and trainings that are shown at the head.
SHOWN_FAILURES = 5
SHOWN_NAMES = 8
SHOWN_TRAININGS = 2
#: Name of the operation and of the place where the campaigns hang on the scheduler.
NAME = "uemdask_campaign"

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'"
    ),
}
_STATES = ("failed", "at work", "waiting", "done")


class Campaigns:
    """The newest state of each campaign, and when it came."""

    def __init__(self) -> None:
        self.states: OrderedDict[str, tuple[dict[str, Any], float]] = OrderedDict()

    def take(self, key: str, state: str) -> None:
        """Take in a state, JSON, under the key of its campaign."""
        if len(state) > LARGEST:
            raise ValueError(f"the state of a campaign is {len(state)} bytes long")
        found = json.loads(state)
        self.states.pop(key, None)
        self.states[key] = (found, time.monotonic())
        while len(self.states) > MOST_CAMPAIGNS:
            self.states.popitem(last=False)

    def give(self, key: str | None) -> tuple[str, dict[str, Any]] | None:
        """Return a campaign, the one heard last by default; its driver's age is that of now."""
        if key is None and self.states:
            key = next(reversed(self.states))
        if key is None or key not in self.states:
            return None
        state, came = self.states[key]
        driver = dict(state["driver"])
        driver["age"] = round(time.monotonic() - came, 1)
        driver["alive"] = driver["state"] == "at work" and driver["age"] < SILENCE
        return key, state | {"driver": driver}


def install(files: dict[str, str], hosts: tuple[str, ...] = (), dask_scheduler: Any = None) -> None:
    """Add the pages to a scheduler that runs, in place of those of an earlier call.

    They are shown under the names of its host, and under `hosts`.
    """
    campaigns = Campaigns()
    earlier = getattr(dask_scheduler, NAME, None)
    if earlier is not None:
        campaigns.states = earlier.states
    setattr(dask_scheduler, NAME, campaigns)

    async def take(key: str, state: str) -> None:
        campaigns.take(key, state)

    dask_scheduler.handlers[NAME] = take
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=printable
    )
    environment.filters.update(count=count, duration=duration, phase=phase, share=share, size=size)
    names = {socket.gethostname().lower(), socket.getfqdn().lower(), *hosts}
    kwargs = {
        "campaigns": campaigns,
        "page": environment.from_string(files["page.html"]),
        "files": files,
        "names": names,
    }
    # A scheduler may have its pages under a prefix.
    routes = [
        (rf"(?:/.*)?/uemdask{end}", handler, kwargs)
        for end, handler in (
            (r"/?", CampaignPage),
            (r"/campaign\.json", CampaignJson),
            (r"/(page\.css|page\.js)", PageFile),
        )
    ]
    pages = Application(routes)
    pages.settings[NAME] = True
    others = dask_scheduler.http_application.applications
    others[:] = [other for other in others if not other.settings.get(NAME)]
    dask_scheduler.http_application.add_application(pages)
    _link(dask_scheduler)


def _link(scheduler: Any) -> None:
    """Put the page among the links at the head of the dashboard's own pages."""
    try:
        from distributed.dashboard.scheduler import template_variables
    except ImportError:  # no Bokeh, no dashboard; the page is there all the same
        return
    pages = template_variables(scheduler)["pages"]
    if "uemdask" not in pages:
        pages.insert(0, "uemdask")


class _Handler(RequestHandler):
    """What the pages have in common."""

    def initialize(
        self, campaigns: Campaigns, page: jinja2.Template, files: dict[str, str], names: set[str]
    ) -> None:
        self.campaigns, self.page, self.files, self.names = campaigns, page, files, names

    def prepare(self) -> None:
        if is_foreign(self.request.headers, self.names, addresses=True):
            refuse(self)

    def set_default_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def campaign(self) -> tuple[str, dict[str, Any]] | None:
        return self.campaigns.give(self.get_query_argument("campaign", None))


class CampaignJson(_Handler):
    """The state as JSON."""

    def get(self) -> None:
        """Answer with the state of a campaign."""
        found = self.campaign()
        if found is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.write(json.dumps(found[1]))


class PageFile(_Handler):
    """Style sheet and script."""

    def get(self, name: str) -> None:
        """Answer with one of the files that came with the page."""
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.set_header("Cache-Control", "max-age=60")
        self.write(self.files[name])


class CampaignPage(_Handler):
    """The state as a page."""

    def get(self) -> None:
        """Answer with the page of a campaign."""
        found = self.campaign()
        # Links are relative, so that they hold behind any proxy.
        here = "" if self.request.path.endswith("/") else "uemdask/"
        if found is None:
            if self.campaigns.states:
                self.set_status(404)  # forgotten, or its driver has yet to begin: it renews itself
            self.write(self.page.render(state=None, here=here))
            return
        key, state = found
        wanted = self.get_query_argument("show", "")
        number = self.get_query_argument("page", "1")
        self.write(
            self.page.render(
                state=state,
                here=here,
                key=key,
                others=[
                    (urlencode({"campaign": other}), found["campaign"])
                    for other, (found, _) in self.campaigns.states.items()
                    if other != key
                ],
                table=table(state, wanted, int(number) if number.isdecimal() else 1, key),
                failures=failures(state["runs"], all_of_them=wanted == "failed"),
                trainings=shown_trainings(state["trainings"]),
            )
        )


def table(state: dict[str, Any], wanted: str, number: int, key: str) -> dict[str, Any]:
    """Return the runs of one page of the table, those that need attention first."""
    runs = sorted(state["runs"], key=lambda run: _STATES.index(run["state"]))
    wanted = wanted if wanted in _STATES else ""
    chosen = [run for run in runs if not wanted or run["state"] == wanted]
    pages = max(1, math.ceil(len(chosen) / PAGE_RUNS))
    number = min(max(number, 1), pages)
    first = (number - 1) * PAGE_RUNS

    def address(**query: str | int) -> str:
        return "?" + urlencode({"campaign": key} | {k: v for k, v in query.items() if v})

    counts = state["totals"]
    filters = [("", "all", counts["runs"])]
    filters += [(name, name, counts[name.replace(" ", "_")]) for name in _STATES]
    return {
        "rows": chosen[first : first + PAGE_RUNS],
        "stages": [stage["stage"] for stage in state["stages"]],
        "first": first + 1,
        "last": min(first + PAGE_RUNS, len(chosen)),
        "total": len(chosen),
        "number": number,
        "pages": pages,
        "before": address(show=wanted, page=number - 1) if number > 1 else "",
        "after": address(show=wanted, page=number + 1) if number < pages else "",
        "failed": address(show="failed"),
        "filters": [
            (address(show=name), text, found, name == wanted) for name, text, found in filters
        ],
    }


def failures(runs: list[dict[str, Any]], *, all_of_them: bool) -> dict[str, Any]:
    """Return the failures; runs that failed in one stage with one message stand together."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run["failed"]:
            kinds.setdefault((run["failed_stage"], run["failed"]), []).append(run["run"])
    most = PAGE_RUNS if all_of_them else SHOWN_FAILURES
    shown = [
        {
            "stage": stage,
            "message": message,
            "runs": names[:SHOWN_NAMES],
            "more": names[SHOWN_NAMES:],
        }
        for (stage, message), names in list(kinds.items())[:most]
    ]
    return {"shown": shown, "kinds_left": max(0, len(kinds) - most)}


def shown_trainings(trainings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest trainings with their drawings, those at work first."""
    newest = trainings[::-1]
    newest.sort(key=lambda training: training["done"])
    return [
        training | {"drawing": drawing(training["curves"])} for training in newest[:SHOWN_TRAININGS]
    ]
