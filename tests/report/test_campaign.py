"""The page of a campaign: one line a run, whatever became of it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest

from uemdask.report import write_campaign_report

pytestmark = pytest.mark.slow

MakeRun = Callable[..., Path]


def test_a_campaign_has_a_line_for_every_run(make_run: MakeRun, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zarr"
    shutil.copytree(make_run(), broken)
    for chunk in (broken / "reference" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"not a chunk")
    out = write_campaign_report(
        [
            make_run(),
            make_run("half", upto="align"),
            make_run("Flügel <i> 3 & 4", upto="ingest"),
            tmp_path / "missing.zarr",
            broken,
        ],
        tmp_path / "campaign.html",
        {"half": "stage label: disk is full", "never <b>": "raw: no images"},
    )
    html = out.read_text(encoding="utf-8")
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)[1:]
    assert len(rows) == 6
    assert "3.000 ± 0.010" in rows[0]
    assert "20.0 – 30.0" in rows[0]
    assert "travelling (0.94)" in rows[0]
    assert "9 of 9" in rows[0]
    assert "failed: stage label: disk is full" in rows[1]
    assert "2 of 9" in rows[1]
    assert "Flügel &lt;i&gt; 3 &amp; 4" in rows[2]
    assert "no run here" in rows[3]
    assert "broken.zarr: &#39;reference&#39; cannot be read" in rows[4]
    assert "never &lt;b&gt;" in rows[5]
    assert "raw: no images" in rows[5]
    assert "6 runs, 1 complete, 4 failed" in html
    links = re.findall(r'href="(.*?)"', html)
    assert len(links) == 3
    for link in links:
        assert link.startswith("./")
        assert (tmp_path / unquote(link)).is_file()
    assert "http" not in html
    assert html.count("data:image/png;base64,") == 3


def test_pages_never_overwrite_each_other(make_run: MakeRun, tmp_path: Path) -> None:
    first, second = make_run("same", upto="ingest"), make_run("same", upto="align")
    out = write_campaign_report([first, second], tmp_path / "same.html")
    assert sorted(path.name for path in tmp_path.glob("*.html")) == [
        "same-2.html",
        "same-3.html",
        "same.html",
    ]
    assert "uemdask campaign" in out.read_text(encoding="utf-8")


def test_many_faults_do_not_break_the_table(tmp_path: Path) -> None:
    faults = "\n".join(f"  - frame_{i:04d}.tif: is empty <0 bytes>" for i in range(20))
    failures = {"bad": f"raw: 20 faults\n{faults}"}
    out = write_campaign_report([], tmp_path / "campaign.html", failures)
    html = out.read_text(encoding="utf-8")
    assert html.count("<tr") == 2
    assert "failed: raw: 20 faults</span>" in html
    assert "<summary>20 lines</summary>" in html
    assert html.count("<li>frame_00") == 20
    assert "is empty &lt;0 bytes&gt;" in html


def test_every_region_has_its_numbers(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(rois=("left half", "corner <b>", "mask"))
    out = write_campaign_report([run], tmp_path / "campaign.html")
    html = out.read_text(encoding="utf-8")
    found = re.findall(r'<td class="region">(.*?)</td>', html)
    assert found == ["left half", "corner &lt;b&gt;", "mask"]
    assert html.count("travelling (0.94)") == 3


def test_control_characters_do_not_reach_the_page(tmp_path: Path) -> None:
    out = write_campaign_report([], tmp_path / "c.html", {"a\x1b[2Jb": "raw\u202e\x07: no"})
    html = out.read_text(encoding="utf-8")
    assert "a\\u001b[2Jb" in html
    assert not set(html) & set("\x1b\x07\u202e")
