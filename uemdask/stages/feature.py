"""Features: a vector of a few numbers for every region of interest and pair."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from uemdask.cube import Run, RunLike
from uemdask.cube.blocks import Place
from uemdask.cube.layout import Region, pair_fields
from uemdask.labels.estimator import mean_width
from uemdask.regions import FEATURES, RoiSums, finalise, outline
from uemdask.regions.roi_features import sum_block
from uemdask.stages.headlines import FRONT_PHASES
from uemdask.stages.regions_of_interest import (
    FeatureParameters,
    named_masks,
    rasterise_rois,
    rois_of,
)
from uemdask.stages.spectrum import binning_of
from uemdask.stages.stage import Phase, Receipt, Stage

# Patches of a mask smaller than this are left out of its outline: the text must stay readable.
_OUTLINE_PX = 16


def _sum(run: Run, region: Region, parameters: FeatureParameters) -> Receipt:
    pairs = slice(*region.span("pair", run.sizes["pair"]))
    found = sum_block(
        run.read("flow", region),
        run.read("flow_sd", region),
        run.read("valid", region),
        (run.read("time_to") - run.read("time_from"))[pairs],
        rasterise_rois(run, parameters, region),
        place=Place.of(region, run.sizes),
        pixel_size=run.pixel_size,
    )
    return {name: values.tolist() for name, values in found.items()} | {"stated": True}


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
    correlation = mean_width(run.results("spectrum").wavelength_px, binning_of(run))
    features, sd = finalise(
        RoiSums.concatenate([reduce(add, slabs[start]) for start in sorted(slabs)]),
        correlation_px=correlation,
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
    return {
        "rois": [roi.name for roi in rois],
        "empty_rois": empty,
        "correlation_px": correlation,
    }


def _check(run: RunLike, parameters: FeatureParameters) -> None:
    """Find faults in regions and masks before the first task."""
    rasterise_rois(run, parameters, Region((("y", 0, 1), ("x", 0, 1))))


FEATURE = Stage(
    name="feature",
    version=4,
    parameters=FeatureParameters,
    create=lambda run, parameters: None,
    phases=(
        Phase("sums", lambda run, parameters: pair_fields(run.sizes), _sum, _finish),
        *FRONT_PHASES,
    ),
    check=_check,
)
