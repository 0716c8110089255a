"""Kinds of motion from three numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.regions import MODES, classify_mode, roi_numbers, uniform_share

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("numbers", "mode"),
    [
        ((0.94, 0.09, 0.15, 0.40, 0.53), "travelling"),
        ((0.99, 0.00, 0.00, 1.00, 1.00), "travelling"),
        # Not valid, as where the delays are too coarse; it travels all the same.
        ((0.99, 0.00, 0.00, 0.00, 1.00), "travelling"),
        ((0.12, 0.09, 0.15, 0.00, 0.53), "standing"),
        ((0.05, 0.95, 0.90, 0.00, 0.60), "breathing"),
        ((0.12, 0.09, 0.60, 0.00, 0.03), "none"),
        # Brightness correction takes breathing out of the pixels, so they are not significant.
        ((0.05, 0.95, 0.99, 0.00, 0.03), "breathing"),
        ((0.02, 0.50, 0.86, 0.00, 0.18), "breathing"),
        # Under a steady beam all of the little that a wave leaves in the brightness is in the band.
        ((0.97, 0.98, 0.02, 1.00, 0.90), "travelling"),
        ((0.05, 0.98, 0.05, 0.00, 0.90), "standing"),
    ],
)
def test_the_measured_extremes_are_told_apart_with_confidence(numbers, mode):
    found, probability = classify_mode(*numbers)
    assert found == mode
    assert probability[MODES.index(mode)] > 0.85


@given(st.tuples(*[SHARES] * 5))
def test_probabilities_sum_to_one(numbers):
    found, probability = classify_mode(*numbers)
    assert probability.sum() == pytest.approx(1)
    assert (probability >= 0).all()
    assert probability[MODES.index(str(found))] == probability.max()


@given(SHARES, SHARES, st.tuples(*[SHARES] * 4))
def test_more_travel_never_makes_travelling_less_likely(low, high, others):
    low, high = sorted((low, high))
    less = classify_mode(low, *others)[1][0]
    assert classify_mode(high, *others)[1][0] >= less


@given(SHARES, SHARES, SHARES, st.floats(0.55, 1))
def test_where_most_pixels_have_a_valid_speed_the_region_travels(
    travel, brightness, uniform, valid
):
    found, _ = classify_mode(travel, brightness, uniform, valid, max(valid, 0.6))
    assert found == "travelling"


def test_half_way_between_two_classes_neither_is_sure():
    _, probability = classify_mode(0.53, 0.0, 0.0, 0.0, 0.9)
    assert probability[0] == pytest.approx(probability[1], rel=0.01)


def test_regions_are_classified_together():
    found, probability = classify_mode(
        np.array([0.95, 0.05]), 0.02, 0.02, 0.0, np.array([0.8, 0.8])
    )
    assert found.tolist() == ["travelling", "standing"]
    assert probability.shape == (2, 4)


def test_a_region_without_numbers_has_no_wave():
    found, probability = classify_mode(np.nan, np.nan, np.nan, np.nan, np.nan)
    assert found == "none"
    assert np.isfinite(probability).all()


def test_numbers_outside_their_range_are_refused():
    with pytest.raises(UemError, match="brightness_share"):
        classify_mode(0.5, 1.5, 0.5, 0.5, 0.5)
    with pytest.raises(UemError, match="travelling_share"):
        classify_mode(0.5, 0.5, 0.5, -0.5, 0.5)


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


def test_what_a_region_has_in_common_is_told_from_a_wave_in_it():
    x = np.arange(60)
    wave, whole = np.exp(2j * np.pi * x / 20)[None], np.ones((1, 60), bool)
    assert uniform_share(wave, 0.0, whole) == pytest.approx(0, abs=1e-12)
    assert uniform_share(np.ones((1, 60)), 0.0, whole) == pytest.approx(1)
    # Breathing that was taken out as gain is in the common part alone.
    assert uniform_share(0.1 * wave, 1.0, whole) == pytest.approx(1 / 1.01)
    assert np.isnan(uniform_share(wave, 0.0, ~whole))
