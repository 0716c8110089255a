"""Flow, wavelength and travel index of waves whose answer is known."""

import numpy as np
import pytest
from known_waves import plane_wave
from scipy.ndimage import map_coordinates

from uemdask.errors import UemError
from uemdask.spectrum import (
    analytic_wave,
    band_pass_operator,
    directional_filter,
    harmonic_amplitudes,
    harmonic_operator,
    local_wavevector,
    phase_flow,
    smooth,
    travel_index,
    wavelength,
)

SIZE = 128
Y, X = np.mgrid[:SIZE, :SIZE].astype(np.float64)
INNER = (slice(20, -20), slice(20, -20))
QUADRANTS = [20.0, 110.0, -160.0, -70.0, 0.0, 90.0]


def plane(angle: float, length: float = 40.0) -> np.ndarray:
    """Z of a wave that travels at an angle anticlockwise on the display (y down)."""
    Z = plane_wave((SIZE, SIZE), [0.0], frequency=34.5, wavelength=length, angle=angle)
    return Z[0].astype(np.complex64)


def steady_flow(
    Z: np.ndarray, frequency: float, step: float, *, sigma: float = 8.0
) -> tuple[np.ndarray, np.ndarray]:
    """Displacement per frame of a steady wave (GHz, ps)."""
    advance = 2e-3 * np.pi * frequency * step
    second = (Z * np.exp(1j * advance)).astype(np.complex64)
    return phase_flow(Z, second, phase_step=advance, sigma=sigma)


def relative_error(flow: np.ndarray, truth: np.ndarray) -> float:
    error = np.hypot(*(flow - truth))[INNER].mean()
    return float(error / np.hypot(*truth)[INNER].mean())


@pytest.mark.parametrize("angle", QUADRANTS)
@pytest.mark.parametrize("step", [1.1, 2.2, 4.0])
def test_plane_wave_in_every_direction(angle: float, step: float) -> None:
    Z = plane(angle)
    distance = step / (2 * np.pi) * 40
    truth = distance * np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle))])
    second = (Z * np.exp(1j * step)).astype(np.complex64)
    flow, confidence = phase_flow(Z, second, phase_step=step + 0.3)
    np.testing.assert_allclose(flow[:, *INNER], truth[:, None, None] + 0 * X[INNER], atol=0.01)
    assert confidence[INNER].min() > 0.97


@pytest.mark.parametrize("angle", QUADRANTS)
def test_flow_satisfies_its_definition(angle: float) -> None:
    """first(r) = second(r + flow(r)), looked up in the real frames."""
    Z = plane(angle)
    second = (Z * np.exp(1.3j)).astype(np.complex64)
    flow, _ = phase_flow(Z, second)
    moved = map_coordinates(second.real, [Y + flow[1], X + flow[0]], order=3)
    np.testing.assert_allclose(moved[INNER], Z.real[INNER], atol=0.002)


def test_wave_whose_length_changes_over_the_frame() -> None:
    # k(x) = 0.1 + 0.001 x; the exact displacement solves phase(x + d) = phase(x) + step.
    phase = 0.1 * X + 0.0005 * X**2
    Z = (np.exp(-1j * phase)).astype(np.complex64)
    step = 1.5
    k = 0.1 + 0.001 * X
    exact = (-k + np.sqrt(k**2 + 0.002 * step)) / 0.001
    second = (Z * np.exp(1j * step)).astype(np.complex64)
    truth = np.stack([exact, 0 * exact])
    first_guess, _ = phase_flow(Z, second, refinements=0)
    refined, _ = phase_flow(Z, second)
    assert relative_error(first_guess, truth) > 0.02
    assert relative_error(refined, truth) < 0.005


