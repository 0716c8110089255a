"""The stated deviation is made to hold the truth as often as it should."""

import numpy as np
import pytest
import torch

from uemdask.errors import UemError
from uemdask.network import Series, UNet, UNetConfig, calibrate, calibration_pairs, predict

SHAPE = (40, 48)


def exact_series(model, spread):
    """Give a series whose exact labels lie a known number of stated deviations from the flow."""
    rng = np.random.default_rng(0)
    wave = rng.normal(size=(9, *SHAPE)).astype(np.float32)
    flow, sd = predict(model, wave[:-1], wave[1:], scale=1.0)
    return Series(
        wave=wave,
        scale=1.0,
        label=flow + spread * sd * rng.normal(size=flow.shape).astype(np.float32),
        confidence=np.full((8, *SHAPE), 255, np.uint8),
        mask=np.ones(SHAPE, bool),
        frame_from=np.arange(8),
        frame_to=np.arange(1, 9),
    )


def calibrated(model, series):
    """Find the errors of a network on a series."""
    pairs = calibration_pairs(series)
    waves = (series.wave[series.frame_from[pairs]], series.wave[series.frame_to[pairs]])
    found = predict(model, *waves, scale=1.0)
    return calibrate(*found, series.label[pairs], series.confidence[pairs] > 0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return UNet(UNetConfig(filters=(4, 8))).eval()


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.5])
def test_the_factor_is_how_much_larger_the_errors_are(model, spread):
    found = calibrated(model, exact_series(model, spread)).deviation_factor
    assert found == pytest.approx((spread, spread), rel=0.04)


def test_each_component_has_its_own_factor(model):
    series = exact_series(model, 1.0)
    flow, _ = predict(model, series.wave[:-1], series.wave[1:], scale=1.0)
    series.label[:, 1] = flow[:, 1] + 3 * (series.label[:, 1] - flow[:, 1])
    assert calibrated(model, series).deviation_factor == pytest.approx((1.0, 3.0), rel=0.04)


def test_pixels_without_confidence_do_not_count(model):
    series = exact_series(model, 1.0)
    series.label[:, :, :20] += 1000
    series.confidence[:, :20] = 0
    assert calibrated(model, series).deviation_factor == pytest.approx((1.0, 1.0), rel=0.04)


@pytest.mark.parametrize("share", [0.9, 1.0, 1.2])
def test_the_error_of_the_region_is_what_all_pixels_have_in_common(model, share):
    series = exact_series(model, 0.0)
    series.label[...] /= share
    assert calibrated(model, series).region_error == pytest.approx(abs(share - 1), abs=1e-3)


@pytest.mark.parametrize("turn", [-8.0, 0.0, 3.0])
def test_the_turn_of_the_region_is_what_all_directions_have_in_common(model, turn):
    series = exact_series(model, 0.0)
    x, y = series.label[:, 0].copy(), series.label[:, 1].copy()
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    series.label[:, 0], series.label[:, 1] = cos * x - sin * y, sin * x + cos * y
    assert calibrated(model, series).region_turn == pytest.approx(abs(turn), abs=0.1)


def test_nothing_to_calibrate_with_is_said(model):
    series = exact_series(model, 1.0)
    series.confidence[...] = 0
    with pytest.raises(UemError, match="no pixel has any confidence"):
        calibrated(model, series)
    silent = UNet(UNetConfig(filters=(4, 8), log_variance=False)).eval()
    with pytest.raises(UemError, match="states no deviation"):
        calibrated(silent, exact_series(model, 1.0))
