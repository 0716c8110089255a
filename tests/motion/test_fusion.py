"""The fused displacement is no worse than either, and says how good it is."""

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.motion import LabelError, fuse, label_error

SHAPE = (2, 96, 96)
TRUTH = np.stack([np.full(SHAPE[1:], 3.0), np.full(SHAPE[1:], -2.0)]).astype(np.float32)


def noisy(sd, seed):
    return TRUTH + sd * np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def rms(flow):
    return float(np.sqrt(np.mean(np.square(flow - TRUTH))))


@pytest.mark.parametrize(("network", "label"), [(0.1, 0.1), (0.05, 0.3), (0.4, 0.05)])
def test_it_is_the_mean_of_least_variance_and_says_so(network, label):
    flow, sd = fuse(
        noisy(network, 1),
        np.full(SHAPE, network, np.float32),
        noisy(label, 2),
        np.full(SHAPE[1:], label, np.float32),
    )
    best = (network**-2 + label**-2) ** -0.5
    assert rms(flow) == pytest.approx(best, rel=0.05)
    assert np.median(sd) == pytest.approx(best, rel=0.05)


def test_a_network_that_is_off_and_does_not_know_has_no_say():
    wrong = noisy(0.05, 1)
    wrong[0] += 1.5
    stated = np.full(SHAPE, 0.05, np.float32)
    flow, sd = fuse(wrong, stated, noisy(0.05, 2), stated[0])
    assert rms(flow) < 1.1 * 0.05
    # The two contradict each other: that is no surer than the label alone.
    assert sd.min() > 0.05


def test_without_a_label_it_is_the_networks():
    network, sd = noisy(0.1, 1), np.full(SHAPE, 0.1, np.float32)
    label_sd = np.full(SHAPE[1:], 0.1, np.float32)
    label_sd[:, :40] = np.inf
    flow, fused_sd = fuse(network, sd, noisy(0.1, 2), label_sd)
    np.testing.assert_array_equal(flow[..., :40], network[..., :40])
    np.testing.assert_allclose(fused_sd[..., :20], sd[..., :20])
    assert np.isfinite(flow).all()


def test_a_perfect_label_is_taken():
    flow, sd = fuse(
        noisy(0.1, 1), np.full(SHAPE, 0.1, np.float32), TRUTH, np.zeros(SHAPE[1:], np.float32)
    )
    np.testing.assert_allclose(flow, TRUTH, atol=1e-6)
    assert np.abs(sd).max() < 1e-6


@pytest.mark.parametrize(("floor", "slope"), [(0.01, 0.0), (0.01, 0.2), (0.0, 0.3), (0.05, 0.1)])
def test_the_error_of_labels_is_found_from_their_confidence(floor, slope):
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1.0, size=(2, *SHAPE[1:])).astype(np.float32)
    truth = np.stack([TRUTH, TRUTH])
    sd = LabelError(floor, slope).deviation(truth, confidence)
    label = truth + sd[:, None] * rng.normal(size=truth.shape)
    label[:, :, :4] *= -20  # a few wild ones
    inside = np.ones(confidence.shape, bool)
    found = label_error(label, confidence, truth, inside)
    assert found.floor == pytest.approx(floor, abs=0.006)
    assert found.slope == pytest.approx(slope, abs=0.03)


def test_no_label_has_no_error():
    nothing = np.zeros((1, *SHAPE[1:]))
    with pytest.raises(UemError, match="no pixel has any confidence"):
        label_error(TRUTH[None], nothing, TRUTH[None], nothing == 0)
