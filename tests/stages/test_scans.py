"""Repeated scans become one cube, whatever the order on disk and the source of the delays."""

import csv
import shutil

import numpy as np
import pytest
import tifffile
import xarray as xr

from uemdask.cube import Run, faults_of
from uemdask.execution import plan_ingest
from uemdask.readers import inspect_raw
from uemdask.simulate import scenario, simulate, write_acquisition
from uemdask.stages.ingest import IngestParameters, create_from_raw, digest_of_raw

pytestmark = pytest.mark.slow

SCANS = 3


@pytest.fixture(scope="module")
def acquisition():
    return simulate(scenario("plane", shape=(64, 64), frames=18))


@pytest.fixture(scope="module")
def logged(acquisition, tmp_path_factory):
    """Three scans in random order, with names and a log as a microscope writes them."""
    folder = tmp_path_factory.mktemp("logged") / "raw"
    write_acquisition(acquisition, folder, scans=SCANS, delays="log")
    return folder


@pytest.fixture
def ingest(drive, tmp_path):
    """Return a function that ingests a folder and returns the run."""

    def ingest(raw, name="run", overwrite=False, **parameters):
        store = tmp_path / f"{name}.zarr"
        plan = plan_ingest({store: IngestParameters(raw=str(raw), **parameters)})
        outcome = drive(plan, only=("ingest",), overwrite=overwrite).outcome
        assert outcome.failed == {}
        with xr.open_zarr(store) as dataset:
            assert faults_of(dataset) == []
        return Run(store)

    return ingest


