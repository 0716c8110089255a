"""Corrected frames: the wave comes out, tiles agree with the whole, nothing is invented."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import aligned_frames, aligned_ratio, even_out, required_halo
from uemdask.errors import UemError

DRIFT = np.array([(1.3, -2.7), (0.0, 0.0), (-4.4, 3.2)])
GAIN = np.array([0.9, 1.0, 1.1])


def whole_frame(frames, reference, bad=None):
    """Correct the whole frame as one tile: nothing but padding around it."""
    halo = required_halo(DRIFT)
    padded = np.pad(frames, ((0, 0), (halo, halo), (halo, halo)))
    height, width = frames.shape[1:]
    inside = (halo, halo + height, halo, halo + width)
    if bad is not None:
        bad = np.pad(bad, halo)
    return aligned_ratio(padded, reference, DRIFT, GAIN, bad, halo=halo, inside=inside)


def test_the_wave_is_what_remains(make_scene):
    scene = make_scene(96, seed=0)
    reference = scene.frame(noise=False)
    frames = np.stack(
        [
            scene.frame(tuple(d), gain=g, wave=0.1, phase=1.0, noise=False)
            for d, g in zip(DRIFT, GAIN, strict=True)
        ]
    )
    ratio = whole_frame(frames, reference)
    truth = scene.frame(wave=0.1, phase=1.0, noise=False) / reference - 1
    inner = np.s_[10:-10, 10:-10]
    for each in ratio:
        assert np.abs(each - truth)[inner].max() < 3e-3


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_tile_is_the_crop_of_the_whole_frame(dtype):
    random = np.random.default_rng(1)
    frames = random.integers(50, 500, (3, 70, 90)).astype(dtype)
    reference = random.uniform(50, 500, (70, 90)).astype(np.float32)
    bad = random.random((70, 90)) < 0.01
    whole = whole_frame(frames, reference, bad)
    halo = required_halo(DRIFT) + 3
    around = ((halo, halo), (halo, halo))
    padded = np.pad(frames, ((0, 0), *around), mode="edge")
    wide_bad = np.pad(bad, around, mode="edge")
    for top in (0, 20, 38):
        for left in (0, 31, 58):
            tile = np.s_[top : top + 32 + 2 * halo, left : left + 32 + 2 * halo]
            inside = (
                max(0, halo - top),
                min(32 + 2 * halo, 70 + halo - top),
                max(0, halo - left),
                min(32 + 2 * halo, 90 + halo - left),
            )
            target = np.s_[top : top + 32, left : left + 32]
            out = aligned_ratio(
                padded[:, *tile],
                reference[target],
                DRIFT,
                GAIN,
                wide_bad[tile],
                halo=halo,
                inside=inside,
            )
            np.testing.assert_allclose(out, whole[:, *target], atol=2e-6)
            np.testing.assert_array_equal(np.isnan(out), np.isnan(whole[:, *target]))


def test_pixels_that_a_frame_does_not_cover_are_missing_and_only_they():
    frames = np.full((3, 40, 40), 300, np.uint16)
    ratio = whole_frame(frames, np.full((40, 40), 100.0))
    missing = np.isnan(ratio)
    assert missing[0].sum() == 1600 - 38 * 37
    assert not missing[1].any()
    assert missing[2].sum() == 1600 - 35 * 36
    np.testing.assert_allclose(ratio[1], 2.0, rtol=1e-6)


def test_where_the_reference_says_nothing_no_ratio_is_formed():
    frames = np.full((3, 40, 40), 300.0)
    reference = np.full((40, 40), 100.0)
    reference[20, 20] = 0.0
    reference[21, 21] = -3.0
    ratio = whole_frame(frames, reference)
    assert np.isnan(ratio[:, [20, 21], [20, 21]]).all()
    assert np.isfinite(ratio[1]).sum() == 1600 - 2


def test_pixels_that_are_not_finite_are_missing_and_harm_no_neighbour():
    frames = np.full((3, 40, 40), 300.0, np.float32)
    frames[1, 5, 5] = np.nan
    frames[0, :, :7] = np.nan
    frames[2] = np.nan
    ratio = whole_frame(frames, np.full((40, 40), 100.0))
    assert np.isnan(ratio[1, 5, 5])
    assert np.isnan(ratio[1]).sum() == 1
    assert np.isnan(ratio[2]).all()
    np.testing.assert_allclose(ratio[0][np.isfinite(ratio[0])], 300 / 0.9 / 100 - 1, rtol=1e-6)
    assert np.isnan(frames[1, 5, 5])


def test_shaded_areas_are_missing_only_where_they_are_dark():
    frames = np.full((2, 60, 60), 300, np.uint16)
    shaded = np.zeros((60, 60), bool)
    shaded[20:40, 20:40] = True
    frames[0, 20:40, 20:40] = 1
    still = np.zeros((2, 2))
    halo = required_halo(still)
    found = aligned_frames(frames, still, np.ones(2), halo=halo, shaded=shaded, dark_below=30.0)
    inner = np.s_[halo:-halo, halo:-halo]
    np.testing.assert_array_equal(np.isnan(found[0]), shaded[inner])
    np.testing.assert_array_equal(found[1], 300)
    # Nothing of the dark rings in what lies beside it.
    np.testing.assert_allclose(found[0][~shaded[inner]], 300, rtol=1e-6)


def test_an_x_ray_hit_is_repaired_in_counts_and_missing_in_the_ratio():
    frames = np.random.default_rng(0).poisson(300, (1, 60, 60)).astype(np.float32)
    clean = frames.copy()
    frames[0, 30, 31] += 4000
    still, halo = np.zeros((1, 2)), required_halo([[0, 0]])
    reference = np.full((60 - 2 * halo,) * 2, 300.0)
    counts = aligned_frames(frames, still, np.ones(1), halo=halo)
    assert abs(counts[0, 30 - halo, 31 - halo] - 300) < 60
    ratio = aligned_ratio(frames, reference, still, np.ones(1), halo=halo)
    assert np.argwhere(np.isnan(ratio[0])).tolist() == [[30 - halo, 31 - halo]]
    np.testing.assert_allclose(
        np.nan_to_num(ratio[0]),
        np.where(np.isnan(ratio[0]), 0, clean[0, halo:-halo, halo:-halo] / 300 - 1),
        atol=1e-5,
    )


def test_a_slope_of_the_brightness_is_taken_out_of_counts_and_ratio():
    shape, slope = (40, 50), np.array([[0.002, -0.001]])
    y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    tilted = np.exp(slope[0, 1] * y[:, None] + slope[0, 0] * x)[None].astype(np.float32)
    part = tilted[:, 10:30, 5:25].copy()
    even_out(part, slope, (10, 5), shape, ratio=False)
    np.testing.assert_allclose(part, 1, rtol=1e-5)
    part = tilted - 1
    even_out(part, slope, (0, 0), shape, ratio=True)
    np.testing.assert_allclose(part, 0, atol=1e-6)


def test_frames_keep_their_counts():
    frames = np.random.default_rng(2).random((3, 60, 60)).astype(np.float32)
    halo = required_halo(DRIFT)
    reference = np.full((60 - 2 * halo,) * 2, 2.0)
    counts = aligned_frames(frames, DRIFT, GAIN, halo=halo)
    ratio = aligned_ratio(frames, reference, DRIFT, GAIN, halo=halo)
    np.testing.assert_allclose(counts / 2 - 1, ratio, atol=1e-6)


def test_faults_are_named():
    frames = np.ones((3, 40, 40))
    with pytest.raises(UemError, match=r"halo: 5 px is too little .* at least 11 px"):
        aligned_frames(frames, DRIFT, GAIN, halo=5)
    with pytest.raises(UemError, match="gain"):
        aligned_frames(frames, DRIFT, [1.0, 0.0, 1.0], halo=12)
    with pytest.raises(UemError, match="do not match 3 frames"):
        aligned_frames(frames, DRIFT[:2], GAIN, halo=12)
    with pytest.raises(UemError, match="reference"):
        aligned_ratio(frames, np.ones((3, 3)), DRIFT, GAIN, halo=12)
    with pytest.raises(UemError, match="not finite"):
        required_halo([(np.nan, 0.0)])


def test_what_drifts_along_a_soft_shade_gets_the_light_of_its_place():
    """A steady sample under a shade of the detector: no ratio changes, whole or in tiles."""
    y, x = np.mgrid[:70, :90].astype(np.float32)
    passed = (0.55 + 0.45 * np.tanh((x + 0.3 * y - 40) / 8)).astype(np.float32)
    frames = np.stack([300 * passed * gain for gain in GAIN]).astype(np.float32)
    reference = 300 * passed
    halo = required_halo(DRIFT)
    padded = np.pad(frames, ((0, 0), (halo, halo), (halo, halo)))
    inside = (halo, halo + 70, halo, halo + 90)
    how = {"halo": halo, "inside": inside}
    light = np.pad(passed, halo, constant_values=1)
    uneven = aligned_ratio(padded, reference, DRIFT, GAIN, **how)
    even = aligned_ratio(padded, reference, DRIFT, GAIN, passed=light, **how)
    inner = np.s_[:, 10:-10, 10:-10]
    assert np.abs(uneven[inner]).max() > 0.2
    assert np.abs(even[inner]).max() < 2e-3
    with pytest.raises(UemError, match="passed"):
        aligned_ratio(padded, reference, DRIFT, GAIN, passed=passed, **how)
