"""The network: any size in, the same size out, and no pixel sees farther than stated."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.network.unet import UNet, UNetConfig

torch.set_num_threads(1)


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 2),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    reduction=st.integers(1, 3),
    levels=st.integers(2, 4),
)
def test_the_flow_has_the_size_of_the_images(n, height, width, reduction, levels):
    model = UNet(UNetConfig(filters=(3,) * levels, reduction=reduction))
    flow, log_variance = model(torch.randn(n, 2, height, width))
    assert flow.shape == (n, 2, height, width)
    assert log_variance.shape == flow.shape
    assert torch.isfinite(flow).all()


def test_an_untrained_network_says_almost_no_motion():
    torch.manual_seed(0)
    with torch.no_grad():
        flow, log_variance = UNet()(torch.randn(2, 2, 64, 64))
    assert float(flow.abs().max()) < 0.5
    assert float(log_variance.abs().max()) < 0.5


def test_features_keep_their_size_through_the_network():
    torch.manual_seed(0)
    model = UNet(UNetConfig(dropout=0.0))
    spread = []
    for block in (*model.encoder, *model.decoder):
        block.register_forward_hook(lambda _m, _i, out: spread.append(float(out.std())))
    with torch.no_grad():
        model(torch.randn(2, 2, 128, 128))
    assert all(0.2 < value < 5.0 for value in spread), spread


@pytest.mark.parametrize(("filters", "reduction"), [((4, 4), 1), ((4, 4, 4), 2), ((4, 4, 4), 1)])
def test_no_pixel_sees_farther_than_the_reach(filters, reduction):
    config = UNetConfig(filters=filters, reduction=reduction, dropout=0.0)
    model = UNet(config).double()
    torch.nn.init.normal_(model.head.weight)
    size = 2 * config.reach + 4 * config.stride
    farthest = 0
    for at in range(size // 2, size // 2 + config.stride):
        images = torch.randn(1, 2, size, size, dtype=torch.float64, requires_grad=True)
        flow, _ = model(images)
        flow[0, 0, at, at].backward()
        seen = torch.nonzero(images.grad.abs().amax(dim=(0, 1)))
        farthest = max(farthest, int((seen - at).abs().max()))
    assert config.stride < farthest <= config.reach


def test_nothing_is_dropped_without_a_generator_and_the_same_with_the_same_seed():
    model = UNet(UNetConfig(filters=(8, 16), dropout=0.5))
    torch.nn.init.normal_(model.head.weight)
    images = torch.randn(3, 2, 32, 32)
    torch.testing.assert_close(model(images)[0], model(images)[0], rtol=0, atol=0)
    once, again, other = (
        model(images, dropout=torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2)
    )
    torch.testing.assert_close(once, again, rtol=0, atol=0)
    assert not torch.allclose(once, other)


def test_one_thinned_network_can_serve_a_whole_batch():
    model = UNet(UNetConfig(filters=(8, 16), dropout=0.5))
    torch.nn.init.normal_(model.head.weight)
    images = torch.randn(1, 2, 32, 32).expand(4, 2, 32, 32)
    shared = model(images, dropout=torch.Generator().manual_seed(0), shared=True)[0]
    apart = model(images, dropout=torch.Generator().manual_seed(0))[0]
    torch.testing.assert_close(shared[0], shared[3])
    assert not torch.allclose(apart[0], apart[3])


def test_the_second_head_is_optional():
    flow, log_variance = UNet(UNetConfig(filters=(4, 8), log_variance=False))(
        torch.zeros(1, 2, 16, 16)
    )
    assert flow.shape == (1, 2, 16, 16)
    assert log_variance is None


@pytest.mark.parametrize(
    "wrong", [{"filters": (8,)}, {"filters": (8, 0)}, {"dropout": 1.0}, {"depth": 3}]
)
def test_a_wrong_shape_of_network_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        UNetConfig(**wrong)


def test_something_else_than_image_pairs_is_refused():
    with pytest.raises(UemError, match="image pairs"):
        UNet(UNetConfig(filters=(4, 8)))(torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(),
        UNetConfig(filters=(4, 8), log_variance=False),
        UNetConfig(filters=(3, 5, 7), reduction=1),
    ],
)
def test_the_size_is_told_before_the_network_is_made(config):
    assert config.size == sum(weight.numel() for weight in UNet(config).parameters())
