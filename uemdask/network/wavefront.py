"""Which way a wavefront faces: the only direction in which its motion can be seen."""

from __future__ import annotations

import torch

from uemdask.network.amplitude import box_mean


def front_normal(
    frames: torch.Tensor, *, sigma: float = 12.0, smoothing: float = 2.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the direction across the wavefronts, from the slopes of a few frames.

    Parameters
    ----------
    frames : tensor, shape (n, time, y, x)
        Normalised waves of a short window.
    sigma : float, px
        Width of the neighbourhood; noise has no direction, and fades in its mean.
    smoothing : float, px
        Width of the mean taken before slopes, in which noise is stronger than the wave.

    Returns
    -------
    normal : tensor, shape (n, 2, y, x)
        x and y component of a unit vector; which of the two opposite ones has no meaning.
    coherence : tensor, shape (n, 1, y, x)
        1 where all fronts are parallel, 0 where waves cross or there is only noise.

    Notes
    -----
    Structure tensor of Bigün and Granlund (1987).

    Examples
    --------
    >>> import torch
    >>> wave = torch.sin(torch.arange(64.0) / 3).expand(1, 2, 64, 64)  # fronts along y
    >>> normal, coherence = front_normal(wave)
    >>> normal[0, :, 32, 32].abs().round().tolist(), round(float(coherence.mean()), 2)
    ([1.0, 0.0], 1.0)
    """
    frames = box_mean(frames, smoothing)
    along_x = 0.5 * (frames[..., 1:-1, 2:] - frames[..., 1:-1, :-2])
    along_y = 0.5 * (frames[..., 2:, 1:-1] - frames[..., :-2, 1:-1])
    products = torch.stack(
        [
            (along_x.square() - along_y.square()).mean(dim=1),
            (2.0 * along_x * along_y).mean(dim=1),
            (along_x.square() + along_y.square()).mean(dim=1),
        ],
        dim=1,
    )
    products = torch.nn.functional.pad(products, (1, 1, 1, 1), mode="replicate")
    stretch, shear, total = box_mean(products, sigma).unbind(dim=1)
    angle = 0.5 * torch.atan2(shear, stretch)
    coherence = torch.hypot(stretch, shear) / (total + 1e-12)
    return torch.stack((angle.cos(), angle.sin()), dim=1), coherence[:, None]
