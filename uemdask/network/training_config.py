"""What decides a training: its length, rates, losses and baselines."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from uemdask.network.augmentation import AugmentationConfig


class TrainingConfig(BaseModel):
    """Everything that decides a training, beside the data and the shape of the network.

    Attributes
    ----------
    seed : int
        Decides weights, crops, augmentation and dropout.
    crop : int, px
        Side of the square crops.
    batch : int
        Image pairs per step.
    pretrain_steps, finetune_steps : int
        Length of the two phases; either may be 0.
    pretrain_rate, finetune_rate : float
        Highest learning rate of AdamW in each phase; it warms up and falls along a cosine.
    warmup_steps : int
        Steps of rising learning rate at the start of each phase.
    weight_decay, gradient_norm : float
        Of AdamW; longest gradient.
    baselines : tuple of int
        Distances in frames over which fine-tuning compares images, by joining successive flows.
        Neighbouring band-passed frames share their noise, which stays where it is and so makes
        every displacement too small; over a few frames it is gone. `choose_baselines` gives
        those that suit a wave.
    even_amplitude : bool
        Divide the images by their local strength before they are compared. Without it a wave
        that grows or fades pulls on the flow.
    photometric, gradient, smoothness, consistency, aperture, anchor, uncertainty : float
        Weights of the fine-tuning losses.
    guard_tolerance : float
        Fine-tuned weights are kept while the held-out error is at most ``1 + guard_tolerance``
        times that of the pre-trained ones.
    checkpoint_every : float, s
        Longest time between checkpoints: the first come after a second, and then less and less
        often. There is one at the end of each phase as well.
    record_every : int
        Steps between entries of the history.
    augmentation : AugmentationConfig
        Changes to crops.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0)
    crop: int = Field(default=128, ge=16)
    batch: int = Field(default=12, ge=1)
    pretrain_steps: int = Field(default=800, ge=0)
    finetune_steps: int = Field(default=120, ge=0)
    pretrain_rate: float = Field(default=2e-3, gt=0)
    finetune_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=30, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    gradient_norm: float = Field(default=1.0, gt=0)
    baselines: tuple[Annotated[int, Field(ge=1)], ...] = (4,)
    even_amplitude: bool = True
    photometric: float = Field(default=1.0, ge=0)
    gradient: float = Field(default=2.0, ge=0)
    smoothness: float = Field(default=1.0, ge=0)
    consistency: float = Field(default=0.05, ge=0)
    aperture: float = Field(default=0.5, ge=0)
    anchor: float = Field(default=0.01, ge=0)
    uncertainty: float = Field(default=0.05, ge=0)
    guard_tolerance: float = Field(default=0.0, ge=0)
    checkpoint_every: float = Field(default=60.0, gt=0)
    record_every: int = Field(default=50, ge=1)
    augmentation: AugmentationConfig = AugmentationConfig()

    @property
    def steps(self) -> int:
        """Steps of both phases."""
        return self.pretrain_steps + self.finetune_steps

    def window(self, step: int) -> tuple[int, int]:
        """Return of how many successive pairs the crops of a step are, and how many crops."""
        length = max(self.baselines) if step >= self.pretrain_steps else 1
        return length, max(1, self.batch // length)


def choose_baselines(
    frequency: float, step: float, *, longest: int = 4, cycles: float = 0.5
) -> tuple[int, ...]:
    """Return the baseline to fine-tune a wave with: the longest that is safe.

    Parameters
    ----------
    frequency : float, GHz
        Of the wave; the highest where runs differ.
    step : float, ps
        Usual time between successive frames; the longest where runs differ.
    longest : int
        Longest baseline in frames.
    cycles : float
        Most periods, and so most wavelengths, that the wave may run in the longest baseline.
        Beyond half a one the nearest front is another front.

    Returns
    -------
    tuple of int
        One baseline in frames, for `TrainingConfig.baselines`. Shorter ones beside it bring back
        the noise that neighbouring frames share.

    Examples
    --------
    >>> choose_baselines(23.0, 5.0), choose_baselines(35.0, 5.0), choose_baselines(35.0, 10.0)
    ((4,), (2,), (1,))
    """
    advance = frequency * step * 1e-3  # periods in one frame
    reachable = int(cycles / advance) if advance > 0 else longest
    return (max(1, min(longest, reachable)),)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine, in each phase."""
    fine = step >= config.pretrain_steps
    done = step - config.pretrain_steps if fine else step
    steps = config.finetune_steps if fine else config.pretrain_steps
    highest = config.finetune_rate if fine else config.pretrain_rate
    warmup = min(config.warmup_steps, steps // 4)
    if done < warmup:
        return highest * (done + 1) / (warmup + 1)
    return highest * 0.5 * (1.0 + math.cos(math.pi * (done - warmup) / max(steps - warmup, 1)))
