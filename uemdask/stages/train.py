"""Train: one network for the labelled runs of a campaign, on a GPU where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from uemdask.cube import Run, RunLike
from uemdask.errors import UemError
from uemdask.network import (
    BASE_MODEL,
    Job,
    TrainingConfig,
    UNet,
    UNetConfig,
    choose_baselines,
    choose_devices,
    load_model,
    model_digest,
    save_model,
    train_on,
)
from uemdask.network.checkpoint import load_checkpoint
from uemdask.stages.spectrum import band_of, binning_of, usable_indices
from uemdask.stages.stage import Parameters, Stage
from uemdask.stages.training_data import held_out_crops, training_groups
from uemdask.stages.training_history import History

_MOST_SHARES = 8  # runs whose steps are added up; more are much like those
_LARGEST_CROP, _CROP_STEP = 256, 32  # squares of the grid

#: Where a training starts: the base model, or nothing.
Start = Literal["base", "new"]


class AdaptParameters(Parameters):
    """Length and rates where training starts from the base model.

    Attributes
    ----------
    steps, rate : int, float
        Steps on labels and exact truth for each run, eight runs at most, and highest learning
        rate.
    finetune_steps, finetune_rate : int, float
        Steps without labels, and highest learning rate: small, from weights that are good.
    """

    steps: int = Field(default=300, ge=0)
    rate: float = Field(default=1e-3, gt=0)
    finetune_steps: int = Field(default=20, ge=0)
    finetune_rate: float = Field(default=1e-4, gt=0)


class TrainParameters(Parameters):
    """Settings of the training.

    Attributes
    ----------
    unet : UNetConfig
        The network, where training starts from nothing; the base model has its own.
    training : TrainingConfig
        Steps, rates, losses, seed.
    adapt : AdaptParameters
        Steps and rates in place of those of `training`, where training starts from the base
        model.
    exact_share : float
        Share of the first phase that learns from simulated twins of the runs, with their exact
        displacement, rather than from labels.
    baselines : "auto" or tuple of int
        Distances in frames over which fine-tuning compares images; chosen from frequency and
        delay step where "auto".
    memory : float
        GiB of training data held in memory; of larger campaigns, evenly spread parts are used.
        The default leaves room for the training itself on a worker of 2 GiB.
    processes : "auto" or int
        Processes that share the images of each step: with "auto" one for each GPU that the task
        sees, as far as each gets four images. The network is the same to rounding.
    """

    unet: UNetConfig = UNetConfig()
    training: TrainingConfig = TrainingConfig()
    adapt: AdaptParameters = AdaptParameters()
    exact_share: float = Field(default=0.25, ge=0, lt=1)
    baselines: Literal["auto"] | tuple[int, ...] = "auto"
    memory: float = Field(default=0.75, gt=0)
    processes: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"

    def decisive(self) -> dict[str, Any]:
        """Return what decides the network: not where it is trained, or what is told meanwhile."""
        return self.model_dump(
            mode="json",
            exclude={"processes": True, "training": {"checkpoint_every", "record_every"}},
        )


def model_of(run: RunLike) -> Path:
    """Return the file of a run's network: where it was, or beside a store that was moved."""
    path = Path(run.results("train").model)
    beside = run.path.parent / "models" / path.name
    return beside if not path.exists() and beside.exists() else path


def use_model(path: Path) -> dict[str, Any]:
    """Return the record of a model that is there already.

    Raises
    ------
    UemError
        If the file is missing or not a model.
    """
    load_model(path)
    return {"model": str(path.absolute()), "model_digest": model_digest(path), "trained": False}


