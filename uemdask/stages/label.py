"""Labels: pseudo-ground-truth displacement of every pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import Field

from uemdask.cube import Run
from uemdask.cube.layout import Region, pair_fields
from uemdask.labels import base_label, base_range, combine, label_pairs
from uemdask.labels.confidence import AMBIGUOUS_DISPLACEMENT
from uemdask.motion import round_flow
from uemdask.spectrum import phase_flow, travel_index
from uemdask.stages.complex_wave import ComplexWave, check_wave, read_complex_wave
from uemdask.stages.frames import read_aligned
from uemdask.stages.spectrum import band_of, smoothing_of, travels_over_all
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

# Halo in px: optical flow sees about two of its coarsest patches, phase flow its Gaussians.
_HALO = 64
# An eighth of a wavelength, within these bounds, px: wider than the noise, inside the halo.
_PHASE_SIGMA = (8.0, 20.0)
# Trust in a label from two frames, beside one from the frames around them. A contrast that is
# reversed across a line holds the former there, and it does not know.
_TWO_FRAMES = 0.1
# A base label carries no motion; finer steps would only store noise.
_BASE_STEP = 1 / 16

Method = Literal["phase", "dis", "farneback"]


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
    # Two frames cannot tell a standing wave from one that travels; the frames around them can.
    travel = [travel_index(frame) for frame in wave.values]
    travels = travels_over_all(run, region)
    shape = wave.values[0][wave.inner].shape
    delays = run.read("time")
    label = np.empty((len(pairs), 2, *shape), np.float32)
    confidence = np.empty((len(pairs), *shape), np.float32)
    # Pair by pair: the estimates of a whole slab would be many times the result.
    for i, pair in enumerate(pairs):
        found = [_estimate(run, wave, travel, pair, method) for method in parameters.methods]
        merged, trust = found[0]
        if len(found) > 1:
            labels, confidences = zip(*found, strict=True)
            # The frames around a pair know more than the pair: where both are sure, they lead.
            weights = [
                confidence if method == "phase" else _TWO_FRAMES * confidence
                for method, confidence in zip(parameters.methods, confidences, strict=True)
            ]
            merged, trust = combine(labels, weights)
        label[i] = round_flow(merged[:, *wave.inner])
        # Beyond half a period a front cannot be told from the next one.
        periods = band_of(run).centre * 1e-3 * float(delays[pair[1]] - delays[pair[0]])
        confidence[i] = trust[wave.inner] * travels * (periods < AMBIGUOUS_DISPLACEMENT)
    run.write("label", label, region)
    run.write("label_confidence", confidence, region)
    return {"confidence": round(float(confidence.mean()), 6)}


def _estimate(
    run: Run, wave: ComplexWave, travel: list[np.ndarray], pair: np.ndarray, method: Method
) -> tuple[np.ndarray, np.ndarray]:
    """Return label (2, y, x) in px and confidence (y, x) of one pair by one method."""
    results = run.stage("spectrum")["results"]
    noise = results["wave_noise"]
    start, end = pair - wave.first
    first, second = wave.values[start], wave.values[end]
    if method == "phase":
        delays = run.read("time")
        step = 2e-3 * np.pi * band_of(run).centre * float(delays[pair[1]] - delays[pair[0]])
        sigma = float(np.clip(results["wavelength_px"] / 8, *_PHASE_SIGMA))
        label, confidence = phase_flow(
            first, second, phase_step=step, sigma=sigma, smoothing=smoothing_of(run)
        )
        power = (np.abs(first) ** 2 + np.abs(second) ** 2) / 2
        return label, confidence * power / (power + 2 * noise**2 + 1e-30)
    labels, confidences = label_pairs(
        np.stack([first.real, second.real]),
        [(0, 1)],
        scale=results["grey_scale"],
        wavelength=results["wavelength_px"],
        noise=noise,
        method=method,
    )
    # Pyramids carry the edge of an unlit area far into the wave.
    away = _from_dark(first) / results["wavelength_px"]
    travels = np.minimum(travel[start], travel[end])
    return labels[0], confidences[0] * travels * np.clip(away, 0, 1) ** 2


def _from_dark(wave: np.ndarray) -> np.ndarray:
    """Return the distance of pixels (y, x) to the next unlit one, px; the wave is 0 there."""
    lit = (wave != 0).astype(np.uint8)
    if lit.all():
        return np.full(lit.shape, np.inf, np.float32)
    return cv2.distanceTransform(lit, cv2.DIST_L2, 5)


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
    limits = run.stage("label")["results"]["base_range"]
    for i, values in zip(frames - start, tile.values, strict=True):
        label = base_label(tile.reference, values[None], limits=limits)[0]
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
