"""Carrying images along a flow, and joining and inverting flows."""

from __future__ import annotations

import torch
from torch.nn import functional

from uemdask.errors import UemError


def warp(image: torch.Tensor, flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample an image where the flow points to, by bilinear interpolation.

    Parameters
    ----------
    image : tensor, shape (n, channels, y, x)
        The second image, or any field in its frame.
    flow : tensor, shape (n, 2, y, x), px
        x and y component.

    Returns
    -------
    warped : tensor, shape (n, channels, y, x)
        ``image(r + flow(r))``. With the true flow of a pair and its second image, the first.
    inside : tensor of bool, shape (n, 1, y, x)
        Where ``r + flow(r)`` lies between the centres of the outermost pixels.

    Raises
    ------
    UemError
        If the shapes do not fit.

    Notes
    -----
    **Convention.** Pixel (column x, row y) has its centre at exactly (x, y), y downwards; this
    is ``align_corners=True`` of `torch.nn.functional.grid_sample`. ``flow[:, 0]`` is along x and
    ``flow[:, 1]`` along y, in pixels of the image, pointing from the first image to the second.
    Positions outside take the value of the nearest border pixel (``padding_mode="border"``).
    The error for a wave of wavelength L is at most ``(pi / L)**2 / 2`` of its amplitude. PyTorch's
    bicubic kernel does not reproduce parabolas and is no better, so there is no choice.

    Examples
    --------
    >>> import torch
    >>> image = torch.arange(4.0).expand(1, 1, 4, 4)
    >>> flow = torch.zeros(1, 2, 4, 4)
    >>> flow[:, 0] = 1.0
    >>> warp(image, flow)[0][0, 0, 0].tolist()
    [1.0, 2.0, 3.0, 3.0]
    """
    if (
        image.ndim != 4
        or flow.ndim != 4
        or flow.shape[1] != 2
        or image.shape[0] != flow.shape[0]
        or image.shape[-2:] != flow.shape[-2:]
    ):
        raise UemError(
            f"An image of shape {tuple(image.shape)} cannot be warped by a flow of shape "
            f"{tuple(flow.shape)}; they must be (n, channels, y, x) and (n, 2, y, x)."
        )
    height, width = image.shape[-2:]
    column = torch.arange(width, dtype=flow.dtype, device=flow.device) + flow[:, 0]
    row = torch.arange(height, dtype=flow.dtype, device=flow.device)[:, None] + flow[:, 1]
    inside = (column >= 0) & (column <= width - 1) & (row >= 0) & (row <= height - 1)
    # grid_sample counts from -1 at the first centre to +1 at the last.
    grid = torch.stack(
        (column * (2.0 / max(width - 1, 1)) - 1.0, row * (2.0 / max(height - 1, 1)) - 1.0), dim=-1
    )
    warped = functional.grid_sample(
        image, grid.to(image.dtype), mode="bilinear", padding_mode="border", align_corners=True
    )
    return warped, inside[:, None]


def compose(first: torch.Tensor, then: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Join two successive flows into one over both steps.

    Parameters
    ----------
    first : tensor, shape (n, 2, y, x), px
        Flow from frame a to frame b.
    then : tensor, shape (n, 2, y, x), px
        Flow from frame b to frame c.

    Returns
    -------
    flow : tensor, shape (n, 2, y, x), px
        Flow from frame a to frame c, ``first(r) + then(r + first(r))``.
    inside : tensor of bool, shape (n, 1, y, x)
        Where the way point lies in the frame.

    Notes
    -----
    **Convention.** As in `warp`.

    Examples
    --------
    >>> import torch
    >>> step = torch.ones(1, 2, 3, 3)
    >>> float(compose(step, step)[0].mean())
    2.0
    """
    carried, inside = warp(then, first)
    return first + carried, inside


def invert(flow: torch.Tensor, *, iterations: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the flow of the same pair in the other direction.

    Parameters
    ----------
    flow : tensor, shape (n, 2, y, x), px
        Flow from frame a to frame b.
    iterations : int
        Steps of ``g(r) = -flow(r + g(r))``. The error falls by the largest gradient of the flow
        (usually under 0.1) in each.

    Returns
    -------
    backward : tensor, shape (n, 2, y, x), px
        Flow from frame b to frame a.
    inside : tensor of bool, shape (n, 1, y, x)
        Where it ends in the frame; elsewhere it is a guess from the border.

    Notes
    -----
    **Convention.** As in `warp`.

    Examples
    --------
    >>> import torch
    >>> float(invert(torch.full((1, 2, 3, 3), 0.5))[0].mean())
    -0.5
    """
    backward = -flow
    inside = torch.ones_like(flow[:, :1], dtype=torch.bool)
    for _ in range(iterations):
        carried, inside = warp(flow, backward)
        backward = -carried
    return backward, inside
