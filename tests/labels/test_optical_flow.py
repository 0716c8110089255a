"""OpenCV's optical flow: sign, order of components, range, pyramid."""

import numpy as np
import pytest
from scipy import ndimage

from uemdask.errors import UemError
from uemdask.labels import FlowEstimator, remap, to_grey
from uemdask.labels.optical_flow import coarsest_level

INNER = np.s_[24:-24, 24:-24]


def estimate_flow(first, second, *, scale, method="dis", **options):
    estimate = FlowEstimator(method, first.shape, **options)
    return estimate(to_grey(first, scale), to_grey(second, scale))


def blobs(shape=(128, 160), sigma=4.0, seed=0):
    image = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return (image / image.std()).astype(np.float32)


def shifted(image, dx, dy):
    """Give the image whose content has moved by (dx, dy): second(r) = first(r - d)."""
    return ndimage.shift(image, (dy, dx), order=3, mode="nearest")


@pytest.mark.parametrize("method", ["dis", "farneback"])
@pytest.mark.parametrize(("dx", "dy"), [(2.3, 0.0), (0.0, -1.7), (-3.0, 2.0)])
def test_flow_points_where_the_content_went_x_first_y_downwards(method, dx, dy):
    first = blobs()
    flow = estimate_flow(first, shifted(first, dx, dy), scale=3.0, method=method)
    assert flow.shape == (2, 128, 160)
    assert flow.dtype == np.float32
    assert np.median(flow[0][INNER]) == pytest.approx(dx, abs=0.1)
    assert np.median(flow[1][INNER]) == pytest.approx(dy, abs=0.1)


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_first_of_r_is_second_of_r_plus_flow(method):
    first = blobs()
    second = shifted(first, 3.0, -2.0)
    flow = estimate_flow(first, second, scale=3.0, method=method)
    left = np.std((first - remap(second, flow))[INNER])
    wrong_sign = np.std((first - remap(second, -flow))[INNER])
    assert left < 0.1
    assert wrong_sign > 5 * left


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_a_faint_run_gives_the_same_flow_as_a_strong_one(method):
    # Farneback on images in 0..1 silently returns about zero: the scale must prevent it.
    first = blobs()
    second = shifted(first, 2.3, 0.0)
    strong = estimate_flow(first, second, scale=3.0, method=method)
    faint = estimate_flow(0.001 * first, 0.001 * second, scale=0.003, method=method)
    # The same grey values up to a rounding of the last step.
    assert np.abs(strong - faint).mean() < 0.02


def test_a_cropped_view_is_accepted():
    first = blobs((160, 200))
    second = shifted(first, 1.0, 0.0)
    crop = np.s_[10:150, 20:180]
    whole = estimate_flow(first[crop].copy(), second[crop].copy(), scale=3.0)
    np.testing.assert_array_equal(estimate_flow(first[crop], second[crop], scale=3.0), whole)


def test_one_estimator_gives_the_same_whatever_it_saw_before():
    first, other = blobs(), blobs(seed=9)
    grey = [(40 * image + 128).clip(0, 255).astype(np.uint8) for image in (first, other)]
    used = FlowEstimator("dis", first.shape)
    used(grey[1], grey[0])
    fresh = FlowEstimator("dis", first.shape)
    np.testing.assert_array_equal(used(*grey), fresh(*grey))


@pytest.mark.parametrize(
    ("wavelength", "level"), [(9.0, 0), (12.0, 0), (20.0, 1), (45.0, 2), (160.0, 4), (None, 5)]
)
def test_coarsest_level_keeps_ten_px_a_wavelength(wavelength, level):
    assert coarsest_level(wavelength, (512, 512)) == level
    assert wavelength is None or level == 0 or wavelength / 2**level >= 10


def test_a_known_wavelength_stops_jumps_by_a_whole_wavelength():
    # Egg-box of 20 px moving by 5 px: a deep pyramid cannot tell +5 from -15.
    y, x = np.mgrid[:160, :160]
    rng = np.random.default_rng(1)

    def image(move):
        noise = ndimage.gaussian_filter(rng.normal(size=x.shape), 2)
        wave = np.sin(2 * np.pi * (x - move) / 20) + np.sin(2 * np.pi * y / 20)
        return wave + 0.1 * noise / noise.std()

    first, second = image(0.0), image(5.0)
    known = estimate_flow(first, second, scale=2.0, wavelength=20.0)
    assert np.mean(np.abs(known[0][INNER] - 5) < 1) > 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "tvl1"}, "method"),
        ({"preset": "slow"}, "preset"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(UemError, match=message):
        estimate_flow(np.zeros((32, 32)), np.zeros((32, 32)), scale=1.0, **arguments)


def test_tiny_images_are_refused():
    with pytest.raises(UemError, match="at least 16 px"):
        estimate_flow(np.zeros((8, 64)), np.zeros((8, 64)), scale=1.0)


def test_the_smallest_image_allowed_works():
    first = blobs((16, 16))
    assert np.isfinite(estimate_flow(first, first, scale=3.0, preset="medium")).all()
