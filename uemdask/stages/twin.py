"""A simulated twin of a run: the same wave, delays and noise, with exact truth.

Fine-tuning without labels can make a network worse, and the labels cannot tell. The twin can. It
also tells how far the uncertainty that the network states is true.
"""

from __future__ import annotations

import numpy as np

from uemdask.align import aligned_ratio, required_halo
from uemdask.cube import Run
from uemdask.cube.layout import pair_fields
from uemdask.errors import UemError
from uemdask.network import Series, wave_scale
from uemdask.simulate import Acquisition, Scenario, scenario, simulate
from uemdask.spectrum import band_pass_operator, band_passed, smooth
from uemdask.stages.spectrum import SpectrumParameters, band_of, usable_frames

_SHAPE = (192, 192)
_MOST_DELAYS = 200
# Confidence from which labels have a say in the direction of the twin's wave.
_CONFIDENT = 0.5


def twin_series(run: Run, *, seed: int) -> Series:
    """Simulate a run's twin and take it to the wave as the stages would.

    Parameters
    ----------
    run : Run
        With the stage ``label`` done.
    seed : int
        Another seed gives another background and noise.

    Returns
    -------
    Series
        With exact labels; confidence 1 where the wave is there.

    Raises
    ------
    UemError
        If the run's wave cannot be simulated, such as one longer than the field of view.
    """
    acquisition = simulate(_scenario(run, seed))
    parameters = SpectrumParameters.model_validate(run.stage("spectrum")["parameters"])
    delays, centre = acquisition.delays, band_of(run).centre
    operator = band_pass_operator(delays, centre, window=parameters.window * 1e3 / centre)
    wave = band_passed(smooth(_ratio(acquisition), parameters.smoothing), operator)
    truth = acquisition.truth()
    pairs = len(truth.flow)
    confidence = np.zeros((pairs, *truth.mask.shape), np.uint8)
    confidence[truth.present] = 255 * truth.mask
    return Series(
        wave=wave.astype(np.float16),
        scale=wave_scale(wave, truth.mask),
        label=truth.flow,
        confidence=confidence,
        mask=truth.mask,
        frame_from=np.arange(pairs),
        frame_to=np.arange(1, pairs + 1),
        name=f"twin of {run.name}",
    )


def _scenario(run: Run, seed: int) -> Scenario:
    results = run.stage("spectrum")["results"]
    pixel = float(np.sqrt(np.prod(run.pixel_size)))
    length = results["wavelength_px"]
    if length > _SHAPE[0]:
        raise UemError(
            f"{run.path}: its wavelength of {length:.0f} px is longer than a simulated frame"
        )
    mask = run.read("mask")
    if not mask.any():
        raise UemError(f"{run.path}: has no relevant pixel, so no wave to simulate")
    frequency = band_of(run).centre
    delays = usable_frames(run)[1][:_MOST_DELAYS]
    begin, record = max(0.0, float(delays[0])), float(delays[-1] - max(0.0, delays[0]))
    amplitude = float(np.median(run.read("peak_amplitude")[mask]))
    return scenario(
        "plane",
        seed=seed,
        shape=_SHAPE,
        delays=tuple(float(delay) for delay in delays),
        pixel_size=(pixel, pixel),
        frequency=frequency,
        speed=frequency * 1e-3 * length * pixel,
        angle=_direction(run),
        # The amplitude over all delays counts the time before the wave came.
        modulation=min(1.5 * amplitude, 0.3),
        strength=((begin + 0.02 * record, 0.0), (begin + 0.15 * record, 1.0)),
        strength_decay=2 * record,
        counts=_counts(run),
        drift_total=0.0,
        drift_step=0.0,
        drift_jumps=0,
    )


def _counts(run: Run) -> float:
    """Return the counts whose shot noise is the noise of the run."""
    return float(np.clip(run.stage("spectrum")["results"]["noise_level"] ** -2, 10, 60_000))


def _direction(run: Run) -> float:
    """Return the direction of the confident labels in the middle of the series, degree."""
    fields = pair_fields(run.sizes)
    region = fields[len(fields) // 2]
    label, confidence = run.read("label", region), run.read("label_confidence", region)
    weight = np.where(confidence > _CONFIDENT, confidence, 0)
    x, y = ((label[:, i] * weight).sum(dtype=np.float64) for i in (0, 1))
    return float(np.degrees(np.arctan2(-y, x)))


def _ratio(acquisition: Acquisition) -> np.ndarray:
    """Correct the frames with the drift and gain that are known to be true."""
    truth = acquisition.truth()
    frames = np.stack([acquisition.frame(i) for i in range(len(acquisition))])
    halo = required_halo(truth.drift)
    padded = np.pad(frames, ((0, 0), (halo, halo), (halo, halo)), mode="edge")
    height, width = truth.mask.shape
    inside = (halo, halo + height, halo, halo + width)
    before = truth.delays < 0
    chosen = before if before.any() else np.ones(len(frames), bool)
    reference = (frames[chosen] / truth.gain[chosen, None, None]).mean(axis=0, dtype=np.float64)
    return aligned_ratio(
        padded, reference.astype(np.float32), truth.drift, truth.gain, halo=halo, inside=inside
    )
