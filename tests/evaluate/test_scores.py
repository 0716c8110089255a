"""Scores with known answers."""

import json

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.evaluate import (
    area_under_curve,
    forward_backward_error,
    intersection_over_union,
    score_flow,
    warp_error,
    zero_flows,
)

SHAPE = (24, 32)
MASK = np.zeros(SHAPE, bool)
MASK[4:20, 4:28] = True
PRESENT = np.array([True, True, False, True])


def truth():
    field = np.empty((4, 2, *SHAPE), np.float32)
    field[:, 0] = np.array([3.0, 4.0, 100.0, 5.0])[:, None, None]
    field[:, 1] = 1.0
    return field


def rotated(field, degree):
    c, s = np.cos(np.radians(degree)), np.sin(np.radians(degree))
    return np.stack([c * field[:, 0] - s * field[:, 1], s * field[:, 0] + c * field[:, 1]], 1)


def test_zero_flow_scores_one_ninety_and_hundred():
    scores = score_flow(zero_flows(4, SHAPE), truth(), MASK, PRESENT)
    assert scores.epe_relative == pytest.approx(1.0)
    assert scores.angle_error_degree == pytest.approx(90.0)
    assert scores.roi_speed_error_percent == pytest.approx(100.0)
    assert scores.share_over_10_percent == 1.0
    assert scores.pairs == 3


def test_the_truth_scores_no_error():
    scores = score_flow(truth(), truth(), MASK, PRESENT)
    assert scores.epe_px == 0
    assert scores.angle_error_degree == pytest.approx(0, abs=1e-4)
    assert scores.roi_speed_error_percent == pytest.approx(0, abs=1e-4)
    assert scores.share_over_10_percent == 0


def test_only_present_pairs_and_the_mask_count():
    found = truth()
    found[2] = np.nan
    found[:, :, ~MASK] = 99.0
    scores = score_flow(found, truth(), MASK, PRESENT)
    assert scores.epe_px == 0
    assert scores.missing_share == 0


@pytest.mark.parametrize("degree", [-60, 20, 180])
def test_a_turned_flow_scores_its_angle_and_the_lost_projection(degree):
    scores = score_flow(rotated(truth(), degree), truth(), MASK, PRESENT)
    assert scores.angle_error_degree == pytest.approx(abs(degree), abs=1e-3)
    assert scores.roi_speed_error_percent == pytest.approx(
        100 * (1 - np.cos(np.radians(degree))), rel=1e-4
    )
    assert scores.epe_relative == pytest.approx(2 * np.sin(np.radians(abs(degree)) / 2), rel=1e-4)


def test_a_flow_eight_percent_too_fast():
    scores = score_flow(1.08 * truth(), truth(), MASK, PRESENT)
    assert scores.epe_relative == pytest.approx(0.08, rel=1e-4)
    assert scores.roi_speed_error_percent == pytest.approx(8.0, rel=1e-4)
    assert scores.share_over_10_percent == 0
    assert score_flow(1.12 * truth(), truth(), MASK, PRESENT).share_over_10_percent == 1


def test_region_errors_of_pairs_do_not_cancel():
    found = truth()
    found[0] *= 1.2
    found[1] *= 0.8
    scores = score_flow(found, truth(), MASK, PRESENT)
    assert scores.roi_speed_error_percent == pytest.approx(100 * (0.2 + 0.2 + 0) / 3, rel=1e-4)


def test_errors_of_pixels_do_cancel_in_a_region():
    noise = np.random.default_rng(0).normal(0, 0.5, truth().shape)
    scores = score_flow(truth() + noise, truth(), MASK, PRESENT)
    assert scores.epe_px == pytest.approx(0.5 * np.sqrt(np.pi / 2), rel=0.05)
    assert scores.roi_speed_error_percent < 2


def test_leaving_hard_pixels_out_costs_as_much_as_zero_flow():
    found = truth()
    found[:, :, :, ::2] = np.nan
    scores = score_flow(found, truth(), MASK, PRESENT)
    assert scores.missing_share == pytest.approx(0.5)
    assert scores.epe_relative == pytest.approx(0.5, rel=1e-5)
    assert scores.angle_error_degree == pytest.approx(45, abs=1e-3)


def big_case(overconfidence):
    rng = np.random.default_rng(1)
    shape = (2, 2, 120, 120)
    true = np.full(shape, 3.0)
    sd = rng.uniform(0.1, 1.0, shape)
    found = true + sd * rng.normal(size=shape)
    return found, true, sd / overconfidence


