"""The guard of fine-tuning: weights that are worse on held-out crops are dropped."""

from __future__ import annotations

from typing import Any

import torch

from uemdask.errors import UemError
from uemdask.network.dataset import Crops
from uemdask.network.objective import channels_last
from uemdask.network.training_config import TrainingConfig
from uemdask.network.unet import UNet


def guard_fine_tuning(
    model: UNet,
    pretrained: dict[str, torch.Tensor],
    held_out: Crops,
    config: TrainingConfig,
    device: torch.device | str,
) -> dict[str, Any]:
    """Go back to the pre-trained weights if fine-tuning made the held-out error worse.

    Parameters
    ----------
    model : UNet
        Fine-tuned; it is given the better weights.
    pretrained : dict of str to tensor
        Weights before fine-tuning.
    held_out : Crops
        Crops with exact truth.
    config : TrainingConfig
        How much worse is still taken.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    dict
        The verdict: ``phase`` "guard", ``kept``, and both errors in px.
    """
    finetuned = weights_of(model)
    after = held_out_error(model, held_out, device)
    model.load_state_dict(pretrained)
    before = held_out_error(model, held_out, device)
    better = after <= before * (1.0 + config.guard_tolerance)
    if better:
        model.load_state_dict(finetuned)
    return {
        "phase": "guard",
        "kept": "finetuned" if better else "pretrained",
        "pretrained_error": before,
        "finetuned_error": after,
    }


def held_out_error(model: UNet, held_out: Crops, device: torch.device | str = "cpu") -> float:
    """Return the mean endpoint error on held-out crops, weighted by confidence.

    Parameters
    ----------
    model : UNet
        On the device.
    held_out : Crops
        Crops with truth or trusted labels.
    device : torch.device or str
        Where the network is.

    Returns
    -------
    float
        px.

    Raises
    ------
    UemError
        If no held-out pixel has any confidence.
    """
    frames = held_out.frames.cpu()
    pairs = torch.stack((frames[:, :-1], frames[:, 1:]), dim=2).flatten(0, 1)
    label = held_out.label.cpu().flatten(0, 1)
    confidence = held_out.confidence.cpu().flatten(0, 1)
    error = 0.0
    with torch.no_grad():
        for index in range(pairs.shape[0]):
            flow, _ = model(channels_last(pairs[index : index + 1].to(device)))
            distance = (flow.cpu() - label[index : index + 1]).norm(dim=1)
            error += float((distance * confidence[index : index + 1]).sum(dtype=torch.float64))
    total = float(confidence.sum(dtype=torch.float64))
    if total == 0.0:
        raise UemError("The held-out crops have no pixel with any confidence; draw others.")
    return error / total


def weights_of(model: UNet) -> dict[str, torch.Tensor]:
    """Return a copy of the weights on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
