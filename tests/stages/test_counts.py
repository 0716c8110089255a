"""What the counts of frames tell."""

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.stages.counts import brightness_of, check_describable, fault_of, is_equal, mean_counts

SHAPE = (64, 96)


def frames(count=6, level=400.0, seed=0):
    random = np.random.default_rng(seed)
    contours = 1 + 0.5 * np.sin(np.arange(SHAPE[1]) / 9)
    return random.poisson(level * contours, (count, *SHAPE)).astype(np.float32)


def described(values, dark=None):
    check_describable("raw", [brightness_of(image, dark) for image in values])


@pytest.mark.parametrize("level", [0.2, 3.0, 400.0])
def test_counts_are_described_at_any_dose(level):
    described(frames(level=level))


def test_unlit_corners_with_the_offset_taken_off_are_described():
    """Noise around zero in nine tenths of the frame is no difference image."""
    values = frames()
    random = np.random.default_rng(1)
    values[:, :, 10:] = random.normal(0, 5, values[:, :, 10:].shape)
    described(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v - v.mean((1, 2), keepdims=True), "lie around zero, as differences do"),
        (lambda v: v - v.mean(0), "lie around zero, as differences do"),
        (lambda v: v[1:] - v[:-1], "lie around zero, as differences do"),
        (lambda v: v / v.mean(0) - 1, "lie around zero, as differences do"),
        (lambda v: v - 1000, r"lie below zero \(mean -574\.\d counts\)"),
        (lambda v: -v, "lie below zero"),
        (lambda v: v - 450, "lie (around|below) zero"),
    ],
)
def test_what_no_ratio_describes_is_refused(change, words):
    values = change(frames())
    with pytest.raises(UemError, match=rf"^raw: the frames {words}.*; give the frames as recorded"):
        described(values)


@pytest.mark.parametrize("offset", [-1000.0, 300.0])
def test_an_offset_explains_what_would_be_refused(offset):
    described(frames() + offset, np.full(SHAPE, offset, np.float32))


def test_missing_pixels_change_neither_brightness_nor_contrast():
    whole = frames(1)[0]
    part = whole.copy()
    part[:, 72:] = np.nan
    part[3, 5] = np.inf
    kept = brightness_of(whole[:, :72].copy(), None)
    found = brightness_of(part, None)
    assert found.level == pytest.approx(kept.level, rel=1e-3)
    assert found.contrast == pytest.approx(kept.contrast, rel=1e-2)
    assert mean_counts(part) == pytest.approx(whole[:, :72].mean(), rel=1e-4)
    assert mean_counts(np.full(SHAPE, np.nan, np.float32)) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_brightness_of_a_large_frame_is_that_of_the_whole(dtype):
    random = np.random.default_rng(0)
    frame = (100 + 40 * np.sin(np.arange(2048) / 99) + random.normal(0, 3, (1100, 2048))).astype(
        dtype
    )
    assert brightness_of(frame, None).level == pytest.approx(frame.mean(), rel=0.01)


def test_a_frame_with_a_quarter_of_its_pixels_is_used():
    image = frames(1)[0]
    image[:, 25:] = np.nan
    assert fault_of(image) == ""
    image[:, 20:] = np.nan
    assert fault_of(image) == "NaN or infinite: 79% of the pixels"
    assert fault_of(np.full(SHAPE, 3.0, np.float32)) == "blank: all pixels are equal"


def test_frames_are_equal_to_the_last_count():
    one = frames(1)[0]
    one[1, 1] = np.nan
    other = one.copy()
    assert is_equal(one, other)
    other[0, 0] += 1
    assert not is_equal(one, other)