@pytest.mark.parametrize(
    ("overconfidence", "one", "two"), [(1.0, 0.683, 0.954), (2.0, 0.383, 0.683)]
)
def test_coverage_tells_right_from_overconfident_deviations(overconfidence, one, two):
    found, true, sd = big_case(overconfidence)
    mask, present = np.ones((120, 120), bool), np.ones(2, bool)
    scores = score_flow(found, true, mask, present, flow_sd=sd)
    for coverage in (scores.coverage_x, scores.coverage_y):
        assert coverage.one_sigma == pytest.approx(one, abs=0.015)
        assert coverage.two_sigma == pytest.approx(two, abs=0.015)
        assert len(coverage.fifth_sd) == 5
        assert list(coverage.fifth_sd) == sorted(coverage.fifth_sd)
        np.testing.assert_allclose(
            coverage.fifth_error, overconfidence * np.array(coverage.fifth_sd), rtol=0.06
        )
        np.testing.assert_allclose(coverage.fifth_one_sigma, one, atol=0.03)


def test_no_stated_deviation_no_coverage_and_scores_fit_json():
    scores = score_flow(truth(), truth(), MASK, PRESENT)
    assert scores.coverage_x is None
    found, true, sd = big_case(1.0)
    full = score_flow(found, true, np.ones((120, 120), bool), np.ones(2, bool), flow_sd=sd)
    assert json.loads(json.dumps(full.as_dict()))["coverage_x"]["one_sigma"] > 0.6


@pytest.mark.parametrize(
    ("flow", "mask", "present", "message"),
    [
        (np.zeros((3, 2, *SHAPE)), MASK, PRESENT, "number of pairs"),
        (np.zeros((4, 2, 5, 5)), MASK, PRESENT, "shape"),
        (np.zeros((4, 2, *SHAPE)), 0 * MASK, PRESENT, "nothing to score"),
        (np.zeros((4, 2, *SHAPE)), MASK, 0 * PRESENT, "nothing to score"),
    ],
)
def test_what_cannot_be_scored_is_refused(flow, mask, present, message):
    with pytest.raises(UemError, match=message):
        score_flow(flow, truth(), mask, present)


def test_a_wave_that_does_not_travel_has_no_relative_scores():
    scores = score_flow(truth(), 0 * truth(), MASK, PRESENT)
    assert scores.epe_px > 3
    assert np.isnan(
        [scores.epe_relative, scores.angle_error_degree, scores.roi_speed_error_percent]
    ).all()


def test_a_truth_with_gaps_is_refused():
    with pytest.raises(UemError, match="not finite"):
        score_flow(truth(), truth() * np.nan, MASK, PRESENT)


def test_forward_backward_error_is_the_distance_from_the_start():
    forward = np.full((2, *SHAPE), 2.0)
    everywhere = np.ones(SHAPE, bool)
    assert forward_backward_error(forward, -forward, everywhere) == pytest.approx(0, abs=1e-6)
    off = -forward.copy()
    off[0] += 0.3
    off[1] += 0.4
    assert forward_backward_error(forward, off, everywhere) == pytest.approx(0.5, rel=1e-5)
    assert np.isnan(forward_backward_error(100 * forward, forward, everywhere))


def test_warp_error_of_right_zero_and_opposite_flow():
    x = np.tile(np.arange(120.0), (40, 1))
    first, second = (np.sin(2 * np.pi * (x - d) / 20) for d in (0.0, 4.0))
    right = np.zeros((2, 40, 120))
    right[0] = 4.0
    mask = np.zeros((40, 120), bool)
    mask[:, 20:100] = True
    assert warp_error(first, second, right, mask) < 0.01
    # |sin(a) - sin(a - p)| has an rms of 2 sin(p / 2) times that of the wave.
    assert warp_error(first, second, 0 * right, mask) == pytest.approx(
        2 * np.sin(np.pi * 4 / 20), rel=0.01
    )
    assert warp_error(first, second, -right, mask) == pytest.approx(
        2 * np.sin(np.pi * 8 / 20), rel=0.02
    )


def test_area_under_curve_of_known_orders():
    mask = np.array([[False, False, True, True]])
    assert area_under_curve(np.array([[0, 1, 2, 3.0]]), mask) == 1.0
    assert area_under_curve(np.array([[3, 2, 1, 0.0]]), mask) == 0.0
    assert area_under_curve(np.array([[1, 1, 1, 1.0]]), mask) == 0.5
    assert area_under_curve(np.array([[np.nan, np.nan, 1, 1.0]]), mask) == 1.0
    assert np.isnan(area_under_curve(np.zeros((1, 4)), np.zeros((1, 4), bool)))


def test_area_under_curve_of_two_shifted_normals():
    rng = np.random.default_rng(0)
    score = np.concatenate([rng.normal(0, 1, 20_000), rng.normal(1, 1, 20_000)])
    truth_mask = np.arange(40_000) >= 20_000
    assert area_under_curve(score, truth_mask) == pytest.approx(0.7602, abs=0.01)


def test_intersection_over_union_of_known_masks():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:, :2], b[:, 1:3] = True, True
    assert intersection_over_union(a, b) == pytest.approx(4 / 12)
    assert intersection_over_union(a, a) == 1
    assert intersection_over_union(a, ~a) == 0
    with pytest.raises(UemError, match="shape"):
        intersection_over_union(a, b[:2])