def test_ring_from_a_defect() -> None:
    radius = np.hypot(X - 64, Y - 64)
    Z = np.exp(-2j * np.pi * radius / 30).astype(np.complex64)
    flow, _ = steady_flow(Z, 34.5, 5.0, sigma=2.0)
    distance = 30 * 34.5 * 5e-3
    truth = distance * np.stack([X - 64, Y - 64]) / np.maximum(radius, 1)
    ring = (radius > 15) & (radius < 50)
    error = np.hypot(*(flow - truth))[ring]
    assert error.mean() / distance < 0.02


def test_wavelength() -> None:
    k = local_wavevector(plane(30, 25.0))
    np.testing.assert_allclose(wavelength(k)[INNER], 25.0, rtol=1e-4)
    assert np.isinf(wavelength(np.zeros((2, 3, 3), np.float32))).all()


def test_smoothed_noise_does_not_lengthen_the_waves() -> None:
    """Noise of a third of the amplitude: neighbours alone put the wave number 8 % too low."""
    rng = np.random.default_rng(0)
    noise = smooth(rng.normal(size=(2, SIZE, SIZE)).astype(np.float32), 2.0)
    noise *= 0.3 / np.sqrt(2) / noise.std()
    Z = (plane(0) + noise[0] + 1j * noise[1]).astype(np.complex64)
    neighbours = local_wavevector(Z, smoothing=0)[0][INNER].mean() * 40 / (2 * np.pi)
    corrected = local_wavevector(Z)[0][INNER].mean() * 40 / (2 * np.pi)
    assert neighbours < 0.94
    assert corrected == pytest.approx(1, abs=0.015)


