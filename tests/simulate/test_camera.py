"""Drift, brightness and noise have the stated size, sign and zero."""

import numpy as np
import pytest

from uemdask.simulate.camera import before_zero, draw_drift, draw_gain, record

DELAYS = np.arange(-30.0, 570.0, 5.0)


def test_counts_are_poisson_without_read_noise():
    for mean in (30.0, 500.0):
        frame = record(np.random.default_rng(1), np.full((300, 300), mean), read_noise=0.0)
        assert frame.mean() == pytest.approx(mean, rel=0.005)
        assert frame.var() == pytest.approx(mean, rel=0.02)


def test_read_noise_adds_its_variance():
    frame = record(np.random.default_rng(2), np.full((300, 300), 200.0), read_noise=10.0)
    assert frame.var() == pytest.approx(300.0, rel=0.02)


def test_bright_pixels_saturate_and_dark_ones_stay_at_zero():
    frame = record(np.random.default_rng(3), np.array([[0.0, 1e6]]), read_noise=3.0)
    assert frame[0, 0] < 20
    assert frame[0, 1] == 65535


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("total", [0.5, 4.0, 9.0])
def test_drift_reaches_its_total_and_is_zero_before_time_zero(seed, total):
    drift = draw_drift(
        np.random.default_rng(seed), DELAYS, step=0.15, total=total, jumps=1, jump=0.8
    )
    assert drift.shape == (120, 2)
    assert np.hypot(*drift.T).max() == pytest.approx(total, rel=1e-6)
    np.testing.assert_allclose(drift[DELAYS < 0].mean(axis=0), 0.0, atol=1e-12)


def test_drift_without_distance_is_exactly_zero():
    drift = draw_drift(np.random.default_rng(0), DELAYS, step=0.1, total=0.0, jumps=2, jump=1.0)
    assert not drift.any()


def test_a_jump_stands_out_of_the_walk():
    drift = draw_drift(np.random.default_rng(5), DELAYS, step=0.05, total=4.0, jumps=1, jump=1.5)
    steps = np.sort(np.hypot(*np.diff(drift, axis=0).T))
    assert steps[-1] > 1.2
    assert steps[-2] < 0.4


def test_gain_jitter_and_slow_drift_have_the_published_size():
    gains = np.array(
        [
            draw_gain(np.random.default_rng(s), DELAYS, jitter=0.027, brightness_drift=0.21)
            for s in range(40)
        ]
    )
    slow = gains.mean(axis=0)
    assert slow[-1] == pytest.approx(0.79, abs=0.02)
    np.testing.assert_allclose(gains[:, DELAYS < 0].mean(axis=1), 1.0, atol=1e-12)
    assert np.std(gains / slow) == pytest.approx(0.027, rel=0.15)


def test_all_frames_define_the_reference_where_none_is_before_zero():
    assert before_zero(np.array([0.0, 5.0, 10.0])).all()
    assert before_zero(np.array([-5.0, 0.0, 5.0])).tolist() == [True, False, False]
