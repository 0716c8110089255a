"""The headline of a region: its mean over trusted delays, and how far off it may be."""

import numpy as np
import pytest

from uemdask.regions import FrontSums, headlines
from uemdask.regions.fronts import PAIR_QUANTITIES
from uemdask.spectrum import band_pass_operator

FREQUENCY, STEP, SIDE = 20.0, 5.0, 8  # GHz, ps, patches a side
OMEGA = 2e-3 * np.pi * FREQUENCY
PIXELS = 1024.0  # of a patch


def sums_of(speed, *, strength=None, direction=None, begin=0.0):
    """Sums of a region whose speed (pair, row, column) in nm/ps is given, and its delays."""
    pairs = speed.shape[0]
    time = begin + STEP * np.arange(pairs + 1)
    strength = np.ones(pairs + 1) if strength is None else strength
    angle = np.zeros((SIDE, SIDE)) if direction is None else np.radians(direction)
    layers = np.stack(
        [
            np.ones_like(speed), np.full_like(speed, OMEGA), OMEGA / speed,
            *(np.broadcast_to(f(angle), speed.shape) for f in (np.cos, np.sin)), speed,
        ]
    ) * PIXELS  # fmt: skip
    sums = FrontSums.empty(1, pairs, -(-pairs // 32), (SIDE * 32, SIDE * 32))
    sums.pair[:6, 0] = layers.sum(axis=(2, 3))
    power = PIXELS * SIDE**2 * strength**2 / 2
    sums.pair[6, 0], sums.pair[7, 0], sums.pair[8, 0] = power[:-1], power[1:], 2 * power[1:]
    for slab in range(sums.patch.shape[2]):
        sums.patch[:, 0, slab] = layers[:5, 32 * slab : 32 * slab + 32].sum(axis=1)
    return sums, np.stack([time[:-1], time[1:]], axis=1)


def headline(sums, delays, pixels=PIXELS * SIDE**2, window=25.0):
    (found,) = headlines(
        sums, delays, np.array([pixels]), np.array([PIXELS * SIDE**2]), frequency=FREQUENCY,
        window=window, complex_window=1.5 * window, noise=0.0,
    )  # fmt: skip
    return found


def steady(pairs=64, value=2.0):
    return np.full((pairs, SIDE, SIDE), value)


def test_a_steady_wave_has_its_speed_frequency_and_wavelength():
    found = headline(*sums_of(steady()))
    assert found.speed == pytest.approx(2.0)
    assert found.frequency == pytest.approx(20.0)
    assert found.wavelength == pytest.approx(100.0)
    assert (found.first, found.last) == (0.0, 320.0)
    assert found.direction == 0.0
    assert found.spread < 0.1
    # Nothing scatters: what simulations show beside that is left.
    assert found.speed_sd == pytest.approx(0.003 * 2.0)
    assert found.reason == ""


def test_a_wave_that_slows_down_has_the_mean_of_its_speeds():
    speed = 2 + 3 * np.exp(-np.arange(104) / 20)
    sums, delays = sums_of(speed[:, None, None] * np.ones((SIDE, SIDE)))
    middle = slice(20, -20)  # at the ends the window of the band-pass would be cut off
    sums.pair[0, 0, :20] = sums.pair[0, 0, -20:] = 0
    found = headline(sums, delays)
    assert found.speed == pytest.approx(speed[middle].mean(), rel=2e-3)
    assert found.speed_sd < 0.02 * found.speed
    np.testing.assert_allclose(found.speeds[middle], speed[middle], rtol=5e-3)


def test_delays_at_which_the_wave_is_weak_are_left_out():
    strength = np.clip((STEP * np.arange(65) - 100) / 100, 0, 1)
    speed = steady()
    speed[:20] = 3.0  # a trace from elsewhere
    found = headline(*sums_of(speed, strength=strength))
    assert found.speed == pytest.approx(2.0)
    assert 110 <= found.first <= 130
    assert np.isnan(found.speeds[:20]).all()


def test_the_start_of_a_wave_that_shares_its_band_is_left_out():
    sums, delays = sums_of(steady(), strength=np.clip(0.3 + np.arange(65) / 20, 0, 1))
    # Contours that move on at time zero beat with the wave.
    sums.pair[PAIR_QUANTITIES.index("advance"), 0, :4] *= 0.96
    assert headline(sums, delays).first == delays[4, 0]


@pytest.mark.parametrize("growth", [0.0, 0.006, -0.006])
def test_what_the_window_sees_of_other_delays_is_carried_back(growth):
    """While a wave grows or fades, and where the series ends and the window is cut off."""
    time, period = STEP * np.arange(65), 1e3 / FREQUENCY
    k, window = 1.0 + 0.003 * time, 0.5 * period
    strength, lag = np.exp(growth * time), 0.02
    # Two points a little apart, and all phases that the wave may have there.
    begin = np.linspace(0, 2 * np.pi, 12, endpoint=False) + np.array([[0.0], [0.0]])
    phase = OMEGA * time - k * np.array([0.0, lag])[:, None, None] + begin[..., None]
    wave = (strength * np.cos(phase)).T
    for sigma in (0.5, 0.6):
        operator = band_pass_operator(time, FREQUENCY, window=sigma * period)
        wave = np.tensordot(operator, wave.real, 1)
    seen = -np.angle((wave[..., 0].conj() * wave[..., 1]).sum(axis=1))[1:] / lag
    sums, delays = sums_of(
        OMEGA / seen[:, None, None] * np.ones((SIDE, SIDE)),
        strength=np.sqrt(np.square(np.abs(wave)).mean(axis=(1, 2))),
    )
    found = headline(sums, delays, window=window)
    told = np.isfinite(found.speeds)
    assert told.sum() > 20
    assert np.abs(seen / k[1:] - 1)[told].max() > 0.05
    np.testing.assert_allclose(found.speeds[told] * k[1:][told] / OMEGA, 1, atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_that_of_patches_that_err_by_themselves(seed):
    rng = np.random.default_rng(seed)
    found, stated = [], []
    for _ in range(40):
        # Neighbours in squares of two by two err together, each at all delays.
        own = np.kron(rng.normal(1.0, 0.1, (SIDE // 2, SIDE // 2)), np.ones((2, 2)))
        each = headline(*sums_of(2.0 * steady(32, 1.0) * own))
        found.append(each.speed)
        stated.append(each.speed_sd)
    assert np.mean(stated) == pytest.approx(np.std(found), rel=0.35)


def test_a_change_along_the_region_is_no_error():
    row, column = np.indices((SIDE, SIDE))
    speed = steady(32) * (1 + 0.02 * (row - 3.5) + 0.03 * (column - 3.5))
    assert headline(*sums_of(speed)).speed_sd < 0.01 * 2.0


def test_speeds_that_scatter_from_period_to_period_are_an_error():
    rng = np.random.default_rng(0)
    course = np.repeat(rng.normal(1.0, 0.05, 8), 20)  # of 100 ps: two periods
    speed = (2.0 * course)[:, None, None] * np.ones((SIDE, SIDE))
    assert headline(*sums_of(speed)).speed_sd > 0.008 * 2.0


def test_directions_over_the_circle_have_no_mean():
    row, column = np.indices((SIDE, SIDE)) - 3.5
    found = headline(*sums_of(steady(), direction=np.degrees(np.arctan2(-row, column))))
    assert found.spread > 90
    assert found.direction_sd > 20
    one_way = headline(*sums_of(steady(), direction=np.full((SIDE, SIDE), 170.0)))
    assert one_way.direction == pytest.approx(170.0)
    assert one_way.direction_sd == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.pair[:6].fill(0), "none of its pixels has a valid speed"),
        (lambda s: s.pair[0].__imul__(0.01), "fewer than 5% of its pixels have a valid speed"),
        (lambda s: s.pair[:6, :, 3:].fill(0), "trusted for less than half a period"),
    ],
)
def test_a_region_without_a_speed_says_why(change, reason):
    sums, delays = sums_of(steady())
    change(sums)
    found = headline(sums, delays)
    assert np.isnan(found.speed)
    assert reason in found.reason
    assert np.isnan(found.speeds).all()
    assert found.speeds.shape == (64,)
