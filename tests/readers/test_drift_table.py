"""The user's drift table: columns, units, and every fault at once."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from uemdask.errors import FaultsError, UemError
from uemdask.readers import match_drift, read_drift_table

DELAYS = np.array([-5.0, 0.0, 5.0])
FILES = ["a_001.tif", "a_002.tif", "a_003.tif"]


def drift_of(tmp_path, text, **options):
    path = tmp_path / "drift.csv"
    path.write_text(text, encoding="utf-8")
    run = {
        "files": FILES,
        "delays": DELAYS,
        "wanted": np.ones(3, bool),
        "pixel_size": (2.0, 4.0),
    } | options
    return match_drift(read_drift_table(path), **run)


WANTED = [[0.0, 0.0], [1.5, -2.0], [3.0, 1.0]]


@pytest.mark.parametrize(
    "text",
    [
        "frame,x,y\n2,3,1\n0,0,0\n1,1.5,-2\n",
        "slice\tdX\tdY\n1\t0\t0\n2\t1,5\t-2\n3\t3\t1\n",
        "# made by hand\nfile;x (px);y (px)\na_001;0;0\nold/a_002.tif;1.5;-2\na_003.tif;3;1\n",
        "delay_fs,y_px,x_px\n-5000,0,0\n0,-2,1.5\n5000,1,3\n",
        "frame,x_nm,y_nm\n0,0,0\n1,6,-4\n2,12,2\n",
        "frame,x (Å),y (Å),quality\n0,0,0,9\n1,60,-40,9\n2,120,20,9\n",
        "frame,file,x,y\n7,a_001.tif,0,0\n8,a_002.tif,1.5,-2\n9,a_003.tif,3,1\n",
    ],
)
def test_tables_as_people_and_programs_write_them(tmp_path, text):
    np.testing.assert_allclose(drift_of(tmp_path, text), WANTED)


def test_frames_that_are_not_used_need_no_row(tmp_path):
    found = drift_of(tmp_path, "frame,x,y\n0,0,0\n2,3,1\n", wanted=np.array([True, False, True]))
    assert np.isnan(found[1]).all()


def test_all_faults_of_the_rows_at_once(tmp_path):
    with pytest.raises(FaultsError) as error:
        drift_of(tmp_path, "frame,x,y\n0,0,0\n0,1,1\n1,wide,2\n2,nan\n")
    assert len(error.value.faults) == 4
    assert "row 3: frame 0.0 is in row 2 too" in str(error.value)


def test_rows_and_frames_must_match(tmp_path):
    with pytest.raises(FaultsError) as error:
        drift_of(tmp_path, "frame,x,y\n0,0,0\n1,0,0\n3,0,0\n0.5,0,0\n")
    assert len(error.value.faults) == 3
    assert "1 frames have no row (from 0: 2)" in str(error.value)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("x,y", "no one column of frames"),
        ("frame,x", "no column of y"),
        ("frame,x,y,dx", "2 columns of x"),
        ("frame,x_nm,y", "x is in nm and y in px"),
        ("frame,x_ps,y_ps", "'x_ps' is in 'ps'"),
    ],
)
def test_faults_of_the_head(tmp_path, head, says):
    with pytest.raises(FaultsError, match=says):
        drift_of(tmp_path, f"{head}\n0,0,0,0\n")


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(UemError, match="cannot be read"):
        read_drift_table(tmp_path / "none.csv")
    with pytest.raises(UemError, match="holds no rows"):
        drift_of(tmp_path, "frame,x,y\n")


def test_a_table_that_excel_saved_as_unicode_text(tmp_path):
    path = tmp_path / "drift.txt"
    path.write_bytes("slice\tdX\tdY\r\n1\t0,5\t-1\r\n".encode("utf-16"))
    np.testing.assert_allclose(read_drift_table(path).shift, [[0.5, -1.0]])


REPEATS = [
    "s1/a_001.tif + s2/b_001.tif",
    "s1/a_002.tif + s2/b_002.tif",
    "s1/a_003.tif",
]


def test_rows_of_any_repeat_are_those_of_the_frame(tmp_path):
    text = "file,x,y\ns1/a_001.tif,0,0\nb_002.tif,1.5,-2\na_003,3,1\n"
    np.testing.assert_allclose(drift_of(tmp_path, text, files=REPEATS), WANTED)
    # Repeats are brought onto the first of them, wherever its row stands.
    rows = ("b_001.tif,5,0", "a_001.tif,0,0", "a_002,1.5,-2", "b_002,2.5,-2", "a_003,3,1")
    text = "\n".join(["file,x,y", *rows])
    np.testing.assert_allclose(drift_of(tmp_path, text, files=REPEATS), WANTED)


def test_two_rows_of_one_frame_that_do_not_agree_are_named(tmp_path):
    rows = ("a_001.tif,0,0", "s1/a_001.tif,5,0", "a_002,1.5,-2", "a_003,3,1")
    with pytest.raises(FaultsError) as error:
        drift_of(tmp_path, "\n".join(["file,x,y", *rows]), files=REPEATS)
    (fault,) = error.value.faults
    assert fault == "rows 2, 3: are of one frame, and 5 px apart; keep one of them"


def test_a_name_in_several_folders_needs_its_folder(tmp_path):
    files = ["s1/0.tif + s2/2.tif", "s1/1.tif + s2/0.tif", "s1/2.tif + s2/1.tif"]
    text = "file,x,y\ns1/0.tif,0,0\ns2\\0.tif,1.5,-2\ns1/2.tif,3,1\n"
    np.testing.assert_allclose(drift_of(tmp_path, text, files=files), WANTED)
    with pytest.raises(FaultsError, match=r"row 2: no frame of the run is file 0\.tif"):
        drift_of(tmp_path, "file,x,y\n0.tif,0,0\n", files=files)


def test_rows_of_files_of_other_runs_may_stand_there(tmp_path):
    rows = [f"{file},{x},{y}" for file, (x, y) in zip(FILES, WANTED, strict=True)]
    text = "\n".join(["file,x,y", "other_1.tif,9,9", *rows])
    np.testing.assert_allclose(drift_of(tmp_path, text), WANTED)
    with pytest.raises(FaultsError) as error:
        drift_of(tmp_path, text.replace("a_002", "b_002"))
    assert "row 2: no frame of the run is file other_1.tif" in str(error.value)
    assert "1 frames have no row (from 0: 1)" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nframe;x;y;;\n0;0;0;;\n1;1,5;–2;;\n2;3;1;;\n;;;;\n",
        'frame,x,y\n0,0,0\n1,"1,5",−2\n2,3E0,"1,0"\n',
        "Delay (fs);x;y\n−5'000;0;0\n0;1,5;-2\n5'000;3;1\n",
        "frame,x_nm,y_nm\n0,0,0\n1,6,−4\n2,1.2e1,2\n",
    ],
)
def test_numbers_are_read_as_in_all_tables(tmp_path, text):
    np.testing.assert_allclose(drift_of(tmp_path, text), WANTED)


def test_shifts_with_two_readings_are_refused(tmp_path):
    with pytest.raises(FaultsError, match=r"row 3: x '1,250' may be 1250 or 1\.25"):
        drift_of(tmp_path, "frame;x;y\n0;0;0\n1;1,250;0\n2;2,500;0\n")
    with pytest.raises(FaultsError, match="row 3: holds 4 cells, the head 3; separate"):
        drift_of(tmp_path, "frame,x,y\n0,0,0\n1,1,5,0\n2,3,1\n")
    # ImageJ writes whole numbers without decimals and others with three.
    assert drift_of(tmp_path, "slice,x,y\n1,0,0\n2,1.250,0\n3,2.500,0\n")[1, 0] == 1.25


def test_names_are_compared_in_one_form(tmp_path):
    files = [unicodedata.normalize("NFD", f"Brücke_{i}.tif") for i in range(3)]
    rows = [f"Brücke_{i}.tif,{x},{y}" for i, (x, y) in enumerate(WANTED)]
    text = "\n".join(["file,x,y", *rows])
    np.testing.assert_allclose(drift_of(tmp_path, text, files=files), WANTED)
    text = unicodedata.normalize("NFD", text)
    files = [unicodedata.normalize("NFC", f"{file} + s2/{file}") for file in files]
    np.testing.assert_allclose(drift_of(tmp_path, text, files=files), WANTED)
