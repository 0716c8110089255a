"""Which source of delays is taken, and what is told of the others."""

from datetime import datetime

import pytest

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays import find_delays
from uemdask.simulate import LogRow, image_name, write_log

DELAYS = (-10.0, -5.0, 0.0, 5.5, 10.0)
TABLE = "file,delay_ps\n"


def _no_tags(image):
    raise AssertionError("tags are not needed")


@pytest.fixture
def raw(tmp_path):
    """Return a folder of five images whose names state delays, two scans of them if wanted."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for step, delay in enumerate(DELAYS, 1):
        (folder / image_name("Ge", 1, step, delay, ".tif")).touch()
    return folder


@pytest.fixture
def plain(tmp_path):
    """Return a folder of five images whose names say nothing."""
    folder = tmp_path / "plain"
    folder.mkdir()
    for i in range(5):
        (folder / f"frame_{i}.tif").touch()
    return folder


def _images(folder):
    return sorted(folder.glob("*.tif"), key=lambda image: image.name)


def _find(folder, given=None, tags=lambda image: {}):
    return find_delays(folder, _images(folder), given, tags)


def _log(folder, delays=DELAYS, names=None, name="Ge.ulg", ending=".dm4"):
    rows = [
        LogRow(
            delay,
            1,
            step,
            names[step - 1] if names else image_name("Ge", 1, step, DELAYS[step - 1], ending),
            datetime(2019, 8, 16, 12, step),
        )
        for step, delay in enumerate(delays, 1)
    ]
    write_log(folder / name, rows)


def _table(folder, delays=DELAYS, name="delays.csv"):
    names = [image_name("Ge", 1, step, delay, ".tif") for step, delay in enumerate(DELAYS, 1)]
    rows = "".join(f"{name},{delay}\n" for name, delay in zip(names, delays, strict=True))
    (folder / name).write_text(TABLE + rows)


def _by_file(table):
    return dict(zip(table.files, table.delays, strict=True))


def _laser(image):
    return {"LaserParameter": {"Delay": int(image.stem.split("_")[1]), "Delay Units": "ns"}}


# ---- the order of sources


def test_what_is_given_wins(raw, tmp_path):
    _log(raw)
    _table(raw)
    for name in ("mine.csv", "mine.ulg"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "mine.csv":
            _table(folder, [d + 1 for d in DELAYS], name)
        else:
            _log(folder, [d + 1 for d in DELAYS], name=name)
        found = _find(raw, str(folder / name), _no_tags)
        assert sorted(found.delays) == [d + 1 for d in DELAYS]
        assert found.source == str(folder / name)
    plan = _find(raw, "0:4:1 ps", _no_tags)
    assert plan.delays == (0, 1, 2, 3, 4)
    assert plan.source == "`delays='0:4:1 ps'`"


def test_then_a_log(raw):
    _log(raw, ending=".tif")
    _table(raw)
    found = _find(raw, tags=_no_tags)
    assert found.source == str(raw / "Ge.ulg")
    assert _by_file(found) == {
        image_name("Ge", 1, i, d, ".tif"): d for i, d in enumerate(DELAYS, 1)
    }
    assert found.scans == (1,) * 5
    assert found.notes == ()


@pytest.mark.parametrize("name", ["delays.csv", "delays.tsv", "delays.txt"])
def test_then_a_table(raw, name):
    _table(raw, name=name)
    found = _find(raw, tags=_no_tags)
    assert found.source == str(raw / name)
    assert found.delays == DELAYS
    assert found.notes == ()


def test_then_tags(plain):
    found = _find(plain, tags=_laser)
    assert found.source == "LaserParameter tags"
    assert found.delays == (0, 1000, 2000, 3000, 4000)


def test_then_names(raw):
    found = _find(raw)
    assert found.source == "file names"
    assert sorted(found.delays) == sorted(DELAYS)
    assert found.notes == ()


def test_names_of_all_images_win_over_tags_of_some(raw):
    found = _find(raw, tags=lambda i: {"LaserParameter": {"Delay": 7}} if "_1_" in i.name else {})
    assert found.source == "file names"
    assert "only 1 of 5 images have LaserParameter tags" in found.notes[0]


def test_where_there_are_none_it_is_said_what_was_looked_for(plain):
    with pytest.raises(UemError) as caught:
        _find(plain)
    for word in ("*.ulg", "delays.csv", "LaserParameter", "frame_0_-30ps", "`delays=FILE`"):
        assert word in str(caught.value)


@pytest.mark.parametrize("given", ["none.csv", "none.ulg", "a\0b", "5"])
def test_what_is_neither_file_nor_plan_is_named(raw, given):
    with pytest.raises(UemError, match="no such file, and not a plan"):
        _find(raw, given)


def test_a_damaged_log_is_not_passed_over(raw):
    _table(raw)
    _log(raw, [float("nan"), *DELAYS[1:]])
    with pytest.raises(FaultsError, match=r"Ge\.ulg.*row 1"):
        _find(raw)


def test_a_stack_has_its_log_or_table_beside_it(tmp_path):
    stack = tmp_path / "run7.tif"
    stack.touch()
    _log(tmp_path, name="other.ulg")
    (tmp_path / "delays.csv").write_text("delay_ps\n1\n2\n")
    assert find_delays(stack, [stack], None, _no_tags).delays == (1, 2)
    (tmp_path / "run7.csv").write_text("delay_ps\n3\n4\n")
    assert find_delays(stack, [stack], None, _no_tags).delays == (3, 4)
    _log(tmp_path, name="run7.ulg")
    assert find_delays(stack, [stack], None, _no_tags).delays == DELAYS


# ---- rows and images


def test_a_log_of_dm_files_goes_with_their_tiff_twins(raw):
    _log(raw, ending=".dm3")
    found = _find(raw, tags=_no_tags)
    assert set(found.files) == {image.name for image in _images(raw)}
    (note,) = found.notes
    assert note.startswith("5 rows name images with another ending, as Ge_0_1_-10ps.dm3 for ")


def test_paths_of_the_acquisition_machine_and_sub_folders(plain):
    for prefix in ("D:\\data\\run 7\\", "sub/folder/"):
        rows = "".join(f"{prefix}Frame_{i}.TIF,{i}\n" for i in range(5))
        (plain / "delays.csv").write_text(TABLE + rows)
        assert _find(plain).files == tuple(f"frame_{i}.tif" for i in range(5))


def test_names_alone_without_endings_may_hold_points(plain, tmp_path):
    folder = tmp_path / "points"
    folder.mkdir()
    for i in range(3):
        (folder / f"Ge_{i}.5 K.tif").touch()
    (folder / "delays.csv").write_text(TABLE + "".join(f"Ge_{i}.5 K,{i}\n" for i in range(3)))
    assert _find(folder).files == ("Ge_0.5 K.tif", "Ge_1.5 K.tif", "Ge_2.5 K.tif")


def test_scan_step_and_delay_find_images_whose_names_go_on(raw):
    for image in _images(raw):
        image.rename(image.with_name(f"{image.stem}_3_3.tif"))
    _log(raw)
    found = _find(raw, tags=_no_tags)
    assert set(found.files) == {image.name for image in _images(raw)}
    assert "by another name of the same scan, step and delay" in found.notes[0]


def test_names_that_mean_no_image_stay(plain):
    (plain / "delays.csv").write_text(TABLE + "frame_0.tif,1\ngone.tif,2\n")
    assert _find(plain).files == ("frame_0.tif", "gone.tif")


def test_equal_names_in_several_folders_go_by_their_paths(tmp_path):
    images = []
    for scan in ("scan1", "scan2"):
        (tmp_path / scan).mkdir()
        images.append(tmp_path / scan / "a.tif")
        images[-1].touch()
    (tmp_path / "delays.csv").write_text(TABLE + "scan2/a.tif,2\nscan1/a.tif,1\n")
    found = find_delays(tmp_path, images, None, _no_tags)
    assert found.files == (images[1].as_posix(), images[0].as_posix())


def test_the_last_row_of_a_stopped_acquisition_has_no_image(raw):
    _images(raw)[-1].unlink()  # of 'Ge_0_5_10ps'
    _log(raw)
    for given in (None, str(raw / "Ge.ulg")):
        found = _find(raw, given, _no_tags)
        assert found.delays == DELAYS[:-1]
        assert found.scans == (1,) * 4
    assert "the last row names Ge_0_5_10ps.dm4, which was not saved" in found.notes


def test_a_log_of_other_images_is_not_used(raw):
    _log(raw, names=[f"x_{i}.dm4" for i in range(5)], name="other.ulg")
    found = _find(raw)
    assert found.source == "file names"
    assert found.notes == ("other.ulg names none of the images and is not used",)
    _log(raw)
    assert _find(raw).source == str(raw / "Ge.ulg")


def test_two_logs_of_the_same_images_are_not_guessed(raw):
    _log(raw)
    _log(raw, name="Ge_2.ulg")
    with pytest.raises(UemError, match=r"Ge\.ulg and Ge_2\.ulg all hold delays; name one"):
        _find(raw)
    assert _find(raw, str(raw / "Ge_2.ulg")).delays == DELAYS


# ---- sources that disagree


def _noted(found):
    (note,) = [note for note in found.notes if "state another delay" in note]
    return note


def test_log_against_names(raw):
    _log(raw, [-10, -5, 3, 5.5, 12], ending=".tif")
    assert _noted(_find(raw)) == (
        "file names state another delay for 2 of 5 images, by up to 3 ps "
        "(Ge_0_3_0ps.tif: 3 ps is used, not 0 ps)"
    )


def test_a_factor_is_named(raw):
    _table(raw, [1000 * delay for delay in DELAYS])
    assert "for 4 of 5 images, by a factor of 0.001: check the unit" in _noted(_find(raw))


def test_a_shift_is_named(raw):
    _table(raw, [delay - 12 for delay in DELAYS])
    assert "for 5 of 5 images, by 12 ps each (" in _noted(_find(raw))


def test_log_against_table(raw):
    _log(raw)
    _table(raw, [-10, -5, 0, 5.5, 11])
    assert "rows of delays.csv state another delay for 1 of 5 images" in _noted(_find(raw))
    (raw / "delays.csv").write_text("nothing\n")
    assert any(n.startswith("delays are not compared: ") for n in _find(raw).notes)


def test_plan_against_names(raw):
    # In the order of the images; a plan of another length is told elsewhere.
    assert "file names state another delay" in _noted(_find(raw, "0:4:1 ps"))
    assert _find(raw, "0:9:1 ps").notes == ()


def test_tags_against_names(raw):
    found = _find(raw, tags=lambda image: {"LaserParameter": {"Delay": 7}})
    assert "file names state another delay for 5 of 5 images" in _noted(found)


def test_rounding_in_names_is_no_disagreement(tmp_path):
    rows = {"a_0_1_0ps.tif": 0.05, "a_0_2_103x10ps.tif": 10.27, "a_0_3_204x10ps.tif": 20.44}
    for name in rows:
        (tmp_path / name).touch()
    lines = [f"{name},{delay}\n" for name, delay in rows.items()]
    (tmp_path / "delays.csv").write_text(TABLE + "".join(lines))
    assert _find(tmp_path).notes == ()
    (tmp_path / "delays.csv").write_text((TABLE + "".join(lines)).replace("20.44", "20.46"))
    assert "for 1 of 3 images, by up to 0.06 ps" in _noted(_find(tmp_path))
