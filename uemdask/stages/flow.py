"""Flow: the network's displacement, where it is valid, and speed and angle from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from uemdask.cube import Run
from uemdask.cube.layout import Region, pair_fields
from uemdask.errors import UemError
from uemdask.motion import (
    DISAGREEMENT_LIMIT,
    FIELD_LIMIT,
    LabelError,
    disagreement,
    fuse,
    label_error,
    round_flow,
    round_mantissa,
    speed_and_angle,
    valid_pixels,
)
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
from uemdask.spectrum import lasting, local_wavevector, sharp_amplitude, smooth, travel_index
from uemdask.spectrum import wavelength as wavelength_of
from uemdask.stages.complex_wave import COARSE, ComplexWave, check_wave, fine, read_complex_wave
from uemdask.stages.frames import widened
from uemdask.stages.spectrum import band_of, smoothing_of, travels_over_all
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage
from uemdask.stages.train import model_of
from uemdask.stages.twin import twin_labels, twin_series

# Halo in px of the network: further away a pixel hardly counts, whatever its receptive field.
_NETWORK_HALO = 96
_WAVE_HALO = 40
# Relative error of a label in units of the noise over the amplitude, as simulated dim waves show.
_NOISE_TOLERANCE = 0.15
# Training learns from and judges on other twins than this one.
_TWIN_SEED = 2000
_PHASE_SIGMA = 8.0  # px, as in the spectrum
# Bits that are kept of a speed, 0.2 %, and of a standard deviation, 3 %: finer is noise to store.
_SPEED_BITS = 8
_SD_BITS = 4
_ANGLE_STEP = 1 / 4  # degree


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

    views: Literal[1, 2, 4] = 4
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
    names = ["flow", "flow_sd", "valid"] + (["speed", "angle"] if parameters.derived else [])
    for name in names:
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
        fuse(flow[i], sd[i] * network, label[i], of_labels.deviation(label[i], confidence[i]))
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


def check_model(run: Run) -> None:
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


def _check(run: Run, parameters: FlowParameters) -> None:
    check_wave(run, parameters)
    check_model(run)


def _keep(run: Run, parameters: FlowParameters, receipts: Mapping[str, Receipt]) -> dict[str, Any]:
    return dict(receipts["all"])


def _flow(run: Run, region: Region, parameters: FlowParameters) -> Receipt:
    sizes = run.sizes
    start, stop = region.span("pair", sizes["pair"])
    pairs = np.stack([run.read("frame_from"), run.read("frame_to")], axis=1)[start:stop]
    network, network_sd = _predict(run, region, pairs, parameters)
    flow, flow_sd = _fused(run, region, network, network_sd)
    flow, flow_sd = round_flow(flow), round_mantissa(flow_sd, _SD_BITS)
    valid = _valid(run, region, pairs, network, parameters)
    run.write("flow", flow, region)
    run.write("flow_sd", flow_sd, region)
    run.write("valid", valid, region)
    if parameters.derived:
        delays = run.read("time")
        steps = delays[pairs[:, 1]] - delays[pairs[:, 0]]
        speed, angle = speed_and_angle(flow, run.pixel_size, steps, valid)
        run.write("speed", round_mantissa(speed, _SPEED_BITS), region)
        run.write("angle", _round_angle(angle), region)
    return {"valid": int(valid.sum())}


def _round_angle(angle: np.ndarray) -> np.ndarray:
    rounded = round_flow(angle, _ANGLE_STEP)
    return np.where(rounded <= -180, rounded + 360, rounded).astype(np.float32)


def _predict(
    run: Run, region: Region, pairs: np.ndarray, parameters: FlowParameters
) -> tuple[np.ndarray, np.ndarray]:
    first, last = int(pairs.min()), int(pairs.max())
    rows, columns, inner = widened(region, run.sizes, _NETWORK_HALO)
    wave = run.array("wave")[first : last + 1, rows, columns]
    model, device = _model(run)
    flow, flow_sd = predict(
        model,
        wave[pairs[:, 0] - first],
        wave[pairs[:, 1] - first],
        scale=run.results("spectrum").wave_scale,
        device=device,
        views=parameters.views,
        samples=parameters.samples,
    )
    return flow[:, :, *inner], flow_sd[:, :, *inner]


def _fused(
    run: Run, region: Region, flow: np.ndarray, flow_sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give the labels their say, and make the deviations those of the twin."""
    found = run.results("flow")
    factor = np.array(found.deviation_factor, np.float32)[:, None, None]
    if found.label_error is None:
        return flow, flow_sd * factor
    error, network = LabelError(*found.label_error), np.array(found.network_factor)
    labels, trust = run.read("label", region), run.read("label_confidence", region)
    fused = [
        fuse(one, sd * network[:, None, None], label, error.deviation(label, sure))
        for one, sd, label, sure in zip(flow, flow_sd, labels, trust, strict=True)
    ]
    flow, flow_sd = (np.stack(part) for part in zip(*fused, strict=True))
    return flow, flow_sd * factor


