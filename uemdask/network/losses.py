"""The losses: what the network is asked for, each a mean over the pixels that count.

Every ``weight`` has the shape (n, y, x), is zero or more, and may be left out. A loss over no
weight at all is zero, not NaN, so a crop without relevant pixels changes nothing.

Where several processes train together, each has a part of the crops: its loss is its own sum
divided by the weights of all, so the losses of all processes add up to that of the whole batch.
Losses without a weight do not, and training has none.
"""

from __future__ import annotations

import math

import torch

from uemdask.errors import UemError
from uemdask.network.process_group import total
from uemdask.network.warp import warp

_SQRT2 = math.sqrt(2.0)


def charbonnier(difference: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return ``sqrt(d**2 + epsilon**2) - epsilon``: |d| with a round bottom, same shape."""
    return (difference.square() + epsilon**2).sqrt() - epsilon


def supervised_loss(
    flow: torch.Tensor,
    label: torch.Tensor,
    confidence: torch.Tensor | None = None,
    log_variance: torch.Tensor | None = None,
    *,
    epsilon: float = 0.05,
) -> torch.Tensor:
    """Return the distance to labels, weighted by how far they are trusted.

    Parameters
    ----------
    flow, label : tensor, shape (n, 2, y, x), px
        Displacement of the network and of the label.
    confidence : tensor, shape (n, y, x), optional
        Trust in the label, 0..1.
    log_variance : tensor, shape (n, 2, y, x), optional
        With it, the loss is the negative logarithm of a Laplace density with that variance,
        so the network states its own uncertainty.
    epsilon : float, px
        Errors below it count quadratically.

    Returns
    -------
    tensor, scalar
        px without ``log_variance``; a log-likelihood with it.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> flow = torch.ones(1, 2, 4, 4)
    >>> float(supervised_loss(flow, flow, torch.ones(1, 4, 4)))
    0.0
    """
    _same_shape("label", label, flow)
    error = charbonnier(flow - label, epsilon)
    if log_variance is not None:
        _same_shape("log_variance", log_variance, flow)
        # Bounds, e**-8 to e**8 px squared, keep one bad label from breaking the weights.
        log_variance = log_variance.clamp(-8.0, 8.0)
        error = _SQRT2 * error * torch.exp(-0.5 * log_variance) + 0.5 * log_variance
    return _weighted_mean(error, confidence)


def photometric_loss(
    first: torch.Tensor,
    second: torch.Tensor,
    flow: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    epsilon: float = 0.1,
) -> torch.Tensor:
    """Return how badly the second image, carried back along the flow, shows the first.

    Parameters
    ----------
    first, second : tensor, shape (n, 1, y, x)
        Band-passed images divided by their shared local strength (`envelope`).
    flow : tensor, shape (n, 2, y, x), px
        Displacement from first to second.
    weight : tensor, shape (n, y, x), optional
        Relevant pixels. Pixels whose flow leaves the frame are left out as well.
    epsilon : float
        Differences below it, in units of the local strength, count quadratically.

    Returns
    -------
    tensor, scalar
        Mean Charbonnier difference, no unit.

    Raises
    ------
    UemError
        If shapes do not fit.

    Notes
    -----
    Charbonnier penalty as in Bruhn, Weickert and Schnörr (2005),
    doi:10.1023/B:VISI.0000045324.43199.43.

    Examples
    --------
    >>> import torch
    >>> image = torch.rand(1, 1, 8, 8)
    >>> float(photometric_loss(image, image, torch.zeros(1, 2, 8, 8)))
    0.0
    """
    _same_shape("second image", second, first)
    carried, inside = warp(second, flow)
    return _weighted_mean(charbonnier(first - carried, epsilon), _where(inside, weight))


def gradient_loss(
    first: torch.Tensor,
    second: torch.Tensor,
    flow: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    epsilon: float = 0.02,
) -> torch.Tensor:
    """Return how badly the carried second image shows the slopes of the first.

    Slopes do not see a difference in brightness, and count most where an image alone says
    least: on the crests.

    Parameters
    ----------
    first, second, flow, weight
        As for `photometric_loss`.
    epsilon : float, 1/px
        Differences of slope below it count quadratically.

    Returns
    -------
    tensor, scalar
        Mean Charbonnier difference of the slopes, 1/px.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> image = torch.rand(1, 1, 8, 8)
    >>> float(gradient_loss(image, image + 1.0, torch.zeros(1, 2, 8, 8))) < 1e-4
    True
    """
    _same_shape("second image", second, first)
    carried, inside = warp(second, flow)
    weights = _where(inside, weight)
    difference = first - carried
    # The difference of the slopes is the slope of the difference.
    along_x = 0.5 * (difference[..., 2:] - difference[..., :-2])
    along_y = 0.5 * (difference[..., 2:, :] - difference[..., :-2, :])
    return 0.5 * (
        _weighted_mean(charbonnier(along_x, epsilon), _narrowest(weights, -1))
        + _weighted_mean(charbonnier(along_y, epsilon), _narrowest(weights, -2))
    )


def smoothness_loss(
    flow: torch.Tensor,
    guide: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    *,
    edge: float = 10.0,
    epsilon: float = 0.01,
) -> torch.Tensor:
    """Return how much the flow changes from pixel to pixel, except across edges of a guide.

    Parameters
    ----------
    flow : tensor, shape (n, 2, y, x), px
        Displacement.
    guide : tensor, shape (n, 1, y, x), optional
        An image whose edges are edges of the specimen or the wave's region, such as the local
        strength. Not the wave itself: its fronts are no borders of the motion.
    weight : tensor, shape (n, y, x), optional
        Relevant pixels.
    edge : float, px
        A slope of the guide of ``1 / edge`` per px lets the flow change e times more freely.
    epsilon : float
        Changes below it, px per px, count quadratically.

    Returns
    -------
    tensor, scalar
        Mean Charbonnier change, px per px.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> float(smoothness_loss(torch.ones(1, 2, 4, 4)))
    0.0
    """
    if guide is not None and guide.shape != flow[:, :1].shape:
        raise UemError(
            f"The guide has shape {tuple(guide.shape)}, the flow {tuple(flow.shape)}; "
            "the guide must be (n, 1, y, x)."
        )
    loss = flow.new_zeros(())
    for axis in (-1, -2):
        change = charbonnier(torch.diff(flow, dim=axis), epsilon)
        if guide is not None:
            change = change * torch.exp(-edge * torch.diff(guide, dim=axis).abs())
        pair_weight = None
        if weight is not None:
            size = weight.shape[axis]
            pair_weight = torch.minimum(
                weight.narrow(axis, 0, size - 1), weight.narrow(axis, 1, size - 1)
            )
        loss = loss + 0.5 * _weighted_mean(change, pair_weight)
    return loss


def consistency_loss(
    forward: torch.Tensor,
    backward: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    epsilon: float = 0.05,
) -> torch.Tensor:
    """Return how far one ends from the start after going forward and back.

    Parameters
    ----------
    forward, backward : tensor, shape (n, 2, y, x), px
        Flow from the first image to the second, and from the second to the first.
    weight : tensor, shape (n, y, x), optional
        Relevant pixels. Pixels whose flow leaves the frame are left out as well.
    epsilon : float, px
        Distances below it count quadratically.

    Returns
    -------
    tensor, scalar
        Mean Charbonnier distance, px.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> flow = torch.ones(1, 2, 4, 4)
    >>> float(consistency_loss(flow, -flow))
    0.0
    """
    _same_shape("backward flow", backward, forward)
    carried, inside = warp(backward, forward)
    return _weighted_mean(charbonnier(forward + carried, epsilon), _where(inside, weight))


def aperture_loss(
    flow: torch.Tensor,
    normal: torch.Tensor,
    weight: torch.Tensor | None = None,
    *,
    smallest: float = 0.5,
    epsilon: float = 0.05,
) -> torch.Tensor:
    """Return how far the flow points away from the normal of the wavefronts.

    No image shows motion along a straight front, so nothing else in a reconstruction holds it.
    It is the sine of the angle that counts, not a length: a penalty in px would make the flow
    shorter wherever noise turns the normal.

    Parameters
    ----------
    flow : tensor, shape (n, 2, y, x), px
        Displacement.
    normal : tensor, shape (n, 2, y, x)
        Unit vector across the fronts, either sign (`uemdask.network.wavefront.front_normal`).
    weight : tensor, shape (n, y, x), optional
        How much each pixel counts, such as the coherence of the fronts.
    smallest : float, px
        Shorter flows count less: they have no sure direction.
    epsilon : float, rad
        Angles below it count quadratically.

    Returns
    -------
    tensor, scalar
        Mean Charbonnier sine of the angle between flow and normal, 0..1.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> across = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 4, 4)
    >>> float(aperture_loss(3 * across, across))
    0.0
    """
    _same_shape("normal", normal, flow)
    along = flow[:, :1] * normal[:, 1:] - flow[:, 1:] * normal[:, :1]
    length = (flow.square().sum(dim=1, keepdim=True) + smallest**2).sqrt()
    return _weighted_mean(charbonnier(along / length, epsilon), weight)


def anchor_loss(
    flow: torch.Tensor,
    label: torch.Tensor,
    confidence: torch.Tensor,
    *,
    threshold: float = 0.5,
    epsilon: float = 0.05,
) -> torch.Tensor:
    """Return the distance to those labels that are trusted, and nothing elsewhere.

    It keeps an unsupervised loss from sliding to another minimum, one wavelength on.

    Parameters
    ----------
    flow, label : tensor, shape (n, 2, y, x), px
        Displacement of the network and of the label.
    confidence : tensor, shape (n, y, x)
        Trust in the label, 0..1.
    threshold : float
        Labels below this confidence do not count at all.
    epsilon : float, px
        Distances below it count quadratically.

    Returns
    -------
    tensor, scalar
        Mean Charbonnier distance, px.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> flow = torch.ones(1, 2, 4, 4)
    >>> float(anchor_loss(flow, 0 * flow, torch.zeros(1, 4, 4)))
    0.0
    """
    trusted = torch.where(confidence >= threshold, confidence, torch.zeros_like(confidence))
    return supervised_loss(flow, label, trusted, epsilon=epsilon)


def _weighted_mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Mean of (n, channels, y, x) with weights (n, y, x)."""
    if weight is None:
        return values.mean()
    if weight.shape != (values.shape[0], *values.shape[-2:]):
        raise UemError(
            f"The weight has shape {tuple(weight.shape)}; "
            f"it must be {(values.shape[0], *values.shape[-2:])}, one number per pixel."
        )
    weights = total(weight.sum()) * values.shape[1]
    return (values * weight[:, None]).sum() / weights.clamp_min(1e-6)


def _where(inside: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Weights (n, y, x) without the pixels that leave the frame."""
    return inside[:, 0].float() if weight is None else inside[:, 0] * weight


def _narrowest(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """Least weight of a pixel's two neighbours and itself along an axis, two pixels shorter."""
    size = weight.shape[axis] - 2
    parts = [weight.narrow(axis, start, size) for start in range(3)]
    return torch.minimum(torch.minimum(parts[0], parts[1]), parts[2])


def _same_shape(name: str, found: torch.Tensor, flow: torch.Tensor) -> None:
    if found.shape != flow.shape:
        raise UemError(
            f"The {name} has shape {tuple(found.shape)}, but {tuple(flow.shape)} is needed."
        )
