"""A simulated twin has the motion, shape and growth of the wave of its run."""

import numpy as np
import pytest

from uemdask.stages.fitted_wave import fit_rings, fit_speed, fit_wave, growth_of

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
    wave = fit_wave(waving)
    assert wave.angle == pytest.approx(-45)
    assert wave.origin is None
    assert wave.speed.late == pytest.approx(np.hypot(5, 5) * 3 / 5, rel=1e-3)
    assert wave.speed.excess == 0
    assert wave.amplitude == pytest.approx(np.sqrt(2 * (0.005 - 0.002**2)))


@pytest.mark.parametrize("origin", [(30.0, -12.0), (-100.0, 30.0)])
def test_the_centre_of_rings_is_found(origin):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-64:64, -64:64].astype(float)
    motion = np.stack([x - origin[0], y - origin[1]])
    motion = motion / np.hypot(*motion).clip(1) + 0.05 * rng.standard_normal(motion.shape)
    assert fit_rings(motion, y, x) == pytest.approx(origin, rel=0.1)


def test_straight_and_inward_fronts_are_no_rings():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-64:64, -64:64].astype(float)
    straight = np.array([3.0, -1.0])[:, None, None] + 0.3 * rng.standard_normal((2, 128, 128))
    assert fit_rings(straight, y, x) is None
    assert fit_rings(np.stack([5 - x, 9 - y]), y, x) is None


def test_the_growth_of_a_wave_is_followed():
    delays = np.arange(0.0, 600.0, 5.0)
    strength = 0.2 * np.interp(delays, [100, 240, 440, 600], [0, 1, 0.4, 0.1])
    amplitude, growth = growth_of(delays, strength, period=30.0)
    assert amplitude == pytest.approx(0.2, rel=0.05)
    assert growth[0, 1] == 0
    assert growth[:, 1].max() == 1
    assert np.all(np.diff(growth[:, 0]) > 0)
    found = amplitude * np.interp(delays, growth[:, 0], growth[:, 1])
    np.testing.assert_allclose(found, strength, atol=0.01)
