"""The band-pass has gain 1, stops what it should, and follows a changing wave."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.spectrum import Band, analytic_wave, band_pass_operator, band_passed, wave_step

GE = np.r_[-30:500:5, 500:1000:10].astype(float)
EVEN = np.arange(120) * 5.0
SHORT = np.arange(24) * 5.0
COARSE = np.arange(60) * 10.0
RANDOM = np.sort(np.arange(120) * 5.0 + np.random.default_rng(0).uniform(-2, 2, 120))
ALL = {"germanium": GE, "even": EVEN, "short": SHORT, "coarse": COARSE, "random": RANDOM}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("window", [None, 60.0, np.inf])
def test_gain_is_one_and_constant_and_slope_are_stopped(name: str, window: float | None) -> None:
    t = ALL[name]
    operator = band_pass_operator(t, 34.5, window=window)
    steady = np.exp(1j * (2e-3 * np.pi * 34.5 * t + 0.4))
    np.testing.assert_allclose(operator @ (steady.real + 5 - 0.01 * t), steady, atol=2e-5)


@pytest.mark.parametrize("name", ALL)
def test_noise_is_not_amplified_anywhere(name: str) -> None:
    operator = band_pass_operator(ALL[name], 34.5)
    assert np.sqrt((operator.real**2).sum(axis=1)).max() <= 1.0001
    assert np.sqrt((np.abs(operator) ** 2).sum(axis=1)).max() < 2.0


def test_second_harmonic_is_stopped_where_it_is_not_aliased() -> None:
    operator = band_pass_operator(EVEN, 30.0)
    passed = np.abs(operator @ np.cos(2e-3 * np.pi * 60 * EVEN))
    assert passed[15:-15].max() < 0.01
    assert passed.max() < 0.2


def test_frequency_offset_is_followed() -> None:
    # A wave 5 % off the centre keeps its own phase: the window is local.
    f = 34.5 * 1.05
    operator = band_pass_operator(EVEN, 34.5)
    expected = np.exp(2e-3j * np.pi * f * EVEN)
    error = np.abs(operator @ expected.real - expected)
    assert error[10:-10].max() < 0.08


def test_missing_frames_and_gaps() -> None:
    keep = np.r_[0:40, 52:120]
    operator = band_pass_operator(EVEN[keep], 34.5, at=EVEN)
    assert operator.shape == (120, 108)
    steady = np.exp(2e-3j * np.pi * 34.5 * EVEN)
    np.testing.assert_allclose(operator @ steady.real[keep], steady, atol=1e-4)


def test_tile_is_operator_times_series() -> None:
    s = np.random.default_rng(0).normal(size=(156, 9, 11)).astype(np.float32)
    operator = band_pass_operator(GE, 34.5)
    expected = np.einsum("rt,tyx->ryx", operator, s)
    result = analytic_wave(s, operator)
    assert result.dtype == np.complex64
    np.testing.assert_allclose(result, expected, atol=1e-5)
    np.testing.assert_allclose(band_passed(s, operator), expected.real, atol=1e-5)
    np.testing.assert_allclose(analytic_wave(s, operator[30:32]), expected[30:32], atol=1e-5)


def test_phase_advances_with_time() -> None:
    wave = band_pass_operator(EVEN, 34.5) @ np.cos(2e-3 * np.pi * 34.5 * EVEN)
    advance = np.angle(wave[1:] * wave[:-1].conj())
    np.testing.assert_allclose(advance, 2e-3 * np.pi * 34.5 * 5, atol=1e-4)


def test_bad_input_is_named() -> None:
    with pytest.raises(UemError, match="frequency"):
        band_pass_operator(EVEN, 0.0)
    with pytest.raises(UemError, match="width"):
        band_pass_operator(EVEN, 34.0, window=0.0)
    with pytest.raises(UemError, match="120 delays"):
        band_passed(np.zeros((10, 4, 4), np.float32), band_pass_operator(EVEN, 34.0))


# ---- the step in which it is stored

_BAND = Band(low=30.0, high=38.0, centre=34.0, significance=9.0, found=True)
_FREQUENCY = np.arange(0.0, 100.0, 0.5)


def _step(amplitude: float, noise: float) -> float:
    power = np.where(_FREQUENCY == 34.0, amplitude**2 / 2, 0.0)
    power[_FREQUENCY == 2.0] = 100.0  # a bend contour, which the band-pass stops
    return wave_step(_FREQUENCY, power, _BAND, noise=noise)


@given(st.floats(0, 1.0), st.floats(0, 0.1))
def test_the_stored_wave_has_room_and_resolves_its_noise(amplitude: float, noise: float) -> None:
    step = _step(amplitude, noise)
    assert np.log2(step).is_integer()
    assert step * (2**15 - 1) >= min(32 * amplitude, 16)
    # A wave without noise is known to a thousandth.
    assert step <= max(noise / 16, amplitude / 500, 1e-6)


def test_a_few_references_close_to_zero_do_not_coarsen_the_step() -> None:
    assert _step(1e4, 1e4) == 2.0**-10
