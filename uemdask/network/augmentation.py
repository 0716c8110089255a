"""More data from the same data: what a wave would look like turned, mirrored or run backwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from uemdask.network.samples import Batch
from uemdask.network.warp import invert, warp


class AugmentationConfig(BaseModel):
    """Which changes a training crop may undergo.

    Attributes
    ----------
    turn : bool
        Quarter turns and mirror images, of the images and of the flow vectors.
    negate : bool
        Swap bright and dark fronts.
    reverse : bool
        Run the frames backwards; the flow becomes its inverse.
    amplitude : float
        Largest factor, up or down, on the strength of the wave.
    noise : float
        Largest rms of added smooth noise, in units of the wave scale.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    turn: bool = True
    negate: bool = True
    reverse: bool = True
    amplitude: float = Field(default=1.5, ge=1.0)
    noise: float = Field(default=0.0, ge=0.0)


class Crops(NamedTuple):
    """A `Batch` as tensors; shapes and units are those of `Batch`."""

    frames: torch.Tensor
    label: torch.Tensor
    confidence: torch.Tensor
    weight: torch.Tensor


def to_crops(batch: Batch, device: torch.device | str = "cpu") -> Crops:
    """Return a batch as tensors on a device."""
    return Crops(
        *(
            torch.from_numpy(array).to(device)
            for array in (batch.frames, batch.label, batch.confidence, batch.weight)
        )
    )


def turn(crops: Crops, quarters: int) -> Crops:
    """Turn square crops by quarter turns, anticlockwise as displayed.

    Parameters
    ----------
    crops : Crops
        Square crops.
    quarters : int
        Number of quarter turns.

    Returns
    -------
    Crops
        Images and flow vectors turned together.
    """
    frames, label, confidence, weight = (
        torch.rot90(field, quarters, dims=(-2, -1)) for field in crops
    )
    along_x, along_y = label.unbind(dim=2)
    for _ in range(quarters % 4):
        # y is downwards: what ran to the right now runs up, what ran down now runs right.
        along_x, along_y = along_y, -along_x
    return Crops(frames, torch.stack((along_x, along_y), dim=2), confidence, weight)


def mirror(crops: Crops) -> Crops:
    """Exchange left and right, in the images and in the flow vectors."""
    frames, label, confidence, weight = (field.flip(-1) for field in crops)
    return Crops(frames, label * label.new_tensor([-1.0, 1.0])[:, None, None], confidence, weight)


def reverse(crops: Crops) -> Crops:
    """Run the frames backwards: the last becomes the first, and each flow its inverse."""
    count, length = crops.label.shape[:2]
    label = crops.label.flatten(0, 1)
    backward, inside = invert(label)
    # A label's trust goes with its wavefront to where that is in the other frame.
    confidence, _ = warp(crops.confidence.flatten(0, 1)[:, None], backward)
    confidence = (confidence * inside)[:, 0]
    return Crops(
        crops.frames.flip(1),
        backward.unflatten(0, (count, length)).flip(1),
        confidence.unflatten(0, (count, length)).flip(1),
        crops.weight,
    )


def augment(crops: Crops, rng: np.random.Generator, config: AugmentationConfig) -> Crops:
    """Return each crop changed at random; the batch stays in order.

    Parameters
    ----------
    crops : Crops
        Square crops.
    rng : numpy.random.Generator
        Decides everything; it is used alike on every device.
    config : AugmentationConfig
        Which changes are allowed.

    Returns
    -------
    Crops
        Same shapes.
    """
    changed = []
    for index in range(crops.frames.shape[0]):
        # All numbers are drawn, used or not, so that one switch does not change the others.
        quarters = int(rng.integers(4))
        mirrored, negated, reversed_ = (bool(number) for number in rng.integers(2, size=3))
        strength, noise = rng.uniform(-1.0, 1.0), rng.uniform(0.0, config.noise)
        one = Crops(*(field[index : index + 1] for field in crops))
        if config.reverse and reversed_:
            one = reverse(one)
        if config.turn:
            one = turn(one, quarters)
            if mirrored:
                one = mirror(one)
        factor = config.amplitude**strength * (-1.0 if config.negate and negated else 1.0)
        frames = one.frames * factor
        if config.noise:
            frames = frames + noise * _smooth_noise(frames, rng)
        changed.append(one._replace(frames=frames))
    return Crops(*(torch.cat(parts) for parts in zip(*changed, strict=True)))


def _smooth_noise(frames: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Noise of rms 1 as wide as the smoothing that the wave went through."""
    white = rng.standard_normal(tuple(frames.shape), dtype=np.float32)
    noise = torch.from_numpy(white).to(frames.device)
    for _ in range(2):
        noise = torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2)
    return noise / noise.std()
