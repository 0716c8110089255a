"""The motion of a simulated twin is that of the labels."""

import numpy as np
import pytest

from uemdask.stages.twin import _motion, fit_speed

DELAY = np.arange(0.0, 500.0, 5.0)


@pytest.mark.parametrize("decay", [100.0, 208.0, 600.0])
def test_a_speed_that_falls_is_found(decay):
    rng = np.random.default_rng(0)
    speed = 8 + 50 * np.exp(-DELAY / decay)
    law = fit_speed(DELAY, speed * (1 + 0.01 * rng.standard_normal(100)), np.ones(100))
    np.testing.assert_allclose(law(DELAY), speed, rtol=0.02)


def test_noise_is_not_taken_for_a_fall():
    rng = np.random.default_rng(1)
    law = fit_speed(DELAY, 2 + 0.1 * rng.standard_normal(100), np.ones(100))
    assert law.excess == 0
    assert law.late == pytest.approx(2, rel=0.02)


def test_what_has_no_weight_does_not_count():
    speed, weight = np.full(100, 3.0), np.ones(100)
    speed[:20], weight[:20] = 90.0, 0.0
    assert fit_speed(DELAY, speed, weight).late == pytest.approx(3)


def test_direction_and_speed_are_those_of_the_confident_labels(waving):
    # Labels of the fixture: 5 px along x and along y (downwards) in 5 ps, 3 nm a pixel.
    angle, law = _motion(waving)
    assert angle == pytest.approx(-45)
    assert law.late == pytest.approx(np.hypot(5, 5) * 3 / 5, rel=1e-3)
    assert law.excess == 0
