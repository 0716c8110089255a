"""Feature vectors: known answers, uncertainty, tiles."""

import numpy as np
import pytest
from scipy import ndimage

from uemdask.errors import UemError
from uemdask.motion import speed_and_angle, speed_and_angle_sd
from uemdask.regions import FEATURES, RoiSums, finalise
from uemdask.regions.features import CORRELATION_PX

NAMES = [feature.name for feature in FEATURES]
PIXEL, STEP = 3.0, 5.0


def measured(flow, flow_sd=None, valid=None):
    """Speed, angle and their deviations as keyword arguments of the features."""
    valid = np.ones(flow[:, 0].shape, bool) if valid is None else valid
    size = (PIXEL, PIXEL)
    speed, angle = speed_and_angle(flow, size, STEP, valid)
    arguments = {"flow": flow, "flow_sd": flow_sd, "speed": speed, "angle": angle, "valid": valid}
    if flow_sd is not None:
        arguments["speed_sd"], arguments["angle_sd"] = speed_and_angle_sd(
            flow, flow_sd, size, STEP, valid
        )
    return arguments


def roi_features(*, correlation_px=CORRELATION_PX, **measured):
    return finalise(RoiSums.of_tile(**measured), correlation_px=correlation_px)


def uniform(x, y, shape=(64, 96), pairs=1):
    flow = np.empty((pairs, 2, *shape), np.float32)
    flow[:, 0], flow[:, 1] = x, y
    return flow


def correlated_noise(shape, sigma, sd, rng):
    noise = ndimage.gaussian_filter(rng.normal(size=shape), (0, 0, sigma, sigma), mode="wrap")
    return sd * noise * 2 * sigma * np.sqrt(np.pi)


def named(values):
    return dict(zip(NAMES, values, strict=True))


def test_the_contract_features_come_with_unit_and_meaning():
    units = {feature.name: feature.unit for feature in FEATURES}
    assert units["mean_speed"] == "nm/ps"
    assert units["mean_angle"] == "degree"
    assert units["mean_flow_x"] == units["mean_flow_y"] == "px"
    assert units["coherence"] == units["valid_fraction"] == "1"
    assert all(feature.meaning for feature in FEATURES)
    assert len(set(NAMES)) == len(NAMES)


def test_a_uniform_wave_gives_its_numbers():
    values, _ = roi_features(**measured(uniform(4.0, -3.0)), rois=np.ones((1, 64, 96), bool))
    got = named(values[0, :, 0])
    assert values.shape == (1, len(FEATURES), 1)
    assert got["mean_speed"] == pytest.approx(5 * PIXEL / STEP)
    assert got["median_speed"] == pytest.approx(5 * PIXEL / STEP, rel=0.04)
    assert got["mean_angle"] == pytest.approx(np.degrees(np.arctan2(3, 4)), abs=0.01)
    assert got["mean_flow_x"] == pytest.approx(4.0)
    assert got["mean_flow_y"] == pytest.approx(-3.0)
    assert got["coherence"] == pytest.approx(1.0)
    assert got["valid_fraction"] == 1.0
    assert got["speed_spread"] == pytest.approx(0.0, abs=1e-3)
    assert got["angle_spread"] == pytest.approx(0.0, abs=0.1)


def test_regions_and_pairs_are_kept_apart():
    flow = uniform(2.0, 0.0, pairs=2)
    flow[1] *= 2
    flow[:, :, :, 48:] *= -1
    rois = np.zeros((2, 64, 96), bool)
    rois[0, :, :48] = rois[1, :, 48:] = True
    values, _ = roi_features(**measured(flow), rois=rois)
    speed, angle = (values[:, NAMES.index(name)] for name in ("mean_speed", "mean_angle"))
    np.testing.assert_allclose(speed, [[1.2, 2.4], [1.2, 2.4]], rtol=1e-5)
    np.testing.assert_allclose(angle, [[0, 0], [180, 180]], atol=1e-3)


