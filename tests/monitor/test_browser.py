"""The campaign page in a real browser, with its script and its policy in force."""

import shutil
import subprocess
import threading
import time

import pytest

from uemdask.monitor import scheduler_page
from uemdask.monitor.publishing import _show

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium in the PATH to look at the page with")
def test_the_page_renews_itself_in_a_browser(foreign, cluster, board, tmp_path):
    assert _show(foreign)
    names = ["<b>bold</b>".replace("/", "|"), "second"]
    made = board(names)
    made.cluster_is_up(cluster.dashboard, 4)
    made.phase_begins("second", "ingest", "frames", 1000, 0)
    over = threading.Event()

    def drive():
        while not over.wait(0.1):
            made.task_done("second", "ingest", "frames", {"seconds": 0.1})
            foreign.sync(
                getattr(foreign.scheduler, scheduler_page.NAME),
                key="browser",
                state=made.state().model_dump_json(),
            )

    driving = threading.Thread(target=drive)
    driving.start()
    try:
        time.sleep(0.5)
        address = f"{cluster.dashboard.rpartition('/')[0]}/uemdask?campaign=browser"
        done = subprocess.run(
            [
                BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000",
                "--dump-dom", address,
            ],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    finally:
        over.set()
        driving.join()
    assert "Content Security Policy" not in done.stderr  # the page keeps its own policy
    assert "CONSOLE" not in done.stderr
    page = done.stdout
    assert "&lt;b&gt;bold&lt;|b&gt;" in page
    assert 'id="silence" hidden' in page  # the script could fetch the page anew
    # Only the script takes this mark away, once it has put a newer state in place.
    assert 'data-first="yes"' not in page
