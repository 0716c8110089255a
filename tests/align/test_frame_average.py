"""The reference is the mean of frames brought onto each other at equal brightness."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import average_frames
from uemdask.errors import UemError


def shown(frames):
    """Frames of which every pixel is seen."""
    return lambda i: (frames[i], np.zeros(frames[i].shape, bool))


def test_mean_of_drifted_frames_is_the_scene_with_less_noise(make_scene):
    scene = make_scene(128, seed=0, texture=0.12)
    drifts = scene.random.uniform(-3, 3, (6, 2))
    gains = scene.random.uniform(0.9, 1.1, 6)
    frames = [scene.frame(tuple(d), gain=g) for d, g in zip(drifts, gains, strict=True)]
    image = average_frames(shown(frames), drifts)
    clean = scene.frame(gain=gains.mean(), noise=False)
    inner = np.s_[8:-8, 8:-8]
    # Six frames of 300 counts: not much more than the noise of their sum.
    assert np.std((image - clean)[inner]) < 1.15 * np.sqrt(clean.mean() / 6)


def test_a_brighter_frame_leaves_no_step_where_it_does_not_reach():
    flat = np.full((64, 64), 100.0)
    image = average_frames(shown([flat, 2 * flat]), np.array([[0.0, 0.0], [20.0, 0.0]]))
    np.testing.assert_allclose(image, 150.0, rtol=1e-3)


def test_one_frame_is_its_own_reference(make_scene):
    frame = make_scene(32, seed=2).frame()
    np.testing.assert_array_equal(average_frames(shown([frame]), np.zeros((1, 2))), frame)


def test_sizes_must_agree_and_there_must_be_a_frame():
    frames = [np.ones((8, 8)), np.ones((8, 9))]
    with pytest.raises(UemError, match="one size"):
        average_frames(shown(frames), np.zeros((2, 2)))
    with pytest.raises(UemError, match="no frames"):
        average_frames(shown(frames), np.zeros((0, 2)))


def test_hidden_pixels_have_no_say_where_another_frame_shows_them():
    flat = np.full((64, 64), 100.0)
    hidden = np.zeros((2, 64, 64), bool)
    hidden[0, :, :20] = True
    frames = [np.where(hidden[0], 3.0, flat), flat]
    image = average_frames(lambda i: (frames[i], hidden[i]), np.zeros((2, 2)))
    np.testing.assert_allclose(image, 100.0, rtol=1e-3)
