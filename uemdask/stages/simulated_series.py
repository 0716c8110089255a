"""Simulated acquisitions as the stages would hand them to the network, with exact labels."""

from __future__ import annotations

import numpy as np

from uemdask.align import aligned_ratio, required_halo
from uemdask.network import Series, wave_scale
from uemdask.simulate import Acquisition, Truth
from uemdask.spectrum import Direction, Directional, filter_series, smoothed, wave_operator

#: What alignment leaves of the drift on simulated acquisitions: px rms of a component.
DRIFT_LEFT = 0.035
# And of the brightness, relative.
_GAIN_LEFT = 0.002


def simulated_series(
    acquisition: Acquisition,
    *,
    centre: float | None,
    smoothing: float,
    window: float,
    directional: Directional,
    drift_left: float = DRIFT_LEFT,
    name: str,
) -> Series:
    """Take a simulated acquisition to its wave, with the true displacement as label.

    Frames are corrected with the true drift and gain, off by as much as alignment is.

    Parameters
    ----------
    acquisition : Acquisition
        What was simulated.
    centre : float, optional
        Frequency of the band-pass, GHz; the plain ratio of the frames without it.
    smoothing : float
        Sigma of the spatial Gaussian, px.
    window : float
        Sigma of the temporal window, periods.
    directional : {"none", "aliased", "all"}
        Frames in which what runs against the wave is taken out.
    drift_left : float
        By how much the corrected drift is off, px rms of a component.
    name : str
        What messages call it.

    Returns
    -------
    Series
        Confidence 1 where the wave is there, else 0.

    Raises
    ------
    UemError
        If there is no wave.
    """
    truth = acquisition.truth()
    rng = np.random.default_rng([acquisition.scenario.seed, len(truth.delays)])
    wave = _ratio(acquisition, truth, rng, drift_left)
    lit = np.ones(wave.shape[1:], np.float32)
    wave = smoothed(wave, lit, smoothing, in_place=True)
    if centre is not None:
        operator = wave_operator(truth.delays, centre, window=window)
        directed = Direction(directional).directed(operator, truth.delays, centre)
        wave, _ = filter_series(wave, operator, directed=directed)
    pairs = len(truth.flow)
    confidence = np.zeros((pairs, *truth.mask.shape), np.uint8)
    confidence[truth.present] = 255 * truth.mask
    return Series(
        wave=wave.astype(np.float16),
        scale=wave_scale(wave, truth.mask),
        label=truth.flow.astype(np.float16),
        confidence=confidence,
        mask=truth.mask,
        frame_from=np.arange(pairs),
        frame_to=np.arange(1, pairs + 1),
        name=name,
    )


def _ratio(
    acquisition: Acquisition, truth: Truth, rng: np.random.Generator, drift_left: float
) -> np.ndarray:
    """Return the corrected frames over the reference, minus 1."""
    frames: np.ndarray = np.stack([acquisition.frame(i) for i in range(len(acquisition))])
    drift = truth.drift + rng.normal(0.0, drift_left, truth.drift.shape)
    gain = truth.gain * (1 + rng.normal(0.0, _GAIN_LEFT, truth.gain.shape))
    halo = required_halo(drift)
    padded = np.pad(frames, ((0, 0), (halo, halo), (halo, halo)), mode="edge")
    height, width = truth.mask.shape
    inside = (halo, halo + height, halo, halo + width)
    before = truth.delays < 0
    chosen = before if before.any() else np.ones(len(frames), bool)
    reference = (frames[chosen] / gain[chosen, None, None]).mean(axis=0, dtype=np.float64)
    return aligned_ratio(
        padded, reference.astype(np.float32), drift, gain, halo=halo, inside=inside
    )
