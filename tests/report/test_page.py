"""The page of a run: its numbers, its pictures, and that it needs nothing but itself."""

import base64
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import matplotlib.image
import pytest

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.ledger import Ledger
from uemdask.report import write_report
from uemdask.report.page import measured, report_data_of
from uemdask.report.sections import read_history, sections_of
from uemdask.report.style import figure_style

pytestmark = pytest.mark.slow

MakeRun = Callable[..., Path]
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """Text, tags and attributes of a page; fails where elements are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def all(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


def page_of(store: Path, tmp_path: Path) -> tuple[Page, str]:
    out = write_report(store, tmp_path / "page.html")
    html = out.read_text(encoding="utf-8")
    return Page(html), html


@pytest.fixture(scope="module")
def whole(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str]:
    """Page of a run with all stages done."""
    return page_of(make_run(), tmp_path_factory.mktemp("page"))


def test_the_headline_has_the_numbers_of_the_wave(whole: tuple[Page, str]) -> None:
    page, _ = whole
    for text in (
        "3.000 ± 0.010 nm/ps region mask, mean over 0 to 100 ps (20 of 23 pairs)",
        "30.00 ± 0.10 ° anticlockwise from +x of the image; spread within the region ± 0.8°",
        "25.00 GHz",
        "band 20.0 to 30.0 GHz",
        "120 nm mean over the same delays",
        "travelling probability 0.94",
        "100 % of the main region",
        "flow over the same pairs 3 nm/ps (+0.0%); slope of the fronts at",
        "Frames 24 -15 to 100 ps, 3 before time zero",
        "Pairs 23",
        "Ge wedge",
    ):
        assert text in page.text


def test_nothing_is_fetched_from_anywhere(whole: tuple[Page, str]) -> None:
    page, html = whole
    assert "http" not in html.lower()
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    for attribute in ("src", "href", "xlink:href"):
        for value in page.all(attribute):
            assert value.startswith(("#", "data:image/png;base64,"))
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", html))


def test_every_reference_has_one_target(whole: tuple[Page, str]) -> None:
    page, html = whole
    identifiers = page.all("id")
    assert len(identifiers) == len(set(identifiers))
    wanted = [v for name in ("href", "xlink:href") for v in page.all(name) if v.startswith("#")]
    wanted += re.findall(r"url\((#.*?)\)", html)
    assert len(wanted) > 50
    assert {value[1:] for value in wanted} <= set(identifiers)


def test_all_pictures_decode(whole: tuple[Page, str]) -> None:
    _, html = whole
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", html)
    assert len(pictures) >= 14  # maps, film strip, colour bars, space-time plot
    for picture in pictures:
        image = matplotlib.image.imread(BytesIO(base64.b64decode(picture)), format="png")
        assert image.ndim == 3
        assert max(image.shape) <= 2048


def test_pictures_stand_in_the_order_of_the_questions(whole: tuple[Page, str]) -> None:
    page, _ = whole
    assert [label for label in page.all("aria-label") if label[0].isupper()][2:] == [
        "Reference image",
        "Wavelength map",
        "Peak maps",
        "Distribution of peaks and mean spectrum",
        "Frames of the wave",
        "Strength of the wave and share of valid pixels",
        "Speed, direction and uncertainty",
        "Speed and direction of each region",
        "Space-time plot",
        "Drift and brightness",
        "Training curves",
    ]


@pytest.mark.parametrize("upto", ["ingest", "label", "flow"])
def test_a_run_that_has_come_this_far_has_a_page(
    upto: str, make_run: MakeRun, tmp_path: Path
) -> None:
    page, _ = page_of(make_run(upto=upto), tmp_path)
    assert f"Stages not done yet: {', '.join(STAGES[STAGES.index(upto) + 1 :])}" in page.text
    assert ("Reference: mean of the aligned frames" in page.text) == (upto != "ingest")
    assert "Frames 24" in page.text


def test_variables_of_an_unfinished_stage_are_not_shown(make_run: MakeRun, tmp_path: Path) -> None:
    store = tmp_path / "half.zarr"
    shutil.copytree(make_run(upto="label"), store)
    run = Run(store)
    run.begin("train", digest="", parameters={})
    run.finish("train")
    run.begin("flow", digest="", parameters={})
    for name in ("flow", "flow_sd", "valid"):
        run.create(name, run.sizes | {"component": 2})
    found = report_data_of(run)
    assert found.motion is None
    assert found.missing == ["flow", "feature", "mode"]


def test_names_are_escaped_and_umlauts_kept(make_run: MakeRun, tmp_path: Path) -> None:
    store = make_run(
        "Flügel <i> 3 & 4",
        rois=("<b>Kante</b>", "größer"),
        metadata=(("operator", "Jürgen <script>alert(1)</script>"), ("vendor", {"<u>": "µm"})),
        flagged=((7, "blank <img src=x>"),),
    )
    page, html = page_of(store, tmp_path)
    for tag in ("script", "b", "i", "u", "img"):
        assert tag not in page.tags
    for text in (
        "Flügel <i> 3 & 4",
        "<b>Kante</b>",
        "größer",
        "Jürgen <script>alert(1)</script>",
        "blank <img src=x>",
        '"<u>": "µm"',
    ):
        assert text in page.text
    assert '<meta charset="utf-8">' in html


def test_a_reader_is_warned(make_run: MakeRun, tmp_path: Path) -> None:
    store = tmp_path / "sick.zarr"
    flagged = ((3, "blank: all pixels are equal"), (9, "saturated: 5% of the pixels"))
    shutil.copytree(make_run("sick", upto="align", first=5.0, flagged=flagged), store)
    Ledger(store, "").failed(
        stage="spectrum", phase="map", region="", message="no space is left", trace=""
    )
    page, _ = page_of(store, tmp_path)
    warnings = page.text[: page.text.index("Stages not done yet")]
    assert "Stage spectrum failed: no space is left" in warnings
    assert "No frame before time zero" in warnings
    assert "2 flagged frames are left out of 24" in warnings
    assert "saturated: 5% of the pixels frame_0009.tif" in page.text


def test_a_drift_table_of_the_user_is_named_and_judged(make_run: MakeRun, tmp_path: Path) -> None:
    store = tmp_path / "table.zarr"
    shutil.copytree(make_run(upto="align"), store)
    run = Run(store)
    run.note("align", parameters={"drift_table": "/beamtime/mine.csv"})
    page, _ = page_of(store, tmp_path)
    assert "Drift is that of your table mine.csv." in page.text
    assert "by your drift table, which was not checked" in page.text
    run.note("align", results={"table_left_px": [0.11, 2.5, 5.0], "warnings": []})
    page, _ = page_of(store, tmp_path)
    assert "about 0.11 px rms are left, 2.5 px without it" in page.text
    run.note("align", results={"warnings": ["the drift table makes the series less steady"]})
    page, _ = page_of(store, tmp_path)
    assert "The drift table makes the series less steady." in page.text


def test_a_failure_that_was_mended_is_not_shown(make_run: MakeRun, tmp_path: Path) -> None:
    store = tmp_path / "mended.zarr"
    shutil.copytree(make_run(), store)
    Ledger(store, "").failed(stage="label", phase="", region="", message="no space", trace="")
    found = report_data_of(Run(store))
    assert found.failure is None
    assert found.warnings == []


def test_no_travelling_wave(make_run: MakeRun, tmp_path: Path) -> None:
    page, _ = page_of(make_run("calm", valid=False, mode="none", found=False), tmp_path)
    assert "No speed found: no frequency stands out of the spectrum." in page.text
    assert "Speed none region mask: no frequency stands out of the spectrum" in page.text
    assert "NaN" not in page.text


def test_a_wave_that_stands_is_the_cause_of_no_speed(make_run: MakeRun) -> None:
    found = report_data_of(Run(make_run("stand", mode="standing", valid=False, standing=True)))
    assert found.warnings == [
        "No speed found: the wave does not travel (standing; travel index 0.05)."
    ]
    verdicts = {check.question: check.verdict for check in found.checks}
    assert verdicts["Is there a speed?"] == "bad"
    assert verdicts["Does the wave travel?"] == "bad"


def test_a_mode_that_hides_what_travels_is_told_with_it(make_run: MakeRun) -> None:
    found = report_data_of(Run(make_run("part", mode="standing")))
    (check,) = (check for check in found.checks if check.question == "Does the wave travel?")
    assert check.answer.startswith("standing, but 100 % of its pixels travel")
    assert check.verdict == "look"
    assert any("counts as standing, but 100 % of its pixels travel" in w for w in found.warnings)


def test_a_mode_that_travels_without_a_valid_pixel_is_no_good(make_run: MakeRun) -> None:
    found = report_data_of(Run(make_run("none valid", valid=False)))
    verdicts = {check.question: check.verdict for check in found.checks}
    assert verdicts["Does the wave travel?"] == verdicts["Is there a speed?"] == "bad"


def test_a_ring_has_no_single_direction(make_run: MakeRun, tmp_path: Path) -> None:
    page, _ = page_of(make_run("rings", spread=67.0), tmp_path)
    assert (
        "Direction many ways fronts bend or run in rings: directions spread by ± 67°" in page.text
    )
    assert "30.00 ± 0.10" not in page.text


def test_a_headline_that_is_not_made_yet_is_asked_for(make_run: MakeRun, tmp_path: Path) -> None:
    store = tmp_path / "old.zarr"
    shutil.copytree(make_run(), store)
    for name in Run(store).group.array_keys():
        if name.startswith("roi_") and name[4:] not in ("feature", "feature_sd", "outline"):
            shutil.rmtree(store / name)
    Run(store).consolidate()
    page, _ = page_of(store, tmp_path)
    assert "Speed not made yet make it with uemdask run --only feature" in page.text


def test_what_cannot_be_told_is_hatched(make_run: MakeRun) -> None:
    found = report_data_of(Run(make_run("early", first=-60.0, frames=32)))
    assert found.leaked is not None
    delays = found.delays[found.leaked]
    assert delays.size
    assert (delays < 0).all()
    with figure_style():
        captions = [f.caption for s in sections_of(found) for f in s.figures]
    assert sum("Hatched: before time zero" in caption for caption in captions) == 2


def test_numbers_and_their_units_stay_in_one_line(whole: tuple[Page, str]) -> None:
    _, html = whole
    body = re.sub(r"<(svg|style).*?</\1>|<details>.*?</details>", "", html, flags=re.DOTALL)
    assert not re.findall(r"\d (?:nm|ps|GHz|px|±|°)(?!\w)|± \d", body)


def test_a_wrong_network_is_found_out(make_run: MakeRun) -> None:
    found = report_data_of(Run(make_run("wrong", flow_angle=80.0)))
    assert any("does not agree with the phase gradient" in text for text in found.warnings)
    assert "50° apart" in " ".join(check.answer for check in found.checks)


def test_the_plot_and_the_phase_gradient_agree_with_the_truth(make_run: MakeRun) -> None:
    found = report_data_of(Run(make_run()))
    assert found.gradient is not None
    assert found.slope is not None
    assert found.gradient.speed == pytest.approx(3.0, rel=0.03)
    assert found.gradient.angle == pytest.approx(30.0, abs=2.0)
    assert found.slope.speed == pytest.approx(3.0, rel=0.05)
    assert found.strip_speed == pytest.approx(3.0, rel=0.001)
    assert [check.verdict for check in found.checks] == ["good"] * len(found.checks)
    assert len(found.checks) == 13


def test_training_history_and_guard(
    whole: tuple[Page, str], make_run: MakeRun, tmp_path: Path
) -> None:
    page, _ = whole
    assert (
        "the fine-tuned weights were kept; error on held-out crops 0.250 px before and 0.125 px "
        "after fine-tuning" in page.text
    )
    # The last line of the history was torn by a kill.
    assert len(read_history(make_run().with_suffix(".pt"))) == 5
    assert read_history(tmp_path / "gone.pt") == []


def test_provenance_lists_every_stage_with_its_settings(make_run: MakeRun, tmp_path: Path) -> None:
    page, _ = page_of(make_run(upto="align"), tmp_path)
    assert "digest of align" in page.text
    assert "example.value 1" in page.text
    assert page.text.count("not done") >= 7
    assert "temperature 80 K" in page.text


def test_the_page_lies_beside_the_store(make_run: MakeRun, tmp_path: Path) -> None:
    store = tmp_path / "wedge.zarr"
    shutil.copytree(make_run(upto="ingest"), store)
    assert write_report(store) == tmp_path / "wedge.html"
    assert write_report(store, tmp_path / "new" / "page.html").is_file()
    with pytest.raises(UemError, match=r"wedge.html/page.html: cannot be written"):
        write_report(store, tmp_path / "wedge.html" / "page.html")
    with pytest.raises(UemError, match="no run here"):
        write_report(tmp_path / "none.zarr")


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [
        (1.9442, 0.0231, "1.944 ± 0.023"),
        (33.5, 1.24, "33.5 ± 1.2"),
        (-102.2, 14.0, "−102 ± 14"),
        (5.0, float("nan"), "5"),
        (0.5, 0.0, "0.5"),
    ],
)
def test_numbers_have_the_digits_their_uncertainty_allows(
    value: float, sd: float, text: str
) -> None:
    assert measured(value, sd) == text
