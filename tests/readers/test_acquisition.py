"""Raw folders and stacks: which frame was taken at which delay."""

import os
import shutil

import numpy as np
import pytest
import tifffile

from uemdask.errors import FaultsError, UemError
from uemdask.readers import inspect_raw, read_image
from uemdask.simulate import scenario, simulate, write_acquisition


def names(raw):
    """Return the files of each delay."""
    return raw.source_names


def read(raw, frame):
    """Return the only image of a delay."""
    (image,) = raw.repeats[frame]
    return read_image(image.file, image.index, raw.shape, raw.dtype)


def test_a_folder_of_frames(folder, frame):
    raw = inspect_raw(folder)
    assert raw.delays.tolist() == [-10, -5, 0, 5, 10]
    assert names(raw) == [[f"frame_{i}.tif"] for i in range(5)]
    assert raw.scans == (1,)
    assert not raw.averaged
    assert raw.shape == (24, 32)
    assert raw.dtype == "uint16"
    assert raw.pixel_size == pytest.approx((3.0, 2.5))
    assert raw.notes == []
    assert raw.vendor["ImageJ"]["unit"] == "nm"
    np.testing.assert_array_equal(read(raw, 3), frame(3))


def test_a_simulated_acquisition_is_read_as_it_was_meant(tmp_path):
    simulated = simulate(scenario("plane", shape=(32, 48), frames=12))
    write_acquisition(simulated, tmp_path / "raw")
    raw = inspect_raw(tmp_path / "raw")
    np.testing.assert_allclose(raw.delays, simulated.delays)
    assert raw.shape == simulated.shape
    assert raw.pixel_size == pytest.approx(simulated.pixel_size)
    assert raw.metadata["beam_energy"] == "200 keV"
    np.testing.assert_array_equal(read(raw, 7), simulated.frame(7))


def test_frames_are_sorted_by_delay_whatever_their_names(folder, write_delays):
    write_delays(folder, [(f"frame_{i}.tif", d) for i, d in enumerate([20, -5, 10, 0, 5])])
    raw = inspect_raw(folder)
    assert raw.delays.tolist() == [-5, 0, 5, 10, 20]
    assert [name[6] for (name,) in names(raw)] == ["1", "3", "4", "2", "0"]


def test_a_plan_goes_with_the_natural_order_of_names(tmp_path, frame):
    raw = tmp_path / "raw"
    raw.mkdir()
    for i in (1, 2, 10, 9, 100):
        tifffile.imwrite(raw / f"Bild {i} ps.TIF", frame(i))
    found = inspect_raw(raw, delays="0:40:10 ps", pixel_size="3nm")
    assert names(found) == [[f"Bild {i} ps.TIF"] for i in (1, 2, 9, 10, 100)]


def test_names_of_all_digits_of_the_world_can_be_sorted(tmp_path, frame):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a1.tif", "a².tif", "a٣.tif", "1.tif"):
        tifffile.imwrite(raw / name, frame(0))
    assert len(inspect_raw(raw, delays="0:3:1", pixel_size="3").repeats) == 4


@pytest.mark.parametrize("where", ["beside", "in the folder", "given"])
def test_a_stack_with_its_table(tmp_path, frame, write_delays, where):
    path = tmp_path / "run7.tif"
    tifffile.imwrite(path, np.stack([frame(i) for i in range(4)]), photometric="minisblack")
    name = {"beside": "run7.csv", "in the folder": "delays.csv", "given": "mine.txt"}[where]
    write_delays(tmp_path, [(d,) for d in (10, 0, -10, -20)], head="delay_ps", name=name)
    given = str(tmp_path / name) if where == "given" else None
    raw = inspect_raw(path, delays=given, pixel_size="3nm")
    assert raw.delays.tolist() == [-20, -10, 0, 10]
    assert names(raw) == [["run7.tif#3"], ["run7.tif#2"], ["run7.tif#1"], ["run7.tif#0"]]


def test_a_folder_with_one_stack(tmp_path, frame):
    tifffile.imwrite(tmp_path / "s.tif", np.stack([frame(i) for i in range(4)]), imagej=True)
    raw = inspect_raw(tmp_path, delays="-5:10:5 ps", pixel_size="3nm")
    assert [image.index for (image,) in raw.repeats] == [0, 1, 2, 3]


def test_time_zero_is_taken_off_once(folder):
    assert inspect_raw(folder, time_zero="-500 fs").delays[2] == 0.5
    (folder / "metadata.yaml").write_text("time_zero: 5 ps\n")
    raw = inspect_raw(folder)
    assert raw.delays[2] == -5
    assert raw.metadata["time_zero"] == "5 ps"
    assert inspect_raw(folder, time_zero="0ps").delays[2] == 0


