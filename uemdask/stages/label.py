"""Labels: pseudo-ground-truth displacement of every pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from uemdask.cube import Run, RunLike
from uemdask.cube.blocks import Place
from uemdask.cube.layout import Region, pair_fields
from uemdask.labels import LabelEstimator, Method, base_range
from uemdask.labels.base_image import base_block
from uemdask.labels.label_estimation import label_block
from uemdask.labels.optical_flow import label_halo
from uemdask.stages.aligned_reader import read_aligned
from uemdask.stages.spectrum import band_of, binning_of, read_travelling, smoothing_of
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage
from uemdask.stages.stored_wave import check_wave, pairs_of, stored_wave


class LabelParameters(Parameters):
    """Settings of the labels.

    Attributes
    ----------
    methods : tuple of {"dis", "farneback", "phase"}
        Estimators; several are combined by confidence. The two OpenCV methods see only the pair,
        as published; ``phase`` is the windowed phase velocity from the frames around it.
    base : bool
        Also compare the reference with every later frame. That carries modulation, not motion.
    """

    methods: tuple[Method, ...] = Field(default=("dis", "phase"), min_length=1)
    base: bool = True


def _create(run: Run, parameters: LabelParameters) -> None:
    sizes = run.sizes
    run.create("label", sizes)
    run.create("label_confidence", sizes)
    if parameters.base:
        run.create("base_label", sizes)


def _label(run: Run, region: Region, parameters: LabelParameters) -> Receipt:
    binning = binning_of(run)
    place = Place.of(region, run.sizes, label_halo(binning))
    found = label_block(
        stored_wave(run, place),
        read_travelling(run, place),
        pairs_of(run, region),
        place=place,
        delays=run.read("time"),
        estimator=label_estimator(run, parameters.methods),
        binning=binning,
    )
    for name, values in found.items():
        run.write(name, values, region)
    return {"confidence": round(float(found["label_confidence"].mean()), 6)}


def label_estimator(run: Run, methods: Sequence[Method]) -> LabelEstimator:
    """Return what estimates the labels of a run's wave."""
    results = run.results("spectrum")
    return LabelEstimator(
        methods,
        frequency=band_of(run).centre,
        wavelength_px=results.wavelength_px,
        noise=results.wave_noise,
        grey_scale=results.grey_scale,
        smoothing=smoothing_of(run),
    )


def _keep_base_range(
    run: Run, parameters: LabelParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    if not parameters.base:
        return {}
    # Once for all base tasks: it takes the whole reference.
    return {"base_range": list(base_range(run.read("reference")))}


def _base_regions(run: RunLike, parameters: LabelParameters) -> list[Region]:
    if not parameters.base:
        return []
    return pair_fields(run.sizes, "time")


def _base(run: Run, region: Region, parameters: LabelParameters) -> Receipt:
    start, stop = region.span("time", run.sizes["time"])
    usable = run.read("frame_ok") & (run.read("time") > 0)
    frames = np.flatnonzero(usable[start:stop]) + start
    if not len(frames):
        return {"frames": 0}
    tile = read_aligned(run, region, frames=frames, halo=label_halo(1), ratio=False)
    found = base_block(
        tile.values, tile.reference, place=tile.place, limits=run.results("label").base_range
    )
    flow = np.full((stop - start, *found.shape[1:]), np.nan, np.float32)
    flow[frames - start] = found
    run.write("base_label", flow, region)
    return {"frames": len(frames)}


LABEL = Stage(
    name="label",
    version=3,
    parameters=LabelParameters,
    create=_create,
    phases=(
        Phase("pairs", lambda run, parameters: pair_fields(run.sizes), _label, _keep_base_range),
        Phase("base", _base_regions, _base),
    ),
    check=check_wave,
)
