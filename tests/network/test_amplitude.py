"""One scale per run, the same for training and inference."""

import math

import numpy as np
import pytest
import torch

from uemdask.errors import UemError
from uemdask.network.amplitude import CLIP, envelope, normalise, wave_scale


def test_the_scale_is_the_rms_and_ignores_hot_pixels_and_the_outside():
    t, y, x = np.ogrid[:16, :40, :40]
    wave = (0.05 * np.sin(2 * np.pi * (x / 20 - t / 8)) + 0 * y).astype(np.float32)
    rms = 0.05 / math.sqrt(2)
    assert wave_scale(wave) == pytest.approx(rms, rel=0.02)
    mask = np.zeros((40, 40), dtype=bool)
    mask[:, :20] = True
    spoilt = wave.copy()
    spoilt[:, :, 20:] = 9.0
    spoilt[0, :3, 5] = 50.0
    assert wave_scale(spoilt, mask) == pytest.approx(rms, rel=0.02)
    assert wave_scale(spoilt.astype(np.float16), mask) == pytest.approx(rms, rel=0.02)


def test_twice_the_wave_is_the_same_to_the_network():
    wave = np.random.default_rng(0).standard_normal((4, 30, 30)).astype(np.float32)
    np.testing.assert_allclose(
        normalise(wave, wave_scale(wave)), normalise(2 * wave, wave_scale(2 * wave)), rtol=1e-5
    )


def test_half_precision_is_divided_in_single():
    wave = np.array([3e-3, 1e-4], dtype=np.float16)
    np.testing.assert_allclose(normalise(wave, 1e-3), wave.astype(np.float32) / 1e-3, rtol=1e-6)


def test_what_is_not_finite_becomes_harmless():
    found = normalise(np.array([np.nan, np.inf, -np.inf, 1.0], dtype=np.float32), 1.0)
    np.testing.assert_array_equal(found, [0.0, CLIP, -CLIP, 1.0])


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(UemError, match="scale"):
        normalise(np.ones(3, dtype=np.float32), scale)


@pytest.mark.parametrize(
    ("wave", "mask", "words"),
    [
        (np.zeros((2, 3, 3)), None, "zero"),
        (np.ones((2, 3, 3)), np.zeros((3, 3), dtype=bool), "no relevant pixel"),
        (np.full((2, 3, 3), np.nan), None, "not finite"),
    ],
)
def test_a_wave_without_a_scale_is_refused(wave, mask, words):
    with pytest.raises(UemError, match=words):
        wave_scale(wave, mask)


def test_the_envelope_is_the_local_strength_without_ripple():
    t, y, x = np.ogrid[:5, :96, :96]
    strength = 1.0 + x / 96
    wave = strength * np.sin(2 * np.pi * (x / 32 - t / 8)) + 0 * y
    found = envelope(torch.from_numpy(wave)[None])[0, 0].numpy()
    expected = np.broadcast_to((strength / math.sqrt(2))[0], (96, 96))
    np.testing.assert_allclose(found[16:-16, 16:-16], expected[16:-16, 16:-16], rtol=0.1)
