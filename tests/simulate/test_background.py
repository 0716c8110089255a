"""The still part of an image: strong bend contours that move, sampled exactly."""

import dataclasses

import numpy as np
import pytest

from uemdask.simulate.background import draw_background

SHAPE = (160, 200)
ROWS, COLUMNS = (np.arange(n) - (n - 1) / 2.0 for n in SHAPE)


def draw(seed=0, **changes):
    numbers = {
        "texture": 0.05,
        "contour_range": (0.8, 1.4),
        "contour_shift": 4.0,
        "contour_darkening": 0.1,
        "coverage": 1.0,
    }
    return draw_background(np.random.default_rng(seed), shape=SHAPE, **(numbers | changes))


@pytest.mark.parametrize("seed", range(4))
def test_bend_contours_span_the_published_range_about_the_mean(seed):
    background = draw(seed, texture=0.0)
    clean = dataclasses.replace(background, speck_depth=0.0 * background.speck_depth)
    image = clean(ROWS, COLUMNS, -10.0)
    assert image.min() == pytest.approx(0.8, abs=1e-3)
    assert image.max() == pytest.approx(1.4, abs=1e-3)
    assert image.mean() == pytest.approx(1.0, abs=0.01)


def test_contours_rest_before_zero_then_move_and_darken():
    background = draw(texture=0.0)
    before = background(ROWS, COLUMNS, -5.0)
    np.testing.assert_array_equal(background(ROWS, COLUMNS, -30.0), before)
    after = background(ROWS, COLUMNS, 500.0)
    assert np.abs(after - before).max() > 0.1
    unmoved = draw(texture=0.0, contour_shift=0.0)(ROWS, COLUMNS, 500.0)
    assert np.all(unmoved <= before + 1e-6)
    assert unmoved.max() < before.max() - 0.1


def test_contours_move_by_the_stated_distance():
    shift = 3.0
    background = draw(texture=0.0, contour_shift=shift, contour_darkening=0.0)
    bending = background.bending(ROWS, COLUMNS)
    slope = np.hypot(*np.gradient(bending))
    # A tilt moves a contour by tilt / slope.
    moved = background.contour_tilt / slope
    assert background.contour_tilt / np.sqrt(np.mean(slope**2)) == pytest.approx(shift, rel=1e-3)
    assert np.median(moved) == pytest.approx(shift, rel=0.5)


def test_shifted_background_is_the_same_sample_and_brings_in_new_content():
    background = draw(coverage=0.7)
    still = background(ROWS, COLUMNS, 100.0)
    shifted = background(ROWS - 7.0, COLUMNS + 12.0, 100.0)
    np.testing.assert_allclose(shifted[7:, :-12], still[:-7, 12:], atol=2e-5)
    # Neither a repeat of the other side nor of the border.
    assert np.abs(shifted[:7] - still[-7:]).max() > 0.05
    assert np.abs(shifted[:6] - still[:1]).max() > 0.05


def test_background_is_band_limited():
    background = draw(coverage=0.6)
    image = background(ROWS, COLUMNS, 0.0).astype(float)
    window = np.outer(np.hanning(SHAPE[0]), np.hanning(SHAPE[1]))
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    fy, fx = np.fft.fftfreq(SHAPE[0]), np.fft.fftfreq(SHAPE[1])
    high = np.hypot(fy[:, None], fx[None, :]) > 0.4
    assert power[high].sum() < 1e-4 * power.sum()


@pytest.mark.parametrize("coverage", [0.3, 0.5, 0.8])
def test_flake_covers_the_stated_share(coverage):
    flake = draw(coverage=coverage).flake(ROWS, COLUMNS)
    assert flake.mean() == pytest.approx(coverage, abs=0.03)
