"""Light past a shade: told from the sample by the drift, and only where there is a shade."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import Penumbra
from uemdask.align.penumbra import fitted_slopes

SIZE, FRAMES, WIDTH = 96, 24, 6.0
Y, X = np.mgrid[:SIZE, :SIZE].astype(np.float64)
DRIFT = np.random.default_rng(4).normal(0, 1.2, (FRAMES, 2))


def past(x):
    """Light past a soft shadow that covers the left of the detector."""
    return 0.5 + 0.5 * np.tanh((x - 24) / WIDTH)


def sample(dx, dy, phase):
    """Counts of a sample with contours and a wave that has drifted by (dx, dy)."""
    x, y = X - dx, Y - dy
    contours = 300 * (1 + 0.3 * np.sin(x / 9 + y / 13) + 0.2 * np.cos(y / 7))
    return contours * (1 + 0.08 * np.cos(0.2 * x + 0.1 * y - phase))


def looked_at(light, shaded):
    random = np.random.default_rng(0)
    penumbra = Penumbra(shaded, (sample(0, 0, 0) * light(0, 0)).astype(np.float32), shaded)
    for number, (dx, dy) in enumerate(DRIFT):
        frame = random.poisson(light(dx, dy) * sample(dx, dy, number)).astype(np.float32)
        penumbra.add(frame, shaded, np.array([dx, dy]), 1.0)
    return penumbra.light()


def test_a_soft_shadow_is_found():
    light = looked_at(lambda dx, dy: past(X), past(X) < 0.05)
    slope, truth = np.gradient(np.log(light), axis=1), np.gradient(np.log(past(X)), axis=1)
    penumbra = np.s_[8:-8, 20:40]
    assert truth[penumbra].max() > 0.2
    assert np.abs(slope - truth)[penumbra].mean() < 0.015
    assert light[:, 60:].min() == 1


def test_a_bar_that_moves_with_the_sample_is_left_to_it():
    light = looked_at(lambda dx, dy: past(X - dx), past(X) < 0.05)
    np.testing.assert_array_equal(light, 1)


def test_a_hard_edge_has_no_penumbra():
    block = (np.abs(X - 48) < 10) & (np.abs(Y - 48) < 10)
    light = looked_at(lambda dx, dy: np.where(block, 0.0, 1.0), block)
    np.testing.assert_array_equal(light[~block], 1)


@pytest.mark.parametrize("trend", [0.0, 0.3])
def test_what_changes_steadily_in_the_sample_is_no_shade(trend):
    random = np.random.default_rng(1)
    knots = [-2.0, 2.0, 4.0, 8.0]
    away = random.uniform(0, 8, 400) + random.normal(0, 1, (20, 1))
    own = random.normal(0, 1, 400) + trend * random.normal(0, 1, 400) * np.arange(20)[:, None] / 20
    change = own - 0.2 * np.clip(2 - away, 0, None) - 0.1 * np.clip(4 - np.maximum(away, 2), 0, 2)
    slopes = fitted_slopes(change, away, np.ones(away.shape), knots)
    np.testing.assert_allclose(slopes, [0.2, 0.1, 0.0], atol=2e-3)


def test_what_is_not_seen_has_no_say():
    away = np.linspace(0, 8, 200) + DRIFT[:, :1]
    change = -0.2 * np.clip(4 - away, 0, None)
    seen = np.random.default_rng(2).random(away.shape) < 0.7
    spoilt = np.where(seen, change, 5.0)
    slopes = fitted_slopes(spoilt, away, seen.astype(float), [-3.0, 0.0, 4.0, 9.0])
    np.testing.assert_allclose(slopes, [0.2, 0.2, 0.0], atol=2e-3)
    assert not fitted_slopes(spoilt, away, 0.0 * seen, [-3.0, 0.0, 4.0, 9.0]).any()
