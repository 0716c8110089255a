"""A written acquisition reads like one from a microscope."""

import csv
import os

import numpy as np
import pytest
import tifffile
import yaml

from uemdask.errors import UemError
from uemdask.simulate import Truth, scenario, simulate, write_acquisition


@pytest.fixture(scope="module")
def acquisition():
    return simulate(scenario("plane", seed=1, shape=(32, 48), frames=10, pixel_size=(3.0, 2.5)))


def test_folder_holds_frames_delays_metadata_and_truth(acquisition, tmp_path):
    out = tmp_path / "deep" / "run"
    write_acquisition(acquisition, out)
    names = [f"frame_{i:04d}.tif" for i in range(10)]
    expected = sorted([*names, "delays.csv", "metadata.yaml", "truth.npz"])
    assert sorted(p.name for p in out.iterdir()) == expected
    with (out / "delays.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == names
    assert [float(row["delay_ps"]) for row in rows] == acquisition.delays.tolist()
    for i, name in enumerate(names):
        frame = tifffile.imread(out / name)
        assert frame.dtype == np.uint16
        np.testing.assert_array_equal(frame, acquisition.frame(i))
    truth = Truth.load(out / "truth.npz")
    np.testing.assert_array_equal(truth.flow, acquisition.truth().flow)
    assert yaml.safe_load((out / "metadata.yaml").read_text()) == acquisition.metadata
    assert acquisition.metadata["pixel_size"] == "3 nm, 2.5 nm"


@pytest.mark.parametrize("size", [3.0, 6.2])
def test_tiff_carries_the_pixel_size_for_imagej(tmp_path, size):
    acquisition = simulate(scenario("plane", shape=(16, 16), frames=2, pixel_size=(size, 2.5)))
    write_acquisition(acquisition, tmp_path / "run")
    with tifffile.TiffFile(tmp_path / "run" / "frame_0000.tif") as file:
        assert file.is_imagej
        assert file.imagej_metadata["unit"] == "nm"
        tags = file.pages[0].tags
        per_nm = [tags[f"{axis}Resolution"].value for axis in "YX"]
    sizes = [denominator / numerator for numerator, denominator in per_nm]
    np.testing.assert_allclose(sizes, [size, 2.5], rtol=1e-6)


def test_full_folder_and_file_are_refused_and_left_alone(acquisition, tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UemError, match="not empty"):
        write_acquisition(acquisition, tmp_path)
    with pytest.raises(UemError, match="is a file"):
        write_acquisition(acquisition, tmp_path / "kept.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_empty_folder_is_filled(acquisition, tmp_path):
    (tmp_path / "run").mkdir()
    write_acquisition(acquisition, tmp_path / "run")
    assert (tmp_path / "run" / "truth.npz").is_file()


def test_nothing_is_left_of_a_failed_write(acquisition, tmp_path):
    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_acquisition(acquisition, tmp_path / "run", on_frame=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_rights_is_said_plainly(acquisition, tmp_path):
    if os.geteuid() == 0:
        blocked = tmp_path / "file"
        blocked.write_text("")
    else:
        blocked = tmp_path / "locked"
        blocked.mkdir(mode=0o500)
    with pytest.raises(UemError, match="cannot be made"):
        write_acquisition(acquisition, blocked / "run")


def test_progress_is_told(acquisition, tmp_path):
    told = []
    write_acquisition(acquisition, tmp_path / "run", on_frame=lambda *a: told.append(a))
    assert told == [(i, 10) for i in range(1, 11)]


@pytest.mark.parametrize("delays", ["table", "log", "names"])
def test_scans_are_written_in_random_order_with_names_of_a_microscope(
    acquisition, tmp_path, delays
):
    write_acquisition(acquisition, tmp_path / "run", scans=3, delays=delays)
    names = sorted(path.name for path in (tmp_path / "run").glob("*.tif"))
    assert len(names) == 30
    steps = [[name.split("_") for name in names if name.split("_")[1] == str(s)] for s in range(3)]
    orders = [[part[3] for part in sorted(scan, key=lambda part: int(part[2]))] for scan in steps]
    assert orders[0] != orders[1] != orders[2]
    wanted = sorted(f"{delay:g}ps.tif" for delay in acquisition.delays)
    assert [sorted(order) for order in orders] == [wanted] * 3
    (third,) = [name for name in names if name.startswith("plane_2_") and name.endswith("_0ps.tif")]
    zero = int(np.flatnonzero(acquisition.delays == 0)[0])
    frame = tifffile.imread(tmp_path / "run" / third)
    np.testing.assert_array_equal(frame, acquisition.frame(zero, scan=3))
    assert not np.array_equal(frame, acquisition.frame(zero))
    logs = sorted(path.name for path in (tmp_path / "run").iterdir() if path.suffix != ".tif")
    source = {"table": ["delays.csv"], "log": ["plane.ulg"], "names": []}[delays]
    assert logs == sorted(["metadata.yaml", "truth.npz", *source])


def test_unknown_ways_to_write_delays_are_refused(acquisition, tmp_path):
    with pytest.raises(UemError, match="one of table, log, names"):
        write_acquisition(acquisition, tmp_path / "run", delays="tags")
