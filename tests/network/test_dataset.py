"""Crops are drawn by number, from relevant pixels, in order of time."""

import numpy as np
import pytest
import torch

from uemdask.errors import UemError
from uemdask.network.dataset import ANYWHERE_SHARE, MixedSource, Series, SeriesSource
from uemdask.network.process_group import ProcessGroup

TIMES, SIZE = 9, 64


def numbered(mask: np.ndarray | None = None, value: float = 0.0, **changes: object) -> Series:
    """Return a series whose values tell the frame and the pair they come from."""
    frames = np.arange(TIMES, dtype=np.float16)[:, None, None] * np.ones((1, SIZE, SIZE))
    pairs = np.arange(TIMES - 1)
    content: dict = {
        "wave": (frames / 8 + value).astype(np.float16),
        "scale": 1.0,
        "label": np.broadcast_to(pairs[:, None, None, None], (TIMES - 1, 2, SIZE, SIZE)).astype(
            np.float16
        ),
        "confidence": np.full((TIMES - 1, SIZE, SIZE), 255, dtype=np.uint8),
        "mask": np.ones((SIZE, SIZE), dtype=bool) if mask is None else mask,
        "frame_from": pairs,
        "frame_to": pairs + 1,
    }
    return Series(**(content | changes))


def draw(source, count=8, crop=32, length=1, seed=0):
    return source.draw(np.random.default_rng(seed), count, crop=crop, length=length)


def test_the_same_number_draws_the_same_batch():
    source = SeriesSource([numbered(), numbered(value=0.5)])
    once, again, other = (draw(source, seed=seed) for seed in (1, 1, 2))
    for one, same in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, same)
    assert not torch.equal(once.frames, other.frames)


@pytest.mark.parametrize("length", [1, 3])
def test_frames_and_labels_belong_together(length):
    batch = draw(SeriesSource([numbered()]), length=length)
    assert batch.frames.shape == (8, length + 1, 32, 32)
    assert batch.label.shape == (8, length, 2, 32, 32)
    start = batch.label[:, 0, 0, 0, 0]
    for step in range(length):
        np.testing.assert_array_equal(batch.label[:, step, 0, 0, 0], start + step)
        np.testing.assert_array_equal(batch.frames[:, step, 0, 0] * 8, start + step)
    assert batch.confidence.max() == 1.0


def test_windows_do_not_cross_a_gap():
    pairs = np.array([0, 1, 2, 5, 6, 7])
    series = numbered(
        frame_from=pairs,
        frame_to=pairs + 1,
        label=np.zeros((6, 2, SIZE, SIZE), dtype=np.float16),
        confidence=np.ones((6, SIZE, SIZE), dtype=np.float32),
    )
    assert series.starts(1).tolist() == [0, 1, 2, 3, 4, 5]
    assert series.starts(2).tolist() == [0, 1, 3, 4]
    assert series.starts(3).tolist() == [0, 3]
    assert series.starts(4).tolist() == []
    assert series.starts(20).tolist() == []
    with pytest.raises(UemError, match="shorter baselines"):
        draw(SeriesSource([series]), length=4)


def test_most_crops_touch_the_relevant_pixels_and_irrelevant_ones_teach_nothing():
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[:6, :6] = True
    batch = draw(SeriesSource([numbered(mask)]), count=200, crop=16)
    touching = batch.weight.amax(dim=(1, 2)).mean()
    assert touching > 1 - ANYWHERE_SHARE - 0.03
    assert batch.confidence[batch.weight[:, None] == 0].max() == 0.0


def test_confident_pairs_are_drawn_more_often():
    confidence = np.zeros((TIMES - 1, SIZE, SIZE), dtype=np.float32)
    confidence[5:] = 0.9
    batch = draw(SeriesSource([numbered(confidence=confidence)]), count=300)
    late = (batch.label[:, 0, 0, 0, 0] >= 5).float().mean()
    assert 0.85 < late < 1.0


def test_labels_that_are_not_finite_have_no_confidence():
    label = np.zeros((TIMES - 1, 2, SIZE, SIZE), dtype=np.float32)
    label[:, 0, :, ::2] = np.nan
    batch = draw(SeriesSource([numbered(label=label)]))
    assert batch.label.isfinite().all()
    assert float(batch.confidence.mean()) == pytest.approx(0.5)


def test_a_crop_is_no_larger_than_the_smallest_series():
    batch = draw(SeriesSource([numbered()]), crop=500)
    assert batch.frames.shape[-2:] == (SIZE, SIZE)


def test_a_mixture_keeps_its_shares():
    plain, shifted = SeriesSource([numbered()]), SeriesSource([numbered(value=2.0)])
    mixture = MixedSource([(plain, 3.0), (shifted, 1.0)])
    counts = [
        int((draw(mixture, count=10, seed=seed).frames.amax(dim=(1, 2, 3)) >= 2.0).sum())
        for seed in range(40)
    ]
    assert set(counts) == {2, 3}
    assert np.mean(counts) == pytest.approx(2.5, abs=0.3)


def test_processes_together_draw_what_one_would_draw():
    source = MixedSource(
        [(SeriesSource([numbered(), numbered(value=0.5)]), 3.0), (SeriesSource([numbered()]), 1.0)]
    )
    whole = draw(source, count=7)
    rngs = [np.random.default_rng(0) for _ in range(3)]
    parts = [
        source.draw(rng, 7, crop=32, length=1, share=ProcessGroup(rank, 3).share(7))
        for rank, rng in enumerate(rngs)
    ]
    assert len({rng.random() for rng in rngs}) == 1  # all go on from the same place
    for field, own in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(field, np.concatenate(own))


def test_memory_is_what_the_series_say():
    series = numbered()
    frame = SIZE * SIZE
    pairs = TIMES - 1
    assert series.nbytes == frame * (2 * TIMES + 4 * pairs + pairs + 1 + 4)
    assert SeriesSource([series, series]).nbytes == 2 * series.nbytes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask": np.zeros((SIZE, SIZE), dtype=bool)}, "no relevant pixel"),
        ({"label": np.zeros((3, 2, SIZE, SIZE), dtype=np.float32)}, "label has shape"),
        ({"frame_to": np.arange(TIMES - 1) + 5}, "frames 0 to 12"),
    ],
)
def test_series_that_do_not_fit_are_named(changes, words):
    with pytest.raises(UemError, match=words):
        numbered(name="run 7", **changes)


def test_nothing_to_train_on_is_said():
    with pytest.raises(UemError, match="no series"):
        SeriesSource([])
    with pytest.raises(UemError, match="at least one source"):
        MixedSource([])
