"""What a training holds in memory."""

import pytest

from uemdask.stages import train


@pytest.fixture
def blocks(monkeypatch):
    """Make blocks so small that the run has many."""
    monkeypatch.setattr(train, "_BLOCK", 64)


def _bytes(series):
    return sum(each.wave.nbytes + each.label.nbytes + each.confidence.nbytes for each in series)


def test_a_run_that_fits_is_taken_whole(waving):
    (series,) = train._load([waving], 2**30)
    assert series.wave.shape == (20, 300, 280)
    assert series.label.dtype == "float16"
    assert (series.label == 5).all()
    assert (series.confidence == 255).all()


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_memory_is_kept_however_many_the_runs(waving, blocks, count):
    memory = 4e6
    series = train._load([waving] * count, memory)
    assert 0.3 * memory < _bytes(series) <= memory
    # No slivers from the edges of the frame, and every block has relevant pixels.
    assert {each.mask.shape for each in series} == {(64, 64)}
    assert all(each.mask.any() for each in series)


def test_blocks_lie_all_over_the_relevant_pixels(waving, blocks):
    chosen = train._parts(waving, 3e6)
    tops = {region.span("y", 0)[0] for region in chosen}
    assert len(chosen) == 5
    assert min(tops) == 0
    assert max(tops) >= 128
