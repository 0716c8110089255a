"""A folder that holds its frames in several formats."""

import numpy as np
import pytest
import tifffile
from dm_files import write_dm

from uemdask.errors import UemError
from uemdask.readers import inspect_raw

COUNT = 4


@pytest.fixture
def recorded(tmp_path, frame):
    """DM3 frames whose names state the delays."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for i in range(COUNT):
        write_dm(raw / f"Ge_{5 * i}ps.dm3", frame(i), version=3, pixel_size=3.0)
    return raw


def export(raw, name="Ge_{}ps.tif", count=COUNT):
    raw.mkdir(exist_ok=True)
    for i in range(count):
        tifffile.imwrite(raw / name.format(5 * i), np.full((24, 32), i, np.uint8))


@pytest.mark.parametrize("name", ["Ge_{}ps.tif", "ge_{}ps.TIFF", "Ge_{}ps.ome.tif"])
def test_exports_beside_the_recorded_frames_are_left_out(recorded, name):
    export(recorded, name)
    raw = inspect_raw(recorded)
    assert raw.source_names == [[f"Ge_{5 * i}ps.dm3"] for i in range(COUNT)]
    assert raw.dtype == "uint16"
    (note,) = (note for note in raw.notes if "the .dm3 files are used" in note)
    assert note.startswith("4 frames are there as .dm3 and as .")
    assert "Ge_0ps.dm3, not " in note


def test_a_table_that_names_the_exports_means_the_recorded_frames(recorded, write_delays):
    export(recorded)
    write_delays(recorded, [(f"Ge_{5 * i}ps.tif", i) for i in range(COUNT)])
    raw = inspect_raw(recorded)
    assert raw.delays.tolist() == [0, 1, 2, 3]
    assert raw.source_names[1] == ["Ge_5ps.dm3"]


def test_a_dark_image_in_two_formats_is_no_frame(recorded, frame):
    write_dm(recorded / "dark.dm3", frame(9), version=3, pixel_size=3.0)
    tifffile.imwrite(recorded / "dark.tif", frame(9))
    assert [file.name for file in inspect_raw(recorded).dark] == ["dark.dm3"]
    named = inspect_raw(recorded, dark="dark.tif")
    assert [file.name for file in named.dark] == ["dark.tif"]
    assert not named.averaged


@pytest.mark.parametrize("name", ["export_{}ps.tif", "other/Ge_{}ps.tif"])
def test_other_names_in_another_format_may_be_the_same_frames(recorded, name):
    if "/" in name:
        (recorded / "dm").mkdir()
        for file in recorded.glob("*.dm3"):
            file.rename(recorded / "dm" / file.name)
        (recorded / "other").mkdir()
    export(recorded, name, COUNT - 1)
    with pytest.raises(UemError) as caught:
        inspect_raw(recorded)
    message = str(caught.value)
    assert "holds frames of several formats, 4 Gatan DM3 (Ge_0ps.dm3, ...) and 3 TIFF (" in message
    assert message.endswith("leave one format in the folder, or name the folder of one")


def test_both_versions_of_one_program_are_one_format(recorded, frame):
    write_dm(recorded / "Ge_99ps.dm4", frame(7), version=4, pixel_size=3.0)
    assert len(inspect_raw(recorded).delays) == COUNT + 1