def train_model(
    runs: list[Run], model: Path, parameters: TrainParameters, *, start: Start, digest: str
) -> dict[str, Any]:
    """Train a network on labelled runs, write it to `model`, and return its record.

    It starts from the base model, or from nothing.

    A checkpoint beside the model with the same `digest` is taken up; one that is damaged is
    dropped, and the history says so. Runs without relevant pixels are left out; where none is
    left, the network stays as it was initialised. Where this very training has ended before, and
    whoever waited for it was lost, its network is taken.

    Raises
    ------
    UemError
        If there are not as many GPUs as processes, the loss is no longer finite, or a file cannot
        be written.
    RuntimeError
        If one of several processes died.
    """
    checkpoint = model.with_suffix(f".{digest}.checkpoint")
    if ended := _ended_before(model, digest):
        checkpoint.unlink(missing_ok=True)
        return ended
    trainable = [run for run in runs if run.read("mask").any()]
    base = load_model(BASE_MODEL)[0] if start == "base" else None
    training = _training(trainable, parameters, start) if trainable else parameters.training
    devices, reason = choose_devices(parameters.processes, images=training.batch)
    history = History(model, {"device": reason, "threads": torch.get_num_threads()})
    history.begin(processes=len(devices), **_earlier(checkpoint))
    if trainable:
        # Before the training data are loaded: twins take memory while they are made.
        held_out = held_out_crops(trainable, training)
        if held_out is None:  # nothing would notice that fine-tuning does harm
            training = training.model_copy(update={"finetune_steps": 0})
        result = train_on(
            Job(
                groups=training_groups(
                    trainable,
                    seed=parameters.training.seed,
                    exact_share=parameters.exact_share,
                    memory=parameters.memory * 2**30,
                ),
                devices=devices,
                threads=max(1, torch.get_num_threads() // len(devices)),
                config=training,
                unet_config=parameters.unet,
                checkpoint=checkpoint,
                start=base,
                held_out=held_out,
            ),
            model.with_suffix(f".{digest}.processes"),
            history.add,
        )
        network = result.model
    else:
        torch.manual_seed(parameters.training.seed)
        network = base or UNet(parameters.unet)
    facts = {
        "trained": bool(trainable),
        "start": start,
        "runs": [run.name for run in trainable],
        "labels": {run.name: run.stage("label")["digest"] for run in trainable},
        "device": reason,
        "threads": torch.get_num_threads(),
        "processes": len(devices),
    }
    made_by = {"digest": digest, "facts": facts, "parameters": parameters.model_dump(mode="json")}
    found = save_model(model, network, provenance=made_by)
    checkpoint.unlink(missing_ok=True)
    return {"model": str(model.absolute()), "model_digest": found, **facts}


def _ended_before(model: Path, digest: str) -> dict[str, Any] | None:
    """Return the record of a training that has ended, None where there is another model or none."""
    try:
        made_by = load_model(model)[1]
    except UemError:
        return None
    if made_by.get("digest") != digest:
        return None
    return {
        "model": str(model.absolute()),
        "model_digest": model_digest(model),
        **made_by["facts"],
    }


def _earlier(checkpoint: Path) -> dict[str, Any]:
    """Return the history in a checkpoint; one that cannot be read is removed."""
    if not checkpoint.exists():
        return {"entries": []}
    try:
        return {"entries": load_checkpoint(checkpoint).get("history", [])}
    except UemError as error:
        # Whatever is in it, a training from the start ends with the same weights.
        checkpoint.unlink()
        return {"entries": [], "notice": f"The training starts anew. {error}"}


def _training(runs: list[Run], parameters: TrainParameters, start: Start) -> TrainingConfig:
    """Return the settings of the training with what depends on runs and start filled in."""
    training = parameters.training
    if start == "base":
        adapt = parameters.adapt
        adapted = {
            "pretrain_steps": adapt.steps * min(len(runs), _MOST_SHARES),
            "pretrain_rate": adapt.rate,
            "finetune_steps": adapt.finetune_steps,
            "finetune_rate": adapt.finetune_rate,
        }
        training = training.model_copy(update=adapted)
    # A crop must show a long wave as the whole frame does; the pixels of a batch stay the same.
    longest = max(run.results("spectrum").wavelength_px / binning_of(run) for run in runs)
    crop = int(min(2 * longest, _LARGEST_CROP) // _CROP_STEP * _CROP_STEP)
    if crop > training.crop:
        batch = max(1, round(training.batch * (training.crop / crop) ** 2))
        training = training.model_copy(update={"crop": crop, "batch": batch})
    baselines = parameters.baselines
    if baselines == "auto":
        frequency = max(band_of(run).centre for run in runs)
        step = max(float(np.median(np.diff(usable_indices(run)[1]))) for run in runs)
        baselines = choose_baselines(frequency, step)
    return training.model_copy(update={"baselines": baselines})


# The driver trains one model for many runs itself; as a stage of one run it only has a record.
TRAIN = Stage(
    name="train",
    version=1,
    parameters=TrainParameters,
    create=lambda run, parameters: None,
)
