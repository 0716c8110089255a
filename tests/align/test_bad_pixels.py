"""Bad pixels are found where they are, nothing else is, and repair brings the scene back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uemdask.align import find_bad_pixels, find_hits, find_stuck_pixels, repair_pixels
from uemdask.errors import UemError


def contours(size=256, counts=100.0):
    """Steep bend contours and a sample edge."""
    y, x = np.mgrid[:size, :size].astype(float)
    image = 1 + 0.45 * np.tanh(np.sin((x + 20 * np.sin(y / 30)) / 9) * 3)
    image[y > 0.8 * size + 0.1 * x] *= 0.2
    return image * counts


def mean_of(frames, counts, seed=0):
    random = np.random.default_rng(seed)
    return random.poisson(contours(counts=counts) * frames) / frames


@pytest.mark.parametrize("counts", [1.0, 30.0, 1000.0])
def test_contours_edges_and_noise_are_not_bad_pixels(counts):
    for seed in range(3):
        assert not find_bad_pixels(mean_of(6, counts, seed)).any()


def test_sparse_counts_are_not_bad_pixels():
    frame = np.random.default_rng(0).poisson(0.02, (256, 256)) / 4.0
    assert find_bad_pixels(frame).mean() < 1e-4


def test_a_frame_without_noise_has_no_bad_pixels():
    assert not find_bad_pixels(contours()).any()
    assert not find_bad_pixels(np.full((32, 32), 7.0)).any()


def test_hot_and_dead_pixels_are_found():
    frame = mean_of(10, 200.0)
    random = np.random.default_rng(5)
    places = random.choice(256 * 256, 60, replace=False)
    truth = np.zeros(frame.size, bool)
    truth[places] = True
    frame.ravel()[places[:40]] += 2000.0
    frame.ravel()[places[40:]] = 0.0
    truth = truth.reshape(frame.shape)
    dark = contours() < 30  # a dead pixel in the dark looks like any other
    found = find_bad_pixels(frame)
    assert not (found & ~truth).any()
    assert (found & truth & ~dark).sum() >= 0.95 * (truth & ~dark).sum()


def test_pixels_that_are_not_finite_are_bad():
    frame = mean_of(4, 100.0)
    frame[3, 4] = np.nan
    assert np.argwhere(find_bad_pixels(frame)).tolist() == [[3, 4]]


def test_repair_restores_a_plane_exactly_inside():
    y, x = np.mgrid[:20, :30].astype(np.float64)
    frames = np.stack([2 * x + 3 * y, 100 - x])
    bad = np.zeros((20, 30), bool)
    bad[5, 7] = bad[12, 20] = True
    broken = frames.copy()
    broken[:, bad] = 1e6
    out = repair_pixels(broken, bad)
    assert out is broken
    np.testing.assert_allclose(out, frames, rtol=1e-12)


def test_repair_fills_clusters_and_corners_from_good_pixels_only():
    frames = np.full((3, 24, 24), 50, np.uint16)
    bad = np.zeros((24, 24), bool)
    bad[:6, :6] = True
    bad[10:15, 10:15] = True
    frames[:, bad] = 60000
    np.testing.assert_array_equal(repair_pixels(frames, bad), 50)


def test_repair_refuses_what_it_cannot_do():
    frame = np.ones((4, 4))
    with pytest.raises(UemError, match="every pixel"):
        repair_pixels(frame, np.ones((4, 4), bool))
    with pytest.raises(UemError, match="does not match"):
        repair_pixels(frame, np.ones((5, 4), bool))
    frame.flags.writeable = False
    with pytest.raises(UemError, match="read-only"):
        repair_pixels(frame, np.eye(4, dtype=bool))


LINES = {
    "a column": np.s_[:, 100],
    "two columns": np.s_[:, 100:102],
    "the first column": np.s_[:, 0],
    "the last two columns": np.s_[:, -2:],
    "a row": np.s_[77, :],
    "a part of a column": np.s_[30:110, 60],
}


@pytest.mark.parametrize("value", [0.0, 4000.0])
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_lines_are_found_and_nothing_else(line, value):
    frame = mean_of(32, 200.0)
    truth = np.zeros(frame.shape, bool)
    truth[line] = True
    frame[truth] = value
    found = find_bad_pixels(frame)
    told = truth & (contours() > 30)
    assert found[told].mean() >= 0.94
    assert (found & ~truth).sum() <= 2


def test_a_block_that_does_not_count_is_stuck_and_chance_is_not():
    frames = np.random.default_rng(3).poisson(contours(counts=40.0), (32, 256, 256)).astype(float)
    frames[:, 40:52, 60:72] = 133.0
    found = find_stuck_pixels(frames.mean(0), frames.var(0), 32)
    assert found[40:52, 60:72].all()
    assert found.sum() == 144
    sparse = np.random.default_rng(4).poisson(0.02, (32, 64, 64)).astype(float)
    assert not find_stuck_pixels(sparse.mean(0), sparse.var(0), 32).any()


def rough(size=96, counts=400.0):
    """A film whose texture is as coarse as a pixel: dead lines do not stand out from it."""
    random = np.random.default_rng(8)
    grain = cv2.GaussianBlur(random.normal(size=(size, size)), (0, 0), 1.2)
    return counts * np.clip(1 + 0.35 * grain / grain.std(), 0.2, None)


CROSSING = [(np.s_[:, 0]), (np.s_[:, 40:42]), (np.s_[60, :])]


@pytest.mark.parametrize(("offset", "read"), [(0, 0), (0, 3), (100, 5)])
def test_crossing_dead_lines_are_found_on_a_rough_film(offset, read):
    random = np.random.default_rng(9)
    frames = random.poisson(rough(), (32, 96, 96)).astype(np.float32)
    dead = np.zeros(frames.shape[1:], bool)
    for line in CROSSING:
        dead[line] = True
    frames[:, dead] = 0
    frames += offset + random.normal(0, read, frames.shape)
    found = find_stuck_pixels(frames.mean(0), frames.var(0), 32)
    assert found[dead].mean() > 0.7 if offset else found[dead].mean() > 0.99
    assert not (found & ~dead).any()


def test_beside_hot_pixels_none_seems_dead():
    random = np.random.default_rng(10)
    frames = random.poisson(rough(), (32, 96, 96)).astype(np.float32)
    hot = random.random(frames.shape[1:]) < 0.1
    frames[:, hot] = random.poisson(60000, (32, int(hot.sum())))
    assert not find_stuck_pixels(frames.mean(0), frames.var(0), 32).any()
    few = random.poisson(rough(), (4, 96, 96)).astype(np.float32)
    assert find_stuck_pixels(few.mean(0), few.var(0), 4).mean() < 0.001


def test_one_hit_in_a_hundred_pixels_is_found_and_no_fringe():
    random = np.random.default_rng(6)
    clean = random.poisson(contours(counts=400.0)).astype(np.float32)
    assert not find_hits(clean).any()
    hits = random.random(clean.shape) < 0.01
    found = find_hits(clean + 600 * hits.astype(np.float32))
    assert found[hits].mean() > 0.98
    assert not (found & ~hits).any()


@pytest.mark.parametrize("counts", [0.02, 0.7, 8.0, 3000.0])
def test_counting_noise_is_no_hit(counts):
    frame = np.random.default_rng(7).poisson(contours(counts=counts)).astype(np.float32)
    assert not find_hits(frame).any()


def test_repair_deep_inside_takes_the_nearest_good_pixel():
    frame = np.tile(np.arange(40.0), (40, 1))
    bad = np.zeros((40, 40), bool)
    bad[:, 10:30] = True
    fixed = repair_pixels(frame, bad)
    assert fixed[20, 14] == 9
    assert fixed[20, 25] == 30