def test_angles_are_averaged_across_the_cut_at_180_degrees():
    angle = np.radians(np.where(np.arange(64) % 2, 170.0, -170.0))[:, None]
    flow = uniform(3 * np.cos(angle), -3 * np.sin(angle))
    values, _ = roi_features(**measured(flow), rois=np.ones((1, 64, 96), bool))
    got = named(values[0, :, 0])
    assert abs(got["mean_angle"]) == pytest.approx(180, abs=0.01)
    assert got["coherence"] == pytest.approx(np.cos(np.radians(10)), abs=1e-4)
    # A circular standard deviation is near the plain one for narrow spreads.
    assert got["angle_spread"] == pytest.approx(10, rel=0.02)


def test_only_valid_pixels_count():
    flow = uniform(2.0, 0.0)
    flow[..., 48:] = 50.0
    valid = np.zeros((1, 64, 96), bool)
    valid[:, :, :24] = True
    values, _ = roi_features(**measured(flow, valid=valid), rois=np.ones((1, 64, 96), bool))
    got = named(values[0, :, 0])
    assert got["mean_speed"] == pytest.approx(1.2)
    assert got["valid_fraction"] == pytest.approx(0.25)


@pytest.mark.parametrize("rois", [np.ones((1, 64, 96), bool), np.zeros((1, 64, 96), bool)])
def test_without_a_valid_pixel_all_is_nan_but_the_valid_fraction(rois):
    valid = np.zeros((1, 64, 96), bool)
    values, sd = roi_features(**measured(uniform(2.0, 0.0), valid=valid), rois=rois)
    got = named(values[0, :, 0])
    assert got.pop("valid_fraction") == 0.0
    assert np.isnan(list(got.values())).all()
    errors = named(sd[0, :, 0])
    assert errors.pop("valid_fraction") == 0.0
    assert np.isnan(list(errors.values())).all()


def test_noise_hardly_biases_the_mean_speed():
    rng = np.random.default_rng(0)
    flow = uniform(3.0, 4.0, (256, 256)) + correlated_noise((1, 2, 256, 256), 2, 2.0, rng)
    arguments = measured(flow)
    values, _ = roi_features(**arguments, rois=np.ones((1, 256, 256), bool))
    true = 5 * PIXEL / STEP
    naive = arguments["speed"].mean()
    assert naive / true - 1 > 0.06
    assert abs(values[0, 0, 0] / true - 1) < 0.03


def test_bent_fronts_hardly_lose_speed():
    y, x = np.mgrid[-128:128, -128:128] + 0.5
    radius = np.hypot(x, y)
    flow = np.stack([3 * x / radius, 3 * y / radius])[None].astype(np.float32)
    rois = ((radius > 60) & (radius < 120))[None]
    values, _ = roi_features(**measured(flow), rois=rois)
    got = named(values[0, :, 0])
    assert got["mean_speed"] == pytest.approx(3 * PIXEL / STEP, rel=0.01)
    # Rings go every way: no single direction must be claimed.
    assert got["coherence"] < 0.01


@pytest.mark.parametrize("stated", [True, False])
def test_stated_errors_of_the_mean_match_the_scatter_over_many_runs(stated):
    rng = np.random.default_rng(1)
    runs, sigma, sd = 60, 2.0, 0.5
    flow = uniform(4.0, 3.0, (64, 96), runs) + correlated_noise((runs, 2, 64, 96), sigma, sd, rng)
    flow_sd = np.full(flow.shape, sd, np.float32) if stated else None
    values, errors = roi_features(
        **measured(flow, flow_sd), rois=np.ones((1, 64, 96), bool), correlation_px=sigma
    )
    for name in ("mean_speed", "mean_angle", "mean_flow_x", "mean_flow_y"):
        k = NAMES.index(name)
        # 60 runs know their scatter to 9 %.
        assert errors[0, k].mean() == pytest.approx(values[0, k].std(), rel=0.3), name


def test_one_pixel_has_the_error_of_a_pixel():
    flow_sd = np.full((1, 2, 64, 96), 0.2, np.float32)
    roi = np.zeros((1, 64, 96), bool)
    roi[0, 5, 5] = True
    _, sd = roi_features(**measured(uniform(4.0, 0.0), flow_sd), rois=roi)
    got = named(sd[0, :, 0])
    assert got["mean_flow_x"] == pytest.approx(0.2)
    assert got["mean_speed"] == pytest.approx(0.2 * PIXEL / STEP)
    assert got["mean_angle"] == pytest.approx(np.degrees(0.05), rel=1e-3)


