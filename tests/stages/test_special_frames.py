"""Dark images are taken off on reading, images without the pump are set aside."""

import csv

import numpy as np
import pytest
import tifffile
import xarray as xr

import uemdask
from uemdask.cube import Run, export_run, faults_of
from uemdask.cube.layout import Region
from uemdask.execution import plan_campaign, plan_ingest
from uemdask.readers import inspect_raw
from uemdask.simulate import scenario, simulate
from uemdask.stages.aligned_reader import read_aligned
from uemdask.stages.ingest import IngestParameters
from uemdask.stages.outlier_frames import flag_outliers

PIXEL = {"imagej": True, "resolution": (1 / 3, 1 / 3), "metadata": {"axes": "YX", "unit": "nm"}}


@pytest.fixture(scope="module")
def acquisition():
    return simulate(scenario("plane", shape=(64, 64), frames=20, hot_pixels=0))


@pytest.fixture(scope="module")
def pattern():
    """Counts of the detector without the beam."""
    x = np.arange(64)
    return (300 + 200 * (x % 5 == 0)).astype(np.uint16)[None].repeat(64, axis=0)


@pytest.fixture
def raw(acquisition, pattern, tmp_path):
    """Frames upon a dark level, with dark images and some without the pump beside them."""
    raw = tmp_path / "raw"
    (raw / "pump_off").mkdir(parents=True)
    rows = []
    for i, delay in enumerate(acquisition.delays):
        tifffile.imwrite(raw / f"f{i:02d}.tif", acquisition.frame(i) + pattern, **PIXEL)
        rows.append([f"f{i:02d}.tif", delay])
    for i in range(3):
        noise = np.random.default_rng(i).poisson(20, (64, 64)).astype(np.uint16) - 20
        tifffile.imwrite(raw / f"Dark_{i}.tif", pattern + noise, **PIXEL)
        tifffile.imwrite(raw / "pump_off" / f"{i}.tif", acquisition.frame(i) + pattern, **PIXEL)
    with (raw / "delays.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "delay_ps"], *rows])
    return raw


def ingested(drive, raw, store, only=("ingest", "align"), **parameters):
    plan = plan_ingest({store: IngestParameters(raw=str(raw), **parameters)})
    outcome = drive(plan, only=only).outcome
    assert outcome.failed == {}
    return Run(store)


def test_the_dark_image_is_stored_and_taken_off_on_reading(
    raw, acquisition, pattern, drive, tmp_path
):
    run = ingested(drive, raw, tmp_path / "run.zarr")
    np.testing.assert_array_equal(run.read("intensity")[4], acquisition.frame(4) + pattern)
    assert np.abs(run.read("dark") - pattern).max() < 5 * np.sqrt(20 / 3)
    before = [acquisition.expected(i).mean() for i in np.flatnonzero(acquisition.delays < 0)]
    assert run.read("reference").mean() == pytest.approx(np.mean(before), rel=0.005)
    # Gain of the beam alone: with the dark level in it, its changes would look smaller.
    np.testing.assert_allclose(run.read("gain"), acquisition.gain, atol=0.01)
    tile = read_aligned(run, Region(), frames=np.arange(20), halo=0, ratio=False)
    dataset = uemdask.open_run(run.path)
    seen = dataset.uem.aligned().values
    np.testing.assert_allclose(seen, tile.values, rtol=1e-4, atol=0.05)
    inner = (slice(8, -8), slice(8, -8))
    assert tile.values[4][inner].mean() == pytest.approx(tile.reference[inner].mean(), rel=0.005)
    assert faults_of(dataset) == []
    assert dataset["dark"].attrs["units"] == "counts"
    export_run(run.path, tmp_path / "home.zarr")
    with xr.open_zarr(tmp_path / "home.zarr") as home:
        assert "dark" not in home
        assert faults_of(home) == []


def test_special_images_are_no_frames_and_named_in_the_notes(raw):
    found = inspect_raw(raw)
    assert len(found.repeats) == 20
    assert [file.name for file in found.dark] == ["Dark_0.tif", "Dark_1.tif", "Dark_2.tif"]
    assert [file.name for file in found.pump_off] == ["0.tif", "1.tif", "2.tif"]
    assert "3 dark images are taken off (Dark_0.tif, ...)" in found.notes
    assert "3 pump-off images are set aside (0.tif, ...)" in found.notes


@pytest.mark.parametrize(
    ("name", "dark"),
    [
        ("dark.tif", True),
        ("background 2.tif", True),
        ("2024_bkg_01.tif", True),
        ("darkfield_3.tif", False),
        ("dark field 3.tif", False),
        ("DarkField-3.tif", False),
        ("bright.tif", False),
    ],
)
def test_names_of_dark_images(raw, name, dark):
    for file in raw.glob("Dark_*.tif"):
        file.unlink()
    tifffile.imwrite(raw / name, np.ones((64, 64), np.uint16), **PIXEL)
    with (raw / "delays.csv").open("a") as table:
        table.write(f"{name},999\n")
    found = inspect_raw(raw)
    assert [file.name for file in found.dark] == ([name] if dark else [])
    assert len(found.repeats) == (20 if dark else 21)


def test_a_study_of_backgrounds_has_frames(raw):
    for file in [*raw.glob("f*.tif")]:
        file.rename(raw / f"background_{file.name}")
    table = raw / "delays.csv"
    table.write_text(
        table.read_text().replace("f", "background_f").replace("background_file", "file")
    )
    for file in raw.glob("Dark_*.tif"):
        file.unlink()
    assert len(inspect_raw(raw).repeats) == 20
    assert inspect_raw(raw).dark == ()


@pytest.mark.parametrize("given", ["folder", "pattern", "file", "metadata", "campaign"])
def test_dark_images_that_are_named(raw, drive, tmp_path, given):
    place = tmp_path / "calibration"
    place.mkdir()
    for i, file in enumerate(sorted(raw.glob("Dark_*.tif"))):
        file.rename(place / f"shutter closed {i}.tif")
    count = 3
    if given == "folder":
        found = inspect_raw(raw, dark=str(place))
    elif given == "pattern":
        found = inspect_raw(raw, dark=str(place / "shutter*.tif"))
    elif given == "file":
        found, count = inspect_raw(raw, dark=str(place / "shutter closed 1.tif")), 1
    elif given == "metadata":
        (raw / "metadata.yaml").write_text("dark: ../calibration\n")
        found = inspect_raw(raw)
        assert "dark" not in found.metadata
    else:
        runs = [{"raw": "raw", "dark": "calibration", "scan": 1}]
        plan = plan_campaign({"runs": runs, "model": "new"}, name="c", folder=tmp_path)
        assert plan.runs[0].parameters.ingest.dark == str(place)
        assert plan.runs[0].parameters.ingest.scan == 1
        assert drive(plan, only=("ingest",)).outcome.failed == {}
        assert Run(plan.runs[0].store).stage("ingest")["results"]["dark_images"] == 3
        return
    assert len(found.dark) == count
    assert len(found.repeats) == 20


def test_moved_repeats_leave_the_dark_pattern_where_it_is(acquisition, pattern, drive, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    rows = []
    shifts = {1: (0.0, 0.0), 2: (2.5, -3.5)}
    for scan, shift in shifts.items():
        for i in range(4):
            image = acquisition.frame(i, scan=scan, shift=shift) + pattern
            tifffile.imwrite(raw / f"s{scan}_{i}.tif", image, **PIXEL)
            rows.append([f"s{scan}_{i}.tif", i, scan])
    tifffile.imwrite(raw / "dark.tif", pattern, **PIXEL)
    with (raw / "delays.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "delay_ps", "scan"], *rows])
    run = ingested(drive, raw, tmp_path / "run.zarr", only=("ingest",))
    assert run.stage("ingest")["results"]["moved"] == 4
    inner = (slice(10, -10), slice(10, -10))
    for i in range(4):
        error = (run.read("intensity")[i] - run.read("dark") - acquisition.expected(i))[inner]
        assert error.std() < 0.85 * np.sqrt(acquisition.expected(i)[inner].mean())
        comb = error.mean(axis=0)
        on = (np.arange(64)[inner[1]] % 5) == 0
        assert abs(comb[on].mean() - comb[~on].mean()) < 4  # of 200 counts


def test_frames_unlike_their_neighbours_are_flagged():
    level, contrast = [100.0] * 30, [7.0] * 30
    level[4], contrast[9], contrast[20], level[29] = 20.0, 1.0, 30.0, 350.0
    flags = [""] * 30
    flags[12] = "blank: all pixels are equal"
    level[12] = contrast[12] = 0.0
    out = flag_outliers(flags, level, contrast)
    assert [i for i, flag in enumerate(out) if flag] == [4, 9, 12, 20, 29]
    assert out[4] == "outlier: 0.2 times as bright as the frames around it"
    assert out[9] == "outlier: 0.14 times the contrast of the frames around it"
    assert out[12] == flags[12]


def test_a_beam_that_fades_and_a_wave_that_grows_are_no_outliers():
    frames = np.arange(200)
    level = 100 * np.exp(-frames / 60)
    contrast = 5 + 2 * np.sin(frames / 4)
    assert flag_outliers([""] * 200, level, contrast) == [""] * 200
