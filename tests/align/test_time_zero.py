"""The first change of the sample: when, how sure, and when that cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import EARLY, EarlyFrames, first_change
from uemdask.simulate import scenario, simulate


def onset_of(name, seed, **options):
    a = simulate(scenario(name, seed=seed, shape=(128, 128), frames=40, **options))
    # Off by as much as alignment is.
    drift = a.drift + np.random.default_rng(seed).normal(0, 0.03, a.drift.shape)

    def load(i):
        return a.frame(i).astype(np.float32)

    early = EarlyFrames(load, range(EARLY), drift[:EARLY])
    change = np.array([early.change(i, load(i), drift[i]) for i in range(len(a))])
    return first_change(a.delays, *change.T)


@pytest.mark.slow
def test_stated_error_covers_time_zero():
    """Bend contours move from time zero on, whatever brightness, jitter and drift do."""
    z = []
    for name in ("plane", "chirped", "bend_contours", "few_delays"):
        for seed in (1, 2, 3):
            onset = onset_of(name, seed)
            assert onset.time is not None
            assert onset.error < 12
            z.append(onset.time / onset.error)
    assert np.mean(np.abs(z) < 2) >= 0.8
    assert abs(np.mean(z)) < 1


def test_a_wave_that_comes_late_is_the_first_change_where_contours_rest():
    still = {"contour_shift": 0.0, "contour_darkening": 0.0}
    onset = onset_of("chirped", 1, **still)
    assert onset.time == pytest.approx(100.0, abs=10.0)
    nothing = onset_of("no_wave", 1, **still)
    assert nothing.time is None
    assert "nothing changes" in nothing.reason


def test_a_series_that_begins_after_time_zero_says_so():
    t = np.arange(20.0, 100.0, 5.0)
    change = 1e-5 * np.arange(t.size) ** 2.0
    change[:EARLY] = 0.0
    change[EARLY - 1] = 1e-3
    early = first_change(t, change + 1e-3 * (t > 30), np.full(t.size, 1e-6))
    assert early.time is None or early.time < 40


def test_frames_that_cannot_be_compared():
    t = np.arange(12.0)
    nan = np.full(12, np.nan)
    assert first_change(t, nan, nan).time is None
