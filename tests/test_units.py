"""Quantities as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.units import parse_delay, parse_length, parse_pixel_size


@pytest.mark.parametrize(
    ("text", "nm"),
    [
        ("3nm", 3),
        ("3", 3),
        (3, 3),
        (2.5, 2.5),
        (" 2.5 Å ", 0.25),
        ("2.5 Å/px", 0.25),
        ("0.003 µm", 3),  # micro sign
        ("0.003 μm", 3),  # Greek mu
        ("3e-3 um", 3),
        ("3000 pm", 3),
        ("1 mm", 1e6),
        (".5 NM", 0.5),
    ],
)
def test_lengths_are_in_nm(text, nm):
    assert parse_length(text) == pytest.approx(nm, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "ps"),
    [
        ("-500 fs", -0.5),
        ("−30ps", -30),  # the minus sign of a word processor
        ("1.2ns", 1200),
        ("1 µs", 1e6),
        ("1 μs", 1e6),
        ("2 ms", 2e9),
        ("1 s", 1e12),
        ("+5", 5),
        (0, 0),
    ],
)
def test_delays_are_in_ps(text, ps):
    assert parse_delay(text) == pytest.approx(ps, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "nm", "3 parsec", "nan", "inf", "1e999", "3 nm nm", "1,5,5 nm", "None", "3 ps"]
)
def test_what_is_not_a_length_is_refused_with_its_name(text):
    with pytest.raises(UemError, match="pixel size") as caught:
        parse_length(text, what="pixel size")
    assert repr(text) in str(caught.value)


def test_a_length_is_not_a_delay():
    with pytest.raises(UemError, match="write it like '3ps'"):
        parse_delay("3 nm")


@given(st.floats(-1e6, 1e6).filter(lambda v: v == 0 or abs(v) > 1e-6))
def test_every_written_number_comes_back(value):
    assert parse_delay(f"{value!r} ns") == pytest.approx(value * 1000)


@given(st.text(max_size=20))
def test_any_text_is_a_finite_number_or_an_error_for_people(text):
    for parse in (parse_length, parse_delay):
        try:
            assert math.isfinite(parse(text))
        except UemError:
            continue


@pytest.mark.parametrize(
    ("text", "ps"),
    [
        ("1,5 ns", 1500),
        ("−1.250,5 fs", -1.2505),
        ("1'000 fs", 1),
        ("2 as", 2e-6),
        ("2 psec", 2),
        ("3 picoseconds", 3),
        ("3 µsec", 3e6),
        ("1e-1 ns", 100),
        ("5×10^2 fs", 0.5),
    ],
)
def test_delays_are_written_in_many_ways(text, ps):
    assert parse_delay(text) == ps


def test_a_quantity_with_two_readings_is_refused_with_both():
    with pytest.raises(UemError, match=r"time zero '1,250 fs' may be 1250 or 1\.25; write one"):
        parse_delay("1,250 fs", what="time zero")
    assert parse_delay("1,250 fs", decimal=",") == 1.25e-3


@pytest.mark.parametrize(
    ("text", "nm"),
    [
        ("3nm", (3, 3)),
        ("3nm,2.5nm", (3, 2.5)),
        ("3,2.5", (3, 2.5)),
        ("7, 5", (7, 5)),
        ("2,5nm; 3,5nm", (2.5, 3.5)),
        ("2,5 nm, 3,5 nm", (2.5, 3.5)),
        ([7, 5], (7, 5)),
    ],
)
def test_pixel_sizes_are_one_length_or_two(text, nm):
    assert parse_pixel_size(text) == nm


@pytest.mark.parametrize("text", ["2,5nm", "2,5", "1,234 nm", "0nm", "-3nm", "1nm,2nm,3nm", ""])
def test_pixel_sizes_that_are_not_clear_are_refused(text):
    with pytest.raises(UemError, match="pixel size"):
        parse_pixel_size(text)
