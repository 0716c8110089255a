"""Labels: pseudo-ground-truth displacement of every pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from uemdask.cube import Run
from uemdask.cube.layout import Region, pair_fields
from uemdask.labels import LabelEstimator, Method, base_label, base_range
from uemdask.motion import round_flow
from uemdask.stages.complex_wave import check_wave, read_complex_wave
from uemdask.stages.frames import read_aligned
from uemdask.stages.spectrum import band_of, smoothing_of, travels_over_all
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

# Halo in px: optical flow sees about two of its coarsest patches, phase flow its Gaussians.
_HALO = 64
# A base label carries no motion; finer steps would only store noise.
_BASE_STEP = 1 / 16


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
    start, stop = region.span("pair", run.sizes["pair"])
    pairs = np.stack([run.read("frame_from"), run.read("frame_to")], axis=1)[start:stop]
    wave = read_complex_wave(
        run, region, (int(pairs.min()), int(pairs.max())), band=band_of(run), halo=_HALO
    )
    travels, delays = travels_over_all(run, region), run.read("time")
    estimate = label_estimator(run, parameters.methods)
    shape = wave.values[0][wave.inner].shape
    label = np.empty((len(pairs), 2, *shape), np.float32)
    confidence = np.empty((len(pairs), *shape), np.float32)
    # Pair by pair: the estimates of a whole slab would be many times the result.
    for i, (start, end) in enumerate(pairs):
        first, second = wave.values[start - wave.first], wave.values[end - wave.first]
        found, trust = estimate(first, second, float(delays[end] - delays[start]))
        label[i] = round_flow(found[:, *wave.inner])
        confidence[i] = trust[wave.inner] * travels
    run.write("label", label, region)
    run.write("label_confidence", confidence, region)
    return {"confidence": round(float(confidence.mean()), 6)}


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


def _base_regions(run: Run, parameters: LabelParameters) -> list[Region]:
    if not parameters.base:
        return []
    return pair_fields(run.sizes, "time")


def _base(run: Run, region: Region, parameters: LabelParameters) -> Receipt:
    start, stop = region.span("time", run.sizes["time"])
    usable = run.read("frame_ok") & (run.read("time") > 0)
    frames = np.flatnonzero(usable[start:stop]) + start
    if not len(frames):
        return {"frames": 0}
    tile = read_aligned(run, region, frames=frames, halo=_HALO)
    shape = region.slices(("y", "x"), run.sizes)
    flow = np.full(
        (stop - start, 2, *(part.stop - part.start for part in shape)), np.nan, np.float32
    )
    low, high = run.results("label").base_range
    for i, values in zip(frames - start, tile.values, strict=True):
        label = base_label(tile.reference, values[None], limits=(low, high))[0]
        flow[i] = round_flow(label[:, *tile.inner], _BASE_STEP)
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
