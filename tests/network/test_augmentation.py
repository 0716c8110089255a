"""A changed crop is still a wave that moves as its label says."""

import math

import numpy as np
import pytest
import torch

from uemdask.network.augmentation import AugmentationConfig, augment, mirror, reverse, turn
from uemdask.network.dataset import Crops
from uemdask.network.process_group import ProcessGroup
from uemdask.network.warp import warp

torch.set_num_threads(1)
SIZE, WAVELENGTH = 48, 24.0


def wave_crops(length: int = 2, count: int = 3) -> Crops:
    """Return waves in several directions, with their exact flow, curved a little."""
    y, x = torch.meshgrid(*[torch.arange(SIZE, dtype=torch.float32)] * 2, indexing="ij")
    frames, label = [], []
    for index in range(count):
        angle = 0.7 + 2.0 * index
        u, v = 3.0 * math.cos(angle), 3.0 * math.sin(angle)
        phase = 2 * math.pi / WAVELENGTH * (math.cos(angle) * x + math.sin(angle) * y)
        step = 2 * math.pi * 3.0 / WAVELENGTH
        frames.append(torch.stack([torch.sin(phase - step * t) for t in range(length + 1)]))
        flow = torch.stack((torch.full_like(x, u), torch.full_like(x, v)))
        label.append(flow.expand(length, 2, SIZE, SIZE))
    ones = torch.ones(count, length, SIZE, SIZE)
    return Crops(torch.stack(frames), torch.stack(label), ones, ones[:, 0])


def mismatch(crops: Crops) -> float:
    """Return how badly the labels explain the frames, in units of the wave."""
    worst = 0.0
    for step in range(crops.label.shape[1]):
        first, second = crops.frames[:, step : step + 1], crops.frames[:, step + 1 : step + 2]
        carried, inside = warp(second, crops.label[:, step])
        worst = max(worst, float((first - carried)[inside].abs().max()))
    return worst


def test_the_wave_of_this_file_moves_as_labelled():
    crops = wave_crops()
    assert mismatch(crops) < 0.02
    assert mismatch(crops._replace(label=-crops.label)) > 0.5


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_images_and_vectors_turn_together(quarters):
    assert mismatch(turn(wave_crops(), quarters)) < 0.02


def test_a_quarter_turn_is_anticlockwise_as_displayed():
    crops = wave_crops()
    crops = crops._replace(label=torch.zeros_like(crops.label))
    crops.label[:, :, 0] = 1.0  # to the right
    label = turn(crops, 1).label
    assert float(label[:, :, 0].abs().max()) == 0.0
    assert torch.all(label[:, :, 1] == -1.0)  # up


def test_images_and_vectors_are_mirrored_together():
    assert mismatch(mirror(wave_crops())) < 0.02


def test_time_runs_backwards():
    crops = wave_crops()
    backwards = reverse(crops)
    assert mismatch(backwards) < 0.02
    torch.testing.assert_close(backwards.frames[:, 0], crops.frames[:, -1])


def test_trust_goes_with_the_wavefront_when_time_is_reversed():
    crops = wave_crops(length=1, count=1)
    label = torch.zeros_like(crops.label)
    label[:, :, 0] = 4.0
    confidence = torch.zeros_like(crops.confidence)
    confidence[..., 10] = 1.0
    backwards = reverse(crops._replace(label=label, confidence=confidence))
    line = backwards.confidence[0, 0].sum(dim=0)
    assert int(line.argmax()) == 14
    torch.testing.assert_close(line[14], torch.tensor(float(SIZE)))
    assert float(line.sum() - line[14]) < 1e-2


def test_any_mixture_of_changes_leaves_a_wave_that_moves_as_labelled():
    config = AugmentationConfig(amplitude=2.0)
    crops = wave_crops()
    seen = set()
    for seed in range(60):
        changed = augment(crops, np.random.default_rng(seed), config)
        assert mismatch(changed) < 0.04
        seen.add(tuple(np.round(changed.label[0, 0, :, 20, 20].tolist(), 3)))
    assert len(seen) == 8  # the eight turned and mirrored directions; reversal only flips them


def test_the_same_number_makes_the_same_changes():
    config = AugmentationConfig(noise=0.3)
    once, again = (augment(wave_crops(), np.random.default_rng(5), config) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_everything_can_be_switched_off():
    off = AugmentationConfig(turn=False, negate=False, reverse=False, amplitude=1.0)
    crops = wave_crops()
    for before, after in zip(crops, augment(crops, np.random.default_rng(0), off), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=0)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_processes_make_the_changes_that_one_would_make(noise):
    config, crops = AugmentationConfig(noise=noise), wave_crops(count=5)
    whole = augment(crops, np.random.default_rng(5), config)
    parts = []
    for rank in range(3):
        share = ProcessGroup(rank, 3).share(5)
        own = Crops(*(field[share.begin : share.end] for field in crops))
        parts.append(augment(own, np.random.default_rng(5), config, share))
    for one, other in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(one, torch.cat(other), rtol=0, atol=1e-6)
