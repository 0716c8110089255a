"""The drift of a whole series: what holds still in the sample decides."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import LEAST_VOTES, local_contrast, refine_drift
from uemdask.simulate import scenario, simulate

pytestmark = pytest.mark.slow


def contrasts(frames):
    return np.stack([local_contrast(np.asarray(f, np.float32)) for f in frames])


def centred(drift):
    return drift - drift.mean(axis=0)


def rms(error):
    return float(np.sqrt(np.mean(np.sum(np.square(error), axis=1))))


@pytest.fixture(scope="module")
def moving():
    """Give a series whose contours move by 5 px and which drifts."""
    acquisition = simulate(
        scenario("chirped", seed=2, shape=(128, 128), frames=40, texture=0.1, drift_total=6.0)
    )
    return acquisition, contrasts([acquisition.frame(i) for i in range(40)])


def test_start_of_whole_pixels_is_refined(moving):
    acquisition, contrast = moving
    found = refine_drift(contrast, np.round(acquisition.drift))
    error = centred(found.drift) - centred(acquisition.drift)
    assert rms(error) < 0.1
    # The stated error is the right one, to a factor.
    assert 0.5 < rms(error) / rms(found.error) < 2.0


def test_start_that_went_with_the_contours_is_mended(moving):
    acquisition, contrast = moving
    astray = np.outer(1 - np.exp(-np.maximum(acquisition.delays, 0) / 100), (4.0, -3.0))
    found = refine_drift(contrast, acquisition.drift + astray)
    assert rms(centred(found.drift) - centred(acquisition.drift)) < 0.12


@pytest.mark.parametrize("seed", [11, 13])
def test_strong_contours_do_not_outvote_a_weak_texture(seed):
    """Contours ten times as strong as the texture creep over half a pixel in a small field."""
    acquisition = simulate(scenario("no_wave", seed=seed, shape=(128, 128), frames=40))
    contrast = contrasts([acquisition.frame(i) for i in range(40)])
    crept = np.outer(1 - np.exp(-np.maximum(acquisition.delays, 0) / 100), (-0.8, -0.5))
    found = refine_drift(contrast, acquisition.drift + crept)
    assert rms(centred(found.drift) - centred(acquisition.drift)) < 0.1


def test_lost_frame_is_found_again(moving):
    acquisition, contrast = moving
    start = acquisition.drift.copy()
    start[20] += (7.0, 9.0)
    found = refine_drift(contrast, start)
    error = centred(found.drift) - centred(acquisition.drift)
    assert np.abs(error[20]).max() < 0.3


def test_a_frame_of_noise_is_named_and_spoils_nothing(moving):
    acquisition, contrast = moving
    random = np.random.default_rng(0)
    contrast = contrast.copy()
    contrast[7] = local_contrast(random.poisson(100, (128, 128)).astype(np.float32))
    found = refine_drift(contrast, acquisition.drift)
    kept = np.arange(40) != 7
    assert np.isinf(found.error[7]).all()
    assert (found.votes[kept] > LEAST_VOTES).all()
    assert rms(centred(found.drift[kept]) - centred(acquisition.drift[kept])) < 0.1


def test_drift_adds_up(moving):
    """Frames moved by whole pixels more have that much more drift."""
    _, contrast = moving
    first = refine_drift(contrast[:12], np.zeros((12, 2)))
    shift = np.zeros((12, 2))
    shift[6:] = (3.0, -2.0)
    rolled = contrast[:12].copy()
    rolled[6:] = np.roll(rolled[6:], (-2, 3), axis=(1, 2))
    second = refine_drift(rolled, shift)
    np.testing.assert_allclose(centred(second.drift), centred(first.drift + shift), atol=0.05)


def test_frames_without_common_ground_are_left_as_they_were(moving):
    _, contrast = moving
    start = np.array([[0.0, 0.0], [120.0, 0.0], [0.0, 0.0]])
    found = refine_drift(contrast[:3], start)
    np.testing.assert_array_equal(found.drift, start)
    assert np.isinf(found.error).all()
