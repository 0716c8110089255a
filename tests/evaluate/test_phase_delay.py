"""Phase delays of simulated waves, from amplitude maps and from peaks of a series."""

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.evaluate import complex_amplitude, front_speed, phase_delay, pulse_front
from uemdask.spectrum import Band, peak_map

FREQUENCY = 20.0  # GHz
OMEGA = 2e-3 * np.pi * FREQUENCY  # rad/ps
Y, X = np.mgrid[:32, :32].astype(float)


def noise(seed, size):
    rng = np.random.default_rng(seed)
    return size * (rng.normal(size=X.shape) + 1j * rng.normal(size=X.shape))


@pytest.mark.parametrize("wavelengths", [0.1, 1.0, 4.0])
def test_the_delay_of_a_plane_wave_has_no_jumps(wavelengths):
    phase = 2 * np.pi * wavelengths * (0.8 * X - 0.6 * Y) / 32
    delay = phase_delay(np.exp(-1j * phase) + noise(0, 0.02), FREQUENCY)
    truth = phase / OMEGA
    assert np.abs(delay - truth + truth.mean()).max() < 0.2 / OMEGA
    speed = front_speed(delay, (1.0, 1.0), order=1).speed
    assert speed == pytest.approx(32 * FREQUENCY * 1e-3 / wavelengths, rel=0.03)


def test_the_delay_of_a_curved_wave_has_no_jumps():
    distance = np.hypot(X + 4, Y - 36)
    delay = phase_delay((1 + X / 32) * np.exp(-0.4j * distance) + noise(1, 0.05), FREQUENCY)
    truth = 0.4 * distance / OMEGA
    assert np.abs(delay - truth + truth.mean()).max() < 0.5 / OMEGA
    assert front_speed(delay, (1, 1)).speed == pytest.approx(OMEGA / 0.4, rel=0.03)


def test_pixels_outside_the_mask_are_unknown_and_do_no_harm():
    used = X < 20
    Z = np.where(used, np.exp(-0.3j * X), 50 * noise(2, 1.0))
    delay = phase_delay(Z, FREQUENCY, used)
    assert np.isnan(delay[~used]).all()
    assert np.allclose(np.diff(delay[:, :20], axis=1), 0.3 / OMEGA)


def test_what_has_no_smooth_phase_is_refused():
    with pytest.raises(UemError, match="stray from a smooth phase"):
        phase_delay(noise(3, 1.0), FREQUENCY)
    with pytest.raises(UemError, match="stray from a smooth phase"):  # a vortex
        phase_delay((X - 15.5) + 1j * (Y - 15.5), FREQUENCY)
    with pytest.raises(UemError, match="100 or more"):
        phase_delay(np.ones((5, 5), complex), FREQUENCY)


def test_maps_and_gain_of_one_run_belong_together():
    ones, t = np.ones((3, 3)), np.arange(0, 500, 5.0)
    with pytest.raises(UemError, match="three maps of one run"):
        complex_amplitude(ones, ones, ones[:2], t, frequency=20.0)
    with pytest.raises(UemError, match="those of the usable frames"):
        complex_amplitude(ones, ones, ones, t, frequency=20.0, gain=np.ones(7))


def test_phase_and_arrival_find_the_speed_of_a_pulse_train_longer_than_the_field():
    # 3 px/ps, 100 ps from pulse to pulse: ten fields of view. The brightness of the frames holds
    # most of it, and has been divided out as the alignment does.
    speed, t = 3.0, np.arange(600.0)
    travel = (0.6 * X - 0.8 * Y) / speed
    since = (t[:, None, None] - travel) % 100
    rng = np.random.default_rng(4)
    intensity = 1 + 0.03 * np.exp(-0.5 * ((since - 50) / 8) ** 2)
    intensity += rng.normal(0, 1e-3, intensity.shape)
    gain = intensity.mean(axis=(1, 2)) / intensity.mean()
    series = (intensity / gain[:, None, None] / intensity.mean(axis=0) - 1).astype(np.float32)
    peaks = peak_map(series, t, Band(8.5, 11.5, 10.0, 9.0, True))
    maps = (peaks.amplitude, peaks.phase, peaks.frequency, t)

    arrival = front_speed(pulse_front(intensity, t, period=100, width=2).arrival, (1, 1), order=1)
    Z = complex_amplitude(*maps, frequency=10.0, gain=gain)
    phase = front_speed(phase_delay(Z, 10.0), (1, 1), order=1)
    for found in (arrival, phase):
        assert found.speed == pytest.approx(speed, rel=0.04)
        assert found.angle == pytest.approx(np.degrees(np.arctan2(0.8, 0.6)), abs=3)
        assert found.speed_error < 0.04 * speed

    # Without the gain there is a standing wave: its sign changes in the middle of the field.
    standing = complex_amplitude(*maps, frequency=10.0)
    ends = standing[24:, :8].mean(), standing[:8, 24:].mean()
    assert np.cos(np.angle(ends[0] / ends[1])) < -0.9
