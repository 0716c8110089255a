"""Training in two phases: on labels, then without them by reconstructing images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uemdask.errors import UemError
from uemdask.network.augmentation import augment, to_crops
from uemdask.network.checkpoint import load_checkpoint, save_checkpoint
from uemdask.network.objective import channels_last, finetune_losses, pretrain_losses
from uemdask.network.samples import Batch, BatchSource
from uemdask.network.schedule import TrainingConfig, learning_rate
from uemdask.network.unet import UNet, UNetConfig


@dataclass(frozen=True)
class TrainingResult:
    """A trained network.

    Attributes
    ----------
    model : UNet
        On the training device, in evaluation mode.
    history : list of dict
        Losses on the way (``step``, ``phase``, ``loss`` and its parts) and, last, the verdict
        of the guard (``phase`` "guard", ``kept``, and both held-out errors in px).
    step : int
        Steps done.
    finished : bool
        False where ``should_stop`` ended it early.
    """

    model: UNet
    history: list[dict[str, Any]]
    step: int
    finished: bool


def train(
    batches: BatchSource,
    config: TrainingConfig | None = None,
    unet_config: UNetConfig | None = None,
    *,
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
    start: UNet | None = None,
    held_out: Batch | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Train a network, or go on with a training that was interrupted.

    Step k depends only on the seed and k. So a training that was killed and goes on from its
    checkpoint ends with the same weights, bit for bit on a CPU with the same thread count.

    Parameters
    ----------
    batches : BatchSource
        Where crops come from.
    config : TrainingConfig, optional
        Steps, rates, losses.
    unet_config : UNetConfig, optional
        Shape of the network; that of ``start`` where it is given.
    checkpoint : path, optional
        File to go on from, if it exists, and to write.
    device : torch.device or str
        Where to train.
    start : UNet, optional
        Weights to start from, such as a base model; it is not changed.
    held_out : Batch, optional
        Crops with exact truth, from a simulation of the same kind of wave, to judge fine-tuning
        by. Pseudo-labels will not do: fine-tuning mends their bias, which they would count as an
        error. Without it the fine-tuned weights are kept unseen.
    report : callable, optional
        Gets each entry of the history as it is made, with ``images_per_second``.
    should_stop : callable, optional
        Asked after each step; True writes a checkpoint and returns.

    Returns
    -------
    TrainingResult

    Raises
    ------
    UemError
        If the checkpoint is of another training, or the loss is no longer finite.
    """
    config = config or TrainingConfig()
    unet_config = start.config if start is not None else unet_config or UNetConfig()
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(config.seed)
        model = UNet(unet_config)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = _optimiser(model, config)
    step, smoothed, history, pretrained = 0, None, [], _copy(model)

    settings = {
        "training": config.model_dump(mode="json"),
        "unet": unet_config.model_dump(mode="json"),
    }
    if checkpoint is not None and Path(checkpoint).exists():
        saved = load_checkpoint(checkpoint)
        _check_same(checkpoint, saved, settings)
        model.load_state_dict(saved["weights"])
        optimiser.load_state_dict(saved["optimiser"])
        step, smoothed, history = saved["step"], saved["smoothed"], saved["history"]
        pretrained = saved["pretrained"]

    total = config.pretrain_steps + config.finetune_steps
    last_saved = last_recorded = time.monotonic()
    recorded_step, stopped = step, False
    while step < total and not stopped:
        if step == config.pretrain_steps:
            pretrained, optimiser = _copy(model), _optimiser(model, config)
        fine = step >= config.pretrain_steps
        rng = np.random.default_rng([config.seed, step])
        dropout = torch.Generator().manual_seed(int(rng.integers(2**62)))

        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, step)
        length = max(config.baselines) if fine else 1
        count = max(1, config.batch // length)
        batch = batches.draw(rng, count, crop=config.crop, length=length)
        crops = augment(to_crops(batch, device), rng, config.augmentation)
        parts = (finetune_losses if fine else pretrain_losses)(model, crops, config, dropout)
        loss = torch.stack(list(parts.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_norm)
        optimiser.step()

        step += 1
        values = {name: float(value.detach()) for name, value in parts.items()}
        if not all(map(math.isfinite, values.values())):
            raise UemError(
                f"Training broke down at step {step}: the loss is not finite ({values}); "
                "use a lower learning rate."
            )
        if smoothed is None or smoothed.keys() != values.keys():
            smoothed = values
        smoothed = {name: 0.95 * smoothed[name] + 0.05 * values[name] for name in values}
        if step % config.record_every == 0 or step == total:
            phase = "finetune" if fine else "pretrain"
            entry = {"step": step, "phase": phase, "loss": sum(smoothed.values()), **smoothed}
            history.append(entry)
            now = time.monotonic()
            rate = (step - recorded_step) * config.batch / max(now - last_recorded, 1e-9)
            recorded_step, last_recorded = step, now
            if report is not None:
                report({**entry, "images_per_second": rate})
        stopped = should_stop is not None and should_stop()
        due = time.monotonic() - last_saved >= config.checkpoint_every
        if checkpoint is not None and (due or stopped or step == total):
            save_checkpoint(
                checkpoint,
                {
                    "settings": settings,
                    "step": step,
                    "weights": _copy(model),
                    "optimiser": optimiser.state_dict(),
                    "pretrained": pretrained,
                    "smoothed": smoothed,
                    "history": list(history),
                },
            )
            last_saved = time.monotonic()

    if step == total and config.finetune_steps and held_out is not None:
        verdict = _guard(model, pretrained, held_out, config, device)
        history = [*history, verdict]
        if report is not None:
            report(verdict)
    return TrainingResult(model.eval(), history, step, step == total)


def held_out_error(model: UNet, held_out: Batch, device: torch.device | str = "cpu") -> float:
    """Return the mean endpoint error on held-out crops, weighted by confidence.

    Parameters
    ----------
    model : UNet
        On the device.
    held_out : Batch
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
    crops = to_crops(held_out)
    pairs = torch.stack((crops.frames[:, :-1], crops.frames[:, 1:]), dim=2).flatten(0, 1)
    label, confidence = crops.label.flatten(0, 1), crops.confidence.flatten(0, 1)
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


def _guard(
    model: UNet,
    pretrained: dict[str, torch.Tensor],
    held_out: Batch,
    config: TrainingConfig,
    device: torch.device | str,
) -> dict[str, Any]:
    """Go back to the pre-trained weights if fine-tuning made the held-out error worse."""
    finetuned = _copy(model)
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


def _optimiser(model: UNet, config: TrainingConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        model.parameters(), lr=config.pretrain_rate, weight_decay=config.weight_decay
    )


def _copy(model: UNet) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _check_same(path: Path | str, saved: dict[str, Any], settings: dict[str, Any]) -> None:
    if "settings" not in saved:
        raise UemError(
            f"{path}: this is a model, not a checkpoint of a training; name another file."
        )
    for group, values in settings.items():
        for name, value in values.items():
            found = saved["settings"].get(group, {}).get(name)
            if found != value and name not in ("checkpoint_every", "record_every"):
                raise UemError(
                    f"{path}: this checkpoint was trained with {group} {name} = {found}, but now "
                    f"it is {value}; set it back, or remove the file to start anew."
                )
