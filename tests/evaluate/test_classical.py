"""Raw-frame Farneback and zero flow beside the others."""

import numpy as np
import pytest
from scipy import ndimage

from uemdask.errors import UemError
from uemdask.evaluate import farneback_flows, grey_limits, score_flow, wave_flows, zero_flows

SHAPE = (128, 128)


def texture(seed=0, sigma=3):
    image = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), sigma)
    return image / image.std()


def test_it_measures_a_moving_texture_whatever_the_counts():
    first = 1000 + 100 * texture()
    frames = np.stack(
        [ndimage.shift(first, (0, 2.3 * t), order=3, mode="nearest") for t in range(3)]
    )
    for gain in (1.0, 0.001, 30.0):
        flows = list(farneback_flows((gain * frames).astype(np.float32), [(0, 1), (1, 2), (0, 2)]))
        moved = [np.median(flow[0][24:-24, 24:-24]) for flow in flows]
        assert moved == pytest.approx([2.3, 2.3, 4.6], abs=0.25)


def test_on_raw_frames_the_static_texture_wins():
    # A 4 % wave over a static texture: raw Farneback sees next to no motion. This is why the
    # frames are band-passed first.
    rng = np.random.default_rng(0)
    x = np.arange(SHAPE[1])
    background = 1000 + 250 * texture(sigma=5)
    frames = np.stack(
        [
            rng.poisson(background * (1 + 0.04 * np.sin(2 * np.pi * (x - 4.0 * t) / 40)))
            for t in range(3)
        ]
    )
    true = np.zeros((2, 2, *SHAPE))
    true[:, 0] = 4.0
    mask, present = np.ones(SHAPE, bool), np.ones(2, bool)
    scores = score_flow(farneback_flows(frames, [(0, 1), (1, 2)]), true, mask, present)
    assert 0.9 < scores.epe_relative < 1.1
    assert scores.roi_speed_error_percent > 80


@pytest.mark.parametrize(("method", "most"), [("dis", 0.4), ("farneback", 0.7)])
def test_on_the_wave_alone_opencv_sees_the_motion(method, most):
    # Crossed wave numbers, so that the displacement along x is defined everywhere.
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    wave = np.stack([0.05 * np.sin((x - 2.0 * t) / 6) * np.sin(y / 7) for t in range(3)])
    true = np.zeros((2, 2, *SHAPE))
    true[:, 0] = 2.0
    mask = np.zeros(SHAPE, bool)
    mask[20:-20, 20:-20] = True
    found = wave_flows(wave, [(0, 1), (1, 2)], scale=0.05, wavelength=37.0, method=method)
    assert score_flow(found, true, mask, np.ones(2, bool)).epe_relative < most


class Counting:
    """Frames that count how often they are read."""

    def __init__(self, frames):
        self.frames, self.reads = frames, []

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        self.reads.append(index)
        return self.frames[index]


def test_successive_pairs_read_each_frame_once():
    frames = Counting(np.stack([texture(seed) for seed in range(5)]))
    pairs = [(t, t + 1) for t in range(4)]
    assert len(list(farneback_flows(frames, pairs, limits=(-3.0, 3.0)))) == 4
    assert frames.reads == [0, 1, 2, 3, 4]


def test_the_range_ignores_hot_pixels_and_missing_values():
    frames = np.stack([100 + 10 * texture()] * 3)
    plain = grey_limits(frames)
    frames[:, 0, 0], frames[:, 0, 1] = 1e9, np.nan
    assert grey_limits(frames) == pytest.approx(plain, rel=0.05)
    with pytest.raises(UemError, match="no finite value"):
        grey_limits(np.full((2, 4, 4), np.nan))
    low, high = grey_limits(np.full((2, 4, 4), 5.0))
    assert high > low


def test_zero_flows_are_zero():
    flows = list(zero_flows(3, (4, 5)))
    assert len(flows) == 3
    assert all(flow.shape == (2, 4, 5) and not flow.any() for flow in flows)
