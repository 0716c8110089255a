"""Features: a vector of a few numbers for every region of interest and pair."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from uemdask.cube import Run
from uemdask.cube.layout import Region, pair_fields
from uemdask.motion import speed_and_angle, speed_and_angle_sd
from uemdask.regions import FEATURES, RoiSums, finalise, outline
from uemdask.stages.fronts import FRONT_PHASES
from uemdask.stages.regions_of_interest import (
    FeatureParameters,
    named_masks,
    rasterise_rois,
    rois_of,
)
from uemdask.stages.stage import Phase, Receipt, Stage

# Patches of a mask smaller than this are left out of its outline: the text must stay readable.
_OUTLINE_PX = 16


def _sum(run: Run, region: Region, parameters: FeatureParameters) -> Receipt:
    sizes = run.sizes
    pairs = slice(*region.span("pair", sizes["pair"]))
    steps = (run.read("time_to") - run.read("time_from"))[pairs]
    flow, flow_sd = run.read("flow", region), run.read("flow_sd", region)
    valid, rois = run.read("valid", region), rasterise_rois(run, parameters, region)
    origin = (region.span("y", 0)[0], region.span("x", 0)[0])
    # One pair at a time: speed, angle and their errors take several times the memory of the flow.
    sums = RoiSums.concatenate(
        [
            _sums_of_pair(flow[i], flow_sd[i], valid[i], run.pixel_size, step, rois, origin)
            for i, step in enumerate(steps)
        ]
    )
    return {
        "sums": sums.sums.tolist(),
        "histogram": sums.histogram.tolist(),
        "stated": sums.stated,
    }


def _sums_of_pair(
    flow: np.ndarray,
    flow_sd: np.ndarray,
    valid: np.ndarray,
    pixel_size: tuple[float, float],
    step: float,
    rois: np.ndarray,
    origin: tuple[int, int],
) -> RoiSums:
    """Return the sums of one pair's flow (2, y, x) in px over a time of `step` ps."""
    field, field_sd, use, steps = flow[None], flow_sd[None], valid[None], np.array([step])
    speed, angle = speed_and_angle(field, pixel_size, steps, use)
    speed_sd, angle_sd = speed_and_angle_sd(field, field_sd, pixel_size, steps, use)
    return RoiSums.of_tile(
        field,
        field_sd,
        speed,
        angle,
        use,
        rois,
        speed_sd=speed_sd,
        angle_sd=angle_sd,
        origin=origin,
    )


def _finish(
    run: Run, parameters: FeatureParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    slabs: dict[int, list[RoiSums]] = {}
    for key, receipt in receipts.items():
        start, _ = Region.from_key(key).span("pair", 0)
        found = RoiSums(
            np.asarray(receipt["sums"], np.float64),
            np.asarray(receipt["histogram"], np.int64),
            receipt["stated"],
        )
        slabs.setdefault(start, []).append(found)
    features, sd = finalise(
        RoiSums.concatenate([reduce(add, slabs[start]) for start in sorted(slabs)]),
        systematic=run.results("flow").region_error,
        systematic_degree=run.results("flow").region_turn,
    )
    rois = rois_of(run, parameters)
    y, x, masks = run.read("y"), run.read("x"), named_masks(run, parameters)
    sizes = run.sizes | {"roi": len(rois), "feature": len(FEATURES)}
    run.put("roi", [roi.name for roi in rois], sizes)
    run.put("feature", [feature.name for feature in FEATURES], sizes)
    run.put("feature_unit", [feature.unit for feature in FEATURES], sizes)
    run.put(
        "roi_outline",
        [outline(roi, y, x, masks, smallest_px=_OUTLINE_PX) for roi in rois],
        sizes,
    )
    run.put("roi_feature", features, sizes)
    run.put("roi_feature_sd", sd, sizes)
    pixels = rasterise_rois(run, parameters)
    empty = [roi.name for roi, inside in zip(rois, pixels, strict=True) if not inside.any()]
    return {"rois": [roi.name for roi in rois], "empty_rois": empty}


def _check(run: Run, parameters: FeatureParameters) -> None:
    """Find faults in regions and masks before the first task."""
    rasterise_rois(run, parameters, Region((("y", 0, 1), ("x", 0, 1))))


FEATURE = Stage(
    name="feature",
    version=2,
    parameters=FeatureParameters,
    create=lambda run, parameters: None,
    phases=(
        Phase("sums", lambda run, parameters: pair_fields(run.sizes), _sum, _finish),
        *FRONT_PHASES,
    ),
    check=_check,
)
