"""Arrival times of simulated pulses."""

import numpy as np
import pytest
from scipy.special import erf

from uemdask.errors import UemError
from uemdask.evaluate import pulse_front

PERIOD = 100.0
LATE = np.linspace(-12, 12, 25).reshape(5, 5)


def pulses(delays, arrival=LATE, rise=3.0, decay=15.0):
    """A pulse that rises as an error function of a standard deviation in ps, and decays."""
    since = (delays[:, None, None] - arrival + PERIOD / 2) % PERIOD - PERIOD / 2
    return 0.5 * (1 + erf(since / rise / np.sqrt(2))) * np.exp(-np.maximum(since, 0) / decay)


@pytest.mark.parametrize("start", [0.0, 40.0, 95.0])
def test_differences_of_arrival_are_exact_wherever_the_period_begins(start):
    delays = np.arange(400.0)
    found = pulse_front(pulses(delays, LATE + start), delays, period=PERIOD, width=1.0).arrival
    assert np.allclose(found - found.mean(), LATE - LATE.mean(), atol=0.03)


def test_uneven_delays_and_noise_are_no_bias():
    rng = np.random.default_rng(0)
    delays = np.sort(rng.uniform(0, 900, 900))
    series = pulses(delays) + rng.normal(0, 0.02, (900, 5, 5))
    found = pulse_front(series, delays, period=PERIOD, width=1.5).arrival
    assert np.polyfit(LATE.ravel(), found.ravel(), 1)[0] == pytest.approx(1.0, abs=0.02)
    assert np.std(found - found.mean() - LATE) < 0.4


def test_a_pulse_that_darkens_is_found_by_its_fall():
    delays = np.arange(300.0)
    rising = pulse_front(pulses(delays), delays, period=PERIOD, width=1.0)
    falling = pulse_front(1 - pulses(delays), delays, period=PERIOD, width=1.0, falling=True)
    assert np.allclose(rising.arrival, falling.arrival)
    # Its decay is later and slower.
    decay = pulse_front(1 - pulses(delays), delays, period=PERIOD, width=1.0)
    assert (decay.arrival > falling.arrival + 2).all()
    assert (decay.duration > 2 * falling.duration).all()


def test_duration_is_the_time_from_10_to_90_percent():
    delays = np.arange(0, 300, 0.5)
    front = pulse_front(pulses(delays, decay=1e6), delays, period=PERIOD, width=0.5)
    assert np.median(front.duration) == pytest.approx(2 * 1.2816 * 3.0, rel=0.03)
    assert front.knee_frequency == pytest.approx(500 / 7.69, rel=0.03)


def test_wrong_input_is_refused_in_plain_words():
    delays = np.arange(300.0)
    with pytest.raises(UemError, match="one delay a frame"):
        pulse_front(pulses(delays), delays[:-1], period=PERIOD, width=1.0)
    with pytest.raises(UemError, match="an eighth of the period"):
        pulse_front(pulses(delays), delays, period=PERIOD, width=20.0)
    with pytest.raises(UemError, match="without frames"):
        pulse_front(pulses(delays[:80]), delays[:80], period=PERIOD, width=1.0)