def in_order(acquisition, folder, scans=SCANS):
    """Write the same images scan after scan, delays rising, with a plain table."""
    folder.mkdir()
    rows = []
    for scan in range(1, scans + 1):
        for i, delay in enumerate(acquisition.delays):
            name = f"s{scan}_{i:03d}.tif"
            tifffile.imwrite(
                folder / name,
                acquisition.frame(i, scan=scan),
                imagej=True,
                resolution=(1 / 3, 1 / 3),
                metadata={"axes": "YX", "unit": "nm"},
            )
            rows.append([name, delay, scan])
    with (folder / "delays.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "delay_ps", "scan"], *rows])
    return folder


def averages(acquisition, scans=SCANS):
    """Average the scans as anyone would."""
    return np.stack(
        [
            np.stack([acquisition.frame(i, scan=s + 1) for s in range(scans)])
            .astype(np.float64)
            .mean(axis=0)
            for i in range(len(acquisition))
        ]
    ).astype(np.float32)


def test_random_order_and_a_log_give_the_cube_of_the_plain_folder(
    acquisition, logged, ingest, tmp_path
):
    run = ingest(logged)
    plain = ingest(in_order(acquisition, tmp_path / "plain"), "plain")
    np.testing.assert_array_equal(run.read("intensity"), plain.read("intensity"))
    np.testing.assert_array_equal(run.read("intensity"), averages(acquisition))
    assert run.group["intensity"].dtype == np.float32
    np.testing.assert_array_equal(run.read("time"), acquisition.delays)
    np.testing.assert_array_equal(run.read("time"), plain.read("time"))
    assert run.read("scan_count").tolist() == [SCANS] * len(acquisition)
    assert plain.read("source_file")[4] == "s1_004.tif + s2_004.tif + s3_004.tif"
    first, second, third = run.read("source_file")[4].split(" + ")
    delay = f"{acquisition.delays[4]:g}ps.tif"
    for scan, name in enumerate((first, second, third)):
        assert name.startswith(f"plane_{scan}_")
        assert name.endswith(f"_{delay}")
    notes = run.group.attrs["notes"]
    assert any("3 scans of 18 delays are averaged" in note for note in notes)
    assert run.stage("ingest")["results"]["outlier_values"] == 0


def test_a_folder_of_averages_is_the_same_cube(acquisition, logged, ingest, tmp_path):
    folder = tmp_path / "averages"
    folder.mkdir()
    for i, frame in enumerate(averages(acquisition)):
        tifffile.imwrite(folder / f"{i:03d}_{acquisition.delays[i]:g}ps.tif", frame)
    plain = ingest(folder, "averages", pixel_size="3nm")
    run = ingest(logged)
    np.testing.assert_array_equal(run.read("intensity"), plain.read("intensity"))
    np.testing.assert_array_equal(run.read("time"), plain.read("time"))
    assert plain.read("scan_count").tolist() == [1] * len(acquisition)


@pytest.mark.parametrize("source", ["table", "names"])
def test_every_source_of_delays_gives_the_same_cube(acquisition, logged, ingest, tmp_path, source):
    write_acquisition(acquisition, tmp_path / "raw", scans=SCANS, delays=source)
    other = ingest(tmp_path / "raw", source)
    np.testing.assert_array_equal(other.read("intensity"), ingest(logged).read("intensity"))
    assert other.read("source_file").tolist() == ingest(logged).read("source_file").tolist()


def test_scans_in_folders_of_their_own(acquisition, ingest, tmp_path):
    flat = in_order(acquisition, tmp_path / "flat")
    nested = tmp_path / "nested"
    for scan in range(1, SCANS + 1):
        folder = nested / f"scan {scan}"
        folder.mkdir(parents=True)
        for i, delay in enumerate(acquisition.delays):
            shutil.copy(flat / f"s{scan}_{i:03d}.tif", folder / f"Bild {delay:g}ps.tif")
    run = ingest(nested)
    np.testing.assert_array_equal(run.read("intensity"), ingest(flat, "f").read("intensity"))
    assert run.read("source_file")[0].startswith("scan 1/Bild -30ps.tif + scan 2/Bild")


def test_scans_in_folders_with_a_table_each(acquisition, ingest, tmp_path):
    flat = in_order(acquisition, tmp_path / "flat")
    nested = tmp_path / "nested"
    for scan in range(1, SCANS + 1):
        folder = nested / f"scan_{scan}"
        folder.mkdir(parents=True)
        lines = ["file,delay_ps"]
        for i, delay in enumerate(acquisition.delays):
            shutil.copy(flat / f"s{scan}_{i:03d}.tif", folder / f"{i}.tif")
            lines.append(f"{i}.tif,{delay}")
        (folder / "delays.csv").write_text("\n".join(lines))
    run = ingest(nested)
    np.testing.assert_array_equal(run.read("intensity"), ingest(flat, "f").read("intensity"))


def test_one_scan_can_be_picked(acquisition, logged, ingest):
    run = ingest(logged, scan=2)
    assert run.group["intensity"].dtype == np.uint16
    for i in range(len(acquisition)):
        np.testing.assert_array_equal(run.read("intensity")[i], acquisition.frame(i, scan=2))
    assert run.read("scan_count").tolist() == [1] * len(acquisition)


def test_what_some_scans_lack_is_the_average_of_the_others(acquisition, logged, ingest, tmp_path):
    raw = shutil.copytree(logged, tmp_path / "raw")
    for file in (*raw.glob("plane_1_*_-30ps.tif"), *raw.glob("plane_2_*_0ps.tif")):
        file.unlink()
    run = ingest(raw)
    zero = int(np.flatnonzero(acquisition.delays == 0)[0])
    assert run.read("scan_count")[[0, zero, 3]].tolist() == [2, 2, 3]
    pair = [acquisition.frame(0, scan=s).astype(np.float64) for s in (1, 3)]
    expected = (np.sum(pair, axis=0) / 2).astype(np.float32)
    np.testing.assert_array_equal(run.read("intensity")[0], expected)
    notes = "\n".join(run.group.attrs["notes"])
    assert "2 images that plane.ulg names are not there" in notes
    assert "2 delays are not in all 3 scans (-30 ps: 2, 0 ps: 2)" in notes


def test_scans_that_drifted_are_brought_together(ingest, tmp_path):
    still = simulate(scenario("plane", shape=(96, 96), frames=8, hot_pixels=0))
    write_acquisition(still, tmp_path / "raw", scans=3, delays="log", scan_drift=3.0)
    run = ingest(tmp_path / "raw")
    results = run.stage("ingest")["results"]
    assert results["moved"] == 16
    assert results["left_out"] == []
    inner = (slice(12, -12), slice(12, -12))
    for i in (0, 5):
        error = (run.read("intensity")[i] - still.expected(i))[inner]
        single = (still.frame(i) - still.expected(i))[inner]
        # Noise of an average of three; a blur by 3 px would be many times that.
        assert error.std() < 0.75 * single.std()
    assert any("had moved, by up to" in note for note in run.group.attrs["notes"])


def test_bad_repeats_are_left_out_and_named(acquisition, logged, ingest, tmp_path):
    raw = shutil.copytree(logged, tmp_path / "raw")
    (blank,) = raw.glob("plane_0_*_-30ps.tif")
    (full,) = raw.glob("plane_1_*_10ps.tif")
    tifffile.imwrite(blank, np.full((64, 64), 3, np.uint16))
    tifffile.imwrite(full, np.where(acquisition.frame(8) > 400, 65535, 500).astype(np.uint16))
    for file in raw.glob("plane_*_25ps.tif"):
        tifffile.imwrite(file, np.zeros((64, 64), np.uint16))
    run = ingest(raw)
    at = {delay: i for i, delay in enumerate(acquisition.delays.tolist())}
    assert run.read("scan_count")[[at[-30], at[10], at[25], at[0]]].tolist() == [2, 2, 3, 3]
    assert blank.name not in run.read("source_file")[at[-30]]
    assert run.read("frame_ok")[[at[-30], at[10], at[25]]].tolist() == [True, True, False]
    assert run.read("frame_flag")[at[25]].startswith("all 3 repeats: blank")
    left_out = "\n".join(run.stage("ingest")["results"]["left_out"])
    assert f"{blank.name}: blank" in left_out
    assert f"{full.name}: saturated" in left_out


def test_the_digest_does_not_depend_on_dates_and_place(logged, tmp_path):
    copy = shutil.copytree(logged, tmp_path / "elsewhere" / "raw", copy_function=shutil.copyfile)
    assert digest_of_raw(inspect_raw(copy)) == digest_of_raw(inspect_raw(logged))
    frame = next(copy.glob("plane_0_1_*.tif"))
    data = bytearray(frame.read_bytes())
    data[len(data) // 2] ^= 1
    frame.write_bytes(bytes(data))
    assert digest_of_raw(inspect_raw(copy)) != digest_of_raw(inspect_raw(logged))


def test_overwriting_keeps_the_old_run_until_the_new_is_whole(logged, ingest, drive, tmp_path):
    run = ingest(logged)
    before = run.read("intensity")
    raw = shutil.copytree(logged, tmp_path / "raw")
    frame = next(raw.glob("plane_0_1_*.tif"))
    whole = frame.read_bytes()
    frame.write_bytes(whole[: len(whole) // 2])
    bad = plan_ingest({run.path: IngestParameters(raw=str(raw))})
    failed = drive(bad, only=("ingest",), overwrite=True).outcome.failed
    assert frame.name in failed["run"]
    assert Run(run.path).is_done("ingest")
    np.testing.assert_array_equal(Run(run.path).read("intensity"), before)
    assert [path.name for path in tmp_path.glob(".*")] == []  # nothing half is left
    other = ingest(logged, time_zero="5 ps", overwrite=True)
    assert other.read("time")[0] == -35
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_replacement_that_was_killed_is_taken_up(logged, ingest, drive, tmp_path):
    run = ingest(logged)

    class Killed(BaseException):
        pass

    def kill(stage, region):
        if region == "time=16:18":
            raise Killed

    later = IngestParameters(raw=str(logged), time_zero="5 ps")
    with pytest.raises(Killed):
        drive(plan_ingest({run.path: later}), kill, only=("ingest",), overwrite=True)
    assert Run(run.path).read("time")[0] == -30
    again = drive(plan_ingest({run.path: later}), only=("ingest",), overwrite=True)
    assert again.tasks == [("ingest", "time=16:18")]
    assert Run(run.path).read("time")[0] == -35
    assert Run(run.path).is_done("ingest")


def test_a_copy_of_the_raw_data_is_the_same_run(logged, ingest, drive, tmp_path):
    run = ingest(logged)
    copy = shutil.copytree(logged, tmp_path / "copy", copy_function=shutil.copyfile)
    parameters = IngestParameters(raw=str(copy))
    assert create_from_raw(run.path, parameters).path == run.path
    assert drive(plan_ingest({run.path: parameters}), only=("ingest",)).tasks == []
