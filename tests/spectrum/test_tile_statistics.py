"""The statistics of a tile find the power and the peaks of known waves and add up over tiles."""

import numpy as np
import pytest
from known_waves import plane_wave

from uemdask.errors import UemError
from uemdask.spectrum import frequency_grid, smoothing_halo, statistics_of_tile, statistics_operator

T = np.arange(100) * 5.0
F = frequency_grid(T)
OPERATOR = statistics_operator(T, F)


def wave(shape: tuple[int, int], frequency: float, amplitude: float = 0.1) -> np.ndarray:
    Z = plane_wave(shape, T, frequency=frequency, wavelength=60, angle=-37)
    return (amplitude * Z.real).astype(np.float32)


def test_power_is_half_the_squared_amplitude() -> None:
    statistics = statistics_of_tile(wave((32, 48), 34.0), OPERATOR, smoothing=0)
    assert F[statistics.power.argmax()] == 34.0
    assert statistics.power.max() == pytest.approx(0.1**2 / 2, rel=0.01)
    assert statistics.peak_count.sum() == statistics.pixel_count == 32 * 48


def test_peaks_are_counted_at_their_frequencies() -> None:
    s = wave((32, 64), 34.0)
    s[:, :, 48:] = wave((32, 16), 66.0)
    count = statistics_of_tile(s, OPERATOR, smoothing=0).peak_count
    assert count[np.abs(F - 34) <= 0.5].sum() == 32 * 48
    assert count[np.abs(F - 66) <= 0.5].sum() == 32 * 16


def test_drift_does_not_take_the_peaks() -> None:
    drift = (0.5 * np.sin(2 * np.pi * T / 700)).astype(np.float32)[:, None, None]
    count = statistics_of_tile(wave((16, 16), 34.0) + drift, OPERATOR, smoothing=0).peak_count
    assert count[np.abs(F - 34) <= 0.5].sum() == 256


def test_tiles_add_up_to_the_whole() -> None:
    s = np.random.default_rng(0).normal(0, 0.07, (100, 96, 96)).astype(np.float32)
    s += wave((96, 96), 34.0, 0.03)
    whole = statistics_of_tile(s, OPERATOR)
    h = smoothing_halo(2.0)
    parts = []
    for y in (0, 48):
        for x in (0, 48):
            top, left = max(y - h, 0), max(x - h, 0)
            tile = s[:, top : y + 48 + h, left : x + 48 + h]
            inner = (slice(y - top, y - top + 48), slice(x - left, x - left + 48))
            parts.append(statistics_of_tile(tile, OPERATOR, inner=inner))
    total = parts[0] + parts[1] + parts[2] + parts[3]
    assert total.pixel_count == whole.pixel_count == 24 * 24
    np.testing.assert_allclose(total.power_sum, whole.power_sum, rtol=1e-4)
    np.testing.assert_allclose(total.brightness_sum, whole.brightness_sum, atol=1e-3)
    # Medians of parts are not the median of the whole.
    assert total.noise_sum == pytest.approx(whole.noise_sum, rel=0.03)
    assert total.noise_count == whole.noise_count
    assert np.abs(total.peak_count - whole.peak_count).sum() <= 4


def test_noise_level_and_white_floor() -> None:
    s = np.random.default_rng(0).normal(0, 0.07, (100, 128, 128)).astype(np.float32)
    statistics = statistics_of_tile(s, OPERATOR)
    assert statistics.noise_level == pytest.approx(0.07, rel=0.01)
    raw = statistics_of_tile(s, OPERATOR, smoothing=0)
    assert raw.noise_level == pytest.approx(0.07, rel=0.01)
    # Each frequency explains two of the hundred degrees of freedom.
    assert np.median(raw.power) == pytest.approx(0.07**2 * 2 / 100, rel=0.02)


def test_smoothing_lowers_noise_not_wave() -> None:
    s = np.random.default_rng(0).normal(0, 0.07, (100, 64, 64)).astype(np.float32)
    s += wave((64, 64), 34.0, 0.02)
    raw, smoothed = (statistics_of_tile(s, OPERATOR, smoothing=sigma).power for sigma in (0.0, 2.0))
    peak = np.abs(F - 34).argmin()
    assert raw[peak] / np.median(raw) < 5
    assert smoothed[peak] / np.median(smoothed) > 65


def test_breathing_shows_in_the_mean_brightness() -> None:
    breath = 0.05 * np.cos(2e-3 * np.pi * 34 * T)
    s = np.broadcast_to(breath[:, None, None], (100, 16, 16)).astype(np.float32)
    statistics = statistics_of_tile(s, OPERATOR)
    np.testing.assert_allclose(
        statistics.brightness_sum / statistics.pixel_count, breath, atol=1e-6
    )


def test_sliver_at_the_edge_adds_nothing() -> None:
    sliver = statistics_of_tile(np.ones((100, 3, 64), np.float32), OPERATOR)
    assert sliver.pixel_count == 0
    assert not sliver.power.any()


def test_wrong_length_is_refused() -> None:
    with pytest.raises(UemError, match="100 delays"):
        statistics_of_tile(np.zeros((99, 8, 8), np.float32), OPERATOR)
