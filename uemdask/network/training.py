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
from uemdask.network.augmentation import augment
from uemdask.network.checkpoint import load_checkpoint, save_checkpoint
from uemdask.network.dataset import BatchSource, Crops
from uemdask.network.device import to_device
from uemdask.network.guard import guard_fine_tuning, weights_of
from uemdask.network.objective import finetune_losses, pretrain_losses
from uemdask.network.process_group import add_gradients, process_group
from uemdask.network.training_config import TrainingConfig, learning_rate
from uemdask.network.unet import UNet, UNetConfig

#: Share of a new loss in the smoothed one: a mean over about 20 steps.
_NEW = 0.05
#: Shortest time between checkpoints, s.
_SOONEST = 1.0

#: Time of a fine-tuning step in steps of pre-training, until it is known.
_FINETUNE_COST = 3.0


@dataclass(frozen=True)
class TrainingResult:
    """A trained network.

    Attributes
    ----------
    model : UNet
        On the training device, in evaluation mode.
    history : list of dict
        Losses on the way (``step`` of ``steps``, ``phase``, ``loss`` and its parts,
        ``images_per_second``, ``seconds_left``) and, last, the verdict of the guard (``phase``
        "guard", ``kept``, and both held-out errors in px).
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
    held_out: Crops | None = None,
    report: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Train a network, or go on with a training that was interrupted.

    Step k depends only on the seed and k. So a training that was killed and goes on from its
    checkpoint ends with the same weights, bit for bit on a CPU with the same thread count, and
    on as many processes or another device to rounding.

    Parameters
    ----------
    batches : BatchSource
        Where crops come from.
    config : TrainingConfig, optional
        Steps, rates, losses.
    unet_config : UNetConfig, optional
        Shape of the network; that of ``start`` where it is given.
    checkpoint : path, optional
        File to go on from, if it exists, and to write: as often as the configuration says, and
        at the end of each phase.
    device : torch.device or str
        Where to train.
    start : UNet, optional
        Weights to start from, such as a base model; it is not changed.
    held_out : Crops, optional
        Crops with exact truth, from a simulation of the same kind of wave, to judge fine-tuning
        by. Pseudo-labels will not do: fine-tuning mends their bias, which they would count as an
        error. Without it the fine-tuned weights are kept unseen.
    report : callable, optional
        Gets each entry of the history as it is made.
    should_stop : callable, optional
        Asked after each step; True writes a checkpoint and returns.

    Returns
    -------
    TrainingResult

    Raises
    ------
    UemError
        If the checkpoint is damaged or of another training, or the loss is no longer finite.
    """
    config = config or TrainingConfig()
    training = _Training(config, _first_model(config, unet_config, start), device)
    if checkpoint is not None and Path(checkpoint).exists():
        training.take_up(Path(checkpoint))
    total = config.steps
    clock = _Clock(config, training.step)
    begun = last_saved = time.monotonic()
    stopped = False
    while training.step < total and not stopped:
        training.advance(batches)
        step = training.step
        phase_ends = step in (config.pretrain_steps, total)
        if step % config.record_every == 0 or phase_ends:
            entry = training.record(clock)
            if report is not None and process_group().first:
                report(entry)
        stopped = should_stop is not None and should_stop()
        now = time.monotonic()
        # Often at first, so that an early end costs no more than a small share of what was done.
        due = now - last_saved >= min(config.checkpoint_every, max(_SOONEST, (now - begun) / 8))
        if checkpoint is not None and process_group().first and (due or stopped or phase_ends):
            training.save(Path(checkpoint))
            last_saved = time.monotonic()

    history = training.history
    judged = training.step == total and config.finetune_steps and held_out is not None
    if judged and process_group().first:
        assert held_out is not None
        verdict = guard_fine_tuning(training.model, training.pretrained, held_out, config, device)
        history = [*history, verdict]
        if report is not None:
            report(verdict)
    return TrainingResult(training.model.eval(), history, training.step, training.step == total)