def test_more_pixels_make_the_mean_more_certain_by_the_root_of_their_number():
    flow_sd = np.full((1, 2, 128, 128), 0.2, np.float32)
    rois = np.zeros((2, 128, 128), bool)
    rois[0, :64, :64] = rois[1] = True
    _, sd = roi_features(**measured(uniform(4.0, 0.0, (128, 128)), flow_sd), rois=rois)
    assert sd[0, 0, 0] == pytest.approx(2 * sd[1, 0, 0], rel=1e-3)


@pytest.mark.parametrize("stated", [True, False])
def test_tiles_add_up_to_the_whole_image(stated):
    rng = np.random.default_rng(2)
    flow = rng.normal(3, 1, (3, 2, 64, 96)).astype(np.float32)
    flow_sd = rng.uniform(0.1, 0.5, flow.shape).astype(np.float32) if stated else None
    valid = rng.random((3, 64, 96)) > 0.3
    rois = rng.random((2, 64, 96)) > 0.5
    arguments = measured(flow, flow_sd, valid)
    whole_values, whole_sd = roi_features(**arguments, rois=rois)
    total = None
    for top, bottom in ((0, 32), (32, 64)):
        for left, right in ((0, 16), (16, 80), (80, 96)):
            cut = np.s_[..., top:bottom, left:right]
            tile = {k: None if v is None else v[cut] for k, v in arguments.items()}
            sums = RoiSums.of_tile(**tile, rois=rois[cut], origin=(top, left))
            total = sums if total is None else total + sums
    values, sd = finalise(total)
    np.testing.assert_allclose(values, whole_values, rtol=1e-5)
    np.testing.assert_allclose(sd, whole_sd, rtol=1e-5)


def test_slabs_of_pairs_join_to_the_whole_series():
    rng = np.random.default_rng(3)
    arguments = measured(rng.normal(3, 1, (4, 2, 32, 32)).astype(np.float32))
    rois = np.ones((1, 32, 32), bool)
    parts = [
        RoiSums.of_tile(
            **{k: None if v is None else v[cut] for k, v in arguments.items()}, rois=rois
        )
        for cut in (np.s_[:1], np.s_[1:])
    ]
    values, _ = finalise(RoiSums.concatenate(parts))
    np.testing.assert_allclose(values, roi_features(**arguments, rois=rois)[0], rtol=1e-6)


def test_a_tile_that_starts_inside_a_block_is_refused():
    arguments = measured(uniform(1.0, 0.0))
    with pytest.raises(UemError, match="multiples of 16"):
        RoiSums.of_tile(**arguments, rois=np.ones((1, 64, 96), bool), origin=(0, 8))


def test_sums_of_different_regions_do_not_add():
    arguments = measured(uniform(1.0, 0.0))
    one, two = (RoiSums.of_tile(**arguments, rois=np.ones((n, 64, 96), bool)) for n in (1, 2))
    with pytest.raises(UemError, match="same regions and pairs"):
        one + two


def test_shapes_that_do_not_fit_are_refused():
    arguments = measured(uniform(1.0, 0.0))
    with pytest.raises(UemError, match="rois"):
        roi_features(**arguments, rois=np.ones((1, 64, 95), bool))


def test_a_turn_that_all_pixels_share_is_not_averaged_away():
    sums = RoiSums.of_tile(
        **measured(uniform(4.0, 3.0, (128, 192)), np.full((1, 2, 128, 192), 0.1, np.float32)),
        rois=np.ones((1, 128, 192), bool),
    )
    alone, common = (
        named(finalise(sums, systematic_degree=turn)[1][0, :, 0])["mean_angle"]
        for turn in (0.0, 0.8)
    )
    assert common == pytest.approx(np.hypot(alone, 0.8), rel=1e-3)
    assert alone < 0.4
