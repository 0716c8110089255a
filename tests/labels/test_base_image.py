"""Base image against later frames."""

import numpy as np
import pytest
from scipy import ndimage

from uemdask.errors import UemError
from uemdask.labels import base_label, base_range

INNER = np.s_[24:-24, 24:-24]


def reference(shape=(128, 128)):
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 4)
    return (1000 + 200 * texture / texture.std()).astype(np.float32)


def test_a_drifted_frame_shows_its_drift():
    base = reference()
    frames = np.stack([base, ndimage.shift(base, (1.5, -2.0), order=3, mode="nearest")])
    flow = base_label(base, frames, limits=base_range(base))
    assert np.abs(flow[0]).max() < 0.01
    assert np.median(flow[1, 0][INNER]) == pytest.approx(-2.0, abs=0.1)
    assert np.median(flow[1, 1][INNER]) == pytest.approx(1.5, abs=0.1)


def test_a_wave_that_modulates_the_texture_does_not_show_its_displacement():
    # The reason why base fields are no velocities: the wave moves 12 px from frame to frame.
    base = reference()
    x = np.arange(128)[None, :]
    frames = np.stack(
        [base * (1 + 0.05 * np.sin(2 * np.pi * (x - d) / 40)) for d in (0.0, 12.0)]
    ).astype(np.float32)
    flow = base_label(base, frames, limits=base_range(base))
    assert abs(float((flow[1, 0] - flow[0, 0])[INNER].mean())) < 1.0


def test_the_range_covers_the_reference_with_a_margin_and_survives_bad_pixels():
    base = reference()
    base[0, 0], base[0, 1] = np.nan, 1e9
    low, high = base_range(base)
    assert low < np.nanquantile(base, 0.01) < np.nanquantile(base, 0.99) < high < 3000


def test_a_flat_reference_still_has_a_range():
    low, high = base_range(np.full((4, 4), 7.0))
    assert low < 7.0 < high


def test_frames_of_another_size_are_refused():
    with pytest.raises(UemError, match="same image size"):
        base_label(np.zeros((32, 32)), np.zeros((1, 32, 33)), limits=(0.0, 1.0))
    with pytest.raises(UemError, match="limits"):
        base_label(np.zeros((32, 32)), np.zeros((1, 32, 32)), limits=(1.0, 1.0))
    with pytest.raises(UemError, match="no finite value"):
        base_range(np.full((4, 4), np.nan))