class _Training:
    """The state of a training: all that a checkpoint holds."""

    def __init__(self, config: TrainingConfig, model: UNet, device: torch.device | str) -> None:
        self.config, self.device = config, torch.device(device)
        self.pretrained = weights_of(model)
        self.model = model.to(  # type: ignore[call-overload]
            self.device, memory_format=torch.channels_last
        ).train()
        self.optimiser = self._new_optimiser()
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self._names: list[str] = []
        # Losses stay on the device: to look at them the host would wait for the step to end.
        self._smoothed: torch.Tensor | None = None

    def advance(self, batches: BatchSource) -> None:
        """Do one step. It depends on the state, the seed and its number alone."""
        config, step = self.config, self.step
        if step == config.pretrain_steps:
            self.pretrained, self.optimiser = weights_of(self.model), self._new_optimiser()
        fine = step >= config.pretrain_steps
        rng = np.random.default_rng([config.seed, step])
        dropout = torch.Generator().manual_seed(int(rng.integers(2**62)))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, step)
        length, count = config.window(step)
        share = process_group().share(count)
        drawn = batches.draw(rng, count, crop=config.crop, length=length, share=share)
        crops = Crops(*(to_device(field, self.device) for field in drawn))
        if share.idle:
            crops = crops._replace(confidence=0 * crops.confidence, weight=0 * crops.weight)
        crops = augment(crops, rng, config.augmentation, share)
        losses = finetune_losses if fine else pretrain_losses
        parts = losses(self.model, crops, config, dropout, share)
        values = torch.stack(list(parts.values()))
        self.optimiser.zero_grad(set_to_none=True)
        values.sum().backward()
        values = add_gradients(self.model.parameters(), values.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_norm)
        self.optimiser.step()
        self.step += 1
        names = list(parts)
        if self._smoothed is None or names != self._names:
            self._names, self._smoothed = names, values
        else:
            self._smoothed = torch.lerp(self._smoothed, values, _NEW)

    def record(self, clock: _Clock) -> dict[str, Any]:
        """Add the smoothed losses to the history, and return the entry."""
        values = self._losses()
        phase = "finetune" if self.step > self.config.pretrain_steps else "pretrain"
        entry = {"step": self.step, "phase": phase, "loss": sum(values.values()), **values}
        entry |= clock.read(self.step)
        self.history.append(entry)
        return entry

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        self._losses()  # weights that are not finite would be gone on from
        save_checkpoint(
            path,
            {
                "settings": self._settings(),
                "step": self.step,
                "weights": weights_of(self.model),
                "optimiser": self.optimiser.state_dict(),
                "pretrained": self.pretrained,
                "names": self._names,
                "smoothed": None if self._smoothed is None else self._smoothed.cpu(),
                "history": self.history,
            },
        )

    def take_up(self, path: Path) -> None:
        """Go on from a checkpoint."""
        saved = load_checkpoint(path)
        _check_same(path, saved, self._settings())
        self.model.load_state_dict(saved["weights"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.pretrained = saved["pretrained"]
        self.step, self.history, self._names = saved["step"], saved["history"], saved["names"]
        if saved["smoothed"] is not None:
            self._smoothed = saved["smoothed"].to(self.device)

    def _losses(self) -> dict[str, float]:
        assert self._smoothed is not None
        values = dict(zip(self._names, self._smoothed.tolist(), strict=True))
        if not all(map(math.isfinite, values.values())):
            raise UemError(
                f"Training broke down by step {self.step}: the loss is not finite ({values}); "
                "use a lower learning rate."
            )
        return values

    def _new_optimiser(self) -> torch.optim.AdamW:
        return torch.optim.AdamW(
            self.model.parameters(),
            lr=self.config.pretrain_rate,
            weight_decay=self.config.weight_decay,
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "training": self.config.model_dump(mode="json"),
            "unet": self.model.config.model_dump(mode="json"),
        }


class _Clock:
    """How fast a training is, and how long it will take."""

    def __init__(self, config: TrainingConfig, step: int) -> None:
        self._config = config
        self._step, self._time = step, time.monotonic()

    def read(self, step: int) -> dict[str, float]:
        """Return images per second since it was read last, and the seconds left."""
        config, now = self._config, time.monotonic()
        each = max(now - self._time, 1e-9) / (step - self._step)
        length, count = config.window(step - 1)
        self._step, self._time = step, now
        if step <= config.pretrain_steps:
            left = config.pretrain_steps - step + _FINETUNE_COST * config.finetune_steps
        else:
            left = config.steps - step
        return {
            "steps": config.steps,
            "images_per_second": round(length * count / each, 3),
            "seconds_left": round(left * each, 3),
        }


def _first_model(config: TrainingConfig, unet: UNetConfig | None, start: UNet | None) -> UNet:
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(config.seed)
        model = UNet(start.config if start is not None else unet or UNetConfig())
    if start is not None:
        model.load_state_dict(start.state_dict())
    return model


def _check_same(path: Path, saved: dict[str, Any], settings: dict[str, Any]) -> None:
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
