"""Merging estimates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.labels import combine_labels


def field(x, y=0.0):
    return np.array([[[x]], [[y]]], dtype=np.float32)


def trust(c):
    return np.array([[c]], dtype=np.float32)


def test_where_they_agree_the_mean_is_weighted_by_confidence():
    label, confidence = combine_labels([field(4.0), field(4.4)], [trust(0.6), trust(0.2)])
    assert label[0, 0, 0] == pytest.approx((0.6 * 4.0 + 0.2 * 4.4) / 0.8, abs=0.01)
    assert confidence[0, 0] == pytest.approx(0.6, abs=0.01)


def test_where_they_do_not_the_more_confident_wins_and_confidence_falls():
    label, confidence = combine_labels([field(4.0), field(-9.0)], [trust(0.8), trust(0.4)])
    assert label[0, 0, 0] == pytest.approx(4.0, abs=0.01)
    assert confidence[0, 0] == pytest.approx(0.8 * 0.8 / 1.2, abs=0.01)


def test_one_bad_estimate_of_three_hardly_moves_the_result():
    labels = [field(5.0, 1.0), field(5.2, 1.1), field(-20.0, 30.0)]
    label, _ = combine_labels(labels, [trust(0.7), trust(0.7), trust(0.69)])
    assert np.hypot(label[0] - 5.1, label[1] - 1.05).item() < 0.05


def test_missing_estimates_do_not_count():
    label, confidence = combine_labels([field(np.nan), field(2.0)], [trust(1.0), trust(0.3)])
    assert label[0, 0, 0] == pytest.approx(2.0)
    assert confidence[0, 0] == pytest.approx(0.3)
    label, confidence = combine_labels([field(np.nan), field(np.inf)], [trust(1.0), trust(1.0)])
    assert not label.any()
    assert not confidence.any()


def test_leading_pair_axes_are_kept():
    rng = np.random.default_rng(0)
    labels = [rng.normal(size=(3, 2, 4, 5)) for _ in range(2)]
    trusts = [rng.uniform(size=(3, 4, 5)) for _ in range(2)]
    label, confidence = combine_labels(labels, trusts)
    assert label.shape == (3, 2, 4, 5)
    single = combine_labels([each[1] for each in labels], [each[1] for each in trusts])
    np.testing.assert_allclose(label[1], single[0], rtol=1e-6)
    np.testing.assert_allclose(confidence[1], single[1], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-20, 20), st.floats(0, 1)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_confidence_never_exceeds_the_best_and_order_does_not_matter(estimates, random):
    confidences = {c for _, c in estimates}
    label, confidence = combine_labels(
        [field(x) for x, _ in estimates], [trust(c) for _, c in estimates]
    )
    assert confidence[0, 0] <= max(confidences) + 1e-6
    assert min(x for x, _ in estimates) - 1e-4 <= max(label[0, 0, 0], 0) or not confidence.any()
    if len(confidences) == len(estimates):  # ties have no single leader
        random.shuffle(estimates)
        again, _ = combine_labels(
            [field(x) for x, _ in estimates], [trust(c) for _, c in estimates]
        )
        np.testing.assert_allclose(again, label, atol=1e-4)


def test_shapes_and_numbers_that_do_not_fit_are_refused():
    with pytest.raises(UemError, match="one confidence for each"):
        combine_labels([field(1.0)], [])
    with pytest.raises(UemError, match="same pixels"):
        combine_labels([field(1.0), np.zeros((2, 3, 3))], [trust(1.0), np.zeros((3, 3))])
