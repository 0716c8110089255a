"""How arrays are cut: regions cover a run once, and writes cover whole chunks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.cube import VARIABLES
from uemdask.cube.layout import (
    FIELD,
    FRAMES,
    MAX_FILES,
    TILE,
    Region,
    check_whole_units,
    chunks_of,
    frame_slabs,
    pair_fields,
    regions,
    shards_of,
    tiles,
)
from uemdask.errors import UemError

_OTHERS = {"component": 2, "frequency": 50, "roi": 3, "feature": 8, "mode_class": 4}


def run_sizes(time=120, y=512, x=512):
    return {"time": time, "pair": time - 1, "y": y, "x": x, **_OTHERS}


sizes_of_runs = st.builds(
    run_sizes, st.integers(2, 400), st.integers(16, 4200), st.integers(16, 4200)
)


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.integers(1, 20), st.booleans()
)
def test_regions_cover_everything_exactly_once(height, width, y, x, whole):
    sizes = {"time": 3, "y": height, "x": width}
    steps = {"y": y} if whole else {"y": y, "x": x}
    seen = np.zeros((3, height, width), int)
    for region in regions(sizes, **steps):
        seen[region.slices(("time", "y", "x"), sizes)] += 1
    assert (seen == 1).all()


@given(sizes_of_runs)
def test_the_regions_of_the_stages_cover_a_run_exactly_once(sizes):
    for cut in (frame_slabs(sizes), tiles(sizes), pair_fields(sizes), pair_fields(sizes, "time")):
        dims = tuple(dict.fromkeys(dim for region in cut for dim, _, _ in region.bounds))
        spans = {tuple(region.span(dim, sizes[dim]) for dim in dims) for region in cut}
        assert len(spans) == len(cut)
        assert sum(math.prod(b - a for a, b in span) for span in spans) == math.prod(
            sizes[dim] for dim in dims
        )


@given(sizes_of_runs)
def test_every_region_of_a_pattern_may_be_written(sizes):
    # Whatever the size of the run, sharded or not, no task is refused by the guard.
    patterns = {
        "slab": lambda dims: (
            frame_slabs(sizes) if dims == ("time", "y", "x") else pair_fields(sizes, dims[0])
        ),
        "tile": lambda dims: tiles(sizes),
        "whole": lambda dims: [Region()],
    }
    for name, variable in VARIABLES.items():
        shape = tuple(sizes.get(dim, 4) for dim in variable.dims)
        full = sizes | dict(zip(variable.dims, shape, strict=True))
        unit = shards_of(name, full) or chunks_of(name, full)
        for region in patterns[variable.pattern](variable.dims):
            check_whole_units(name, region.slices(variable.dims, full), shape, unit)


@given(sizes_of_runs)
def test_shards_hold_whole_chunks_and_keep_files_few(sizes):
    for name in ("intensity", "wave", "label", "flow", "valid", "base_label"):
        shape = [sizes[dim] for dim in VARIABLES[name].dims]
        chunks, shards = chunks_of(name, sizes), shards_of(name, sizes)
        files = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
        assert (shards is None) == (files <= MAX_FILES)
        if shards is not None:
            assert all(s % c == 0 for s, c in zip(shards, chunks, strict=True))
            assert math.prod(-(-n // s) for n, s in zip(shape, shards, strict=True)) < files


def test_a_small_run_has_plain_chunks_no_longer_than_itself():
    sizes = run_sizes(time=10, y=100, x=300)
    assert chunks_of("intensity", sizes) == (10, 100, TILE)
    assert chunks_of("label", sizes) == (8, 2, 100, TILE)
    assert shards_of("intensity", sizes) is None


def test_a_large_run_is_sharded_by_what_one_task_writes():
    sizes = run_sizes(time=1000, y=4096, x=4096)
    assert chunks_of("intensity", sizes) == (FRAMES, TILE, TILE)
    assert shards_of("intensity", sizes) == (FRAMES, FIELD, FIELD)
    assert shards_of("wave", sizes) == (1008, TILE, TILE)  # the spectrum writes columns
    assert shards_of("flow", sizes) == (8, 2, FIELD, FIELD)
    assert shards_of("peak_snr", sizes) is None


@given(
    st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 99), st.integers(0, 99)), max_size=3)
)
def test_a_region_comes_back_from_its_key(bounds):
    region = Region(tuple(bounds))
    assert Region.from_key(region.key) == region


def test_a_region_without_bounds_is_all():
    assert Region().key == "all"
    assert Region.from_key("all") == Region()
    assert Region().slices(("y",), {"y": 7}) == (slice(0, 7),)
    assert Region().span("y", 7) == (0, 7)


@given(
    st.integers(1, 100),
    st.integers(1, 30),
    st.integers(-5, 120),
    st.integers(-5, 120),
)
def test_the_guard_lets_through_exactly_what_covers_whole_units(size, unit, start, stop):
    whole = [range(a, min(a + unit, size)) for a in range(0, size, unit)]
    touched = set(range(start, stop))
    covers = (
        bool(touched)
        and touched <= set(range(size))
        and all(touched.isdisjoint(part) or touched.issuperset(part) for part in whole)
    )
    try:
        check_whole_units("flow", (slice(start, stop),), (size,), (unit,))
        passed = True
    except UemError:
        passed = False
    assert passed == covers


def test_the_guard_names_the_axis_and_the_unit():
    with pytest.raises(UemError, match=r"axis 1 .* multiples of 256"):
        check_whole_units("wave", (slice(0, 8), slice(0, 100)), (8, 512), (8, 256))
