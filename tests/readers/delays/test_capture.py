"""In-situ captures: folders of hours, minutes and seconds."""

import random

import pytest

from uemdask.errors import UemError
from uemdask.readers.delays import capture_images


def _capture(folder, places, ending=".tif"):
    """Make files in any order, named as in-situ captures name them."""
    for hour, minute, second, frame in random.Random(1).sample(places, len(places)):
        inner = folder / f"Hour_{hour:02d}" / f"Minute_{minute:02d}" / f"Second_{second:02d}"
        inner.mkdir(parents=True, exist_ok=True)
        stem = f"Ge_Hour_{hour:02d}_Minute_{minute:02d}_Second_{second:02d}_Frame_{frame:04d}"
        (inner / f"{stem}{ending}").touch()


def test_images_come_in_the_order_of_time(tmp_path):
    places = [(h, m, s, f) for h in (0, 2, 10) for m in (0, 9, 59) for s in (1, 30) for f in (0, 1)]
    places += [(0, 0, 1, 10_000), (100, 0, 0, 0)]
    _capture(tmp_path, places)
    found = [image.stem.split("_") for image in capture_images(tmp_path)]
    assert [tuple(int(part) for part in name[2::2]) for name in found] == sorted(places)


def test_a_part_of_a_capture(tmp_path):
    _capture(tmp_path, [(0, 1, 2, f) for f in range(3)] + [(1, 0, 0, 0)])
    assert len(capture_images(tmp_path / "Hour_00")) == 3
    assert len(capture_images(tmp_path / "Hour_00" / "Minute_01")) == 3


def test_what_is_no_capture_has_no_images(tmp_path):
    (tmp_path / "a.tif").touch()
    (tmp_path / "Hours").mkdir()
    (tmp_path / "Hours" / "b.tif").touch()
    (tmp_path / "Hour_01").touch()
    assert capture_images(tmp_path) == []


def test_only_images_are_taken(tmp_path):
    _capture(tmp_path, [(0, 0, 0, 0)])
    _capture(tmp_path, [(0, 0, 0, 1)], ending=".txt")
    (tmp_path / "Hour_00" / "Minute_00" / "Second_00" / "._x.tif").touch()
    (tmp_path / "Hour_00" / "Minute_00" / "Other").mkdir()
    (tmp_path / "Hour_00" / "Minute_00" / "Other" / "y.tif").touch()
    assert len(capture_images(tmp_path)) == 1


def test_a_missing_folder_is_said_plainly(tmp_path):
    with pytest.raises(UemError, match="none: cannot be listed"):
        capture_images(tmp_path / "none")
