"""The gain of a frame, whatever the sample does."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import brightness
from uemdask.errors import UemError


@pytest.mark.parametrize("gain", [0.8, 1.0, 1.05])
@pytest.mark.parametrize("wavelength", [12.0, 40.0, 80.0])
def test_gain_under_a_strong_wave(make_scene, gain, wavelength):
    scene = make_scene(256, seed=1)
    reference = scene.frame(noise=False)
    found = [
        brightness(scene.frame(gain=gain, wave=0.2, wavelength=wavelength, phase=phase), reference)
        for phase in np.arange(0, 2 * np.pi, 1.3)
    ]
    np.testing.assert_allclose(found, gain, rtol=3e-3)


def test_gain_under_moving_contours(make_scene):
    scene = make_scene(256, seed=2)
    found = brightness(scene.frame(gain=0.9, contour=6.0), scene.frame(noise=False))
    assert found == pytest.approx(0.9, rel=0.01)


def test_counting_noise_is_as_documented(make_scene):
    reference = np.full((128, 128), 50.0)
    random = np.random.default_rng(3)
    found = [brightness(random.poisson(reference), reference) for _ in range(60)]
    expected = 1.4 / np.sqrt(reference.sum())
    assert np.std(found) == pytest.approx(expected, rel=0.35)
    assert np.mean(found) == pytest.approx(1.0, abs=5 * expected / np.sqrt(60))


def test_uncovered_parts_do_not_count(make_scene):
    reference = make_scene(128, seed=4).frame(noise=False)
    image = 0.7 * reference
    covered = np.ones(image.shape, bool)
    covered[:, :50] = False
    image[:, :50] = 1e6
    assert brightness(image, reference, covered) == pytest.approx(0.7, rel=1e-5)


def test_dark_surroundings_do_not_count():
    reference = np.full((64, 64), 200.0)
    reference[:30] = 0.5
    image = 1.1 * reference
    image[:30] = 40.0
    assert brightness(image, reference) == pytest.approx(1.1, rel=1e-3)


def test_nothing_to_compare_gives_one():
    assert brightness(np.ones((8, 8)), np.zeros((8, 8))) == 1.0
    assert brightness(np.ones((8, 8)), np.ones((8, 8)), np.zeros((8, 8), bool)) == 1.0


def test_sizes_must_agree():
    with pytest.raises(UemError, match="does not match"):
        brightness(np.ones((8, 8)), np.ones((8, 9)))


def test_single_pixels_that_are_missing_do_not_cost_their_block():
    """A hundredth of the pixels is hit: the blocks without any are too few to be as good."""
    random = np.random.default_rng(5)
    reference = random.uniform(200, 800, (160, 160)).astype(np.float32)
    x = np.arange(160)
    frame = 0.9 * reference * (1 + 0.08 * np.cos(0.17 * x + 0.1 * x[:, None]))
    covered = random.random(reference.shape) > 0.01
    spoilt = np.where(covered, frame, 30 * frame).astype(np.float32)
    whole = brightness(frame.astype(np.float32), reference)
    assert brightness(spoilt, reference, covered) == pytest.approx(whole, abs=3e-4)
    assert whole == pytest.approx(0.9, abs=1e-3)
