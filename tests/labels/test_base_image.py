"""Base image against later frames."""

import dask
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from uemdask.errors import UemError
from uemdask.labels import base_label, base_range
from uemdask.labels.base_image import estimate_base_labels

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


def computed(*args, **kwargs):
    raise AssertionError("something was computed")


def test_frames_after_time_zero_are_labelled_lazily_where_they_are_lazy():
    base = reference((96, 96))
    shifts = (0.0, 0.0, 1.0, 2.0, 3.0)
    frames = xr.DataArray(
        np.stack([ndimage.shift(base, (0, d), order=3, mode="nearest") for d in shifts]),
        {"time": [-5.0, 0.0, 5.0, 10.0, 15.0], "frame_ok": ("time", [True] * 3 + [False, True])},
        ("time", "y", "x"),
    )
    about = xr.DataArray(base, dims=("y", "x"))
    found = estimate_base_labels(frames, about).base_label
    assert np.isnan(found[[0, 1, 3]]).all()  # not after time zero, or flagged
    for frame, drift in ((2, 1.0), (4, 3.0)):
        assert np.median(found[frame, 0, *INNER]) == pytest.approx(drift, abs=0.1)
    with dask.config.set(scheduler=computed):
        lazy = estimate_base_labels(frames.chunk(time=2), about).base_label
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), found)
