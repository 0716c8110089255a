"""Pictures at the size of a page: block means, bands and where they lie."""

import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.cube import Run, create_run
from uemdask.report.downsampling import area_mean, bands, grid_of, read_motion, read_small


@given(
    height=st.integers(1, 40), width=st.integers(1, 40), edge=st.integers(1, 9), seed=st.integers(0)
)
def test_each_block_is_the_mean_of_its_finite_pixels(
    height: int, width: int, edge: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(height, width))
    image[rng.random(image.shape) < 0.2] = np.nan
    small = area_mean(image, edge)
    for row in range(small.shape[0]):
        for column in range(small.shape[1]):
            block = image[row * edge : (row + 1) * edge, column * edge : (column + 1) * edge]
            known = block[np.isfinite(block)]
            if known.size:
                assert small[row, column] == pytest.approx(known.mean(), abs=1e-5)
            else:
                assert np.isnan(small[row, column])


@given(height=st.integers(1, 5000), edge=st.integers(1, 16))
def test_bands_cover_all_rows_once_in_whole_blocks(height: int, edge: int) -> None:
    found = list(bands(height, edge))
    assert found[0].start == 0
    assert found[-1].stop == height
    for first, second in itertools.pairwise(found):
        assert first.stop == second.start
        assert (first.stop - first.start) % edge == 0


def test_a_small_picture_is_the_same_whatever_the_bands(make_run: Callable[..., Path]) -> None:
    run = Run(make_run("long", size=600, frames=6, upto="align"))
    small = read_small(run, "reference", 100)
    assert small.shape == (100, 100)
    np.testing.assert_allclose(small, area_mean(run.read("reference"), 6), rtol=1e-6)
    grid = grid_of(run, 100)
    assert grid.x[1] - grid.x[0] == pytest.approx(36.0)
    assert grid.field == grid.extent == pytest.approx((0.0, 3600.0, 3600.0, 0.0))


def test_motion_has_the_speed_of_the_wave_where_it_is_valid(make_run: Callable[..., Path]) -> None:
    run = Run(make_run())
    motion = read_motion(run, 12, 16)
    known = motion.valid > 0
    assert known.mean() == pytest.approx(0.875)
    np.testing.assert_allclose(motion.speed[known], 3.0, rtol=1e-3)
    np.testing.assert_allclose(motion.angle[known], 30.0, atol=0.1)
    np.testing.assert_allclose(motion.speed_sd[known], 0.02 * 6.0 / 5.0, rtol=1e-3)
    assert np.isnan(motion.speed[~known]).all()


def test_memory_is_that_of_a_band_of_rows_not_of_a_frame(tmp_path: Path) -> None:
    sizes = {"pair": 1, "component": 2, "y": 4096, "x": 2048}
    run = create_run(
        tmp_path / "tall.zarr",
        delays=np.array([0.0, 5.0]),
        shape=(4096, 2048),
        dtype="uint16",
        pixel_size=(3.0, 3.0),
        source_file=["a", "b"],
    )
    for name, value in (("time_from", 0.0), ("time_to", 5.0)):
        run.put(name, np.array([value]), sizes)
    for name in ("flow", "flow_sd", "valid"):
        run.create(name, sizes)  # holds no chunk yet and reads as its fill value
    frame = 4096 * 2048 * 2 * 4  # bytes of one pair's flow
    tracemalloc.start()
    read_motion(run, 0, 256)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < frame
