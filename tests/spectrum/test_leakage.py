"""What the band-pass shows before time zero is told from what is there."""

import numpy as np
import pytest

from uemdask.spectrum import band_pass_operator, leaked_frames

GE = np.r_[-100:500:5, 500:1000:10].astype(float)
COARSE = np.arange(-100.0, 400.0, 10.0)
RANDOM = np.sort(np.random.default_rng(0).uniform(-100, 400, 120))
CENTRE = 34.0


@pytest.mark.parametrize("delays", [GE, COARSE, RANDOM], ids=["germanium", "coarse", "random"])
@pytest.mark.parametrize("window", [0.5, 1.0])
def test_what_is_not_among_them_shows_no_wave_to_come(delays, window):
    untold = leaked_frames(delays, centre=CENTRE, window=window)
    operator = band_pass_operator(delays, CENTRE, window=window * 1e3 / CENTRE)
    phases = np.linspace(0, 2 * np.pi, 16)
    wave = np.cos(2e-3 * np.pi * CENTRE * delays[:, None] + phases) * (delays >= 0)[:, None]
    before = delays < 0
    trace = np.abs(operator @ wave).max(axis=1)
    assert trace[before & ~untold].max() < 0.02
    assert trace[before & untold].min() > 0.015
    assert not untold[~before].any()
    # A trace ends: that nothing comes before time zero can be seen.
    assert not untold[0]


def test_other_delays_than_those_the_wave_is_made_from_can_be_asked_for():
    at = np.array([-90.0, -7.5, 3.0])
    untold = leaked_frames(GE, centre=CENTRE, window=0.5, at=at)
    assert untold.tolist() == [False, True, False]


@pytest.mark.parametrize("delays", [GE[GE >= 0], GE[GE < 0]], ids=["after", "before"])
def test_without_a_frame_on_each_side_nothing_is_carried_over(delays):
    assert not leaked_frames(delays, centre=CENTRE, window=0.5).any()
