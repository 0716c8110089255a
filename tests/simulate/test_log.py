"""The log of a simulated acquisition looks as one from a microscope."""

from datetime import datetime

import pytest

from uemdask.errors import UemError
from uemdask.simulate import LogRow, image_name, write_log

ROWS = [
    LogRow(-30.0, 1, 1, "Ge_0_1_-30ps.dm4", datetime(2019, 8, 16, 12, 0, 0)),
    LogRow(10.5, 2, 1, "Ge_1_1_105x10ps.dm4", datetime(2019, 8, 6, 2, 0, 30)),
]
HEAD = """\
[Info Directory\t]\t{folder}
[Base Name ]\tGe
[Date\t]\tFri Aug 16 12:00:00 2019
[Number of Steps\t]\t1
[Number of Scans\t]\t1
\t
[Column Descriptions\t]:\tStep,Delay,Scan,Scan Step,File Name,Time

\t
,,,,,
"""
NEW = """\
1,-30.000000,0,1,Ge_0_1_-30ps.dm4,Fri Aug 16 12:00:00 2019

2,10.500000,1,1,Ge_1_1_105x10ps.dm4,Tue Aug  6 02:00:30 2019

"""
OLD = """\
0,1,-30.000000,0,1,Ge_0_1_-30ps,12:00:00
1,2,10.500000,1,1,Ge_1_1_105x10ps,02:00:30
"""


@pytest.mark.parametrize(("form", "rows"), [("new", NEW), ("old", OLD)])
def test_both_forms(tmp_path, form, rows):
    write_log(tmp_path / "Ge.ulg", ROWS, form)
    assert (tmp_path / "Ge.ulg").read_text() == HEAD.format(folder=tmp_path) + rows


def test_the_base_name_may_be_another(tmp_path):
    write_log(tmp_path / "Ge.ulg", ROWS, base="Si")
    assert "[Base Name ]\tSi\n" in (tmp_path / "Ge.ulg").read_text()


@pytest.mark.parametrize(
    ("delay", "text"),
    [
        (-30.0, "-30"),
        (0.0, "0"),
        (10.5, "105x10"),
        (-0.5, "-5x10"),
        (10.25, "10.25"),
        (1e-7, "0.0000001"),
        (1e6, "1000000"),
    ],
)
def test_names_of_images(delay, text):
    assert image_name("Ge", 3, 17, delay, ".tif") == f"Ge_2_17_{text}ps.tif"


def test_a_folder_that_is_not_there_is_said_plainly(tmp_path):
    with pytest.raises(UemError, match=r"Ge\.ulg: cannot be written"):
        write_log(tmp_path / "none" / "Ge.ulg", ROWS)