def test_no_frame_before_time_zero_is_noted(folder):
    assert "no frame before time zero" in inspect_raw(folder, time_zero="-10ps").notes[0]
    assert "no frame after time zero" in inspect_raw(folder, time_zero="10ps").notes[0]


@pytest.mark.parametrize(
    ("given", "known", "wanted"),
    [
        ("2nm", "7 nm", (2, 2)),
        ("2nm, 4 Å", None, (2, 0.4)),
        (None, "7 nm", (7, 7)),
        (None, "[7, 5]", (7, 5)),
        (None, "7 nm, 5 nm", (7, 5)),
        (None, "7", (7, 7)),
        (None, None, (3, 2.5)),
    ],
)
def test_the_nearest_word_on_pixel_size_wins(folder, given, known, wanted):
    if known:
        (folder / "metadata.yaml").write_text(f"pixel_size: {known}\n")
    assert inspect_raw(folder, pixel_size=given).pixel_size == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["0nm", "-3nm", "1,2,3", "", "3 ps", "[]", "{a: 1}"])
def test_a_pixel_size_that_is_none_is_refused(folder, text):
    (folder / "metadata.yaml").write_text(f"pixel_size: {text or '[]'}\n")
    with pytest.raises(UemError, match="pixel_size"):
        inspect_raw(folder)


def test_a_missing_pixel_size_says_how_to_give_one(tmp_path, frame):
    for i in range(3):
        tifffile.imwrite(tmp_path / f"{i}.tif", frame(i))
    with pytest.raises(UemError, match="pixel_size='3nm'"):
        inspect_raw(tmp_path, delays="0:2:1")


def test_metadata_are_kept_as_written_and_those_given_win(folder):
    (folder / "metadata.yaml").write_text(
        "sample: Germanium, keilförmig\ndate: 2024-05-03\ntemperature: 293 K\npixel_size: 3 nm\n",
        encoding="utf-8",
    )
    found = inspect_raw(folder, metadata={"temperature": "80 K"}).metadata
    assert found == {
        "sample": "Germanium, keilförmig",
        "date": "2024-05-03",
        "temperature": "80 K",
        "time_zero": "0 ps",
    }


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [\n"])
def test_metadata_that_are_not_keys_and_values_are_named(folder, text):
    (folder / "metadata.yaml").write_text(text)
    with pytest.raises(UemError, match=r"metadata\.yaml"):
        inspect_raw(folder)


def test_empty_metadata_are_none(folder):
    (folder / "metadata.yaml").write_text("# nothing yet\n")
    assert inspect_raw(folder).metadata == {"time_zero": "0 ps"}


# ---- what does not fit


def test_all_that_does_not_fit_is_listed(folder, write_delays):
    rows = [("frame_0.tif", 0), ("gone.tif", 5), ("frame_1.tif", 10), ("sub/frame_1.tif", 15)]
    write_delays(folder, rows)
    with pytest.raises(FaultsError) as caught:
        inspect_raw(folder)
    assert "delays.csv" in caught.value.subject
    faults = "\n".join(caught.value.faults)
    assert "gone.tif" in faults
    assert "frame_1.tif: stands 2 times" in faults
    for i in (2, 3, 4):
        assert f"frame_{i}.tif: has no delay" in faults
    assert len(caught.value.faults) == 5


def test_paths_of_the_acquisition_machine_are_understood(folder, write_delays):
    write_delays(folder, [(rf"D:\data\run 7\frame_{i}.tif", i) for i in range(5)])
    assert inspect_raw(folder).delays.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [3, 7])
def test_too_few_and_too_many_delays_are_counted(folder, count):
    with pytest.raises(UemError, match=f"{count} delays for 5 frames"):
        inspect_raw(folder, delays=f"0:{count - 1}:1 ps")


def test_a_delay_that_stands_twice_is_one_of_two_images(folder, write_delays):
    write_delays(folder, [(f"frame_{i}.tif", d) for i, d in enumerate([0, 5, 5, 10, 15])])
    raw = inspect_raw(folder)
    assert raw.delays.tolist() == [0, 5, 10, 15]
    assert names(raw)[1] == ["frame_1.tif", "frame_2.tif"]
    assert raw.averaged
    assert any(
        "5 ps stand more than once; their images are taken as repeats" in n for n in raw.notes
    )


def test_missing_delays_say_how_to_give_them(folder):
    (folder / "delays.csv").unlink()
    with pytest.raises(UemError, match=r"no delays found.*delays\.csv.*`delays="):
        inspect_raw(folder)


def test_delays_that_are_neither_a_file_nor_a_plan_are_named(folder):
    with pytest.raises(UemError, match=r"`delays=nowhere\.csv`: no such file, and not a plan"):
        inspect_raw(folder, delays="nowhere.csv")


def test_a_plan_longer_than_any_file_name(folder):
    plan = ",".join(["0:0:1"] * 100)
    with pytest.raises(UemError, match="1 delays for 5 frames"):
        inspect_raw(folder, delays=plan)