def _valid(
    run: Run, region: Region, pairs: np.ndarray, flow: np.ndarray, parameters: FlowParameters
) -> np.ndarray:
    wave = read_complex_wave(
        run, region, (int(pairs.min()), int(pairs.max())), band=band_of(run), halo=_WAVE_HALO
    )
    sizes, mask = run.sizes, run.read("mask", region) & travels_over_all(run, region)
    strength, present = _present(run, region, wave, parameters)
    travel = [travel_index(Z, sigma=_PHASE_SIGMA)[wave.inner] for Z in wave.values]
    noise = run.results("spectrum").wave_noise
    labels, trust = run.read("label", region), run.read("label_confidence", region)
    smoothing = smoothing_of(run)
    valid = np.empty((len(pairs), *mask.shape), bool)
    told = _told(run, pairs, parameters)
    for i, (start, end) in enumerate(pairs - wave.first):
        if not told[i]:
            valid[i] = False
            continue
        k = local_wavevector(wave.values[start], sigma=_PHASE_SIGMA, smoothing=smoothing)
        weakest = np.maximum(np.minimum(strength[start], strength[end]), 1e-30)
        # Both frames have a say: in one of them the wave may not have come yet.
        valid[i] = valid_pixels(
            flow[i],
            mask=mask & present[start] & present[end],
            travel=np.minimum(travel[start], travel[end]),
            amplitude_to_noise=weakest / max(noise, 1e-30),
            disagreement=disagreement(flow[i], labels[i], trust[i])
            - _NOISE_TOLERANCE * noise / weakest,
            wavelength_px=wavelength_of(k)[wave.inner],
            field_px=(sizes["y"], sizes["x"]),
            travel_threshold=parameters.travel_threshold,
            noise_threshold=parameters.noise_threshold,
            disagreement_limit=parameters.disagreement_limit,
            displacement_limit=parameters.displacement_limit,
            field_limit=parameters.field_limit,
        )
    return valid


def _present(
    run: Run, region: Region, wave: ComplexWave, parameters: FlowParameters
) -> tuple[np.ndarray, np.ndarray]:
    """Return amplitude (frame, y, x), and where the wave is there, neither just coming nor gone."""
    found = run.stage("spectrum")
    delays, period = run.read("time")[wave.around], 1e3 / band_of(run).centre
    amplitude = sharp_amplitude(
        smooth(wave.power, _PHASE_SIGMA / COARSE),
        delays,
        period=period,
        window=found["parameters"]["window"],
        noise=run.results("spectrum").wave_noise,
    )
    lasts = lasting(amplitude, delays, period=period)
    own = parameters.strength_threshold * run.read("peak_amplitude", region)
    shape = wave.values.shape[1:]
    frames = np.arange(len(wave.values)) + wave.first - wave.around.start
    strength = np.stack([fine(amplitude[i], shape)[wave.inner] for i in frames])
    there = np.stack([fine(lasts[i].astype(np.float32), shape)[wave.inner] > 0.5 for i in frames])
    return strength, there & (strength > own)


def _told(run: Run, pairs: np.ndarray, parameters: FlowParameters) -> np.ndarray:
    """Return the pairs in which a motion can be told at all.

    Not those in which the wave runs on by too many wavelengths, whatever the flow says: the next
    front looks the same. Not those from before time zero: there is no wave yet, only the trace
    that the window of the band-pass carries there.
    """
    delays = run.read("time")
    start, end = delays[pairs[:, 0]], delays[pairs[:, 1]]
    periods = band_of(run).centre * 1e-3 * (end - start)
    return np.asarray((periods < parameters.displacement_limit) & (start >= 0))


FLOW = Stage(
    name="flow",
    version=3,
    parameters=FlowParameters,
    create=_create,
    phases=(
        Phase("calibrate", lambda run, parameters: [Region()], _calibrate, _keep, gpu=True),
        Phase("pairs", lambda run, parameters: pair_fields(run.sizes), _flow, gpu=True),
    ),
    check=_check,
)