def test_dim_places_are_averaged_wider() -> None:
    """Noise of 2.5 times the wave on the right: the plain average over 8 px is 14 % off there."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, SIZE, SIZE)) * np.where(X < 64, 0.3, 2.5)
    Z = smooth((plane(20) + noise[0] + 1j * noise[1]).astype(np.complex64), 2.0)
    error = np.hypot(*(local_wavevector(Z) - local_wavevector(smooth(plane(20), 2.0)))) * 40
    error /= 2 * np.pi
    assert error[30:-30, 80:-20].mean() < 0.11
    assert error[30:-30, 20:50].mean() < 0.015


def along(k: np.ndarray, angle: float, length: float = 40.0) -> np.ndarray:
    """Wave number along the true direction, of the true one."""
    a = np.radians(angle)
    return (k[0] * np.cos(a) - k[1] * np.sin(a)) * length / (2 * np.pi)


@pytest.mark.parametrize("angle", [0.0, 30.0, 120.0])
def test_a_smoothed_wave_is_not_longer_at_the_edge_of_the_frame(angle: float) -> None:
    Z = smooth(plane(angle, 36.0), 2.0)
    ratio = along(local_wavevector(Z), angle, 36.0)
    rim = np.ones((SIZE, SIZE), bool)
    rim[8:-8, 8:-8] = False
    naive = along(local_wavevector(Z, smoothing=0), angle, 36.0)
    assert ratio[rim].mean() == pytest.approx(1, abs=0.01)
    assert 1 - naive[rim].mean() > 20 * abs(1 - ratio[rim].mean())
    assert np.abs(ratio - 1).max() < 0.03


@pytest.mark.parametrize("angle", [0.0, 40.0])
def test_a_smoothed_wave_is_not_longer_at_its_border(angle: float) -> None:
    """Where the amplitude bends, smoothing turns the phase towards the stronger side."""
    border = 0.5 + 0.5 * np.tanh((X - 64) / 5.6)
    Z = smooth((border * plane(angle)).astype(np.complex64), 2.0)
    inside = (X >= 64) & (X < 72) & (Y > 20) & (Y < 108)
    naive = along(local_wavevector(Z, smoothing=0), angle)[inside]
    assert naive.mean() < 0.99
    assert along(local_wavevector(Z), angle)[inside].mean() == pytest.approx(1, abs=0.007)


@pytest.mark.parametrize("angle", [0.0, 40.0, 90.0])
def test_contrast_that_reverses_does_not_change_the_wave_vector(angle: float) -> None:
    """The phase jumps by half a turn across lines 30 to 50 px apart, as across bend contours."""
    bend = X + 20 * np.sin(Y / 30)
    contrast = np.tanh(np.sin(bend / 13) / 0.15)
    Z = smooth((contrast * plane(angle)).astype(np.complex64), 2.0)
    strong = np.abs(contrast) > 0.3
    k = local_wavevector(Z)
    assert along(k, angle)[strong].mean() == pytest.approx(1, abs=0.03)
    second = (Z * np.exp(0.57j)).astype(np.complex64)
    flow, _ = phase_flow(Z, second, phase_step=0.57)
    a, distance = np.radians(angle), 0.57 * 40 / (2 * np.pi)
    truth = distance * np.array([np.cos(a), -np.sin(a)])[:, None, None]
    assert np.hypot(*(flow - truth))[strong].mean() / distance < 0.05


@pytest.mark.parametrize("length", [12.0, 20.0, 130.0])
def test_short_and_long_waves(length: float) -> None:
    k = local_wavevector(plane(30, length))
    np.testing.assert_allclose(wavelength(k)[INNER], length, rtol=1e-3)


def test_travel_index_tells_travelling_from_standing_and_breathing() -> None:
    rng = np.random.default_rng(0)
    noise = smooth((rng.normal(size=(2, SIZE, SIZE)) * 0.1).astype(np.float32), 2.0)
    noise = (noise[0] + 1j * noise[1]).astype(np.complex64)
    travelling = plane(25)
    standing = (plane(25).real * np.exp(0.3j)).astype(np.complex64)
    breathing = np.full((SIZE, SIZE), np.exp(0.3j), np.complex64)
    assert travel_index(travelling + noise)[INNER].min() > 0.9
    assert travel_index(standing + noise)[INNER].mean() < 0.1
    assert travel_index(breathing + noise)[INNER].mean() < 0.35
    assert travel_index(breathing)[INNER].max() < 0.01


def test_confidence_is_low_for_standing_wave_and_noise() -> None:
    rng = np.random.default_rng(0)
    standing = (plane(25).real + 0j).astype(np.complex64)
    _, confidence = steady_flow(standing, 34.5, 5.0)
    assert confidence[INNER].mean() < 0.1
    noise = (rng.normal(size=(2, SIZE, SIZE, 2)) @ [1, 1j]).astype(np.complex64)
    _, confidence = phase_flow(noise[0], noise[1])
    assert confidence.mean() < 0.1
    flow, confidence = phase_flow(np.zeros_like(standing), np.zeros_like(standing))
    assert not flow.any()
    assert not confidence.any()


@pytest.mark.parametrize("angle", QUADRANTS)
@pytest.mark.parametrize("given", [True, False], ids=["angle given", "angle found"])
def test_directional_filter_removes_a_reflected_wave(angle: float, given: bool) -> None:
    sum_of_both = (plane(angle) + 0.35 * plane(angle + 180)).astype(np.complex64)
    truth, _ = steady_flow(plane(angle), 34.5, 5.0, sigma=4.0)
    rippled, _ = steady_flow(sum_of_both, 34.5, 5.0, sigma=4.0)
    filtered = directional_filter(sum_of_both, angle if given else None)
    flow, _ = steady_flow(filtered, 34.5, 5.0, sigma=4.0)
    edge = (slice(30, -30), slice(30, -30))
    size = np.hypot(*truth)[edge].mean()
    assert np.hypot(*(rippled - truth))[edge].mean() / size > 0.15
    assert np.hypot(*(flow - truth))[edge].mean() / size < 0.02


def test_directional_filter_leaves_a_ring() -> None:
    radius = np.hypot(X - 64, Y - 64)
    ring = np.exp(-2j * np.pi * radius / 25).astype(np.complex64)
    filtered = directional_filter(ring)
    where = (radius > 20) & (radius < 40)
    ratio = filtered[where] / ring[where]
    assert np.abs(np.angle(ratio)).mean() < 0.05
    assert np.abs(ratio).mean() == pytest.approx(1, abs=0.1)


def test_frames_are_filtered_one_by_one() -> None:
    frames = np.stack([plane(0), plane(90)])
    both = directional_filter(frames, 45.0, wave_number=0.15)
    np.testing.assert_array_equal(both[1], directional_filter(plane(90), 45.0, wave_number=0.15))


def chirped(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a wave of constant frequency whose length shrinks in time, and its flow along x.

    The wave number at a place grows as the published germanium series shows; the displacement
    between two frames solves the phase equation exactly.
    """
    k = 2 * np.pi / np.interp(t, [0, 160, 440, 1000], [110, 110, 60, 55])
    phase = 2e-3 * np.pi * 34.5 * t[:, None] - k[:, None] * (X[0] - 64)
    # k2 (x + d - 64) - w t2 = k1 (x - 64) - w t1
    advance = 2e-3 * np.pi * 34.5 * np.diff(t)[:, None]
    flow = (advance - (k[1:] - k[:-1])[:, None] * (X[0] - 64)) / k[1:, None]
    return phase, flow


