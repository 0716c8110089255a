"""Mode: which kind of motion each region of interest shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.cube import Run
from uemdask.cube.layout import Region
from uemdask.regions import MODES, classify_mode, rasterise, roi_numbers
from uemdask.spectrum import harmonic_amplitudes, harmonic_operator
from uemdask.stages.regions_of_interest import FeatureParameters, named_masks, rois_of
from uemdask.stages.spectrum import band_of, usable_frames
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage


class ModeParameters(Parameters):
    """Settings of the classification; there is nothing to set yet."""


def brightness_share(
    brightness: np.ndarray, delays: np.ndarray, frequency: float, *, trend: int = 2
) -> float:
    """Return the share of the mean brightness' variance that lies at the wave's frequency.

    Parameters
    ----------
    brightness : (time,)
        Mean brightness of the frames, before gain correction, any unit.
    delays : (time,)
        In ps.
    frequency : float
        In GHz.
    trend : int
        Order of the slow polynomial taken out first.

    Returns
    -------
    float
        0..1; near 1 where the whole field breathes.
    """
    centred = brightness - np.polynomial.Polynomial.fit(delays, brightness, trend)(delays)
    total = float(np.mean(centred**2))
    if total <= 0:
        return 0.0
    operator = harmonic_operator(delays, np.array([frequency]), trend=trend)
    amplitude = harmonic_amplitudes(centred.astype(np.float32), operator)[0]
    return min(float(np.abs(amplitude) ** 2) / 2 / total, 1.0)


def _numbers(run: Run, region: Region, parameters: ModeParameters) -> Receipt:
    # The regions belong to the feature stage; its record says what they were.
    features = FeatureParameters.model_validate(run.stage("feature")["parameters"])
    frames, delays = usable_frames(run)
    modulation = np.asarray(run.stage("spectrum")["results"]["mean_modulation"])
    brightness = run.read("gain")[frames] * (1 + modulation)
    share = brightness_share(brightness, delays, band_of(run).centre)
    maps = run.read("travel_index"), run.read("mask"), run.read("peak_amplitude")
    # The region `mask` is all relevant pixels, so its share of them says nothing: there and
    # everywhere the share is that of the frame or the drawn region.
    y, x, masks = run.read("y"), run.read("x"), named_masks(run, features)
    relevant = maps[1]
    numbers = []
    for shape in rois_of(run, features):  # one at a time: each is as large as a frame
        roi = rasterise(shape, y, x, masks)
        travel, significant = roi_numbers(*maps, roi)
        if np.array_equal(roi, relevant):
            significant = float(relevant.mean())
        numbers.append([None if np.isnan(travel) else travel, significant])
    return {"numbers": numbers, "brightness_share": share}


def _classify(
    run: Run, parameters: ModeParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    receipt = receipts["all"]
    travel = np.array([np.nan if t is None else t for t, _ in receipt["numbers"]])
    significant = np.array([s for _, s in receipt["numbers"]])
    share = np.full(len(travel), receipt["brightness_share"])
    mode, probability = classify_mode(travel, share, significant)
    sizes = run.sizes | {"mode_class": len(MODES)}
    run.put("roi_travel_index", travel, sizes)
    run.put("roi_relevant_share", significant, sizes)
    run.put("roi_brightness_share", share, sizes)
    run.put("mode_class", list(MODES), sizes)
    run.put("mode", mode.tolist(), sizes)
    run.put("mode_probability", probability, sizes)
    return dict(receipt)


MODE = Stage(
    name="mode",
    version=1,
    parameters=ModeParameters,
    create=lambda run, parameters: None,
    phases=(Phase("numbers", lambda run, parameters: [Region()], _numbers, _classify),),
)
