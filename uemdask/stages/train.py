"""Train: one network for the labelled runs of a campaign, on a GPU where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field

from uemdask.cube import Run
from uemdask.cube.layout import PAIRS, TILE, Region, regions
from uemdask.errors import UemError, telling_of_room
from uemdask.network import (
    BASE_MODEL,
    Crops,
    Job,
    Series,
    SeriesSource,
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
from uemdask.stages.spectrum import band_of, usable_frames
from uemdask.stages.stage import Parameters, Stage
from uemdask.stages.twin import twin_series

_Part = TypeVar("_Part")

_BYTES_PER_PIXEL = 7  # of a frame: half-precision wave and label, one byte of confidence
_BLOCK = TILE  # edge of the parts of a run that does not fit, px
_TWINS = 4  # runs at most that get simulated twins
# Seeds of the twins to learn from, and of those that judge the fine-tuning.
# Seeds of twins to learn from and of those that judge, whatever the seed of the training; the stage
# flow takes another.
_SEED_STEP, _LEARN_SEED, _JUDGE_SEED = 10_000, 0, 5_000
_HELD_OUT_CROPS = 24
_MOST_SHARES = 8  # runs whose steps are added up; more are much like those
_LARGEST_CROP, _CROP_STEP = 256, 32  # px

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


def history_path(model: Path) -> Path:
    """Return where the training history of a model lies: one JSON line per entry."""
    return model.with_suffix(".history.jsonl")


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
    left, the network stays as it was initialised.

    Raises
    ------
    UemError
        If there are not as many GPUs as processes, the loss is no longer finite, or a file cannot
        be written.
    RuntimeError
        If one of several processes died.
    """
    trainable = [run for run in runs if run.read("mask").any()]
    base = load_model(BASE_MODEL)[0] if start == "base" else None
    training = _training(trainable, parameters, start) if trainable else parameters.training
    devices, reason = choose_devices(parameters.processes, images=training.batch)
    checkpoint = model.with_suffix(f".{digest}.checkpoint")
    history = _History(model, {"device": reason, "threads": torch.get_num_threads()})
    history.begin(processes=len(devices), **_earlier(checkpoint))
    if trainable:
        # Before the training data are loaded: twins take memory while they are made.
        held_out = _held_out(trainable, training)
        if held_out is None:  # nothing would notice that fine-tuning does harm
            training = training.model_copy(update={"finetune_steps": 0})
        result = train_on(
            Job(
                groups=_groups(trainable, parameters),
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
    found = save_model(
        model,
        network,
        provenance={
            "runs": [run.name for run in trainable],
            "start": start,
            "parameters": parameters.model_dump(mode="json"),
        },
    )
    checkpoint.unlink(missing_ok=True)
    return {
        "model": str(model.absolute()),
        "model_digest": found,
        "trained": bool(trainable),
        "start": start,
        "runs": [run.name for run in trainable],
        "device": reason,
        "threads": torch.get_num_threads(),
        "processes": len(devices),
    }


class _History:
    """The file beside a model that says how its training goes: one JSON line per entry."""

    def __init__(self, model: Path, place: dict[str, Any]) -> None:
        self._path, self._place = history_path(model), place

    def begin(self, entries: list[dict[str, Any]], **first: Any) -> None:
        """Write the file anew, with the entries of an earlier task that goes on."""
        lines = [{"phase": "start", **first, **self._place}, *entries]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with telling_of_room(self._path):
            self._path.write_text(text, encoding="utf-8")

    def add(self, entry: dict[str, Any]) -> None:
        """Add an entry."""
        with telling_of_room(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry | self._place) + "\n")


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


def _groups(runs: list[Run], parameters: TrainParameters) -> list[tuple[list[Series], float]]:
    """Return what is learned from, and the shares of it: labelled runs and their twins."""
    twins = _twins(runs, parameters.training.seed * _SEED_STEP + _LEARN_SEED, even=True)
    real = _load(runs, parameters.memory * 2**30)
    share = parameters.exact_share
    return [(real, 1 - share), (twins, share)] if twins and share else [(real, 1.0)]


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
    longest = max(run.stage("spectrum")["results"]["wavelength_px"] for run in runs)
    crop = int(min(2 * longest, _LARGEST_CROP) // _CROP_STEP * _CROP_STEP)
    if crop > training.crop:
        batch = max(1, round(training.batch * (training.crop / crop) ** 2))
        training = training.model_copy(update={"crop": crop, "batch": batch})
    baselines = parameters.baselines
    if baselines == "auto":
        frequency = max(band_of(run).centre for run in runs)
        step = max(float(np.median(np.diff(usable_frames(run)[1]))) for run in runs)
        baselines = choose_baselines(frequency, step)
    return training.model_copy(update={"baselines": baselines})


def _held_out(runs: list[Run], training: TrainingConfig) -> Crops | None:
    """Return crops of simulated twins of some runs, None where no run can be simulated."""
    seed = training.seed * _SEED_STEP + _JUDGE_SEED
    twins = _twins(runs, seed) if training.finetune_steps else []
    if not twins:
        return None
    rng = np.random.default_rng([training.seed, _TWINS])
    return SeriesSource(twins).draw(rng, _HELD_OUT_CROPS, crop=128, length=1)


def _twins(runs: list[Run], seed: int, *, even: bool = False) -> list[Series]:
    """Return simulated twins of some runs; none for those that cannot be simulated."""
    twins = []
    for number, run in enumerate(_spread(runs, _TWINS)):
        try:
            twins.append(twin_series(run, seed=seed + number, even=even))
        except UemError:
            continue
    return twins


def _load(runs: list[Run], memory: float) -> list[Series]:
    """Load runs, or as many evenly spread blocks of them as `memory` bytes hold."""
    longest = max(run.sizes["time"] for run in runs)
    most = max(1, int(memory // (longest * _BLOCK**2 * _BYTES_PER_PIXEL)))
    if sum(_bytes(run) for run in runs) > memory:
        runs = _spread(runs, most)
    share = memory / len(runs)
    return [_block(run, region) for run in runs for region in _parts(run, share)]


def _bytes(run: Run) -> int:
    sizes = run.sizes
    return sizes["time"] * sizes["y"] * sizes["x"] * _BYTES_PER_PIXEL


def _spread(parts: list[_Part], count: int) -> list[_Part]:
    """Return at most `count` of the parts, evenly spread."""
    places = np.linspace(0, len(parts) - 1, min(count, len(parts)))
    return [parts[int(place)] for place in places]


def _parts(run: Run, share: float) -> list[Region]:
    """Return the whole run where `share` bytes hold it, else blocks with relevant pixels."""
    sizes, mask = run.sizes, run.read("mask")
    if _bytes(run) <= share:
        return [Region((("y", 0, sizes["y"]), ("x", 0, sizes["x"])))]
    blocks = [
        region
        for region in regions(sizes, y=_BLOCK, x=_BLOCK)
        if mask[region.slices(("y", "x"), sizes)].any()
    ]
    # A sliver at the edge would make all crops as small as itself.
    least = min(_BLOCK, sizes["y"], sizes["x"])
    full = [block for block in blocks if min(b - a for _, a, b in block.bounds) >= least]
    fitting = int(share // (sizes["time"] * _BLOCK**2 * _BYTES_PER_PIXEL))
    return _spread(full or blocks, max(1, fitting))


def _block(run: Run, region: Region) -> Series:
    sizes = run.sizes
    shape = tuple(stop - start for _, start, stop in region.bounds)
    label = np.empty((sizes["pair"], 2, *shape), np.float16)
    # Slab by slab: labels are stored in twice the bytes that are kept.
    for slab in regions(sizes, pair=PAIRS):
        part = Region(slab.bounds + region.bounds)
        label[slice(*slab.span("pair", 0))] = run.read("label", part)
    return Series(
        wave=run.read("wave", region),
        scale=run.stage("spectrum")["results"]["wave_scale"],
        label=label,
        confidence=run.read_stored("label_confidence", region),
        mask=run.read("mask", region),
        frame_from=run.read("frame_from"),
        frame_to=run.read("frame_to"),
        name=run.name,
    )


# The driver trains one model for many runs itself; as a stage of one run it only has a record.
TRAIN = Stage(
    name="train",
    version=1,
    parameters=TrainParameters,
    create=lambda run, parameters: None,
)
