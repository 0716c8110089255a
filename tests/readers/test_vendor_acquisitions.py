"""Whole acquisitions in vendors' files: every format and source of delays makes the same cube."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from dm_files import write_dm

from uemdask.cube import Run
from uemdask.execution import plan_ingest
from uemdask.simulate import LogRow, image_name, scenario, simulate, write_log
from uemdask.stages.ingest import IngestParameters

DELAYS = [-10.0, -5.5, 0.0, 5.0, 100.0]
SCANS = 3


@pytest.fixture(scope="module")
def acquisition():
    return simulate(scenario("plane", shape=(48, 40), frames=len(DELAYS)))


@pytest.fixture(scope="module")
def averages(acquisition):
    scans = [
        [acquisition.frame(i, scan=s) for i in range(len(DELAYS))] for s in range(1, SCANS + 1)
    ]
    return np.mean(np.array(scans, np.float64), axis=0).astype(np.float32)


@pytest.fixture
def ingest(drive, tmp_path):
    """Return a function that ingests a folder and returns the run."""

    def ingest(raw, **parameters):
        plan = plan_ingest({tmp_path / "run.zarr": IngestParameters(raw=str(raw), **parameters)})
        outcome = drive(plan, only=("ingest",)).outcome
        assert outcome.failed == {}
        return Run(tmp_path / "run.zarr")

    return ingest


def write_scans(folder, acquisition, *, source, ending):
    """Write three scans in random order, the delays where `source` says."""
    folder.mkdir()
    rows = []
    for scan in range(1, SCANS + 1):
        order = np.random.default_rng(scan).permutation(len(DELAYS)).tolist()
        for step, i in enumerate(order, 1):
            name = image_name("Ge wedge", scan, step, DELAYS[i], ending)
            tags = None
            if source == "tags":
                # Delays in fs: the unit beside them counts.
                laser = {"Delay": 1e3 * DELAYS[i], "Delay Units": "fs"}
                name, tags = f"Ge {scan} {step}{ending}", {"LaserParameter": laser}
            image = acquisition.frame(i, scan=scan)
            version = int(ending[-1])
            write_dm(folder / name, image, version=version, pixel_size=(3.0, 2.5), tags=tags)
            taken = datetime(2024, 5, 3) + timedelta(seconds=len(rows))
            rows.append(LogRow(DELAYS[i], scan, step, name, taken))
    if source == "log":
        write_log(folder / "Ge wedge.ulg", rows)
    if source == "table":
        lines = ["image;Delay (fs);scan"]
        lines += [f"{row.file};{1e3 * row.delay:.0f};{row.scan}" for row in rows]
        (folder / "delays.csv").write_text("\n".join(lines))


@pytest.mark.parametrize("ending", [".dm3", ".dm4"])
@pytest.mark.parametrize("source", ["log", "names", "tags", "table"])
def test_gatan_scans_with_every_source_of_delays(
    acquisition, averages, ingest, tmp_path, source, ending
):
    write_scans(tmp_path / "raw", acquisition, source=source, ending=ending)
    run = ingest(tmp_path / "raw")
    assert run.read("time").tolist() == DELAYS
    np.testing.assert_array_equal(run.read("intensity"), averages)
    assert run.read("scan_count").tolist() == [SCANS] * len(DELAYS)
    assert run.pixel_size == pytest.approx((3.0, 2.5))
    assert any("3 scans of 5 delays are averaged" in note for note in run.group.attrs["notes"])


def test_an_in_situ_capture_is_one_scan_in_the_order_of_time(acquisition, ingest, tmp_path):
    raw = tmp_path / "capture"
    for i in range(len(DELAYS)):
        folder = raw / "Hour_00" / f"Minute_{i // 2:02d}" / f"Second_{i % 2:02d}"
        folder.mkdir(parents=True)
        write_dm(folder / "Ge_Frame_0000.dm4", acquisition.frame(i), version=4, pixel_size=3.0)
    run = ingest(raw, delays="-10:10:5 ps")
    expected = [acquisition.frame(i) for i in range(len(DELAYS))]
    np.testing.assert_array_equal(run.read("intensity"), expected)
    assert run.read("source_file")[2] == "Hour_00/Minute_01/Second_00/Ge_Frame_0000.dm4"


def test_real_files_of_gatan(real_data, ingest, tmp_path):
    file = real_data("ued_bismuth_skued", "bismuth.dm4")
    raw = tmp_path / "raw"
    raw.mkdir()
    for delay in (-5, 0, 5):
        for scan in (0, 1):
            name = f"bismuth_{scan}_{delay + 6}_{delay}ps.dm4"
            (raw / name).symlink_to(file)
    run = ingest(raw, pixel_size="3nm", offset="-128")  # all its values are below zero
    assert run.read("scan_count").tolist() == [2, 2, 2]
    np.testing.assert_array_equal(run.read("intensity")[0], run.read("intensity")[2])
    assert run.group.attrs["vendor"]
