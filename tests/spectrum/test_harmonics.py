"""Least-squares harmonics are exact on any delays and blind to trend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.spectrum import frequency_grid, harmonic_amplitudes, harmonic_operator, record_length
from uemdask.spectrum.harmonics import harmonic_basis

GE = np.r_[-30:500:5, 500:1000:10].astype(float)
DELAYS = {
    "even": np.arange(200) * 5.0 - 30,
    "germanium": GE,
    "short": np.arange(24) * 5.0,
    "jittered": np.arange(120) * 5.0 + np.random.default_rng(1).uniform(-1, 1, 120),
}


@pytest.mark.parametrize("name", DELAYS)
def test_harmonic_with_trend_is_recovered_exactly(name: str) -> None:
    t = DELAYS[name]
    s = 0.2 * np.cos(2e-3 * np.pi * 34.3 * t + 0.7)
    u = t / np.ptp(t)
    drift = 3 + 2 * u - 1.5 * u**2
    Z = harmonic_amplitudes((s + drift).astype(np.float32), harmonic_operator(t, [34.3]))
    assert Z.dtype == np.complex64
    assert abs(Z[0]) == pytest.approx(0.2, rel=2e-5)
    assert np.angle(Z[0]) == pytest.approx(0.7, abs=1e-4)


def test_convention_is_that_of_the_fft() -> None:
    t = np.arange(64) * 5.0
    s = np.cos(2 * np.pi * 8 * np.arange(64) / 64 + 1.1)
    Z = harmonic_amplitudes(s, harmonic_operator(t, [8e3 / (64 * 5)], trend=0))
    assert Z[0] == pytest.approx(np.fft.rfft(s)[8] / 32, abs=1e-5)


def test_any_trailing_shape() -> None:
    s = np.random.default_rng(0).normal(size=(24, 3, 5)).astype(np.float32)
    operator = harmonic_operator(DELAYS["short"], [20.0, 30.0, 40.0])
    Z = harmonic_amplitudes(s, operator)
    assert Z.shape == (3, 3, 5)
    np.testing.assert_allclose(Z[:, 1, 2], harmonic_amplitudes(s[:, 1, 2], operator), atol=1e-6)


@pytest.mark.parametrize("name", DELAYS)
def test_trend_alone_gives_nothing(name: str) -> None:
    t = DELAYS[name]
    u = t / np.ptp(t)
    operator = harmonic_operator(t, frequency_grid(t))
    assert np.abs(operator @ (1 + u - 2 * u**2)).max() < 1e-5


@pytest.mark.parametrize("name", DELAYS)
def test_white_noise_has_a_flat_spectrum(name: str) -> None:
    t = DELAYS[name]
    f = frequency_grid(t)
    projector = harmonic_basis(t, f[:-1]).projector
    # Expected power of unit noise is the sum of squares of the projector: 2 at every frequency
    # but the first, which the trend partly takes.
    power = (projector**2).sum(axis=(1, 2))
    assert power[2:] == pytest.approx(2)
    assert (power <= 2 + 1e-9).all()


def test_nyquist_does_not_blow_up() -> None:
    t = np.arange(100) * 5.0
    operator = harmonic_operator(t, frequency_grid(t))
    noise = np.sqrt((operator**2).sum(axis=1))
    assert np.isfinite(operator).all()
    assert noise.max() < 8 * np.sqrt(2 / 100)


def test_germanium_delays_reach_100_ghz_from_one_cycle() -> None:
    f = frequency_grid(GE)
    assert f[-1] == pytest.approx(100, rel=0.003)
    assert f[0] == pytest.approx(1e3 / record_length(GE))
    np.testing.assert_allclose(np.diff(f), f[0] / 4)


def test_few_close_delays_do_not_set_the_highest_frequency() -> None:
    t = np.r_[-10:0:1, 0:1000:10].astype(float)
    assert frequency_grid(t)[-1] == pytest.approx(50, rel=0.01)
    assert frequency_grid(np.arange(24) * 5.0)[-1] == pytest.approx(100, rel=0.05)


@given(
    st.floats(12, 90), st.floats(-3, 3), st.floats(0.01, 10), st.integers(0, 2**31), st.floats(0, 2)
)
def test_amplitude_and_phase_on_random_delays(
    frequency: float, phase: float, amplitude: float, seed: int, jitter: float
) -> None:
    t = np.sort(np.arange(80) * 5 + np.random.default_rng(seed).uniform(-jitter, jitter, 80))
    s = amplitude * np.cos(2e-3 * np.pi * frequency * t + phase) + 1
    Z = harmonic_amplitudes(s, harmonic_operator(t, [frequency]))
    assert abs(Z[0] - amplitude * np.exp(1j * phase)) < 2e-4 * (amplitude + 1)


@pytest.mark.parametrize(
    ("delays", "words"),
    [
        (np.arange(4.0), "at least 8"),
        (np.r_[np.arange(9.0), 3], "rising"),
        (np.r_[np.arange(9.0), np.nan], "rising"),
        (np.zeros((10, 2)), "one row"),
    ],
)
def test_bad_delays_are_named(delays: np.ndarray, words: str) -> None:
    with pytest.raises(UemError, match=words):
        frequency_grid(delays)


def test_operator_of_other_delays_is_refused() -> None:
    with pytest.raises(UemError, match="24 delays"):
        harmonic_amplitudes(np.zeros(25), harmonic_operator(DELAYS["short"], [34.0]))
