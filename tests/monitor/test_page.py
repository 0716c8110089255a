"""The campaign page on a scheduler that runs in a process of its own and has no uemdask."""

import json
import re
import socket
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser

import pytest

from uemdask.cube import STAGES
from uemdask.execution import plan_campaign
from uemdask.execution.listeners import NullListener
from uemdask.monitor import CampaignState, monitored, scheduler_page
from uemdask.monitor.publishing import _show

NASTY = "<script>alert('1')</script> & \"x\"><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.text, self.attributes = [], [], "", set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}
        self.addresses += [value for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


def send(client, key, state):
    client.sync(getattr(client.scheduler, scheduler_page.NAME), key=key, state=state)


@pytest.fixture
def root(cluster):
    return cluster.dashboard.rpartition("/")[0]


@pytest.fixture
def show(foreign):
    """Return a function that sends the state of a campaign to the scheduler."""
    assert _show(foreign)

    def show(progress, key="k"):
        progress.cluster_is_up("", 4)
        send(foreign, key, progress.state().model_dump_json())

    return show


class Hears(NullListener):
    def __init__(self):
        self.notices = []

    def notice(self, text):
        self.notices.append(text)


def test_a_driver_is_followed_on_page_and_json(cluster, get, tmp_path):
    (tmp_path / "raw").mkdir()
    plan = plan_campaign({"runs": [{"raw": "raw"}]}, name="raw", folder=tmp_path)
    hears = Hears()
    with monitored(plan, cluster, hears) as told:
        (notice,) = hears.notices
        address = notice.removeprefix("campaign page: ")
        assert address.startswith("http://127.0.0.1:")
        told.cluster_is_up(cluster.dashboard, 4)
        told.phase_begins("raw", "ingest", "frames", 2, 0)
        told.task_done("raw", "ingest", "frames", {"seconds": 0.5, "bytes": 10})
        deadline = time.monotonic() + 20
        while True:
            try:
                _, headers, text = get(address.replace("uemdask?", "uemdask/campaign.json?"))
                break
            except urllib.error.HTTPError:  # not told yet
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        state = CampaignState.model_validate(json.loads(text))
        assert state.runs[0].stages["ingest"] == 0.75
        assert state.driver.alive
        status, _, page = get(address)
        assert (status, "75 %" in page, "at work" in page) == (200, True, True)
    state = CampaignState.model_validate_json((tmp_path / "results/raw.progress.json").read_text())
    assert (state.driver.state, state.driver.alive) == ("ended", False)
    assert "The driver ended" in get(address)[2]


def test_a_driver_that_fails_was_stopped(cluster, tmp_path):
    (tmp_path / "raw").mkdir()
    plan = plan_campaign({"runs": [{"raw": "raw"}]}, name="raw", folder=tmp_path)

    def interrupted():
        with monitored(plan, cluster, NullListener()) as told:
            told.cluster_is_up("", 4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    state = CampaignState.model_validate_json((tmp_path / "results/raw.progress.json").read_text())
    assert state.driver.state == "stopped"


def test_a_driver_that_was_refused_tells_nothing(cluster, tmp_path):
    (tmp_path / "raw").mkdir()
    plan = plan_campaign({"runs": [{"raw": "raw"}]}, name="raw", folder=tmp_path)
    with pytest.raises(ValueError, match="another"), monitored(plan, cluster, NullListener()):
        raise ValueError("another driver has the runs")
    assert not (tmp_path / "results").exists()


def test_names_and_messages_are_text(show, progress, root, get):
    made = progress([NASTY.replace("/", "|"), "ok"], name=NASTY)
    made.run_failed("ok", "ingest", NASTY)
    show(made, "nasty")
    _, headers, text = get(f"{root}/uemdask?campaign=nasty")
    page = Page(text)
    assert page.tags.count("script") == 1  # our own file
    assert "img" not in page.tags
    assert not {name for name in page.attributes if name.startswith("on")}
    assert NASTY in page.text
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_needs_nothing_from_elsewhere_and_no_script(show, progress, root, get):
    show(progress(["a", "b"]))
    text = get(f"{root}/uemdask")[2]
    page = Page(text)
    assert not [a for a in page.addresses if ":" in a or a.startswith("/")]
    assert "style" not in page.tags
    assert "style" not in page.attributes  # the policy forbids both
    assert all(stage in page.text for stage in STAGES)  # all there without the script
    assert '<noscript><meta http-equiv="refresh"' in text
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        status, headers, content = get(f"{root}/uemdask/{name}")
        assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert content
        assert not re.search(r"https?:|@import|url\(", content)


@pytest.mark.parametrize("end", ["", "/"])
def test_its_files_are_found_with_and_without_a_slash(show, progress, root, get, end):
    from urllib.parse import urljoin

    show(progress(["a"]))
    page = Page(get(f"{root}/uemdask{end}")[2])
    for address in page.addresses:
        assert get(urljoin(f"{root}/uemdask{end}", address))[0] == 200


def test_the_dashboard_leads_to_it_and_still_works(show, root, get):
    assert '<a href="uemdask">Uemdask</a>' in get(f"{root}/status")[2]
    assert get(f"{root}/json/counts.json")[0] == 200
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{root}/nothing-here")


def test_many_runs_come_in_pages_those_that_failed_first(show, progress, root, get):
    made = progress([f"run{i:04d}" for i in range(1000)])
    made.run_failed("run0700", "align", "broken")
    show(made, "many")
    first, last = (get(f"{root}/uemdask?campaign=many&page={n}")[2] for n in (1, 999))
    assert first.count('data-stage="ingest"') == scheduler_page.PAGE_RUNS
    assert first.index("run0700") < first.index("run0000")
    assert "951–1000 of 1000" in last
    assert "run0999" in last
    failed = get(f"{root}/uemdask?campaign=many&show=failed")[2]
    assert failed.count('data-stage="ingest"') == 1
    assert len(first) < 100_000


def test_runs_that_failed_alike_stand_together(show, progress, root, get):
    made = progress([f"run{i:04d}" for i in range(40)])
    for number in range(12):
        made.run_failed(f"run{number:04d}", "flow", "the disk is full")
    for number in range(20, 30):
        made.run_failed(f"run{number:04d}", "ingest", f"frame_{number}.tif is truncated")
    show(made, "failures")
    page = Page(get(f"{root}/uemdask?campaign=failures")[2]).text
    assert page.count("the disk is full") == 1
    assert "run0007 and 4 more flow the disk is full" in page
    assert page.count("is truncated") == scheduler_page.SHOWN_FAILURES - 1
    assert "6 more; uemdask status" in page
    page = Page(get(f"{root}/uemdask?campaign=failures&show=failed")[2]).text
    assert page.count("is truncated") == 10


@pytest.mark.parametrize("query", ["page=-1", "page=x", "page=%00", "show=%3Cb%3E", "page=9e9"])
def test_any_query_is_answered(show, progress, root, get, query):
    show(progress(["a"]))
    assert get(f"{root}/uemdask?{query}")[0] == 200


def test_a_silent_driver_is_said_to_be(show, progress, root, get, foreign):
    show(progress(["a"]), "silent")
    assert "was last heard" not in get(f"{root}/uemdask?campaign=silent")[2]

    def long_ago(dask_scheduler):
        states = dask_scheduler.uemdask_campaign.states
        state, came = states["silent"]
        states["silent"] = (state, came - 240)

    foreign.run_on_scheduler(long_ago)
    assert "was last heard 4 min ago" in get(f"{root}/uemdask?campaign=silent")[2]
    driver = json.loads(get(f"{root}/uemdask/campaign.json?campaign=silent")[2])["driver"]
    assert driver["alive"] is False
    assert 240 <= driver["age"] < 260


def test_campaigns_stand_side_by_side_and_a_second_driver_keeps_them(
    show, progress, root, get, foreign
):
    for number in range(scheduler_page.MOST_CAMPAIGNS + 2):
        show(progress(["a", "b"], name=f"c{number}"), f"k{number}")
    assert _show(foreign)  # the pages are put in place again, not beside
    assert "c9" in get(f"{root}/uemdask")[2]
    assert "<h1>c5</h1>" in get(f"{root}/uemdask?campaign=k5")[2]
    with pytest.raises(urllib.error.HTTPError, match="404"):  # the oldest are forgotten
        get(f"{root}/uemdask?campaign=k0")


def test_a_state_that_is_too_large_is_refused(show, foreign):
    with pytest.raises(ValueError, match="bytes long"):
        send(foreign, "big", "x" * (scheduler_page.LARGEST + 1))


def test_a_training_is_drawn(show, progress, root, get):
    made = progress(["a"])
    made.phase_begins("ge", "train", "model", 1, 0)
    for step in range(1, 500):
        entry = {"step": step, "steps": 600, "phase": "pretrain", "loss": 1 / step}
        made.training(
            "ge", entry | {"images_per_second": 12.0, "seconds_left": 100.0, "device": "A GPU."}
        )
    show(made, "train")
    text = get(f"{root}/uemdask?campaign=train")[2]
    (points,) = re.findall(r'<polyline class="curve" points="([^"]+)"', text)
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert heights == sorted(heights)  # downwards on the page: the loss falls
    assert "12 images/s" in text
    assert "A GPU." in text
    assert "499 of 600 (pre-training)" in text


def test_a_foreign_page_gets_nothing(progress, show, root):
    show(progress(["a"]))
    for path in ("/uemdask", "/uemdask/campaign.json", "/uemdask/page.js"):
        for headers in (
            {"Host": "site.example:8787"},
            {"Origin": "http://site.example"},
            {"Origin": "null"},
        ):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(urllib.request.Request(root + path, headers=headers))
        for host in ("localhost:9999", socket.gethostname(), "10.0.0.7:8787"):
            asked = urllib.request.Request(root + path, headers={"Host": host})
            with urllib.request.urlopen(asked) as answer:
                assert answer.status == 200


def test_control_characters_of_names_and_messages_are_spelled_out(progress, show, root, get):
    found = progress(["a\x1b[2Jb"])
    found.run_failed("a\x1b[2Jb", "ingest", "f\x9b31m\u202e.tif: is empty")
    show(found)
    _, _, text = get(f"{root}/uemdask?campaign=k")
    assert "a\\u001b[2Jb" in text
    assert "f\\u009b31m\\u202e.tif" in text
    assert not set(text) & set("\x1b\x9b\u202e")
