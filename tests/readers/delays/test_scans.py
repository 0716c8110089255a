"""Repeats of a delay are scans."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from uemdask.readers.delays import number_scans


def test_repeats_are_numbered_in_order_of_appearance():
    assert number_scans([0, 5, 5, 0, 5], None) == (1, 1, 2, 2, 3)
    assert number_scans([], None) == ()


def test_known_scans_are_kept_and_their_numbers_not_given_again():
    assert number_scans([5, 5, 5, 5], [None, 1, None, 3]) == (2, 1, 4, 3)
    assert number_scans([5, 5, 0, 0], (2, 1, 1, 2)) == (2, 1, 1, 2)


def test_the_order_in_time_counts_not_that_of_the_rows():
    assert number_scans([5, 5, 5], None, order=[30, 10, 20]) == (3, 1, 2)


def test_delays_that_differ_by_rounding_are_one():
    assert number_scans([0.3, 0.1 + 0.2, -0.0, 0.0], None) == (1, 2, 1, 2)


@given(st.lists(st.tuples(st.sampled_from([-5.0, 0.0, 5.0]), st.none() | st.integers(1, 4))))
def test_no_number_is_given_twice(rows):
    delays = [delay for delay, _ in rows]
    found = number_scans(delays, [scan for _, scan in rows])
    given_twice = Counter(zip(delays, found, strict=True))
    stated_twice = Counter((delay, scan) for delay, scan in rows if scan is not None)
    assert all(count <= max(1, stated_twice[key]) for key, count in given_twice.items())
    assert all(scan in (None, number) for (_, scan), number in zip(rows, found, strict=True))
