"""Backups of scans and frames are told by their content, not taken for measurements."""

import shutil

import numpy as np
import pytest
import tifffile

from uemdask.readers import inspect_raw

DELAYS = (-5, 0, 5, 10)


@pytest.fixture
def scans(tmp_path, frame):
    """Three scans, each in its folder."""
    raw = tmp_path / "raw"
    for scan in (1, 2, 3):
        (raw / f"scan {scan}").mkdir(parents=True)
        for i, delay in enumerate(DELAYS):
            image = frame(10 * scan + i)
            tifffile.imwrite(raw / f"scan {scan}" / f"Ge_{delay}ps.tif", image)
    return raw


def inspect(raw, **given):
    return inspect_raw(raw, pixel_size="3nm", **given)


@pytest.mark.parametrize("name", ["scan 3 - Kopie", "scan3 (2)", "Copy of scan 3", "backup"])
@pytest.mark.parametrize("delays", [None, "-15:0:5 ps"])
def test_a_copy_of_a_scan_s_folder_is_no_scan(scans, name, delays):
    shutil.copytree(scans / "scan 3", scans / name)
    if delays:
        (scans / name / "Ge_0ps.tif").rename(scans / name / "Ge_1ps.tif")
    raw = inspect(scans, delays=delays)
    assert raw.scans == (1, 2, 3)
    assert all(len(images) == 3 for images in raw.repeats)
    assert (
        f"{name} holds the same images as scan 3, so it is no scan of its own and is left out"
        in raw.notes
    )


def test_a_copy_that_was_stopped_is_no_scan_either(scans):
    shutil.copytree(scans / "scan 2", scans / "scan 2 - Copy")
    (scans / "scan 2 - Copy" / "Ge_10ps.tif").unlink()
    assert inspect(scans).scans == (1, 2, 3)


def test_a_folder_of_which_one_image_differs_is_a_scan(scans, frame):
    shutil.copytree(scans / "scan 2", scans / "scan 4")
    tifffile.imwrite(scans / "scan 4" / "Ge_10ps.tif", frame(99))
    raw = inspect(scans)
    assert [len(images) for images in raw.repeats] == [3, 3, 3, 4]
    assert any(
        "3 images hold the same as others of their delay and are left out" in note
        for note in raw.notes
    )


def test_copies_of_single_frames_are_left_out(scans):
    flat = scans / "scan 1"
    for delay in (0, 5):
        shutil.copy(flat / f"Ge_{delay}ps.tif", flat / f"Ge_{delay}ps - Kopie.tif")
    raw = inspect(flat)
    assert not raw.averaged
    assert raw.scans == (1,)
    (note,) = (note for note in raw.notes if "same" in note)
    assert note.startswith("2 images hold the same as others of their delay and are left out (")
    assert note.endswith("(Ge_0ps - Kopie.tif is Ge_0ps.tif, ...)")


def test_copies_that_no_row_of_the_table_names(scans, write_delays):
    flat = scans / "scan 1"
    write_delays(flat, [(f"Ge_{delay}ps.tif", delay) for delay in DELAYS])
    shutil.copy(flat / "Ge_0ps.tif", flat / "safe.tif")
    raw = inspect(flat)
    assert [len(images) for images in raw.repeats] == [1] * 4
    assert (
        "1 images that no row names hold the same as others and are left out "
        "(safe.tif is Ge_0ps.tif)" in raw.notes
    )


def test_blank_images_of_several_scans_are_no_copies(scans):
    for scan in (1, 2, 3):
        tifffile.imwrite(scans / f"scan {scan}" / "Ge_5ps.tif", np.zeros((24, 32), np.uint16))
    assert [len(images) for images in inspect(scans).repeats] == [3] * 4
