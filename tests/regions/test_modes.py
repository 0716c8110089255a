"""Kinds of motion from three numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.regions import MODES, classify_mode, roi_numbers

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("numbers", "mode"),
    [
        ((0.94, 0.09, 0.53), "travelling"),
        ((0.99, 0.00, 1.00), "travelling"),
        ((0.12, 0.09, 0.53), "standing"),
        ((0.05, 0.95, 0.60), "breathing"),
        ((0.12, 0.09, 0.03), "none"),
        # Brightness correction takes breathing out of the pixels, so they are not significant.
        ((0.05, 0.95, 0.03), "breathing"),
        ((0.02, 0.55, 0.18), "breathing"),
    ],
)
def test_the_measured_extremes_are_told_apart_with_confidence(numbers, mode):
    found, probability = classify_mode(*numbers)
    assert found == mode
    assert probability[MODES.index(mode)] > 0.85


@given(SHARES, SHARES, SHARES)
def test_probabilities_sum_to_one(travel, brightness, significant):
    found, probability = classify_mode(travel, brightness, significant)
    assert probability.sum() == pytest.approx(1)
    assert (probability >= 0).all()
    assert probability[MODES.index(str(found))] == probability.max()


@given(SHARES, SHARES, SHARES, SHARES)
def test_more_travel_never_makes_travelling_less_likely(low, high, brightness, significant):
    low, high = sorted((low, high))
    less = classify_mode(low, brightness, significant)[1][0]
    assert classify_mode(high, brightness, significant)[1][0] >= less


def test_half_way_between_two_classes_neither_is_sure():
    _, probability = classify_mode(0.53, 0.0, 0.9)
    assert probability[0] == pytest.approx(probability[1], rel=0.01)


def test_regions_are_classified_together():
    found, probability = classify_mode(
        np.array([0.95, 0.05]), np.array([0.02, 0.02]), np.array([0.8, 0.8])
    )
    assert found.tolist() == ["travelling", "standing"]
    assert probability.shape == (2, 4)


def test_a_region_without_numbers_has_no_wave():
    found, probability = classify_mode(np.nan, np.nan, np.nan)
    assert found == "none"
    assert np.isfinite(probability).all()


def test_numbers_outside_their_range_are_refused():
    with pytest.raises(UemError, match="brightness_share"):
        classify_mode(0.5, 1.5, 0.5)


def test_numbers_of_a_region_ignore_nodes_and_other_pixels():
    travel = np.array([[0.9, 0.1, 0.5, np.nan]])
    significant = np.array([[True, True, False, False]])
    amplitude = np.array([[3.0, 1.0, 9.0, 1.0]])
    index, share = roi_numbers(travel, significant, amplitude, np.ones((1, 4), bool))
    assert index == pytest.approx((9 * 0.9 + 0.1) / 10)
    assert share == 0.5
    index, share = roi_numbers(travel, significant, amplitude, np.zeros((1, 4), bool))
    assert np.isnan(index)
    assert np.isnan(share)
