"""Peaks are exact, their noise is known, and relevant pixels are found."""

import numpy as np
import pytest
from known_waves import plane_wave
from scipy.stats import rankdata

from uemdask.errors import UemError
from uemdask.spectrum import (
    Band,
    clean_mask,
    false_alarm_rate,
    noise_threshold,
    peak_map,
    peak_ratio_map,
    relevant_pixels,
    smoothing_halo,
)

GE = np.r_[-30:500:5, 500:1000:10].astype(float)
EVEN = np.arange(120) * 5.0
SHORT = np.arange(24) * 5.0
ANGLE = -float(np.degrees(np.arctan2(0.6, 0.8)))
BAND = Band(30.0, 39.0, 34.3, 9.0, True)


def wave_of(t: np.ndarray, frequency: float, size: int = 48) -> np.ndarray:
    """Wave (time, y, x) to the lower right; its phase is 0 at time zero in the first pixel."""
    Z = plane_wave((size, size), t, frequency=frequency, wavelength=60, angle=ANGLE)
    return Z.real.astype(np.float32)


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float:
    rank = rankdata(np.r_[positive, negative])
    n, m = positive.size, negative.size
    return float((rank[:n].sum() - n * (n + 1) / 2) / (n * m))


@pytest.mark.parametrize("t", [GE, EVEN], ids=["germanium", "even"])
@pytest.mark.parametrize("frequency", [33.1, 34.3, 36.05])
def test_frequency_amplitude_and_phase(t: np.ndarray, frequency: float) -> None:
    s = 0.2 * wave_of(t, frequency)
    peak = peak_map(s, t, BAND, smoothing=0)
    y, x = np.mgrid[:48, :48]
    phase = -2 * np.pi * (0.8 * x + 0.6 * y) / 60
    np.testing.assert_allclose(peak.frequency, frequency, rtol=3e-3)
    np.testing.assert_allclose(peak.amplitude, 0.2, rtol=0.01)
    # Any remaining frequency error turns the phase at time zero by half the record.
    turned = np.angle(np.exp(1j * (peak.phase - phase)))
    assert np.abs(turned).max() < 0.2


def test_map_at_the_centre_is_exact() -> None:
    Z = peak_map(0.2 * wave_of(GE, 34.3), GE, BAND, smoothing=0).Z
    y, x = np.mgrid[:48, :48]
    np.testing.assert_allclose(Z, 0.2 * np.exp(-2j * np.pi * (0.8 * x + 0.6 * y) / 60), atol=2e-5)


def test_peak_outside_the_band_is_given_as_its_edge() -> None:
    peak = peak_map(wave_of(EVEN, 39.5), EVEN, BAND, smoothing=0)
    np.testing.assert_allclose(peak.frequency, 39.0, rtol=1e-6)


