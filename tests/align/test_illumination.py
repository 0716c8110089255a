"""What is dark is found, what is dim stays, and pixels count with their precision."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import (
    fill_hidden,
    find_shaded,
    find_unlit,
    lit_level,
    measure_counting_noise,
    pixel_weight,
)

SIZE = 160
Y, X = np.mgrid[:SIZE, :SIZE]
APERTURE = np.hypot(Y - 80, X - 78) < 70
SCENE = 400 * (1 + 0.3 * np.sin(X / 9 + np.sin(Y / 13)))
SEEN = np.ones((SIZE, SIZE))


def rim(inside, width):
    """Pixels within `width` of the edge of a map."""
    from scipy.ndimage import distance_transform_edt

    return (distance_transform_edt(inside) <= width) & inside


@pytest.mark.parametrize("quantum", [1.0, 3.0])
@pytest.mark.parametrize("dark", [0.0, 0.7, 8.0])
def test_dark_corners_are_unlit_and_the_rest_is_not(dark, quantum):
    random = np.random.default_rng(0)
    light = np.where(APERTURE, SCENE, dark)
    frames = quantum * random.poisson(light / quantum, (8, SIZE, SIZE))
    reference = frames[:6].mean(axis=0)
    noise = measure_counting_noise([(frames[6], frames[7], SEEN > 0)], lit_level(reference))
    assert noise.quantum == pytest.approx(quantum, rel=0.3)
    unlit = find_unlit(reference, SEEN, noise)
    assert unlit[~APERTURE].all()
    assert not unlit[APERTURE & ~rim(APERTURE, 4)].any()
    weight = pixel_weight(reference, unlit, noise, lit_level(np.where(unlit, 0, reference)))
    assert not weight[unlit].any()
    # Well lit pixels count alike: weights that follow contours would shift averages.
    assert np.ptp(weight[~unlit]) < 0.25


def test_a_beam_that_falls_to_three_per_cent_is_lit_everywhere():
    beam = 400 * np.exp(-((Y - 80) ** 2 + (X - 80) ** 2) * np.log(1 / 0.03) / (2 * 80**2))
    reference = np.random.default_rng(1).poisson(beam, (6, SIZE, SIZE)).mean(axis=0)
    unlit = find_unlit(reference, SEEN)
    assert unlit.mean() < 0.005


def test_a_pedestal_is_no_light():
    random = np.random.default_rng(2)
    light = np.where(APERTURE, SCENE, 0.0)
    first, second = (
        100 + random.poisson(light, (2, SIZE, SIZE)) + random.normal(0, 3, (2, SIZE, SIZE))
    )
    noise = measure_counting_noise([(first, second, SEEN > 0)], lit_level(light + 100))
    assert noise.offset == pytest.approx(100, abs=2)
    assert find_unlit(light + 100, SEEN, noise)[~APERTURE].all()


def test_sparse_counts_everywhere_are_lit():
    random = np.random.default_rng(3)
    frames = random.poisson(0.8, (8, SIZE, SIZE)).astype(float)
    noise = measure_counting_noise([(frames[6], frames[7], SEEN > 0)], 0.8)
    assert not find_unlit(frames[:6].mean(axis=0), SEEN, noise).any()


def test_a_thin_line_is_bridged_and_a_block_is_not():
    seen = SEEN.copy()
    seen[:, 50:52] = 0
    seen[100:112, 100:112] = 0
    unlit = find_unlit(np.full((SIZE, SIZE), 300.0), seen)
    assert not unlit[:, 45:57].any()
    assert unlit[102:110, 102:110].all()


def test_shaded_areas_have_a_rim_and_thin_defects_are_none():
    mean = SCENE.copy()
    mean[60:72, 90:102] = 0
    bad = np.zeros(mean.shape, bool)
    bad[:, 20:22] = True
    mean[bad] = 0
    shaded = find_shaded(mean, bad)
    assert shaded[60:72, 90:102].all()
    assert shaded[59:73, 94:98].all()
    assert not shaded[57:59].any()
    assert not shaded[:, 15:27].any()
    assert shaded.sum() < 20**2


def test_what_is_hidden_is_filled_without_an_edge():
    image = SCENE.astype(np.float32)
    filled = fill_hidden(np.where(APERTURE, image, 0).astype(np.float32), ~APERTURE)
    assert filled[~APERTURE].min() > 250
    np.testing.assert_array_equal(filled[APERTURE], image[APERTURE])
