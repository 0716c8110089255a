"""On squares of 2 px a smoothed series is what it is pixel by pixel."""

import numpy as np
import pytest
from known_waves import plane_wave

from uemdask.cube.blocks import Place
from uemdask.cube.layout import Region
from uemdask.spectrum import smooth
from uemdask.spectrum.squares import Reduction, grid_halo, kept_noise

SHAPE = (97, 118)
ONES = np.ones(SHAPE, np.float32)


def place_of(shape, halo=0, **bounds):
    region = Region(tuple((dim, *span) for dim, span in bounds.items()))
    return Place.of(region, dict(zip("yx", shape, strict=True)), halo)


def there_and_back(frame, weight=ONES, smoothing=2.0, *, centres=False, place=None):
    """Return a frame as it is after smoothing on squares, at the inner pixels."""
    place = place or place_of(frame.shape)
    reduction = Reduction(weight, place, smoothing)
    found = reduction(frame.astype(np.float32))
    if centres:
        return reduction.cells.at_centres(found)
    return reduction.cells.to_pixels(place.inner)(found)


@pytest.mark.parametrize("wavelength", [12.0, 20.0, 50.0])
def test_a_wave_is_smoothed_as_by_the_gaussian(wavelength):
    wave = plane_wave(SHAPE, [0.0], frequency=1, wavelength=wavelength, angle=30).real[0]
    away = (there_and_back(wave) - smooth(wave.astype(np.float32), 2.0))[12:-12, 12:-12]
    # A wave that is nearly as short as the squares allow is left with a ripple.
    assert np.abs(away).max() < (0.04 if wavelength < 15 else 0.015 if wavelength < 30 else 0.003)
    assert np.abs(away.mean()) < 1e-3


def test_noise_that_is_left_is_told():
    noise = np.random.default_rng(0).normal(size=(800, 800))
    found = there_and_back(noise, np.ones((800, 800), np.float32))
    assert found.var() == pytest.approx(kept_noise(2.0), rel=0.05)
    assert kept_noise(2.0) == pytest.approx(1 / (16 * np.pi), rel=0.08)
    assert kept_noise(0.0) == 1


def test_squares_are_as_smooth_at_their_centres_as_pixels_are():
    noise = np.random.default_rng(0).normal(size=(800, 800))
    weight = np.ones((800, 800), np.float32)
    found = there_and_back(noise, weight, centres=True)
    assert found.var() == pytest.approx(there_and_back(noise, weight).var(), rel=0.05)


@pytest.mark.parametrize("smoothing", [0.0, 1.5])
def test_little_smoothing_keeps_every_pixel(smoothing):
    frame = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_allclose(
        there_and_back(frame, smoothing=smoothing), smooth(frame, smoothing), atol=1e-5
    )


@pytest.mark.parametrize("y", [(0, 30), (31, 66), (64, 97)])
@pytest.mark.parametrize("smoothing", [1.0, 2.0, 3.0])
def test_a_block_gives_what_the_whole_frame_gives(y, smoothing):
    random = np.random.default_rng(0)
    frame, weight = random.normal(size=SHAPE).astype(np.float32), ONES.copy()
    frame[random.random(SHAPE) < 0.01] = np.nan
    weight[40:60, 20:50] = 0
    place = place_of(SHAPE, grid_halo(smoothing), y=y, x=(13, 70))
    part = place.rows, place.columns
    found = there_and_back(frame[part], weight[part], smoothing, place=place)
    whole = there_and_back(frame, weight, smoothing)
    np.testing.assert_allclose(found, whole[slice(*y), 13:70], atol=1e-5)


def test_pixels_without_weight_or_value_spread_nothing():
    frame, weight = 3 * ONES, ONES.copy()
    weight[:, 41:] = 0
    frame[:, 41:] = 1e6
    frame[10, 10] = np.nan
    found = there_and_back(frame, weight)
    np.testing.assert_allclose(found[:, :41], 3.0, rtol=1e-5)
    assert not found[:, 41:].any()


def test_what_frames_did_not_show_is_counted():
    reduction = Reduction(ONES, place_of(SHAPE), 2.0)
    frame = ONES.copy()
    frame[5, 6] = np.nan
    reduction.series(np.stack([frame, ONES]))
    assert reduction.seen[5, 6] == 0.5
    assert np.count_nonzero(reduction.seen != 1) == 1
