"""Frames show what the truth says: motion, drift, gain and noise."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from uemdask.simulate import scenario, simulate

QUIET = {"wave_coverage": 1.0, "drift_total": 0.0, "gain_jitter": 0.0, "brightness_drift": 0.0}
STILL = {"contour_shift": 0.0, "contour_darkening": 0.0}


def warp(image, dx, dy):
    """Sample ``image(r + d)``."""
    y, x = np.indices(image.shape)
    return map_coordinates(image.astype(float), [y + dy, x + dx], order=5, mode="nearest")


@pytest.mark.parametrize("name", ["plane", "chirped", "uneven", "fast", "ring", "fronts"])
def test_flow_carries_each_frame_of_the_wave_onto_the_next(name):
    acquisition = simulate(scenario(name, seed=2, shape=(160, 160), **QUIET))
    margin = 48
    inner = (slice(margin, -margin), slice(margin, -margin))
    for pair in np.flatnonzero(acquisition.present)[[0, 20, 45]]:
        flow = acquisition.flow(pair)
        first, second = (
            acquisition.modulation(i) / np.maximum(acquisition.wave_strength(i), 1e-9)
            for i in (pair, pair + 1)
        )
        carried = warp(second, *flow)
        # Ahead of a front there is nothing yet to compare.
        strength = acquisition.wave_strength(pair)
        use = (acquisition.mask & (strength > 0.2 * strength.max()))[inner]
        misfit = np.sqrt(np.mean((carried - first)[inner][use] ** 2))
        unmoved = np.sqrt(np.mean((second - first)[inner][use] ** 2))
        assert misfit < 0.01
        assert misfit < 0.05 * unmoved


def test_flow_is_in_pixels_of_each_axis():
    acquisition = simulate(scenario("plane", pixel_size=(4.0, 2.0), angle=45.0, shape=(32, 32)))
    dx, dy = acquisition.flow(60)[:, 5, 5]
    length = np.hypot(2.0 * dx, 4.0 * dy)
    assert length == pytest.approx(1.944 * 5.0, rel=1e-5)
    assert 2.0 * dx == pytest.approx(-4.0 * dy, rel=1e-5)


@pytest.mark.parametrize("name", ["no_wave", "standing", "breathing"])
def test_nothing_travels_in_still_modes(name):
    acquisition = simulate(scenario(name, shape=(32, 32)))
    assert acquisition.truth().mode == acquisition.scenario.mode
    assert not acquisition.truth().flow.any()


def test_standing_wave_keeps_its_nodes_and_breathing_its_phase():
    standing = simulate(scenario("standing", shape=(96, 96), **QUIET))
    # Frames 40 and 47 lie 0.63 periods apart: one pattern, another sign.
    a, b = standing.modulation(40), standing.modulation(47)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) > 0.999
    breathing = simulate(scenario("breathing", shape=(96, 96), **QUIET))
    inside = breathing.modulation(40)[breathing.mask]
    assert np.ptp(np.sign(inside)) == 0


def test_present_needs_a_quarter_of_the_peak_in_both_frames():
    acquisition = simulate(scenario("plane", shape=(32, 32)))
    strength = np.array([acquisition.wave_strength(i).max() for i in range(len(acquisition))])
    enough = strength >= 0.25 * strength.max()
    np.testing.assert_array_equal(acquisition.present, enough[:-1] & enough[1:])
    assert not acquisition.present[:7].any()


def test_mask_is_where_the_wave_is():
    acquisition = simulate(scenario("half_flake"))
    strength = acquisition.wave_strength(60)
    assert acquisition.mask.mean() == pytest.approx(0.5, abs=0.03)
    assert strength[acquisition.mask].min() >= 0.49 * strength.max()
    assert strength[~acquisition.mask].max() <= 0.51 * strength.max()


def test_drift_has_the_sign_of_the_contract():
    moved = simulate(scenario("no_wave", seed=5, gain_jitter=0, brightness_drift=0, **STILL))
    rest = simulate(dataclasses.replace(moved.scenario, drift_total=0.0))
    i = int(np.argmax(np.hypot(*moved.drift.T)))
    reference = rest.expected(i)
    back = warp(moved.expected(i), *moved.drift[i])
    inner = (slice(12, -12), slice(12, -12))
    error = np.sqrt(np.mean((back - reference)[inner] ** 2))
    wrong = warp(moved.expected(i), *-moved.drift[i])
    assert error < 2e-3 * reference.std()
    assert np.sqrt(np.mean((wrong - reference)[inner] ** 2)) > 0.2 * reference.std()


def test_drift_is_exact_to_a_thousandth_of_a_pixel():
    moved = simulate(scenario("no_wave", seed=6, gain_jitter=0, brightness_drift=0, **STILL))
    rest = simulate(dataclasses.replace(moved.scenario, drift_total=0.0))
    inner = (slice(12, -12), slice(12, -12))
    for i in (30, 70, 119):
        reference = rest.expected(i).astype(float)
        left = (warp(moved.expected(i), *moved.drift[i]) - reference)[inner].ravel()
        gy, gx = (g[inner].ravel() for g in np.gradient(reference))
        remaining = np.linalg.lstsq(np.stack([gx, gy], axis=1), left, rcond=None)[0]
        assert np.abs(remaining).max() < 1e-3


def test_drift_carries_the_wave_along_with_the_sample():
    moved = simulate(scenario("plane", seed=1, gain_jitter=0, brightness_drift=0, **STILL))
    rest = simulate(dataclasses.replace(moved.scenario, drift_total=0.0))
    back = warp(moved.expected(100), *moved.drift[100])
    inner = (slice(12, -12), slice(12, -12))
    error = np.sqrt(np.mean((back - rest.expected(100))[inner] ** 2))
    assert error < 2e-3 * rest.expected(100).std()


def test_noise_of_frames_is_poisson_about_the_expected_counts():
    acquisition = simulate(scenario("plane", read_noise=0.0))
    expected = acquisition.expected(50).astype(float)
    pulls = (acquisition.frame(50) - expected) / np.sqrt(expected)
    assert pulls.mean() == pytest.approx(0.0, abs=0.02)
    assert pulls.var() == pytest.approx(1.0, abs=0.02)


def test_gain_scales_the_frames():
    acquisition = simulate(scenario("no_wave", drift_total=0.0, **STILL))
    ratio = acquisition.expected(90) / acquisition.expected(0)
    np.testing.assert_allclose(ratio, acquisition.gain[90] / acquisition.gain[0], rtol=1e-5)


def test_hot_pixels_stay_on_the_camera():
    hot = simulate(scenario("half_flake"))
    cold = simulate(dataclasses.replace(hot.scenario, hot_pixels=0))
    extra = [hot.expected(i) - cold.expected(i) for i in (0, 110)]
    assert (extra[0] > 100).sum() == 40
    np.testing.assert_array_equal(extra[0] > 100, extra[1] > 100)


def test_frames_are_reproducible_in_any_order():
    one = simulate(scenario("plane", seed=9, shape=(48, 48)))
    other = simulate(scenario("plane", seed=9, shape=(48, 48)))
    forwards = [one.frame(i) for i in range(8)]
    backwards = [other.frame(i) for i in reversed(range(8))][::-1]
    np.testing.assert_array_equal(forwards, backwards)
    np.testing.assert_array_equal(one.frame(3), forwards[3])
    assert not np.array_equal(forwards[0], forwards[1])


def test_another_seed_gives_another_sample():
    one, other = (simulate(scenario("plane", seed=s, shape=(48, 48))) for s in (0, 1))
    assert not np.allclose(one.expected(0), other.expected(0), rtol=0.02)
    assert not np.allclose(one.drift, other.drift)
    assert not np.allclose(one.gain, other.gain)


def test_a_front_enters_from_the_side_of_its_origin():
    acquisition = simulate(scenario("fronts", angle=0.0, wave_coverage=1.0))
    early = int(np.flatnonzero(acquisition.delays == 50.0)[0])
    strength = acquisition.wave_strength(early)
    assert strength[:, 0].min() > 0.07
    assert strength[:, -1].max() == 0.0
    later = acquisition.wave_strength(early + 40)
    assert later[:, -1].min() > 0.04


def test_echo_runs_back_beside_the_forward_wave():
    both = simulate(scenario("reflected", shape=(96, 96), angle=0.0, **QUIET))
    alone = simulate(dataclasses.replace(both.scenario, echo=0.0))
    series = np.array(
        [(both.modulation(i) - alone.modulation(i)) / alone.wave_strength(i) for i in (60, 61)]
    )
    assert series.max() == pytest.approx(0.35, abs=0.01)
    # The truth is the forward wave; the echo alone moves the other way.
    flow = alone.flow(60)
    np.testing.assert_array_equal(both.flow(60), flow)
    echo_back = warp(series[1], -flow[0], -flow[1])
    assert np.abs(echo_back - series[0])[20:-20, 20:-20].max() < 0.01


def test_frame_numbers_beyond_the_end_are_refused():
    acquisition = simulate(scenario("plane", shape=(32, 32), frames=8))
    with pytest.raises(IndexError):
        acquisition.frame(8)
    np.testing.assert_array_equal(acquisition.frame(-1), acquisition.frame(7))
