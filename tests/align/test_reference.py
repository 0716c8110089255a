"""The reference is the mean of frames aligned on each other; it defines zero drift."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import build_reference
from uemdask.errors import UemError


def series(scene, drifts, gains, **options):
    return [scene.frame(tuple(d), gain=g, **options) for d, g in zip(drifts, gains, strict=True)]


def test_drift_and_gain_are_recovered_and_centred(make_scene):
    scene = make_scene(128, seed=0, texture=0.12)
    drifts = scene.random.uniform(-3, 3, (6, 2))
    gains = scene.random.uniform(0.9, 1.1, 6)
    reference = build_reference(series(scene, drifts, gains))
    np.testing.assert_allclose(reference.drift.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(reference.drift, drifts - drifts.mean(axis=0), atol=0.08)
    assert reference.gain.mean() == pytest.approx(1.0)
    np.testing.assert_allclose(reference.gain, gains / gains.mean(), rtol=0.01)
    assert (reference.quality > 0.5).all()
    clean = scene.frame(tuple(drifts.mean(axis=0)), gain=gains.mean(), noise=False)
    inner = np.s_[8:-8, 8:-8]
    noise = np.std((reference.image - clean)[inner])
    # Six frames of 300 counts: not much more than the noise of their sum.
    assert noise < 1.15 * np.sqrt(clean.mean() / 6)


def test_only_one_frame_at_a_time_is_asked_for(make_scene):
    scene = make_scene(64, seed=1, texture=0.2)
    frames = series(scene, [(0, 0), (1, 1), (-1, 0.5)], [1, 1, 1])
    asked = []

    def load(i):
        asked.append(i)
        return frames[i]

    reference = build_reference(load, 3)
    assert set(asked) == {0, 1, 2}
    np.testing.assert_array_equal(reference.image, build_reference(frames).image)


def test_one_frame_is_its_own_reference(make_scene):
    frame = make_scene(32, seed=2).frame()
    reference = build_reference([frame.astype(np.uint16)])
    np.testing.assert_array_equal(reference.image, frame)
    assert reference.drift.tolist() == [[0.0, 0.0]]
    assert reference.gain.tolist() == [1.0]


def test_a_blank_frame_is_left_out(make_scene):
    scene = make_scene(96, seed=3, texture=0.15)
    frames = series(scene, [(0, 0), (2, 1), (-2, 0), (0, -1)], [1, 1, 1, 1])
    for place in (0, 2):
        with_blank = [*frames[:place], np.zeros((96, 96)), *frames[place:]]
        reference = build_reference(with_blank)
        assert np.flatnonzero(reference.quality == 0).tolist() == [place]
        assert reference.image.mean() == pytest.approx(np.mean(frames), rel=0.01)


def test_featureless_frames_are_averaged_as_they_are():
    random = np.random.default_rng(4)
    frames = random.poisson(50.0, (5, 64, 64))
    reference = build_reference(frames)
    assert (reference.quality == 0).all()
    assert (reference.drift == 0).all()
    assert np.std(reference.image) == pytest.approx(np.sqrt(10.0), rel=0.1)


def test_bad_pixels_do_not_hold_the_drift(make_scene):
    scene = make_scene(96, seed=5, texture=0.12)
    drifts = np.array([(0, 0), (2.5, 1), (-2, 3), (1, -3)], float)
    frames = series(scene, drifts, np.ones(4))
    bad = np.zeros((96, 96), bool)
    bad.ravel()[scene.random.choice(96 * 96, 40, replace=False)] = True
    for frame in frames:
        frame[bad] = 5e4
    reference = build_reference(frames, bad=bad)
    np.testing.assert_allclose(reference.drift, drifts - drifts.mean(axis=0), atol=0.12)
    assert reference.image.max() < 1000


def test_no_frame_is_an_error():
    with pytest.raises(UemError, match="no frames"):
        build_reference([])