def test_window_follows_a_chirped_wave() -> None:
    t = np.arange(110) * 5.0
    phase, truth = chirped(t)
    rng = np.random.default_rng(0)
    s = 0.1 * np.cos(phase)[:, None, :] + rng.normal(0, 0.07, (t.size, SIZE, SIZE))
    s = smooth(s.astype(np.float32), 2.0)
    pairs = [40, 55, 70, 80]
    errors = {}
    for name, window in (("one period", None), ("whole series", np.inf)):
        operator = band_pass_operator(t, 34.5, window=window)
        error = []
        for i in pairs:
            first, second = analytic_wave(s, operator[i : i + 2])
            flow, _ = phase_flow(first, second, phase_step=2e-3 * np.pi * 34.5 * 5, sigma=8)
            true_flow = np.stack([truth[i] + 0 * X, 0 * X])
            error.append(relative_error(flow, true_flow))
        errors[name] = np.mean(error)
    assert errors["one period"] < 0.06
    assert errors["whole series"] > 2 * errors["one period"]


def test_whole_chain_on_a_dim_wave_and_uneven_delays() -> None:
    """3 % modulation, 200 counts, germanium delays: fit, wave vector, displacement."""
    t = np.r_[-30:500:5, 500:1000:10].astype(float)
    kx, ky = 2 * np.pi / 40 * 0.8, 2 * np.pi / 40 * -0.6
    phase = 2e-3 * np.pi * 34.5 * t[:, None, None] - kx * X - ky * Y
    rng = np.random.default_rng(0)
    s = (rng.poisson(200 * (1 + 0.03 * np.cos(phase))) / 200 - 1).astype(np.float32)
    Z = harmonic_amplitudes(smooth(s, 2.0), harmonic_operator(t, [34.5]))[0]
    flow, confidence = steady_flow(Z, 34.5, 5.0)
    distance = 40 * 34.5 * 5e-3
    truth = distance * np.stack([0.8 + 0 * X, -0.6 + 0 * X])
    assert relative_error(flow, truth) < 0.03
    assert confidence[INNER].mean() > 0.9


def test_bad_maps_are_named() -> None:
    with pytest.raises(UemError, match="complex64"):
        local_wavevector(np.zeros((8, 8)))  # type: ignore[arg-type]
    with pytest.raises(UemError, match="shapes"):
        phase_flow(np.zeros((8, 8), np.complex64), np.zeros((8, 9), np.complex64))
    with pytest.raises(UemError, match="complex64"):
        directional_filter(np.zeros((8, 8)))  # type: ignore[arg-type]
