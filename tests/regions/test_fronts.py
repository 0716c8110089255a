"""The phases of the fronts: known waves give their speed, wherever tiles are cut."""

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.regions import FRONT_HALO, FrontSums, away_from_rims, front_sums
from uemdask.regions.fronts import PAIR_QUANTITIES
from uemdask.spectrum import smooth

FREQUENCY, STEP, PIXEL = 20.0, 5.0, 3.0
SPEED = 2.0  # nm/ps: 100 nm a wavelength, 33.3 px
LENGTH = SPEED / FREQUENCY * 1e3 / PIXEL
OMEGA = 2e-3 * np.pi * FREQUENCY


def wave(distance, frames=3, amplitude=1.0):
    """Complex wave (frame, y, x) of fronts at a distance (y, x) in nm from their origin."""
    time = STEP * np.arange(frames)[:, None, None]
    return (amplitude * np.exp(1j * OMEGA * (time - distance / SPEED))).astype(np.complex64)


def measured(Z, *, valid=None, relevant=None, smoothing=0.0, pixel=(PIXEL, PIXEL), **options):
    shape = Z.shape[1:]
    everywhere = np.ones(shape, bool)
    relevant = everywhere if relevant is None else relevant
    pairs = np.stack([np.arange(len(Z) - 1), np.arange(1, len(Z))], axis=1)
    counted = away_from_rims(relevant)[None]
    valid = np.ones((len(pairs), *shape), bool) if valid is None else valid
    return front_sums(
        Z, pairs, STEP * np.arange(len(Z)), valid, relevant, everywhere[None], counted,
        frequency=FREQUENCY, wavelength_px=LENGTH, pixel_size=pixel, smoothing=smoothing,
        **options,
    )  # fmt: skip


def mean(sums, name, pair=0):
    row = PAIR_QUANTITIES.index(name)
    return float(sums.pair[row, 0, pair] / sums.pair[0, 0, pair])


def grid(shape=(96, 128), pixel=(PIXEL, PIXEL)):
    y, x = np.indices(shape, float)
    return y * pixel[0], x * pixel[1]


@pytest.mark.parametrize("angle", [0.0, 37.0, 160.0, -95.0])
@pytest.mark.parametrize("pixel", [(3.0, 3.0), (3.0, 2.0)])
def test_a_plane_wave_gives_its_speed_and_direction(angle, pixel):
    y, x = grid(pixel=pixel)
    to = np.cos(np.radians(angle)), -np.sin(np.radians(angle))
    sums = measured(wave(x * to[0] + y * to[1]), pixel=pixel)
    assert mean(sums, "speed") == pytest.approx(SPEED, rel=1e-3)
    assert mean(sums, "advance") == pytest.approx(OMEGA, rel=1e-4)
    found = np.degrees(np.arctan2(mean(sums, "sin"), mean(sums, "cos")))
    assert found == pytest.approx(angle, abs=0.2)


def test_rings_do_not_cancel():
    y, x = grid((160, 160))
    sums = measured(wave(np.hypot(x - 240.0, y - 250.0)))
    assert mean(sums, "speed") == pytest.approx(SPEED, rel=4e-3)
    # They go every way.
    assert np.hypot(mean(sums, "cos"), mean(sums, "sin")) < 0.1
    # Nearer than a wavelength to their middle nothing counts.
    assert sums.pair[0, 0, 0] < away_from_rims(np.ones((160, 160), bool)).sum() - 2000


def test_smoothing_of_a_wave_that_ends_is_taken_back():
    _, x = grid((128, 128))
    envelope = np.exp(-0.5 * ((x / PIXEL - 64) / 14) ** 2)
    Z = np.stack([smooth(frame, 4.0) for frame in wave(x, amplitude=envelope)])
    near = envelope > 0.1
    as_it_is = mean(measured(Z, relevant=near), "speed")
    assert as_it_is > 1.04 * SPEED
    assert mean(measured(Z, relevant=near, smoothing=4.0), "speed") == pytest.approx(
        SPEED, rel=0.02
    )


def test_smoothed_noise_pulls_the_speed_nowhere():
    rng = np.random.default_rng(1)
    _, x = grid((256, 256))
    Z = wave(x, frames=9)
    noise = rng.normal(size=(2, *Z.shape)).astype(np.float32)
    noise = np.stack([smooth(part, 2.0) for part in noise]) * np.float32(2 * 2 * np.sqrt(np.pi))
    Z = Z + 0.3 * (noise[0] + 1j * noise[1]).astype(np.complex64) / np.sqrt(2)
    sums = measured(Z)
    speeds = [mean(sums, "speed", pair) for pair in range(8)]
    assert np.mean(speeds) == pytest.approx(SPEED, rel=0.005)


def test_tiles_give_the_sums_of_the_whole_frame():
    y, x = grid((128, 320))
    Z, everywhere = wave(0.8 * x - 0.6 * y), np.ones((128, 320), bool)
    pairs, times = np.array([[0, 1], [1, 2]]), STEP * np.arange(3)
    whole = FrontSums.empty(1, 2, 1, (128, 320))
    counted = away_from_rims(everywhere)[None]
    options = {"frequency": FREQUENCY, "wavelength_px": LENGTH, "pixel_size": (PIXEL, PIXEL),
               "smoothing": 2.0}  # fmt: skip
    for left, right in ((0, 192), (192, 320)):
        low, high = max(left - FRONT_HALO, 0), min(right + FRONT_HALO, 320)
        tile = np.s_[:, :, left:right]
        whole.add(
            front_sums(
                Z[:, :, low:high], pairs, times, np.ones((2, 128, right - left), bool),
                everywhere[:, low:high], everywhere[None][tile], counted[tile],
                inner=(slice(0, 128), slice(left - low, right - low)), **options,
            ),
            first_pair=0, slab=0, origin=(0, left),
        )  # fmt: skip
    at_once = front_sums(
        Z, pairs, times, np.ones((2, 128, 320), bool), everywhere, everywhere[None], counted,
        **options,
    )  # fmt: skip
    np.testing.assert_allclose(whole.pair, at_once.pair, rtol=1e-4)
    np.testing.assert_allclose(whole.patch, at_once.patch, rtol=1e-4, atol=1e-6)


def test_what_is_not_valid_or_relevant_does_not_count():
    _, x = grid((96, 192))
    left = np.broadcast_to(x < x.max() / 2, (96, 192))
    # On the right something else is seen.
    Z = np.where(left, wave(x), wave(0.5 * x))
    assert mean(measured(Z, relevant=left), "speed") == pytest.approx(SPEED, rel=2e-3)
    nothing = measured(Z, valid=np.zeros((2, 96, 192), bool))
    assert not nothing.pair[:6].any()
    # The strength of the wave is told all the same.
    assert (nothing.pair[6:] > 0).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UemError, match="fronts: found a wave"):
        measured(wave(grid()[1]), valid=np.ones((2, 4, 4), bool))
