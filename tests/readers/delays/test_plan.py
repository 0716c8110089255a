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


@given(
    st.text(max_size=30)
    | st.from_regex(r"[-0-9.e]{1,6}:[-0-9.e]{1,6}:[-0-9.e]{1,6}( ?[fpnuµ]s)?", fullmatch=True)
)
@settings(max_examples=300)
def test_any_plan_gives_finite_delays_or_an_error_for_people(text):
    try:
        found = parse_plan(text)
    except UemError:
        return
    assert all(map(math.isfinite, found.delays))
