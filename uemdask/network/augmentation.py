"""More data from the same data: what a wave would look like turned, mirrored or run backwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field

from uemdask.network.dataset import Crops
from uemdask.network.device import to_device
from uemdask.network.process_group import Share
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
    along_x, along_y = label.unbind(dim=2)
    return Crops(frames, torch.stack((-along_x, along_y), dim=2), confidence, weight)


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


def augment(
    crops: Crops,
    rng: np.random.Generator,
    config: AugmentationConfig,
    share: Share | None = None,
) -> Crops:
    """Return each crop changed at random; the batch stays in order.

    Parameters
    ----------
    crops : Crops
        Square crops.
    rng : numpy.random.Generator
        Decides everything; it is used alike on every device.
    config : AugmentationConfig
        Which changes are allowed.
    share : Share, optional
        Which crops of the batch these are, where other processes have others.

    Returns
    -------
    Crops
        Same shapes.
    """
    share = share or Share.whole(crops.frames.shape[0])
    shape = (1, *crops.frames.shape[1:])
    changes = [_draw(rng, config, shape) for _ in range(share.total)][share.begin : share.end]
    ones = [Crops(*(field[i : i + 1] for field in crops)) for i in range(len(changes))]
    reversed_ = [index for index, change in enumerate(changes) if change.reverse]
    if reversed_:  # together: a GPU does one large thing faster than many small ones
        back = reverse(_join([ones[index] for index in reversed_]))
        for place, index in enumerate(reversed_):
            ones[index] = Crops(*(field[place : place + 1] for field in back))
    changed = []
    for one, change in zip(ones, changes, strict=True):
        if change.quarters:
            one = turn(one, change.quarters)
        if change.mirror:
            one = mirror(one)
        frames = one.frames * change.factor
        if change.white is not None:
            white = to_device(torch.from_numpy(change.white), frames.device)
            frames = frames + change.noise * _smooth(white)
        changed.append(one._replace(frames=frames))
    return _join(changed)


class _Change(NamedTuple):
    reverse: bool
    quarters: int
    mirror: bool
    factor: float
    noise: float
    white: npt.NDArray[np.float32] | None


def _draw(rng: np.random.Generator, config: AugmentationConfig, shape: tuple[int, ...]) -> _Change:
    # All numbers are drawn, used or not, so that one switch does not change the others.
    quarters = int(rng.integers(4))
    mirrored, negated, reversed_ = (bool(number) for number in rng.integers(2, size=3))
    strength, noise = rng.uniform(-1.0, 1.0), rng.uniform(0.0, config.noise)
    return _Change(
        reverse=config.reverse and reversed_,
        quarters=quarters if config.turn else 0,
        mirror=config.turn and mirrored,
        factor=config.amplitude**strength * (-1.0 if config.negate and negated else 1.0),
        noise=noise,
        white=rng.standard_normal(shape, dtype=np.float32) if config.noise else None,
    )


def _join(crops: list[Crops]) -> Crops:
    return Crops(*(torch.cat(parts) for parts in zip(*crops, strict=True)))


def _smooth(noise: torch.Tensor) -> torch.Tensor:
    """Return noise as wide as the smoothing that the wave went through, of rms 1."""
    for _ in range(2):
        noise = torch.nn.functional.avg_pool2d(noise, 5, stride=1, padding=2)
    return noise / noise.std()
