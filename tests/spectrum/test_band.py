"""The automatic band finds the wave and is not fooled."""

import numpy as np
import pytest
from known_waves import plane_wave

from uemdask.errors import UemError
from uemdask.spectrum import (
    Band,
    band_of_spectrum,
    frequency_grid,
    statistics_of_tile,
    statistics_operator,
)

GE = np.r_[-30:500:5, 500:1000:10].astype(float)
LONG = np.arange(150) * 5.0
SHORT = np.arange(24) * 5.0


def band_of(series: np.ndarray, t: np.ndarray) -> Band:
    f = frequency_grid(t)
    statistics = statistics_of_tile(series.astype(np.float32), statistics_operator(t, f))
    return band_of_spectrum(f, statistics.power, statistics.peak_count)


def noise(t: np.ndarray, level: float = 0.07, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, (t.size, 64, 64))


def wave(t: np.ndarray, frequency: float, amplitude: float) -> np.ndarray:
    return amplitude * plane_wave((64, 64), t, frequency=frequency, wavelength=40, angle=37).real


@pytest.mark.parametrize("t", [GE, LONG], ids=["germanium", "even"])
@pytest.mark.parametrize("frequency", [14.3, 34.2, 71.7])
def test_dim_wave_to_better_than_a_third_of_a_percent(t: np.ndarray, frequency: float) -> None:
    band = band_of(wave(t, frequency, 0.03) + noise(t), t)
    assert band.found
    assert band.significance > 20
    assert band.centre == pytest.approx(frequency, rel=0.003)
    assert band.low < frequency < band.high
    assert band.high - band.low < 12


def test_few_delays() -> None:
    band = band_of(wave(SHORT, 36.0, 0.03) + noise(SHORT), SHORT)
    assert band.found
    assert band.centre == pytest.approx(36, rel=0.02)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("t", [GE, LONG, SHORT], ids=["germanium", "even", "short"])
def test_white_noise_has_no_peak_but_a_band(t: np.ndarray, seed: int) -> None:
    band = band_of(noise(t, seed=seed), t)
    assert not band.found
    assert 0 < band.low < band.centre <= band.high


def test_drift_and_steep_slope_do_not_hide_the_wave() -> None:
    rng = np.random.default_rng(0)
    # A random walk has a 1/f^2 spectrum; here it carries 100 times the variance of the wave.
    walk = 0.02 * rng.normal(size=(LONG.size, 64, 64)).cumsum(axis=0)
    band = band_of(wave(LONG, 34.2, 0.03) + walk, LONG)
    assert band.found
    assert band.centre == pytest.approx(34.2, rel=0.005)


def test_random_walk_alone_has_no_peak() -> None:
    walk = 0.02 * np.random.default_rng(0).normal(size=(LONG.size, 64, 64)).cumsum(axis=0)
    assert not band_of(walk, LONG).found


def test_second_harmonic_stronger_in_places() -> None:
    s = wave(LONG, 34.2, 0.04) + noise(LONG)
    s[:, :, 20:] += wave(LONG, 68.4, 0.07)[:, :, 20:]
    band = band_of(s, LONG)
    assert band.centre == pytest.approx(34.2, rel=0.01)
    assert band.high < 60


def test_small_strong_region() -> None:
    s = noise(LONG)
    s[:, :16, :16] += wave(LONG, 34.2, 0.05)[:, :16, :16]
    band = band_of(s, LONG)
    assert band.found
    assert band.centre == pytest.approx(34.2, rel=0.01)


def test_onset_and_decay() -> None:
    envelope = np.interp(GE, [100, 120, 240, 440, 990], [0, 0.2, 1, 0.5, 0.1])
    band = band_of(wave(GE, 34.6, 0.1) * envelope[:, None, None] + noise(GE), GE)
    assert band.found
    assert band.centre == pytest.approx(34.6, rel=0.01)


def test_user_band_wins() -> None:
    f = frequency_grid(LONG)
    power = 1 + 50 * np.exp(-((f - 34) ** 2)) + 20 * np.exp(-((f - 60) ** 2))
    band = band_of_spectrum(f, power, np.ones(f.size), limits=(50, 70))
    assert (band.low, band.high, band.found) == (50, 70, True)
    assert band.centre == pytest.approx(60, abs=0.05)
    with pytest.raises(UemError, match="GHz"):
        band_of_spectrum(f, power, np.ones(f.size), limits=(150, 170))


def test_unequal_rows_are_refused() -> None:
    with pytest.raises(UemError, match="equally long"):
        band_of_spectrum(np.arange(1.0, 20), np.ones(19), np.ones(18))
