"""Losses are smallest at the truth, ignore what has no weight, and have right derivatives."""

import math

import pytest
import torch

from uemdask.errors import UemError
from uemdask.network.losses import (
    anchor_loss,
    aperture_loss,
    consistency_loss,
    gradient_loss,
    photometric_loss,
    smoothness_loss,
    supervised_loss,
)

torch.set_num_threads(1)


def plane_wave(shift: float, size: int = 48, wavelength: float = 20.0) -> torch.Tensor:
    """Return a wave that has run ``shift`` px to the right."""
    x = torch.arange(size, dtype=torch.float64)
    return torch.sin(2 * math.pi * (x - shift) / wavelength).expand(1, 1, size, size).clone()


def uniform(u: float, v: float = 0.0, size: int = 48) -> torch.Tensor:
    return torch.tensor([u, v], dtype=torch.float64)[None, :, None, None].expand(1, 2, size, size)


def fields(count: int, seed: int = 0, n: int = 2, size: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Off the grid, where bilinear interpolation has a derivative.
    return [
        0.3 + 0.4 * torch.rand(n, 2, size, size, generator=generator, dtype=torch.float64)
        for _ in range(count)
    ]


@pytest.mark.parametrize("loss", [photometric_loss, gradient_loss])
def test_reconstruction_is_best_at_the_true_displacement(loss):
    first, second = plane_wave(0.0), plane_wave(3.0)
    tried = [0.0, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0]
    losses = [float(loss(first, second, uniform(u))) for u in tried]
    assert tried[losses.index(min(losses))] == 3.0
    assert losses[3] < 0.02 * losses[0]


@pytest.mark.parametrize("loss", [photometric_loss, gradient_loss])
def test_reconstruction_does_not_see_motion_along_the_fronts(loss):
    first, second = plane_wave(0.0), plane_wave(3.0)
    straight, skew = (float(loss(first, second, uniform(3.0, v))) for v in (0.0, 2.0))
    assert straight == pytest.approx(skew, abs=1e-9)


@pytest.mark.parametrize("loss", [photometric_loss, gradient_loss])
def test_descent_on_the_reconstruction_finds_the_displacement(loss):
    first, second = plane_wave(0.0), plane_wave(3.0)
    flow = torch.tensor([1.5, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([flow], lr=0.1)
    for _ in range(120):
        optimiser.zero_grad()
        loss(first, second, flow[None, :, None, None].expand(1, 2, 48, 48)).backward()
        optimiser.step()
    assert float(flow[0].detach()) == pytest.approx(3.0, abs=0.1)


def test_gradient_loss_does_not_see_a_change_of_brightness():
    first, second = plane_wave(0.0), plane_wave(0.0) + 5.0
    assert float(gradient_loss(first, second, uniform(0.0))) < 1e-9
    assert float(photometric_loss(first, second, uniform(0.0))) > 1.0


def test_pixels_that_leave_the_frame_do_not_count():
    first, second = plane_wave(0.0), plane_wave(5.0)
    second[..., -1] = 100.0  # what a border would smear over everything outside
    assert float(photometric_loss(first, second, uniform(60.0))) == 0.0


def test_supervised_loss_ignores_labels_without_confidence():
    label = uniform(2.0).clone()
    label[..., :24] = 50.0
    confidence = torch.ones(1, 48, 48, dtype=torch.float64)
    confidence[..., :24] = 0.0
    assert float(supervised_loss(uniform(2.0), label, confidence)) == 0.0


def test_supervised_loss_is_about_the_error_in_px_and_best_at_the_label():
    ones = torch.ones(1, 48, 48, dtype=torch.float64)
    label = uniform(2.0, 2.0)
    losses = [float(supervised_loss(uniform(u, u), label, ones)) for u in (1.0, 2.0, 3.0)]
    assert losses[1] == 0.0
    assert losses[0] == pytest.approx(1.0, abs=0.06)
    assert losses[0] == pytest.approx(losses[2])


def test_stated_variance_is_best_at_the_true_spread():
    generator = torch.Generator().manual_seed(0)
    uniforms = torch.rand(1, 2, 200, 200, generator=generator, dtype=torch.float64) - 0.5
    scale = 0.6  # px; the variance of a Laplace density is 2 scale**2
    error = -scale * uniforms.sign() * torch.log1p(-2 * uniforms.abs())
    tried = [math.log(2 * scale**2) + step for step in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    losses = [
        float(
            supervised_loss(
                error, torch.zeros_like(error), None, torch.full_like(error, value), epsilon=1e-6
            )
        )
        for value in tried
    ]
    assert losses.index(min(losses)) == 2


def test_anchor_holds_only_where_labels_are_trusted():
    confidence = torch.full((1, 48, 48), 0.4, dtype=torch.float64)
    assert float(anchor_loss(uniform(1.0), uniform(3.0), confidence)) == 0.0
    assert float(anchor_loss(uniform(1.0), uniform(3.0), confidence, threshold=0.3)) > 0.9


def test_consistency_is_zero_for_a_flow_and_its_inverse():
    assert float(consistency_loss(uniform(3.0, 1.0), uniform(-3.0, -1.0))) == 0.0
    assert float(consistency_loss(uniform(3.0, 1.0), uniform(3.0, 1.0))) > 3.0


def test_the_aperture_loss_sees_only_motion_along_the_fronts():
    diagonal = uniform(math.sqrt(0.5), -math.sqrt(0.5))
    assert float(aperture_loss(uniform(3.0, -3.0), diagonal)) < 1e-12
    assert float(aperture_loss(uniform(3.0, -3.0), -diagonal)) < 1e-12
    assert float(aperture_loss(uniform(2.0, 2.0), diagonal)) == pytest.approx(1.0, abs=0.07)


def test_the_aperture_loss_turns_the_flow_without_making_it_shorter():
    flow = uniform(3.0, 1.0).clone().requires_grad_()
    aperture_loss(flow, uniform(1.0, 0.0), smallest=1e-6).backward()
    along_flow = (flow.grad * flow).sum()
    across_flow = flow.grad[:, 1].sum() * 3.0 - flow.grad[:, 0].sum() * 1.0
    assert abs(float(along_flow.detach())) < 1e-9
    assert float(across_flow.detach()) > 0.1


def test_smoothness_lets_the_flow_change_at_an_edge_of_the_guide():
    flow = uniform(0.0).clone()
    flow[..., 24:] = 4.0
    guide = torch.zeros(1, 1, 48, 48, dtype=torch.float64)
    elsewhere = guide.clone()
    elsewhere[..., 10:] = 1.0
    guide[..., 24:] = 1.0
    assert float(smoothness_loss(flow, guide)) < 0.01 * float(smoothness_loss(flow, elsewhere))
    assert float(smoothness_loss(uniform(3.0))) == 0.0


@pytest.mark.parametrize(
    ("loss", "tensors"),
    [
        (photometric_loss, ("image", "image", "flow")),
        (gradient_loss, ("image", "image", "flow")),
        (supervised_loss, ("flow", "flow", "weight", "flow")),
        (anchor_loss, ("flow", "flow", "weight")),
        (consistency_loss, ("flow", "flow")),
        (aperture_loss, ("flow", "flow", "weight")),
        (smoothness_loss, ("flow", "image")),
    ],
)
def test_derivatives_are_right(loss, tensors):
    inputs = []
    for index, kind in enumerate(tensors):
        field = fields(1, seed=index)[0]
        if kind == "image":
            inputs.append(field[:, :1].requires_grad_())
        elif kind == "weight":
            inputs.append(field[:, 0] + 0.3)
        else:
            inputs.append(field.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize("n", [1, 3])
def test_a_batch_scores_as_the_mean_of_its_members(n):
    flow, label = fields(2, n=n)
    first = flow[:, :1]
    losses = {
        "supervised": lambda f, a, i: supervised_loss(f, a),
        "photometric": lambda f, a, i: photometric_loss(i, i + 1, 0 * f),
        "gradient": lambda f, a, i: gradient_loss(i, i**2, 0 * f),
        "consistency": lambda f, a, i: consistency_loss(0 * f, a),
        "smoothness": lambda f, a, i: smoothness_loss(f, i),
        "aperture": lambda f, a, i: aperture_loss(f, a),
    }
    for name, loss in losses.items():
        together = loss(flow, label, first)
        apart = [loss(flow[k : k + 1], label[k : k + 1], first[k : k + 1]) for k in range(n)]
        assert together.shape == (), name
        assert float(together) == pytest.approx(float(sum(apart) / n), rel=1e-9), name


def test_no_weight_gives_zero_and_a_zero_gradient():
    flow, label = fields(2)
    flow.requires_grad_()
    nothing = torch.zeros(2, 6, 6, dtype=torch.float64)
    total = (
        supervised_loss(flow, label, nothing)
        + photometric_loss(label[:, :1], label[:, 1:], flow, nothing)
        + gradient_loss(label[:, :1], label[:, 1:], flow, nothing)
        + smoothness_loss(flow, label[:, :1], nothing)
        + consistency_loss(flow, label, nothing)
        + aperture_loss(flow, label, nothing)
    )
    total.backward()
    assert float(total.detach()) == 0.0
    assert float(flow.grad.abs().max()) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda f: supervised_loss(f, f[:, :1]),
        lambda f: supervised_loss(f, f, f),
        lambda f: photometric_loss(f[:, :1], f, f),
        lambda f: gradient_loss(f[:, :1], f, f),
        lambda f: smoothness_loss(f, f),
        lambda f: consistency_loss(f, f[:, :1]),
        lambda f: aperture_loss(f, f[:, :1]),
    ],
)
def test_shapes_that_do_not_fit_are_named(call):
    with pytest.raises(UemError):
        call(fields(1)[0])
