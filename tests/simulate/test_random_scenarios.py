"""Random scenarios stay within the bounds that make a displacement unambiguous."""

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.simulate import random_scenario, simulate

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_motion_stays_below_0_4_wavelength_and_in_the_range_of_speeds(seed):
    acquisition = simulate(random_scenario(seed, shape=(48, 64), frames=40))
    delays, wave = acquisition.delays, acquisition.wave
    pixel = acquisition.pixel_size[0]
    assert len(delays) == 40
    for pair in np.flatnonzero(acquisition.present):
        motion = np.hypot(*acquisition.flow(pair))
        shortest = wave.wavelength(delays[pair : pair + 2]).min() / pixel
        assert motion.max() < 0.4 * shortest
        assert 0.29 < motion.max() < 12.01
    middle = 0.5 * (acquisition.scenario.strength[0][0] + delays[-1])
    assert 11.9 < float(wave.wavelength(middle)) / pixel < 130.1


def test_draws_cover_the_kinds_of_series():
    drawn = [random_scenario(seed, shape=(48, 64), frames=40) for seed in range(300)]
    share = {
        "ring": np.mean([s.geometry == "ring" for s in drawn]),
        "chirp": np.mean([s.speed_excess > 0 for s in drawn]),
        "echo": np.mean([s.echo > 0 for s in drawn]),
        "front": np.mean([s.front for s in drawn]),
        "uneven": np.mean([np.ptp(np.diff(s.delays)) > 0 for s in drawn]),
        "edge": np.mean([s.coverage < 1 for s in drawn]),
    }
    assert all(value > 0.05 for value in share.values()), share
    assert all(0.02 <= s.modulation <= 0.15 and 30 <= s.counts <= 1000 for s in drawn)
    assert {s.mode for s in drawn} == {"travelling"}


def test_still_modes_are_drawn_when_asked_for():
    modes = [random_scenario(s, still_share=0.5, frames=20).mode for s in range(80)]
    assert set(modes) == {"travelling", "standing", "breathing", "none"}
    assert 0.3 < np.mean([m == "travelling" for m in modes]) < 0.7


def test_equal_seeds_give_equal_scenarios_and_a_generator_goes_on():
    assert random_scenario(11) == random_scenario(11)
    rng = np.random.default_rng(11)
    first, second = random_scenario(rng), random_scenario(rng)
    assert first == random_scenario(11)
    assert first != second


def test_random_frames_can_be_taken():
    for seed in range(4):
        acquisition = simulate(random_scenario(seed, shape=(48, 64), frames=20))
        assert acquisition.frame(12).shape == (48, 64)
        assert np.isfinite(acquisition.truth().flow).all()


def test_impossible_ranges_are_refused():
    with pytest.raises(UemError, match="leave no motion below"):
        random_scenario(0, wavelength=(12.0, 14.0), speed=(8.0, 9.0))
    with pytest.raises(UemError, match="at least 12"):
        random_scenario(0, frames=5)