@pytest.mark.parametrize("name", ["none", "empty"])
def test_no_frames_are_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.docx").touch()
    (tmp_path / "empty" / "._frame_0.tif").touch()  # what macOS leaves on foreign disks
    with pytest.raises(UemError, match=f"{name}: "):
        inspect_raw(tmp_path / name)


def test_two_frames_are_no_series(tmp_path, frame):
    for i in range(2):
        tifffile.imwrite(tmp_path / f"{i}.tif", frame(i))
    with pytest.raises(UemError, match="2 delays are too few"):
        inspect_raw(tmp_path, delays="0:1:1", pixel_size="3")


def test_a_folder_of_stacks_is_one_scan_in_each(tmp_path, frame):
    for i in range(3):
        stack = np.stack([frame(i)] * 4)
        tifffile.imwrite(tmp_path / f"{i}.tif", stack, imagej=True)
    raw = inspect_raw(tmp_path, delays="0:3:1", pixel_size="3")
    assert names(raw) == [[f"0.tif#{k}", f"1.tif#{k}", f"2.tif#{k}"] for k in range(4)]
    assert raw.scans == (1, 2, 3)
    with pytest.raises(UemError, match="3 delays for 12 frames"):
        inspect_raw(tmp_path, delays="0:2:1", pixel_size="3")


def test_a_damaged_first_frame_is_named(folder):
    (folder / "frame_0.tif").write_bytes(b"")
    with pytest.raises(UemError, match=r"frame_0\.tif: is empty"):
        inspect_raw(folder)


@pytest.mark.parametrize("name", ["Delays.CSV", "DELAYS.TXT", "delays.Tsv"])
def test_a_table_by_its_name_in_any_letters(folder, name):
    (folder / "delays.csv").rename(folder / name)
    raw = inspect_raw(folder)
    assert raw.source == str(folder / name)
    assert raw.delays.tolist() == [-10, -5, 0, 5, 10]


def test_a_stack_s_own_table_in_capital_letters(tmp_path, frame, write_delays):
    tifffile.imwrite(tmp_path / "Run7.TIF", np.stack([frame(i) for i in range(4)]), imagej=True)
    write_delays(tmp_path, [(0,), (1,), (2,), (3,)], head="delay_ps", name="RUN7.CSV")
    write_delays(tmp_path, [(5,), (6,), (7,), (8,)], head="delay_ps", name="delays.csv")
    assert inspect_raw(tmp_path / "Run7.TIF", pixel_size="3nm").delays.tolist() == [0, 1, 2, 3]


def test_a_plan_of_one_scan_holds_for_each_folder_of_a_scan(tmp_path, frame):
    for scan in range(3):
        (tmp_path / f"scan {scan}").mkdir()
        for i in range(4):
            tifffile.imwrite(tmp_path / f"scan {scan}" / f"{i}.tif", frame(10 * scan + i))
    raw = inspect_raw(tmp_path, delays="0:3:1", pixel_size="3")
    assert raw.scans == (1, 2, 3)
    assert names(raw) == [[f"scan {scan}/{i}.tif" for scan in range(3)] for i in range(4)]
    (tmp_path / "scan 2" / "3.tif").unlink()
    with pytest.raises(UemError) as caught:
        inspect_raw(tmp_path, delays="0:3:1", pixel_size="3")
    assert "4 delays for 11 frames" in str(caught.value)
    assert "(scan 0: 4, scan 1: 4, scan 2: 3); give one delay per frame" in str(caught.value)


@pytest.mark.parametrize("name", ["run.ulg", "metadata.yaml", "delays.tsv", "frame_2.tif"])
def test_a_pipe_among_the_files_is_not_waited_for(folder, name):
    if name == "delays.tsv":
        (folder / "delays.csv").unlink()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(UemError, match=rf"{name}: is a pipe, not a file; move it away"):
        inspect_raw(folder, every_file=True)


def test_scans_in_folders_with_a_pipe_are_not_waited_for(tmp_path, folder):
    """Files are compared before they are described."""
    for scan in ("scan 1", "scan 2"):
        shutil.copytree(folder, tmp_path / "all" / scan)
        (tmp_path / "all" / scan / "frame_1.tif").unlink()
        os.mkfifo(tmp_path / "all" / scan / "frame_1.tif")
    with pytest.raises(UemError, match="is a pipe, not a file"):
        inspect_raw(tmp_path / "all", every_file=True)


def test_what_cannot_be_said_of_raw_data_is_a_sentence(folder):
    with pytest.raises(UemError) as told:
        inspect_raw(folder, pixelsize="3nm", scan=0)
    assert "pixelsize: is no key that is known here; did you mean 'pixel_size'?" in str(told.value)
    assert "scan: 0 was found; it should be greater than or equal to 1" in str(told.value)
