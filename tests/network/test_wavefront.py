"""Fronts face where the wave runs, also through noise."""

import math

import pytest
import torch

from uemdask.network.wavefront import front_normal

torch.set_num_threads(1)


def wave(degrees: float, times: int = 5, size: int = 96, wavelength: float = 30.0) -> torch.Tensor:
    """Return a plane wave that runs at an angle, anticlockwise from +x as displayed."""
    y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float32)] * 2, indexing="ij")
    along = math.cos(math.radians(degrees)) * x - math.sin(math.radians(degrees)) * y
    phase = 2 * math.pi / wavelength * along
    return torch.stack([torch.cos(phase - 0.7 * time) for time in range(times)])[None]


def angle_between(normal: torch.Tensor, degrees: float) -> torch.Tensor:
    """Return degrees between the normal's axis and a direction, 0..90."""
    x, y = math.cos(math.radians(degrees)), -math.sin(math.radians(degrees))
    across = (normal[:, 0] * y - normal[:, 1] * x).abs().clamp(max=1.0)
    return torch.rad2deg(torch.asin(across))


@pytest.mark.parametrize("degrees", [0.0, 35.0, 90.0, 130.0, 180.0])
def test_the_normal_is_the_direction_of_the_wave(degrees):
    normal, coherence = front_normal(wave(degrees))
    assert float(angle_between(normal, degrees).max()) < 3.0  # at the border; under 0.3 inside
    assert float(angle_between(normal, degrees)[:, 24:-24, 24:-24].mean()) < 0.3
    assert float(coherence.min()) > 0.93
    torch.testing.assert_close(normal.norm(dim=1), torch.ones_like(normal[:, 0]))


def test_noise_costs_coherence_but_little_direction():
    frames = wave(35.0)
    generator = torch.Generator().manual_seed(0)
    # Twice as strong as the wave.
    noise = 1.4 * torch.randn(frames.shape, generator=generator)
    normal, coherence = front_normal(frames + torch.nn.functional.avg_pool2d(noise, 3, 1, 1))
    assert float(angle_between(normal, 35.0).mean()) < 4.0
    assert 0.3 < float(coherence.mean()) < 0.9


def test_crossing_waves_and_noise_have_no_normal():
    crossing = wave(0.0) + wave(90.0)
    noise = torch.randn(1, 5, 96, 96, generator=torch.Generator().manual_seed(0))
    assert float(front_normal(crossing)[1].mean()) < 0.35
    assert float(front_normal(noise)[1].mean()) < 0.1
    assert float(front_normal(0 * noise)[1].max()) == 0.0
