"""Drift and wave lie in the spaces made for them, and noise keeps its share."""

import numpy as np
import pytest

from uemdask.spectrum import Band
from uemdask.spectrum.noise import drift_space, signal_space

GE = np.r_[-30:500:5, 500:1000:10].astype(float)
SHORT = np.arange(24) * 5.0
BAND = Band(30.0, 39.0, 34.3, 9.0, True)


def left_of(series: np.ndarray, space: np.ndarray) -> float:
    """Share of the norm of a series that a space does not hold."""
    return float(np.linalg.norm(series - space @ (space.T @ series)) / np.linalg.norm(series))


@pytest.mark.parametrize("t", [GE, SHORT], ids=["germanium", "short"])
def test_spaces_are_orthonormal_and_leave_noise(t: np.ndarray) -> None:
    for space in (drift_space(t, BAND), signal_space(t, BAND)):
        np.testing.assert_allclose(space.T @ space, np.eye(space.shape[1]), atol=1e-9)
        assert t.size - space.shape[1] >= t.size / 3


def test_passing_contour_is_drift_and_the_wave_is_not() -> None:
    contour = 1 / np.cosh((GE - 400) / 200)
    wave = np.cos(2e-3 * np.pi * 34.3 * GE)
    assert left_of(contour, drift_space(GE, BAND)) < 0.01
    assert left_of(wave, drift_space(GE, BAND)) > 0.99


@pytest.mark.parametrize("frequency", [30.5, 34.3, 38.5, 68.6, 1.2])
def test_any_harmonic_in_the_ranges_is_held(frequency: float) -> None:
    series = np.cos(2e-3 * np.pi * frequency * GE + 0.4)
    assert left_of(series, signal_space(GE, BAND)) < 0.03


def test_other_frequencies_stay_noise() -> None:
    series = np.cos(2e-3 * np.pi * 50.0 * GE)
    assert left_of(series, signal_space(GE, BAND)) > 0.9


def test_band_next_to_the_drift_is_left_alone() -> None:
    low = Band(2.5, 6.0, 4.0, 9.0, True)
    wave = np.cos(2e-3 * np.pi * 3.5 * GE)
    assert left_of(wave, drift_space(GE, low)) > 0.8
