"""The one sign convention: first(r) = second(r + flow(r))."""

import math

import pytest
import torch

from uemdask.errors import UemError
from uemdask.network.warp import compose, invert, warp

torch.set_num_threads(1)


def smooth_flow(size: int = 40) -> torch.Tensor:
    y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float64)] * 2, indexing="ij")
    return torch.stack(
        (2.0 + torch.sin(2 * math.pi * y / size), -1.0 + 0.8 * torch.cos(2 * math.pi * x / size))
    )[None]


def test_a_spot_that_moved_right_and_down_comes_back():
    first = torch.zeros(1, 1, 9, 9)
    second = torch.zeros(1, 1, 9, 9)
    first[0, 0, 3, 2] = 1.0  # row 3, column 2
    second[0, 0, 4, 5] = 1.0
    flow = torch.tensor([3.0, 1.0])[None, :, None, None].expand(1, 2, 9, 9)
    carried, inside = warp(second, flow)
    torch.testing.assert_close(carried * inside, first)
    assert inside[0, 0].sum() == 6 * 8


def test_zero_flow_returns_the_image():
    image = torch.rand(2, 3, 7, 5)
    carried, inside = warp(image, torch.zeros(2, 2, 7, 5))
    torch.testing.assert_close(carried, image, atol=1e-5, rtol=0)
    assert inside.all()


def test_the_error_of_interpolation_is_as_stated():
    x = torch.arange(60.0, dtype=torch.float64)
    wavelength = 14
    wave = torch.sin(2 * math.pi * x / wavelength).expand(1, 1, 60, 60)
    flow = torch.zeros(1, 2, 60, 60, dtype=torch.float64)
    flow[:, 0] = 0.5
    exact = torch.sin(2 * math.pi * (x + 0.5) / wavelength)
    error = float((warp(wave, flow)[0] - exact)[..., 5:-5].abs().max())
    assert error == pytest.approx((math.pi / wavelength) ** 2 / 2, rel=0.03)


def test_derivatives_are_right():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 2, 6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    flow = 0.3 + 0.4 * torch.rand(1, 2, 6, 6, generator=generator, dtype=torch.float64)
    flow.requires_grad_()
    assert torch.autograd.gradcheck(lambda i, f: warp(i, f)[0], (image, flow))
    assert torch.autograd.gradcheck(lambda a, b: compose(a, b)[0], (flow, (0.5 * flow).detach()))


def test_two_steps_joined_are_the_sum_where_the_flow_is_uniform():
    first = torch.tensor([1.0, 0.5])[None, :, None, None].expand(1, 2, 8, 8)
    then = torch.tensor([2.0, -1.0])[None, :, None, None].expand(1, 2, 8, 8)
    joined, inside = compose(first, then)
    torch.testing.assert_close(joined, first + then)
    assert inside[0, 0].sum() == 7 * 7


def test_a_flow_and_its_inverse_lead_back():
    flow = smooth_flow()
    backward, inside = invert(flow, iterations=8)
    there_and_back, also_inside = compose(backward, flow)
    error = there_and_back.norm(dim=1, keepdim=True)[inside & also_inside]
    assert float(error.max()) < 1e-3


@pytest.mark.parametrize(
    ("image", "flow"),
    [
        (torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4)),
        (torch.zeros(2, 1, 4, 4), torch.zeros(1, 2, 4, 4)),
        (torch.zeros(1, 1, 4, 5), torch.zeros(1, 2, 4, 4)),
        (torch.zeros(1, 4, 4), torch.zeros(1, 2, 4, 4)),
    ],
)
def test_shapes_that_do_not_fit_are_named(image, flow):
    with pytest.raises(UemError, match="cannot be warped"):
        warp(image, flow)
