"""The campaign page in a real browser, with its script and its policy in force."""

import os
import subprocess
import sys

import pytest
from distributed import LocalCluster

from uemdask.cube import STAGES
from uemdask.monitor import scheduler_page
from uemdask.monitor.publishing import _show
from uemdask.simulate import scenario, simulate, write_acquisition

pytestmark = pytest.mark.slow

NASTY = "<script>document.title = 'taken over'</script><img src=x onerror=alert(1)>"


def test_a_page_renews_itself_and_takes_names_as_text(foreign, cluster, progress, browser):
    assert _show(foreign)
    made = progress([NASTY.replace("/", "|"), "second"], name=NASTY)
    made.cluster_is_up(cluster.dashboard, 4)
    made.phase_begins(NASTY, "train", "model", 1, 0)
    entry = {"steps": 90, "phase": "pretrain", "loss": 1.0, "device": NASTY}

    def tell(step):
        made.training(NASTY, entry | {"step": step})
        foreign.sync(
            getattr(foreign.scheduler, scheduler_page.NAME),
            key="browser",
            state=made.state().model_dump_json(),
        )

    tell(10)
    browser.open(f"{cluster.dashboard.rpartition('/')[0]}/uemdask?campaign=browser")
    assert "10 of 90 (pre-training)" in browser.text
    made.run_failed("second", "ingest", NASTY)
    tell(50)
    text = browser.wait("50 of 90 (pre-training)")  # its script put the newer state in place
    assert text.count(NASTY) >= 3  # the campaign, its device, the failure
    assert browser.says("document.querySelectorAll('polyline').length") == 1
    assert browser.says("document.title").startswith("0/2 ✗1 <script>")
    assert browser.says("document.querySelectorAll('main script, main img').length") == 0
    assert browser.says("document.getElementById('silence').hidden")
    assert browser.complaints == []  # the page keeps its own policy
    assert browser.hosts == {"127.0.0.1"}


@pytest.fixture
def workers():
    """Return a cluster that stays when the driver has gone."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as found:
        yield found


def test_a_campaign_is_watched_from_begin_to_end(workers, browser, tmp_path):
    for name, seed in (("Keil groß", 1), ("Keil klein", 2), ("broken", 3)):
        made = simulate(scenario("plane", shape=(64, 64), frames=20, seed=seed))
        write_acquisition(made, tmp_path / "raw" / name)
    frame = tmp_path / "raw" / "broken" / "frame_0010.tif"
    os.truncate(frame, frame.stat().st_size // 2)
    (tmp_path / "ge.yaml").write_text("runs: [{raw: raw/*}]\n")
    (tmp_path / "here.yaml").write_text(
        f"{{kind: existing, address: '{workers.scheduler_address}'}}\n"
    )
    command = ["run", "ge.yaml", "--cluster", "here.yaml", "--only", "ingest", "--only", "align"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "uemdask_cli", *command],
        cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as driver:  # fmt: skip
        said = iter(driver.stdout)
        notice = next(line for line in said if "campaign page: " in line)
        browser.open(notice.split("campaign page: ")[1].strip())
        browser.wait("of 3")  # it came with the first state
        rest = "".join(said)
    assert driver.returncode == 1, rest
    text = browser.wait("The driver ended")
    assert "2 of 3 runs are done, 1 failed" in text
    assert "frame_0010.tif" in text
    assert all(stage in text for stage in STAGES[:2])
    rows = [line for line in text.splitlines() if "\t✓" in line or "\t✗" in line]
    assert [row.split("\t")[:3] for row in rows if row.count("\t") == 2] == [
        ["broken", "✗", "–"], ["Keil groß", "✓", "✓"], ["Keil klein", "✓", "✓"],
    ]  # fmt: skip
    assert browser.complaints == []
    assert browser.hosts == {"127.0.0.1"}
