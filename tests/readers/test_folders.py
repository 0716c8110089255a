"""What lies in folders, and names as people mean them."""

import unicodedata

import pytest

from uemdask.errors import UemError
from uemdask.readers.folders import entries, is_left_by_system, matching, on_disk, same_name

LEFT = ["@eaDir", ".AppleDouble", "__MACOSX", "$RECYCLE.BIN", "System Volume Information",
        "#recycle", "Thumbs.db", "desktop.ini", ".DS_Store", "._scan_1", "~$delays.csv",
        ".nfs000001", ".snapshot", "@Recycle", "a.tif@SynoEAStream", "~snapshot"]  # fmt: skip


def nfd(text):
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize("name", LEFT)
def test_what_systems_leave_is_passed_over(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / "scan_1").mkdir()
    assert entries(tmp_path) == [tmp_path / "scan_1"]
    assert matching(tmp_path, "*") == [tmp_path / "scan_1"]
    assert matching(tmp_path.parent, f"{tmp_path.name}/*") == [tmp_path / "scan_1"]


@pytest.mark.parametrize("name", ["@80 K", "#1", "$x", "~a.tif", "thumbs", "recycle", "snapshot"])
def test_what_a_person_may_write_is_not(name):
    assert not is_left_by_system(name)


def test_a_pattern_may_spell_out_what_is_passed_over_else(tmp_path):
    (tmp_path / ".snapshot" / "run_1").mkdir(parents=True)
    assert matching(tmp_path, ".snapshot/run_*") == [tmp_path / ".snapshot" / "run_1"]
    assert matching(tmp_path / ".snapshot", "run_*") == [tmp_path / ".snapshot" / "run_1"]


def test_patterns_and_paths_find_names_in_both_forms(tmp_path):
    folder = tmp_path / nfd("Brücke")
    folder.mkdir()
    (folder / nfd("Größe_1.tif")).touch()
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Brücke/Größe_1.tif")
        assert on_disk(tmp_path / name) == folder / nfd("Größe_1.tif")
        pattern = unicodedata.normalize(form, "Brü*/Grö*.tif")
        assert matching(tmp_path, pattern) == [folder / nfd("Größe_1.tif")]
    assert on_disk(tmp_path / "gone" / "x") == tmp_path / "gone" / "x"


def test_two_files_that_are_told_apart_by_form_alone_stay_two(tmp_path):
    (tmp_path / nfd("ü.tif")).touch()
    (tmp_path / "ü.tif").touch()
    assert on_disk(tmp_path / "ü.tif").name == "ü.tif"
    assert on_disk(tmp_path / nfd("ü.tif")).name == nfd("ü.tif")
    assert same_name("Ü.TIF") == same_name(nfd("ü.tif"))


def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path):
    folder = tmp_path / "run [1]"
    folder.mkdir()
    (folder / "a.tif").touch()
    assert matching(folder, "*.tif") == [folder / "a.tif"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    with pytest.raises(UemError, match=r"none: cannot be listed"):
        entries(tmp_path / "none")


@pytest.mark.parametrize("text", ["a\0b*", "x" * 300, "[", ""])
def test_what_is_no_name_names_nothing(tmp_path, text):
    assert matching(tmp_path / "gone", text) == []
    assert on_disk(tmp_path / text) == tmp_path / text
