"""Stated plans of delays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.readers.delays import parse_plan


def test_a_plan_of_two_segments_shares_a_delay():
    delays = parse_plan("-30:500:5,500:990:10 ps").delays
    np.testing.assert_allclose(delays, [*np.arange(-30, 501, 5), *np.arange(510, 991, 10)])


@pytest.mark.parametrize(
    ("text", "delays"),
    [
        ("0:2:1", (0, 1, 2)),
        ("0:2:1fs", (0, 1e-3, 2e-3)),
        (" 0 : 2 : 1 ns ", (0, 1000, 2000)),
        ("0:2.5:1 ps", (0, 1, 2)),  # a stop that no step meets
        ("0:0.3:0.1 ps", (0, 0.1, 0.2, 0.3)),  # in spite of rounding
        ("5:5:1 ps", (5,)),
    ],
)
def test_plans(text, delays):
    np.testing.assert_allclose(parse_plan(text).delays, delays, atol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "0:10",
        "0:10:0",
        "0:10:-1",
        "10:0:1",
        "0:nan:1",
        "0:1e300:1e-300",
        "a:b:c",
        "0:10:1 nm",
    ],
)
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(UemError, match="delay"):
        parse_plan(text)


def test_any_plan_gives_finite_delays_or_an_error_for_people(answers, damaged):
    @given(
        damaged("-30:500:5; 500:1000:10 ps")
        | st.text(max_size=30)
        | st.from_regex(r"[-0-9.e]{1,6}:[-0-9.e]{1,6}:[-0-9.e]{1,6}( ?[fpnuµ]s)?", fullmatch=True)
    )
    @settings(max_examples=300)
    @answers
    def any_of_them(text):
        found = parse_plan(text)
        assert all(map(math.isfinite, found.delays))

    any_of_them()
    assert answers.share > 0.02


@pytest.mark.parametrize(
    ("text", "delays"),
    [
        ("−2:0:1 ps", (-2, -1, 0)),
        ("–2:0:1", (-2, -1, 0)),
        ("0:1e1:5", (0, 5, 10)),
        ("0,5:2,5:1", (0.5, 1.5, 2.5)),
        ("-0,5:0,5:0,5; 0,5:2,5:1 fs", (-5e-4, 0, 5e-4, 1.5e-3, 2.5e-3)),
        ("0:1'000:500 fs", (0, 0.5, 1)),
        ("-500 fs : 1 ps : 500 fs", (-0.5, 0, 0.5, 1)),
        ("0:2:1 ps, 2:4:2 ps", (0, 1, 2, 4)),
        ("0:2:1 as", (0, 1e-6, 2e-6)),
        ("0:2:1 μs", (0, 1e6, 2e6)),
    ],
)
def test_numbers_of_plans_are_written_in_many_ways(text, delays):
    assert parse_plan(text).delays == pytest.approx(delays, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("0:1,000:500", "'1,000' may be 1000 or 1;"),
        ("-2,5:4:1, 4:8:2", "'-2' is not start:stop:step"),
        ("-500fs:2:100", "some numbers have a unit and others none"),
        ("0:2:1 fs, 2:4:1", "some numbers have a unit and others none"),
    ],
)
def test_what_is_not_clear_in_a_plan_is_refused(text, match):
    with pytest.raises(UemError, match=match):
        parse_plan(text)
