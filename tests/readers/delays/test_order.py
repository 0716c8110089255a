"""Delays by the order of files, held against the numbers in the names."""

from pathlib import Path

import pytest

from uemdask.readers.delays.order import disorder, unbroken

DELAYS = [-10.0, 0.0, 5.0, 20.0]


def told(*names, delays=DELAYS):
    return disorder([Path(name) for name in names], delays[: len(names)])


@pytest.mark.parametrize(
    "names",
    [
        [f"frame_{i}.tif" for i in range(4)],
        ["a_-2.tif", "a_-1.tif", "a_+0.tif", "a_+7.tif"],
        ["a_-10ps.tif", "a_0ps.tif", "a_5ps.tif", "a_20ps.tif"],
        ["80.5K_1.tif", "79.2K_2.tif", "81.3K_3.tif", "80.9K_4.tif"],  # no times
        ["1_7.tif", "1_3.tif", "2_9.tif", "2_1.tif"],  # counters of something else
        ["a.tif", "b.tif", "c.tif", "d.tif"],
        ["gate_1.5ps_1.tif", "gate_1.5ps_2.tif", "gate_1.5ps_3.tif", "gate_1.5ps_4.tif"],
    ],
)
def test_names_that_agree(names):
    assert told(*names) is None


@pytest.mark.parametrize(
    "names",
    [
        ["a_+0.tif", "a_+1.tif", "a_-1.tif", "a_-2.tif"],
        ["s1_+5.00.tif", "s2_-1.00.tif", "s3_+2.00.tif", "s4_+3.00.tif"],
        ["1_0.5.tif", "2_0.25.tif", "3_1.5.tif", "4_2.5.tif"],
        ["1_5ps.tif", "2_0ps.tif", "3_-10ps.tif", "4_20ps.tif"],
        ["1_m5ps.tif", "2_m10ps.tif", "3_0ps.tif", "4_20ps.tif"],
        ["1_delay_7.tif", "2_delay_3.tif", "3_delay_9.tif", "4_delay_1.tif"],
        ["1_20.tif", "2_0.tif", "3_5.tif", "4_10.tif"],  # beside delays 0, 5, 10, 20
        ["-1.00_1.tif", "-1.00_2.tif", "+1.00_1.tif", "+1.00_2.tif"],  # one delay twice
        ["t_500,5.tif", "t_1,000.tif", "t_1,500.tif", "t_2,000.tif"],
        ["x_+500.tif", "x_+1,000.tif", "x_-500.tif", "x_+0.tif"],
    ],
)
def test_names_that_do_not(names):
    delays = [0.0, 5.0, 10.0, 20.0]
    assert " would be at " in told(*names, delays=delays)


def test_both_readings_must_rise_where_it_is_not_clear():
    names = [f"delay_{text}.tif" for text in ("1,000", "1,500", "500", "750")]
    assert told(*names) is not None


def test_files_that_are_counted_without_a_gap():
    assert unbroken([Path(f"f_{i:03d}.tif") for i in (9, 7, 8)])
    assert not unbroken([Path(f"f_{i:03d}.tif") for i in (7, 9, 10)])
    assert not unbroken([Path("a.tif"), Path("b.tif")])
    assert not unbroken([Path("s1/f_1.tif"), Path("s2/f_1.tif")])