def test_tile_with_halo_equals_the_whole() -> None:
    s = np.random.default_rng(0).normal(0, 0.07, (120, 64, 64)).astype(np.float32)
    h = smoothing_halo(2.0)
    whole = peak_map(s, EVEN, BAND)
    inner = (slice(h, h + 24), slice(h, h + 20))
    tile = peak_map(s[:, 20 - h : 44 + h, 16 - h : 36 + h], EVEN, BAND, inner=inner)
    np.testing.assert_allclose(tile.snr, whole.snr[20:44, 16:36], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(tile.Z, whole.Z[20:44, 16:36], atol=1e-6)


@pytest.mark.parametrize("t", [GE, EVEN, SHORT], ids=["germanium", "even", "short"])
def test_noise_exceeds_the_threshold_as_often_as_promised(t: np.ndarray) -> None:
    # Smoothed pixels are alike within a few px; unsmoothed ones are independent.
    s = np.random.default_rng(3).normal(0, 0.07, (t.size, 200, 200)).astype(np.float32)
    snr = peak_map(s, t, BAND, smoothing=0).snr
    for rate in (0.1, 0.01, 0.001):
        threshold = noise_threshold(BAND, t, rate=rate)
        assert false_alarm_rate(threshold, BAND, t) == pytest.approx(rate)
        # Ten degrees of freedom are left of 24 delays; there the tail is on the safe side.
        tolerance = 0.5 if t.size < 30 else 0.3
        assert (snr > threshold).mean() == pytest.approx(rate, rel=tolerance)


def test_snr_does_not_depend_on_the_noise_between_pixels() -> None:
    s = np.random.default_rng(3).normal(0, 0.07, (120, 200, 200)).astype(np.float32)
    smoothed = peak_map(s, EVEN, BAND, smoothing=2.0).snr
    raw = peak_map(s, EVEN, BAND, smoothing=0).snr
    assert np.median(smoothed) == pytest.approx(np.median(raw), rel=0.05)


@pytest.mark.parametrize("t", [GE, EVEN, SHORT], ids=["germanium", "even", "short"])
def test_dim_wave_is_found_where_the_published_statistic_fails(t: np.ndarray) -> None:
    """3 % modulation, 200 counts: noise of 7 % in every pixel."""
    truth = np.zeros((128, 128), dtype=bool)
    truth[:, :64] = True
    expected = 200 * (1 + 0.03 * wave_of(t, 34.3, 128) * truth)
    s = (np.random.default_rng(0).poisson(expected) / 200 - 1).astype(np.float32)
    peak = peak_map(s, t, BAND)
    assert area_under_curve(peak.snr[truth], peak.snr[~truth]) >= 0.98
    everywhere = Band(10.0, 95.0, 34.3, 9.0, True)
    ratio, _ = peak_ratio_map(s, t, everywhere)
    weak = area_under_curve(ratio[truth], ratio[~truth])
    assert weak < (0.85 if t.size > 150 else 0.75)
    mask = relevant_pixels(peak.snr, peak.frequency, BAND, t)
    inside, outside = mask[:, :56].mean(), mask[:, 72:].mean()
    assert inside > 0.96
    assert outside < 0.003


def test_published_statistic_works_on_a_strong_wave() -> None:
    truth = np.zeros((64, 64), dtype=bool)
    truth[:, :32] = True
    s = 0.15 * wave_of(EVEN, 34.3, 64) * truth
    s = s + np.random.default_rng(0).normal(0, 0.07, s.shape).astype(np.float32)
    ratio, frequency = peak_ratio_map(s, EVEN, BAND)
    assert area_under_curve(ratio[truth], ratio[~truth]) > 0.999
    mask = relevant_pixels(ratio, frequency, BAND, EVEN, method="peak_ratio")
    assert (mask == truth).mean() > 0.99
    np.testing.assert_allclose(frequency[truth], 34.3, atol=1.7)


def test_passing_bend_contours_are_not_a_wave() -> None:
    """Each pixel changes by half its brightness at its own time, within a tenth of the record."""
    passing = 60 + 480 * np.mgrid[:64, :64][1] / 64
    s = 0.5 * np.tanh((EVEN[:, None, None] - passing) / 60)
    s = s + np.random.default_rng(0).normal(0, 0.07, s.shape)
    peak = peak_map(s.astype(np.float32), EVEN, BAND)
    assert relevant_pixels(peak.snr, peak.frequency, BAND, EVEN).mean() < 0.01


def test_strong_wave_grows_without_a_ceiling() -> None:
    """Growth, decay and second harmonic of a wave are not noise."""
    envelope = np.interp(GE, [100, 240, 440, 990], [0, 1, 0.5, 0.1])[:, None, None]
    band = Band(28.0, 40.0, 34.3, 9.0, True)
    noise = np.random.default_rng(0).normal(0, 0.02, (GE.size, 48, 48))
    wave = envelope * (wave_of(GE, 34.3) + 0.25 * wave_of(GE, 68.6))
    snr = [
        np.median(peak_map((a * wave + noise).astype(np.float32), GE, band, smoothing=0).snr)
        for a in (0.1, 0.2)
    ]
    assert snr[1] / snr[0] == pytest.approx(4, rel=0.15)


def test_rate_of_a_whole_map_is_that_of_its_pixels() -> None:
    snr = np.linspace(0.5, 40, 1000)
    whole = false_alarm_rate(snr, BAND, EVEN)
    some = [float(false_alarm_rate(z, BAND, EVEN)) for z in snr[::100]]
    np.testing.assert_allclose(whole[::100], some, rtol=0.01)


def test_clean_up_drops_specks_fills_pinholes_and_keeps_the_outline() -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[10:40, 10:40] = True
    outline = mask.copy()
    mask[50:53, 50:53] = True
    mask[20:23, 20:23] = False
    np.testing.assert_array_equal(clean_mask(mask), outline)
    large_hole = outline.copy()
    large_hole[15:30, 15:30] = False
    np.testing.assert_array_equal(clean_mask(large_hole), large_hole)
    assert clean_mask(np.ones((20, 20), dtype=bool)).all()
    assert not clean_mask(np.zeros((20, 20), dtype=bool)).any()


def test_user_threshold_and_unknown_method() -> None:
    statistic = np.full((10, 10), 3.0, np.float32)
    frequency = np.full((10, 10), 34.0, np.float32)
    assert relevant_pixels(statistic, frequency, BAND, EVEN, threshold=2.9).all()
    assert not relevant_pixels(statistic, frequency, BAND, EVEN, threshold=3.1).any()
    with pytest.raises(UemError, match="peak_ratio"):
        relevant_pixels(statistic, frequency, BAND, EVEN, method="best")  # type: ignore[arg-type]
