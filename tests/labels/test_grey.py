"""Grey values: one fixed range per run."""

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.labels import grey_scale, to_grey


def test_zero_is_middle_grey_and_the_scale_reaches_both_ends():
    assert to_grey(np.array([-0.1, 0.0, 0.1]), 0.1).tolist() == [0, 128, 255]


def test_values_beyond_the_scale_clip_and_nan_is_no_wave():
    wave = np.array([-9.0, 9.0, np.nan, np.inf, -np.inf])
    assert to_grey(wave, 0.1).tolist() == [0, 255, 128, 255, 0]


def test_a_fading_wave_stays_faint_because_the_range_belongs_to_the_run():
    strong = 0.1 * np.sin(np.linspace(0, 50, 64 * 64)).reshape(64, 64)
    wave = np.stack([strong, 0.1 * strong])
    scale = grey_scale(wave)
    contrast = [np.ptp(to_grey(frame, scale).astype(int)) for frame in wave]
    assert contrast[1] == pytest.approx(contrast[0] / 10, abs=2)


def test_grey_is_contiguous_even_for_a_cropped_view():
    assert to_grey(np.zeros((20, 20), np.float32)[3:9, 2:7], 1.0).flags.c_contiguous


def test_scale_is_the_amplitude_and_ignores_a_few_bright_defects():
    wave = 0.05 * np.sin(np.linspace(0, 300, 10 * 50 * 51)).reshape(10, 50, 51)
    wave[:, 0, 0] = 7.0
    assert grey_scale(wave) == pytest.approx(0.05, rel=0.01)


def test_scale_looks_only_at_relevant_pixels_and_finite_values():
    wave = np.full((3, 8, 8), 0.5)
    wave[:, :2] = 0.1
    wave[:, 0, 0] = np.nan
    mask = np.zeros((8, 8), bool)
    mask[:2] = True
    assert grey_scale(wave, mask) == pytest.approx(0.1)


def test_a_sampled_scale_agrees_with_the_full_one():
    rng = np.random.default_rng(0)
    wave = rng.normal(size=(20, 64, 64)).astype(np.float32)
    assert grey_scale(wave, sample=9000) == pytest.approx(grey_scale(wave), rel=0.05)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan])
def test_an_unusable_scale_is_refused(scale):
    with pytest.raises(UemError, match="scale"):
        to_grey(np.zeros(3), scale)


def test_a_wave_of_zeros_has_no_scale():
    with pytest.raises(UemError, match="no finite value other than zero"):
        grey_scale(np.zeros((2, 4, 4)))
