"""When a wave is there, of waves whose coming and going is known, behind the band-pass."""

import numpy as np
import pytest

from uemdask.spectrum import band_pass_operator, band_passed, lasting, sharp_amplitude, smooth

PERIOD = 55.0
EVEN = np.arange(-30.0, 400.0, 5.0)
UNEVEN = np.cumsum(np.random.default_rng(1).uniform(3.0, 8.0, 78)) - 30.0
COARSE = np.arange(-40.0, 400.0, 20.0)
X = np.broadcast_to(np.arange(64.0), (24, 64))


def amplitude_of(strength, t, noise=0.0):
    """Sharp amplitude (time, y, x) of a plane wave of 36 px with a strength of each delay."""
    phase = 2 * np.pi * (X / 36 - t[:, None, None] / PERIOD)
    series = strength.reshape(len(t), -1, 1) * np.cos(phase)
    rng = np.random.default_rng(0)
    series = series + rng.normal(0, noise, series.shape)
    wave = band_passed(
        series.astype(np.float32), band_pass_operator(t, 1e3 / PERIOD, window=0.5 * PERIOD)
    )
    power = np.stack([smooth(frame**2, 8.0) for frame in wave])
    return sharp_amplitude(power, t, period=PERIOD, window=0.5, noise=0.45 * noise)


@pytest.mark.parametrize("t", [EVEN, UNEVEN, COARSE], ids=["even", "uneven", "coarse"])
def test_a_steady_wave_has_its_amplitude_and_lasts(t):
    found = amplitude_of(np.ones_like(t), t)
    np.testing.assert_allclose(found[2:-2, 8:-8, 12:-12], 1, atol=0.12)
    assert lasting(found, t, period=PERIOD).all()


@pytest.mark.parametrize("t", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("growth", [0.0, 30.0, 70.0])
def test_a_wave_is_not_there_before_it_came(t, growth):
    strength = np.clip((t - 100) / growth, 0, 1) if growth else (t >= 100).astype(float)
    there = lasting(amplitude_of(strength, t), t, period=PERIOD)
    assert not there[strength < 0.02].any()
    # Soon after it has come, or grown to half, it counts, until the end.
    assert there[t >= 110 + growth / 2].all()


def test_a_packet_is_there_while_it_passes():
    strength = np.exp(-0.5 * ((EVEN - 180) / 60) ** 2)
    there = lasting(amplitude_of(strength, EVEN), EVEN, period=PERIOD)
    assert there[strength > 0.3].all()
    assert not there[strength < 0.02].any()


def test_a_wave_comes_to_each_place_in_its_time():
    arrival = 50 + X[0] * PERIOD / 36  # a sharp front, as fast as the phase
    strength = (EVEN[:, None] >= arrival).astype(float)
    phase = 2 * np.pi * (X / 36 - EVEN[:, None, None] / PERIOD)
    series = (strength[:, None] * np.cos(phase)).astype(np.float32)
    wave = band_passed(series, band_pass_operator(EVEN, 1e3 / PERIOD, window=0.5 * PERIOD))
    power = np.stack([smooth(frame**2, 8.0) for frame in wave])
    found = sharp_amplitude(power, EVEN, period=PERIOD, window=0.5, noise=0.0)
    there = lasting(found, EVEN, period=PERIOD)[:, 12]
    first = EVEN[there.argmax(axis=0)]
    late = first - arrival
    # Local means reach 8 px, or 12 ps, ahead of it.
    assert late.min() > -12
    assert late.max() < 12
    assert late.mean() > -5


def test_noise_alone_is_mostly_not_there():
    found = amplitude_of(np.zeros_like(EVEN), EVEN, noise=1.0)
    assert np.mean(found > 2 * 0.45) < 0.01
