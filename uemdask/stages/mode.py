"""Mode: which kind of motion each region of interest shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.cube import Run
from uemdask.cube.layout import Region
from uemdask.regions import MODES, classify_mode, rasterise, roi_numbers, uniform_share
from uemdask.spectrum import harmonic_amplitudes, harmonic_operator
from uemdask.spectrum.harmonics import RADIAN_PER_GHZ_PS
from uemdask.stages.regions_of_interest import FeatureParameters, named_masks, rois_of
from uemdask.stages.spectrum import band_of, usable_frames
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

_TREND = 2  # order of the slow polynomial that is taken out of the brightness


class ModeParameters(Parameters):
    """Settings of the classification; there is nothing to set yet."""


def brightness_share(brightness: np.ndarray, delays: np.ndarray, frequency: float) -> float:
    """Return the share of the mean brightness' variance that lies at the wave's frequency.

    Parameters
    ----------
    brightness : (time,)
        Mean brightness of the frames, before gain correction, any unit.
    delays : (time,)
        In ps.
    frequency : float
        In GHz.

    Returns
    -------
    float
        0..1; near 1 where the whole field breathes.
    """
    centred = brightness - np.polynomial.Polynomial.fit(delays, brightness, _TREND)(delays)
    total = float(np.mean(centred**2))
    if total <= 0:
        return 0.0
    return min(abs(_swing(centred, delays, frequency)) ** 2 / 2 / total, 1.0)


def _numbers(run: Run, region: Region, parameters: ModeParameters) -> Receipt:
    # The regions belong to the feature stage; its record says what they were.
    features = FeatureParameters.model_validate(run.stage("feature")["parameters"])
    frames, delays = usable_frames(run)
    frequency, gain = band_of(run).centre, run.read("gain")[frames]
    modulation = np.asarray(run.results("spectrum").mean_modulation)
    share = brightness_share(gain * (1 + modulation), delays, frequency)
    maps = run.read("travel_index"), run.read("mask"), run.read("peak_amplitude")
    # In the middle of the delays pixels whose peaks differ by a little are still in step.
    middle = float(delays.mean())
    turned = run.read("peak_phase") + RADIAN_PER_GHZ_PS * run.read("peak_frequency") * middle
    amplitude = maps[2] * np.exp(1j * turned)
    common = _swing(gain / gain.mean(), delays - middle, frequency)
    # The region `mask` is all relevant pixels, so its share of them says nothing: there and
    # everywhere the share is that of the frame or the drawn region.
    y, x, masks = run.read("y"), run.read("x"), named_masks(run, features)
    relevant, lit = maps[1], ~run.read("unlit")
    numbers = []
    for shape in rois_of(run, features):  # one at a time: each is as large as a frame
        roi = rasterise(shape, y, x, masks)
        travel, significant = roi_numbers(*maps, roi)
        if np.array_equal(roi, relevant):
            significant = float(relevant.mean())
        uniform = uniform_share(amplitude, common, roi & lit)
        numbers.append([None if np.isnan(v) else v for v in (travel, significant, uniform)])
    return {"numbers": numbers, "brightness_share": share}


def _swing(brightness: np.ndarray, delays: np.ndarray, frequency: float) -> complex:
    """Return the complex amplitude of a series (time,) at a frequency in GHz, at delay 0."""
    operator = harmonic_operator(delays, np.array([frequency]), trend=_TREND)
    return complex(harmonic_amplitudes(brightness.astype(np.float32), operator)[0])


def travelling_share(run: Run) -> np.ndarray:
    """Return the share of each region's pixels (roi,) that have a valid speed over a period."""
    names = [str(name) for name in run.read("feature")]
    valid = np.nan_to_num(run.read("roi_feature")[:, names.index("valid_fraction")])
    middle = (run.read("time_from") + run.read("time_to")) / 2
    distance = (middle[:, None] - middle) * band_of(run).centre * 1e-3
    weight = (np.abs(distance) <= 0.5).astype(np.float64)
    return np.asarray((valid @ weight / weight.sum(axis=0)).max(axis=1))


def _classify(
    run: Run, parameters: ModeParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    receipt = receipts["all"]
    travel, significant, uniform = np.array(receipt["numbers"], np.float64).T
    share = np.full(len(travel), receipt["brightness_share"])
    moving = travelling_share(run)
    mode, probability = classify_mode(travel, share, uniform, moving, significant)
    sizes = run.sizes | {"mode_class": len(MODES)}
    run.put("roi_travel_index", travel, sizes)
    run.put("roi_relevant_share", significant, sizes)
    run.put("roi_brightness_share", share, sizes)
    run.put("roi_uniform_share", uniform, sizes)
    run.put("roi_travelling_share", moving, sizes)
    run.put("mode_class", list(MODES), sizes)
    run.put("mode", mode.tolist(), sizes)
    run.put("mode_probability", probability, sizes)
    return dict(receipt)


MODE = Stage(
    name="mode",
    version=2,
    parameters=ModeParameters,
    create=lambda run, parameters: None,
    phases=(Phase("numbers", lambda run, parameters: [Region()], _numbers, _classify),),
)
