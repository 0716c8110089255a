"""What the two phases of training ask for: labels first, then images that fit."""

from __future__ import annotations

import torch

from uemdask.network.amplitude import envelope
from uemdask.network.dataset import Crops
from uemdask.network.losses import (
    anchor_loss,
    aperture_loss,
    consistency_loss,
    gradient_loss,
    photometric_loss,
    smoothness_loss,
    supervised_loss,
)
from uemdask.network.process_group import Share
from uemdask.network.training_config import TrainingConfig
from uemdask.network.unet import UNet
from uemdask.network.warp import compose
from uemdask.network.wavefront import front_normal


def pretrain_losses(
    model: UNet,
    crops: Crops,
    config: TrainingConfig,
    dropout: torch.Generator,
    share: Share | None = None,
) -> dict[str, torch.Tensor]:
    """Return the loss against labels: a Laplace likelihood weighted by confidence.

    Parameters
    ----------
    model : UNet
        The network.
    crops : Crops
        Windows of one pair.
    config : TrainingConfig
        Not used; both phases are called alike.
    dropout : torch.Generator
        Source of the dropped channels.
    share : Share, optional
        Which crops of the batch these are, where other processes have others.

    Returns
    -------
    dict of str to scalar tensor
        The parts of the loss by name, already weighted; their sum is the loss.
    """
    flow, log_variance = model(channels_last(crops.frames), dropout=dropout, share=share)
    label, confidence = crops.label[:, 0], crops.confidence[:, 0]
    return {"supervised": supervised_loss(flow, label, confidence, log_variance)}


def finetune_losses(
    model: UNet,
    crops: Crops,
    config: TrainingConfig,
    dropout: torch.Generator,
    share: Share | None = None,
) -> dict[str, torch.Tensor]:
    """Return the losses without labels: frames along joined flows must look alike.

    Parameters
    ----------
    model : UNet
        The network.
    crops : Crops
        Windows of as many pairs as the longest baseline has.
    config : TrainingConfig
        Baselines and weights.
    dropout : torch.Generator
        Source of the dropped channels.
    share : Share, optional
        Which crops of the batch these are, where other processes have others.

    Returns
    -------
    dict of str to scalar tensor
        The parts of the loss by name, already weighted; their sum is the loss.
    """
    count, length = crops.label.shape[:2]
    pairs = torch.stack((crops.frames[:, :-1], crops.frames[:, 1:]), dim=2).flatten(0, 1)
    flow, log_variance = model(channels_last(pairs), dropout=dropout, share=share)
    label, confidence = crops.label.flatten(0, 1), crops.confidence.flatten(0, 1)
    weight = crops.weight[:, None].expand(-1, length, -1, -1).flatten(0, 1)
    strength = envelope(crops.frames)

    parts = _reconstruct(crops, flow.unflatten(0, (count, length)), strength, config)
    guide = strength.expand(-1, length, -1, -1).flatten(0, 1)[:, None]
    parts["smoothness"] = config.smoothness * smoothness_loss(flow, guide, weight)
    if config.aperture:
        normal, coherence = (
            field[:, None].expand(-1, length, -1, -1, -1).flatten(0, 1)
            for field in front_normal(crops.frames)
        )
        loss = aperture_loss(flow, normal, coherence[:, 0] * weight)
        parts["aperture"] = config.aperture * loss
    parts["anchor"] = config.anchor * anchor_loss(flow, label, confidence)
    if config.consistency:
        # One pair of each window is enough to tie the directions, and costs a third.
        backward, _ = model(channels_last(pairs[::length].flip(1)), dropout=dropout, share=share)
        loss = consistency_loss(flow[::length], backward, crops.weight)
        parts["consistency"] = config.consistency * loss
    if log_variance is not None:
        # The stated uncertainty must go on fitting, but must not pull the flow to the labels.
        loss = supervised_loss(flow.detach(), label, confidence, log_variance)
        parts["uncertainty"] = config.uncertainty * loss
    return parts


def _reconstruct(
    crops: Crops, flow: torch.Tensor, strength: torch.Tensor, config: TrainingConfig
) -> dict[str, torch.Tensor]:
    """Compare frames over all baselines, along joined flows of shape (n, length, 2, y, x)."""
    count, length = flow.shape[:2]
    images = crops.frames / strength if config.even_amplitude else crops.frames
    photometric, gradient = [], []
    joined = flow
    for baseline in range(1, length + 1):
        windows = length - baseline + 1
        if baseline > 1:
            on, _ = compose(
                joined[:, :windows].flatten(0, 1), flow[:, baseline - 1 :].flatten(0, 1)
            )
            joined = on.unflatten(0, (count, windows))
        if baseline not in config.baselines:
            continue
        arguments = (
            images[:, :windows].flatten(0, 1)[:, None],
            images[:, baseline:].flatten(0, 1)[:, None],
            joined.flatten(0, 1),
            crops.weight[:, None].expand(-1, windows, -1, -1).flatten(0, 1),
        )
        photometric.append(photometric_loss(*arguments))
        gradient.append(gradient_loss(*arguments))
    return {
        "photometric": config.photometric * torch.stack(photometric).mean(),
        "gradient": config.gradient * torch.stack(gradient).mean(),
    }


def channels_last(images: torch.Tensor) -> torch.Tensor:
    """Return the images in the memory order in which convolutions are fastest."""
    return images.contiguous(memory_format=torch.channels_last)
