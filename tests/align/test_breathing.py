"""The beam's jitter is gain; a swing with a period of its own is the sample's."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import find_breathing

T = np.arange(-30.0, 570.0, 5.0)


def beam(random):
    slow = 1 - 0.21 * np.sin(np.pi / 2 * np.clip((T + 30) / 530, 0, 1)) ** 2
    return slow * (1 + 0.027 * random.standard_normal(T.size))


@pytest.mark.slow
def test_jitter_and_slow_fall_are_no_breathing():
    random = np.random.default_rng(0)
    assert all(find_breathing(beam(random), T).frequency is None for _ in range(40))


@pytest.mark.parametrize("frequency", [9.0, 18.0, 74.0])
def test_growing_and_fading_swing_is_found(frequency):
    random = np.random.default_rng(1)
    strength = np.clip((T - 10) / 70, 0, 1) * np.exp(-np.maximum(T - 80, 0) / 900)
    swing = 0.06 * strength * np.cos(2e-3 * np.pi * frequency * T)
    found = find_breathing(beam(random) * (1 + swing), T)
    assert found.frequency == pytest.approx(frequency, rel=0.02)
    # What is left of it in the gain is small against the jitter.
    assert np.std(found.swing - swing) < 0.012


def test_uneven_delays():
    random = np.random.default_rng(2)
    t = np.cumsum(random.uniform(2.5, 8.0, 100))
    gain = (1 + 0.02 * random.standard_normal(100)) * (1 + 0.06 * np.sin(2e-3 * np.pi * 34 * t))
    assert find_breathing(gain, t).frequency == pytest.approx(34.0, rel=0.02)


def test_few_frames_tell_nothing():
    t = np.arange(20.0)
    assert find_breathing(1 + 0.1 * np.sin(t), t).frequency is None
