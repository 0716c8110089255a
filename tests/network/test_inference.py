"""Tiles leave no trace, and the stated uncertainty is what it says."""

import numpy as np
import pytest
import torch

from uemdask.errors import UemError
from uemdask.network import BASE_MODEL, load_model
from uemdask.network.inference import predict
from uemdask.network.unet import UNet, UNetConfig

torch.set_num_threads(1)


def lively(seed: int = 0, **changes: object) -> UNet:
    """Return an untrained network whose output is of the size of a flow."""
    torch.manual_seed(seed)
    model = UNet(UNetConfig(**({"filters": (4, 6, 8), "dropout": 0.2} | changes)))
    torch.nn.init.normal_(model.head.weight, std=0.1)
    return model


def frames(n: int = 2, height: int = 150, width: int = 133) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, n, height, width)).astype(np.float32)
    return first, second


@pytest.mark.parametrize("tile", [16, 50, 120])
def test_tiling_does_not_change_the_result(tile):
    model = lively()
    whole = predict(model, *frames(), scale=1.0, tile=1000, samples=2)
    tiled = predict(model, *frames(), scale=1.0, tile=tile, samples=2)
    for one, other in zip(whole, tiled, strict=True):
        assert np.abs(one).max() > 0.5
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_too_little_overlap_is_seen():
    """The exactness above is earned by the overlap."""
    model = lively()
    whole, _ = predict(model, *frames(), scale=1.0, tile=1000)
    cut, _ = predict(model, *frames(), scale=1.0, tile=48, overlap=0)
    assert np.abs(whole - cut).max() > 1e-3


def test_the_result_is_that_of_the_network_on_normalised_frames():
    model = lively().eval()
    first, second = frames(n=3)
    flow, sd = predict(model, 0.1 * first, 0.1 * second, scale=0.1)
    with torch.no_grad():
        expected, log_variance = model(torch.from_numpy(np.stack((first, second), axis=1)))
    np.testing.assert_allclose(flow, expected.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sd, (0.5 * log_variance).exp().numpy(), rtol=1e-4)


def test_half_precision_frames_are_read_as_they_are():
    model = lively()
    first, second = (array.astype(np.float16) for array in frames(n=1))
    half, _ = predict(model, first, second, scale=1.0)
    single, _ = predict(model, first.astype(np.float32), second.astype(np.float32), scale=1.0)
    np.testing.assert_array_equal(half, single)


def test_dropout_adds_to_the_stated_uncertainty_and_is_repeatable():
    model = lively()
    _, stated = predict(model, *frames(), scale=1.0)
    flow, once = predict(model, *frames(), scale=1.0, samples=4)
    _, again = predict(model, *frames(), scale=1.0, samples=4)
    np.testing.assert_array_equal(once, again)
    assert (once >= stated * 0.999).all()
    assert once.mean() > 1.05 * stated.mean()
    np.testing.assert_array_equal(flow, predict(model, *frames(), scale=1.0)[0])


@pytest.mark.parametrize("tile", [50, 1000])
def test_four_views_follow_a_motion_that_is_turned_or_exchanged_exactly(tile):
    """The average over views has the symmetry of the motion, which the network alone has not."""
    model = lively()
    first, second = frames(height=144, width=128)  # no padding, so that a turn is one
    flow, sd = predict(model, first, second, scale=1.0, views=4, tile=tile)
    turned, turned_sd = predict(
        model, first[:, ::-1, ::-1], second[:, ::-1, ::-1], scale=1.0, views=4, tile=tile
    )
    np.testing.assert_allclose(-turned[..., ::-1, ::-1], flow, atol=1e-5)
    np.testing.assert_allclose(turned_sd[..., ::-1, ::-1], sd, rtol=1e-4)
    dark, _ = predict(model, -first, -second, scale=1.0, views=4, tile=tile)
    np.testing.assert_allclose(dark, flow, atol=1e-5)
    plain, _ = predict(model, first, second, scale=1.0)
    assert np.abs(plain - flow).max() > 0.01


def test_without_any_source_the_uncertainty_is_unknown():
    model = lively(log_variance=False)
    assert np.isnan(predict(model, *frames(), scale=1.0)[1]).all()
    _, sd = predict(model, *frames(), scale=1.0, samples=3)
    assert np.isfinite(sd).all()
    assert sd.mean() > 0


def test_wrong_shapes_and_half_precision_on_a_cpu_are_refused():
    first, second = frames()
    with pytest.raises(UemError, match="same"):
        predict(lively(), first, second[:1], scale=1.0)
    with pytest.raises(UemError, match="GPU"):
        predict(lively(), first, second, scale=1.0, precision="bfloat16")
    with pytest.raises(UemError, match="1, 2 or 4"):
        predict(lively(), first, second, scale=1.0, views=3)


@pytest.mark.parametrize("size", [(129, 100), (96, 150)])
def test_a_frame_of_any_size_is_seen_alike(size):
    """What is added to fill up squares of the deepest level is dark, not a wave that stands."""
    model, _ = load_model(BASE_MODEL)
    y, x = np.mgrid[:160, :160]
    first, second = (
        np.cos(2 * np.pi * (0.8 * x + 0.6 * y - shift) / 24)[None].astype(np.float32)
        for shift in (0.0, 3.0)
    )
    whole, _ = predict(model, first, second, scale=0.7)
    part = np.s_[:, : size[0], : size[1]]
    found, _ = predict(model, first[part], second[part], scale=0.7)
    error = np.linalg.norm(found - whole[:, :, : size[0], : size[1]], axis=1)
    assert error[:, : size[0] - 24, : size[1] - 24].mean() < 0.05 * 3.0
