"""Squares of pixels: what they average, and how it comes back to the pixels."""

import numpy as np
import pytest
import xarray as xr

from uemdask.cube.blocks import Place
from uemdask.cube.layout import Region
from uemdask.errors import UemError
from uemdask.spectrum.grid import (
    Grid,
    Means,
    binned_noise,
    binned_smoothing,
    halo_on_grid,
    over_squares,
)
from uemdask.spectrum.smoothing import smooth
from uemdask.spectrum.wave_sample import natural_grid

SIZES = {"y": 61, "x": 90}


def ramp(rows=slice(0, 61), columns=slice(0, 90)):
    y, x = np.mgrid[rows, columns].astype(np.float32)
    return (100 + 0.5 * x - 0.25 * y)[None]


def grid_of(bounds=(), halo=0, binning=4):
    return Grid(Place.of(Region(bounds), SIZES, halo), binning)


def test_a_square_holds_its_mean():
    grid = grid_of()
    image = np.random.default_rng(0).normal(1, 1, (2, 61, 90)).astype(np.float32)
    found = grid.bin(image, grid.place.rows, grid.place.columns)
    assert found.shape == (2, *grid.shape) == (2, 16, 23)
    np.testing.assert_allclose(found[1, 3, 5], image[1, 12:16, 20:24].mean(), rtol=1e-5)


@pytest.mark.parametrize("binning", [2, 4, 8])
def test_what_is_straight_comes_back_exactly(binning):
    grid = grid_of(binning=binning)
    squares = grid.bin(ramp(), grid.place.rows, grid.place.columns)
    inside = (0, slice(binning, 61 - 2 * binning), slice(binning, 90 - 2 * binning))
    np.testing.assert_allclose(grid.fine(squares)[inside], ramp()[inside], atol=1e-4)


def test_a_block_anywhere_has_the_squares_of_the_frame():
    whole = grid_of()
    all_squares = whole.bin(ramp(), whole.place.rows, whole.place.columns)
    part = grid_of((("y", 13, 40), ("x", 22, 71)), halo=9)  # begins at 4 and 13
    place = part.place
    squares = part.bin(ramp(place.rows, place.columns), place.rows, place.columns)
    # Those at the rim of the block are partly outside.
    np.testing.assert_allclose(squares[0, 1:-1, 1:-1], all_squares[0, 2:12, 4:19], rtol=1e-5)
    fine = part.fine(squares)
    np.testing.assert_allclose(fine[0], ramp(slice(13, 40), slice(22, 71))[0], atol=1e-4)


def test_missing_pixels_have_no_say_and_dark_squares_do_not_fade_their_neighbours():
    grid, image = grid_of(), np.full((3, 61, 90), 5.0, np.float32)
    image[:, :, 41:] = 0  # dark, not along a square
    squares = grid.bin(image, grid.place.rows, grid.place.columns)
    assert set(np.unique(squares)) == {np.float32(0), np.float32(5)}
    lit = (squares[0] != 0).astype(np.float32)
    np.testing.assert_allclose(grid.fine(squares[0], lit)[:, :41], 5, rtol=1e-5)


def test_smoothing_and_noise_on_the_grid_are_those_of_smoothed_noise():
    noise = smooth(np.random.default_rng(1).normal(size=(512, 512)).astype(np.float32), 2.0)
    squares = over_squares(noise, (0, 0), 2)
    assert squares.std() == pytest.approx(binned_noise(float(noise.std()), 2.0, 2), rel=0.02)
    alike = (squares[:, 1:] * squares[:, :-1]).mean() / squares.var()
    # The correlation at a distance d of noise that a Gaussian smoothed.
    assert alike == pytest.approx(np.exp(-1 / (4 * binned_smoothing(2.0, 2) ** 2)), abs=0.02)


@pytest.mark.parametrize("sigma", [1.5, 4.0, 8.0, 11.0])
@pytest.mark.parametrize("kind", [np.float32, np.complex64])
def test_wide_means_are_those_of_the_gaussian(sigma, kind):
    rng = np.random.default_rng(2)
    image = rng.normal(size=(120, 157)).astype(np.float32)
    if kind is np.complex64:
        image = (image + 1j * rng.normal(size=image.shape)).astype(np.complex64)
    image = smooth(image, sigma / 2)
    means = Means(image.shape, sigma)
    found = means(image)
    assert found.dtype == kind
    spread = means.spread(found.real) + (
        1j * means.spread(found.imag) if kind == np.complex64 else 0
    )
    error = np.abs(spread - smooth(image, sigma))[12:-12, 12:-12]
    assert np.sqrt(np.mean(error**2)) < 0.03 * np.abs(image).std()


def test_the_halo_grows_with_the_squares():
    assert [halo_on_grid(64, binning) for binning in (1, 2, 4, 16)] == [64, 64, 128, 512]


def test_an_absurd_binning_is_refused():
    wave = xr.DataArray(np.zeros((2, 64, 64), np.float32), dims=("time", "y", "x"))
    with pytest.raises(UemError, match="one of 1, 2, 4, 8, 16"):
        natural_grid(wave, 3, 64, sample=pytest.fail)


def test_the_wave_of_a_run_tells_its_grid_and_none_is_measured():
    wave = xr.DataArray(np.zeros((2, 64, 64), np.float32), dims=("time", "y", "x"))
    told = wave.assign_coords(wave_binning=4.0)
    assert natural_grid(told, None, 64, sample=pytest.fail) == (4, 128)
    assert natural_grid(told, 1, 64, sample=pytest.fail) == (1, 64)
