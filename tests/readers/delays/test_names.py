"""Delays in file names."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.readers.delays.names import delays_in_name, read_names
from uemdask.simulate import image_name

NAMES = {
    "Ge_0_1_-30ps.dm3": -30,
    "Ge_0_1_30ps.dm4": 30,
    "Ge_0_1_105x10ps.dm4": 10.5,
    "Ge_0_1_-5x10ps.dm4": -0.5,
    "Ge_0_1_-30.5ps.dm3": -30.5,
    "Ge_0_1_-30p5ps.dm3": -30.5,
    "Ge_0_1_-30,5ps.dm3": -30.5,
    "Ge_0_1_m30ps.dm3": -30,
    "Ge_0_1_n30ps.dm3": -30,
    "Ge_0_1_p30ps.dm3": 30,
    "Ge_0_1_neg30ps.tif": -30,
    "Ge_0_1_minus30ps.tif": -30,
    "Ge_0_1_+30ps.tif": 30,
    "Ge_0_1_−30ps.tif": -30,  # a true minus
    "Ge_0_1_500fs.dm3": 0.5,
    "Ge_0_1_-2ns.dm3": -2000,
    "Ge_0_1_1us.dm3": 1e6,
    "Ge_0_1_1µs.dm3": 1e6,  # micro sign
    "Ge_0_1_5ps_3_3.dm3": 5,  # numbers may follow
    "Ge_0_1_5psÌÌ.dm4": 5,  # a text without its end
    "Ge_delay_-30.5ps.tif": -30.5,
    "Ge delay=-30.5 ps.tif": -30.5,
    "Ge_delay30ps.tif": 30,
    "Ge_100fs_delay_-30ps_200fs.tif": -30,
    "-30ps.tif": -30,
    "Bild 10 ps.TIF": 10,
    "Ge (−2 ps).tif": -2,
    "run7--30ps.tif": -30,
    "GE_0_1_-30PS.DM3": -30,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_understood(name):
    (found,) = delays_in_name(name)
    assert found.delay == NAMES[name]
    assert math.copysign(1, found.delay) == math.copysign(1, NAMES[name])


@pytest.mark.parametrize(
    "name",
    [
        "frame_0001.tif",
        "Ge-30ps.tif",  # minus or dash
        "steps.tif",
        "Ge_30.tif",
        "Ge_30s.tif",  # an exposure
        "Ge_200ms.tif",
        "Ge_30psi.tif",
        "Ge_30ps2.tif",
        "sam30ps.tif",  # the end of a word
        "Ge_300nm.tif",
        "In situ_Hour_00_Minute_00_Second_01_Frame_0001.dm4",
    ],
)
def test_what_is_no_delay_is_not_taken(name):
    assert delays_in_name(name) == []


def test_base_scan_and_step():
    (found,) = delays_in_name("Ge_wedge_80K_2_17_-30ps.dm3")
    assert (found.base, found.scan, found.step) == ("Ge_wedge_80K", 2, 17)
    (found,) = delays_in_name("Ge_-30ps.dm3")
    assert (found.base, found.scan, found.step) == (None, None, None)


def _read(*names):
    return read_names([Path(name) for name in names])


def test_scans_of_names_are_counted_from_one():
    found = _read("Ge_0_1_-5ps.dm3", "Ge_0_2_5ps.dm3", "Ge_1_1_-5ps.dm3", "Ge_1_2_5ps.dm3")
    assert found.delays == (-5, 5, -5, 5)
    assert found.scans == (1, 1, 2, 2)
    assert found.files == ("Ge_0_1_-5ps.dm3", "Ge_0_2_5ps.dm3", "Ge_1_1_-5ps.dm3", "Ge_1_2_5ps.dm3")
    assert found.facts == {"base_name": "Ge"}


def test_one_number_throughout_is_no_scan_where_delays_repeat():
    names = ["Ge_293_1_-5ps.tif", "Ge_293_2_5ps.tif", "Ge_293_3_-5ps.tif"]
    assert _read(*names).scans is None
    assert _read(*names[:2]).scans == (1, 1)


def test_a_time_that_never_changes_is_not_the_delay():
    names = [f"Ge_100fs_{delay}ps_500ns.tif" for delay in (-5, 0, 5)]
    assert _read(*names).delays == (-5, 0, 5)
    assert _read("Ge_100fs_1.tif", "Ge_100fs_2.tif", "Ge_100fs_3.tif") is None


def test_two_times_that_change_are_not_guessed():
    with pytest.raises(UemError, match="several times that change"):
        _read("Ge_1ps_5fs.tif", "Ge_2ps_6fs.tif", "Ge_3ps_8fs.tif")


def test_dark_frames_need_no_delay_but_most_must_have_one():
    assert _read("Ge_-5ps.tif", "Ge_0ps.tif", "Ge_5ps.tif", "dark.tif").delays == (-5, 0, 5)
    assert _read("Ge_-5ps.tif", "a.tif", "b.tif", "Ge_0ps.tif") is None
    assert _read("a.tif", "b.tif") is None


_DELAYS = (
    st.integers(-9999, 9999).map(float)
    | st.integers(-99_999, 99_999).map(lambda tenths: tenths / 10)
    | st.floats(-1e4, 1e4).map(lambda delay: round(delay, 5) + 0.0)
)


@given(st.lists(_DELAYS, min_size=2, max_size=9, unique=True), st.sampled_from(["Ge", "a_1_2", ""]))
def test_written_names_read_back_exactly(delays, base):
    names = [image_name(base, 2, i, delay) for i, delay in enumerate(delays, 1)]
    found = _read(*names)
    assert found.delays == tuple(delays)
    assert found.scans == (1,) * len(delays)
    for name, delay in zip(names, delays, strict=True):
        (time,) = delays_in_name(name)
        assert (time.scan, time.delay) == (1, delay)


@given(
    st.lists(
        st.text(max_size=30)
        | st.from_regex(
            r"\A[A-Za-z_]{0,4}(delay)?[_\s=-]?[-+mnp]?[0-9]{1,14}([.,p][0-9]{1,13})?(x10)?"
            r" ?[fpnuµ]s[_0-9ps.]{0,8}",
        ),
        max_size=6,
    )
)
@settings(max_examples=150)
def test_any_names_give_finite_delays_or_an_error_for_people(names):
    try:
        found = read_names([Path(name.replace("\0", "")) for name in names])
    except UemError:
        return
    if found is not None:
        assert all(map(math.isfinite, found.delays))
        assert len(found.files) == len(found.delays) > 1


@pytest.mark.parametrize(
    ("names", "delays"),
    [
        (["Ge_‑2ps", "Ge_–1ps", "Ge_＋3ps"], (-2, -1, 3)),
        (["t.-2.00ps", "t.+1.00ps"], (-2, 1)),
        (["Ge_1e2fs", "Ge_-1.5E3fs"], (0.1, -1.5)),
        (["Ge_0,5ps", "Ge_1,500ps"], (0.5, 1.5)),  # the first tells
        (["Ge_0.5ps", "Ge_1,500ps"], (0.5, 1500)),
        (["Ge_1'500ps", "Ge_2’000ps"], (1500, 2000)),
        (["Ge_1\u202f500ps", "Ge_2\u00a0000 ps"], (1500, 2000)),
        (["Ge_1p125ps", "Ge_2p250ps"], (1.125, 2.25)),
        (["Ge_5as", "Ge_10as"], (5e-6, 1e-5)),
        (["Scan 1 50 ps", "Scan 1 100 ps"], (50, 100)),  # two numbers: '1 50' is none
    ],
)
def test_numbers_in_names_are_told_by_all_names(names, delays):
    assert _read(*names).delays == pytest.approx(delays, rel=1e-15)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["Ge_1,000ps", "Ge_1,500ps"], "Ge_1,000ps: its delay '1,000' may be 1000 or 1;"),
        (["Ge_500ps", "Ge_1.000ps", "Ge_0ps"], r"its delay '1\.000' may be 1 or 1000;"),
        (["Bild 1 000 ps", "Bild 1 500 ps"], "Bild 1 000 ps: its delay may be 1000 or 0;"),
    ],
)
def test_numbers_in_names_with_two_readings_are_refused(names, match):
    with pytest.raises(UemError, match=match):
        _read(*names)


def test_the_end_of_a_number_is_no_delay():
    assert delays_in_name("Ge1,500ps.tif") == []
    assert delays_in_name("Ge1\u00a0500ps.tif") == []
