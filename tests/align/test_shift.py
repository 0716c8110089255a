"""Sub-pixel sampling: ``out(r) = image(r + drift)``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.align.shift import sample_shifted, sample_window, shift_weights
from uemdask.errors import UemError


def waves(shape, drift=(0.0, 0.0), seed=0):
    """Plane waves of at least 5 px, known everywhere."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    out = np.zeros(shape)
    for _ in range(12):
        k, angle = 1 / random.uniform(5, 60), random.uniform(0, 2 * np.pi)
        u = (x + drift[0]) * np.cos(angle) + (y + drift[1]) * np.sin(angle)
        out += np.cos(2 * np.pi * k * u + random.uniform(0, 6))
    return out / np.sqrt(6)


@settings(max_examples=30, deadline=None)
@given(st.floats(-12, 12), st.floats(-12, 12))
def test_samples_the_image_at_the_drifted_position(dx, dy):
    out, covered = sample_shifted(waves((64, 80)).astype(np.float32), (dx, dy))
    inner = np.s_[18:-18, 18:-18]
    assert covered[inner].all()
    np.testing.assert_allclose(out[inner], waves((64, 80), (dx, dy))[inner], atol=6e-3)


def test_tiny_shift_is_not_quantised():
    image = waves((64, 64)).astype(np.float32)
    out, _ = sample_shifted(image, (0.004, 0.0))
    expected = waves((64, 64), (0.004, 0.0))
    inner = np.s_[8:-8, 8:-8]
    moved = (out - image)[inner]
    wanted = (expected - waves((64, 64)))[inner]
    # The slope of moved on wanted is 1; a warp in steps of 1/32 px would give 0.
    assert np.vdot(moved, wanted) / np.vdot(wanted, wanted) == pytest.approx(1.0, abs=0.05)


def test_there_and_back_gives_the_image_again():
    image = waves((96, 96)).astype(np.float32)
    there, _ = sample_shifted(image, (3.37, -2.81))
    back, _ = sample_shifted(there, (-3.37, 2.81))
    inner = np.s_[12:-12, 12:-12]
    assert np.sqrt(np.mean((back - image)[inner] ** 2)) < 4e-3


def test_whole_pixels_are_copied_exactly():
    image = np.random.default_rng(1).random((20, 30), np.float32)
    out, covered = sample_shifted(image, (3, -2))
    np.testing.assert_array_equal(out[2:, :-3], image[:-2, 3:])
    assert covered[2:, :-3].all()
    assert covered.sum() == 18 * 27


def test_covered_says_where_the_source_lies_inside():
    _, covered = sample_shifted(np.ones((10, 10)), (0.25, -1.5))
    assert covered[:, :9].any()
    assert not covered[:, 9].any()
    assert not covered[:2].any()
    assert covered[2:, :9].all()


def test_a_shift_beyond_the_image_covers_nothing():
    out, covered = sample_shifted(np.full((8, 8), 5.0), (40.5, -100.0))
    assert not covered.any()
    np.testing.assert_allclose(out, 5.0, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_any_real_type_gives_the_same_float32(dtype):
    image = np.random.default_rng(2).integers(0, 200, (24, 24))
    out, _ = sample_shifted(image.astype(dtype), (0.3, 0.6))
    wanted, _ = sample_shifted(image.astype(np.float32), (0.3, 0.6))
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, wanted)


def test_input_is_left_alone():
    image = np.random.default_rng(3).random((16, 16), np.float32)
    before = image.copy()
    out, _ = sample_shifted(image, (0, 0))
    out += 1
    np.testing.assert_array_equal(image, before)


@given(st.floats(0, 0.999999))
def test_weights_keep_the_mean(fraction):
    assert shift_weights(fraction).sum() == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-9, 9), st.floats(-9, 9), st.integers(-5, 30), st.integers(-5, 30))
def test_a_window_is_the_crop_of_the_whole(dx, dy, top, left):
    image = np.random.default_rng(4).random((32, 40), np.float32)
    padded = np.pad(image, 40, mode="edge")
    whole, _ = sample_shifted(padded, (dx, dy))
    window = sample_window(image, (dx, dy), (top, left), (11, 7))
    np.testing.assert_allclose(window, whole[40 + top : 51 + top, 40 + left : 47 + left], atol=2e-6)


@pytest.mark.parametrize("drift", [(np.nan, 0), (1,), (0, np.inf)])
def test_refuses_what_is_no_drift(drift):
    with pytest.raises(UemError, match="drift"):
        sample_shifted(np.ones((8, 8)), drift)


def test_refuses_a_stack():
    with pytest.raises(UemError, match="two-dimensional"):
        sample_shifted(np.ones((2, 8, 8)), (0, 0))
