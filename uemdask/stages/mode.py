"""Mode: which kind of motion each region of interest shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.cube import Run
from uemdask.cube.layout import Region
from uemdask.regions import MODES
from uemdask.regions.region_modes import MODE_NAMES, brightness_share, decide, region_numbers
from uemdask.stages.regions_of_interest import FeatureParameters, named_masks, rois_of
from uemdask.stages.spectrum import band_of, usable_indices
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

_TREND = 2  # order of the slow polynomial that is taken out of the brightness


class ModeParameters(Parameters):
    """Settings of the classification; there is nothing to set yet."""


def _numbers(run: Run, region: Region, parameters: ModeParameters) -> Receipt:
    # The regions belong to the feature stage; its record says what they were.
    features = FeatureParameters.model_validate(run.stage("feature")["parameters"])
    frames, delays = usable_indices(run)
    centre, gain = band_of(run).centre, run.read("gain")[frames]
    modulation = np.asarray(run.results("spectrum").mean_modulation)
    maps = ("travel_index", "mask", "peak_amplitude", "peak_phase", "peak_frequency", "unlit")
    masks = named_masks(run, features)
    found = region_numbers(
        *(run.read(name) for name in maps),
        *masks.values(),
        rois=rois_of(run, features),
        y=run.read("y"),
        x=run.read("x"),
        names=tuple(masks),
        gain=gain,
        delays=delays,
        centre=centre,
    )
    numbers = np.stack([found[name] for name in MODE_NAMES], axis=1)
    return {
        "numbers": [[None if np.isnan(v) else v for v in row] for row in numbers.tolist()],
        "brightness_share": brightness_share(gain * (1 + modulation), delays, centre),
    }


def _classify(
    run: Run, parameters: ModeParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    receipt = receipts["all"]
    travel, significant, uniform = np.array(receipt["numbers"], np.float64).T
    valid = run.read("roi_feature")[:, run.read("feature").tolist().index("valid_fraction")]
    share, moving, mode, probability = decide(
        travel,
        significant,
        uniform,
        receipt["brightness_share"],
        valid,
        run.read("time_from"),
        run.read("time_to"),
        band_of(run).centre,
    )
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
