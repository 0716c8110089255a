"""Flow: the network's displacement, where it is valid, and speed and angle from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from uemdask.cube import Run, RunLike
from uemdask.cube.blocks import Place
from uemdask.cube.contract import REASONS
from uemdask.cube.layout import Region, pair_fields
from uemdask.errors import UemError
from uemdask.motion import DISAGREEMENT_LIMIT, FIELD_LIMIT, fuse, label_error
from uemdask.motion.speed_angle import fuse_block, motion_block
from uemdask.motion.valid_flow import valid_block, wave_halo
from uemdask.network import (
    Calibration,
    UNet,
    calibrate,
    calibration_pairs,
    choose_device,
    load_model,
    model_digest,
    predict,
)
from uemdask.network.flow import flow_block, flow_halo
from uemdask.stages.spectrum import band_of, binning_of, read_travelling, smoothing_of
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage
from uemdask.stages.stored_wave import check_wave, pairs_of, stored_wave
from uemdask.stages.train import model_of
from uemdask.stages.twin import twin_labels, twin_series

# Training learns from and judges on other twins than this one.
_TWIN_SEED = 2000
_LIMITS = {
    "travel_threshold",
    "noise_threshold",
    "strength_threshold",
    "disagreement_limit",
    "displacement_limit",
    "field_limit",
}


class FlowParameters(Parameters):
    """Settings of the network's flow.

    Attributes
    ----------
    views : int
        1, 2 or 4 views of each pair that are averaged, see `uemdask.network.predict`; the cost
        rises with them.
    samples : int
        Monte-Carlo dropout samples per pair for `flow_sd`; 0 uses only the stated variance.
    travel_threshold : float
        Travel index from which a wave counts as travelling.
    noise_threshold : float
        Local wave amplitude over its noise from which a wave counts as present.
    strength_threshold : float
        Share of the pixel's own amplitude over the series from which a wave counts as present.
    disagreement_limit : float
        By which the local mean of the flow may differ from that of the labels, relative; more where
        noise makes the labels uncertain.
    displacement_limit : float
        In wavelengths; beyond half a wavelength a displacement is ambiguous.
    field_limit : float
        Longest wavelength that still means something, in lengths of the field of view.
    fused : bool
        Whether `flow` is the mean of the network's displacement and the label, weighted by their
        variances, see `uemdask.motion.fuse`; else the network's alone.
    derived : bool
        Also store `speed` and `angle`, which follow from `flow`.
    """

    views: Literal[1, 2, 4] = 1
    samples: int = Field(default=0, ge=0)
    travel_threshold: float = 0.5
    noise_threshold: float = 2.0
    strength_threshold: float = Field(default=0.25, ge=0)
    disagreement_limit: float = Field(default=DISAGREEMENT_LIMIT, gt=0)
    displacement_limit: float = Field(default=0.4, gt=0, le=0.5)
    field_limit: float = Field(default=FIELD_LIMIT, gt=0)
    fused: bool = True
    derived: bool = True


def _create(run: Run, parameters: FlowParameters) -> None:
    derived = ["speed", "angle"] if parameters.derived else []
    for name in ["flow", "flow_sd", "valid", "invalid_reason", *derived]:
        run.create(name, run.sizes)
    run.note("flow", results={"model_digest": run.results("train").model_digest})


def _calibrate(run: Run, region: Region, parameters: FlowParameters) -> Receipt:
    """Find on a simulated twin how large the errors of network, labels and flow are."""
    try:
        twin = twin_series(run, seed=_TWIN_SEED)
        chosen = calibration_pairs(twin)
    except UemError as error:
        unknown = Calibration((1.0, 1.0), region_error=0.0, region_turn=0.0)
        return asdict(unknown) | {"calibrated": False, "reason": str(error)}
    truth, inside = twin.label[chosen].astype(np.float32), twin.confidence[chosen] > 0
    model, device = _model(run)
    flow, sd = predict(
        model,
        twin.wave[twin.frame_from[chosen]],
        twin.wave[twin.frame_to[chosen]],
        scale=twin.scale,
        device=device,
        views=parameters.views,
        samples=parameters.samples,
    )
    found = calibrate(flow, sd, truth, inside)
    if not parameters.fused:
        return asdict(found) | {"calibrated": True, "reason": ""}
    label, confidence = twin_labels(run, twin, chosen)
    of_labels = label_error(label, confidence, truth, inside)
    network = np.array(found.deviation_factor, np.float32)[:, None, None]
    fused = [
        fuse(
            flow[i],
            sd[i] * network,
            label[i],
            of_labels.deviation(label[i], confidence[i]),
            binning=binning_of(run),
        )
        for i in range(len(chosen))
    ]
    flow, sd = (np.stack(part) for part in zip(*fused, strict=True))
    return asdict(calibrate(flow, sd, truth, inside)) | {
        "network_factor": found.deviation_factor,
        "label_error": list(of_labels),
        "calibrated": True,
        "reason": "",
    }


def _model(run: Run) -> tuple[UNet, torch.device]:
    check_model(run)
    model, _ = load_model(model_of(run))
    device, _ = choose_device("auto")
    return model, device


def check_model(run: RunLike) -> None:
    """Refuse a run whose network is no longer in its file.

    Raises
    ------
    UemError
        If the file is gone, is no model, or holds another one.
    """
    record = run.results("train")
    if "model" not in record:  # not trained yet
        return
    path = model_of(run)
    try:
        found = "" if model_digest(path) == record.model_digest else "is no longer"
    except UemError:
        found = "is gone, or damaged: it was"
    if found:
        raise UemError(
            f"{path}: {found} the model that this run was given; bring it back, or train anew with "
            f"`retrain=True`"
        )


def _check(run: RunLike, parameters: FlowParameters) -> None:
    check_wave(run, parameters)
    check_model(run)


def _keep(run: Run, parameters: FlowParameters, receipts: Mapping[str, Receipt]) -> dict[str, Any]:
    return dict(receipts["all"])


def _flow(run: Run, region: Region, parameters: FlowParameters) -> Receipt:
    check_model(run)
    pairs, delays = pairs_of(run, region), run.read("time")
    results = run.results("spectrum")
    binning = binning_of(run)
    place = Place.of(region, run.sizes, flow_halo(binning))
    network = flow_block(
        stored_wave(run, place),
        pairs,
        place=place,
        model=model_of(run),
        scale=results.wave_scale,
        views=parameters.views,
        samples=parameters.samples,
        binning=binning,
    )
    labels = run.read("label", region), run.read("label_confidence", region)
    twin = run.results("flow")
    found = fuse_block(
        network["flow"],
        network["flow_sd"],
        *labels,
        label_error=twin.label_error,
        network_factor=(1.0, 1.0) if twin.label_error is None else twin.network_factor,
        deviation_factor=twin.deviation_factor,
    )
    place = Place.of(region, run.sizes, wave_halo(binning))
    # What the labels had a say in would always agree with them.
    found |= valid_block(
        stored_wave(run, place),
        network["flow"],
        *labels,
        run.read("mask", region),
        read_travelling(run, Place.of(region, run.sizes)),
        run.read("peak_amplitude", region),
        pairs,
        place=place,
        delays=delays,
        centre=band_of(run).centre,
        noise=results.wave_noise,
        smoothing=smoothing_of(run),
        window=run.stage("spectrum")["parameters"]["window"],
        limits=parameters.model_dump(include=_LIMITS),
        binning=binning,
    )
    if parameters.derived:
        steps = delays[pairs[:, 1]] - delays[pairs[:, 0]]
        found |= motion_block(found["flow"], found["valid"], steps, pixel_size=run.pixel_size)
    for name, values in found.items():
        run.write(name, values, region)
    counts = np.bincount(found["invalid_reason"].ravel(), minlength=len(REASONS))
    return {"reasons": counts.tolist()}


def _keep_reasons(
    run: Run, parameters: FlowParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    """Keep how many pixels of all pairs each reason takes out."""
    counts = np.sum([receipt["reasons"] for receipt in receipts.values()], axis=0)
    return {"reasons": dict(zip(REASONS, counts.tolist(), strict=True))}


FLOW = Stage(
    name="flow",
    version=4,
    parameters=FlowParameters,
    create=_create,
    phases=(
        Phase("calibrate", lambda run, parameters: [Region()], _calibrate, _keep, gpu=True),
        Phase(
            "pairs",
            lambda run, parameters: pair_fields(run.sizes),
            _flow,
            _keep_reasons,
            gpu=True,
        ),
    ),
    check=_check,
)
