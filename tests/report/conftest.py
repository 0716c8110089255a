"""A small run with a plane wave of known speed, written as the data contract says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from known_waves import plane_wave

from uemdask.cube import STAGES, Run, create_run
from uemdask.regions import FEATURES, MODES, mask_outline

SPEED = 3.0  # nm/ps
ANGLE = 30.0  # degree
FREQUENCY = 25.0  # GHz
WAVELENGTH = SPEED / FREQUENCY * 1e3  # 120 nm
STEP = 5.0  # ps
PIXEL = 6.0  # nm
SD = 0.02  # px


@dataclass(frozen=True)
class Settings:
    """What differs between runs."""

    upto: str = "mode"
    size: int = 64
    frames: int = 24
    first: float = -15.0  # ps
    rois: tuple[str, ...] = ("mask",)
    flagged: tuple[tuple[int, str], ...] = ()
    metadata: tuple[tuple[str, Any], ...] = ()
    speed: float = SPEED
    angle: float = ANGLE
    flow_angle: float | None = None  # what a wrong network says
    found: bool = True
    valid: bool = True
    mode: str = "travelling"
    spread: float = 0.8  # of the directions, degree
    standing: bool = False  # as the travel index of the spectrum says


def direction(angle: float) -> np.ndarray:
    """Return the unit vector (x, y) with y downwards."""
    return np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle))])


def growing_wave(delays: np.ndarray, s: Settings) -> np.ndarray:
    """Return a wave (time, y, x) that grows from time zero on and travels with a known speed."""
    Z = plane_wave(
        (s.size, s.size),
        delays,
        frequency=FREQUENCY,
        wavelength=s.speed / FREQUENCY * 1e3,
        angle=s.angle,
        pixel=(PIXEL, PIXEL),
    )
    return 0.05 * np.clip(delays / 40, 0, 1)[:, None, None] * Z.real


def write_run(path: Path, s: Settings) -> Run:
    """Write a run up to and with a stage."""
    delays = s.first + STEP * np.arange(s.frames)
    shape = (s.size, s.size)
    run = create_run(
        path,
        delays=delays,
        shape=shape,
        dtype="uint16",
        pixel_size=(PIXEL, PIXEL),
        source_file=[f"frame_{i:04d}.tif" for i in range(s.frames)],
        metadata={"sample": "Ge wedge", "temperature": "80 K", **dict(s.metadata)},
        digest="feed",
    )
    y, x = run.read("y"), run.read("x")
    texture = 500 + 100 * np.sin(x / 70)[None, :] * np.cos(y / 90)[:, None]
    wave = growing_wave(delays, s)
    run.write("intensity", np.round(texture * (1 + wave)).astype(np.uint16))
    ok, flags = np.ones(s.frames, bool), np.full(s.frames, "", object)
    for frame, reason in s.flagged:
        ok[frame], flags[frame] = False, reason
    run.write("frame_ok", ok)
    run.write("frame_flag", flags)
    run.finish("ingest")
    writers: dict[str, Callable[[], None]] = {
        "align": lambda: _align(run, texture),
        "spectrum": lambda: _spectrum(run, wave, s),
        "pairs": lambda: _pairs(run, delays, ok),
        "label": lambda: None,
        "train": lambda: _train(run, path),
        "flow": lambda: _flow(run, s),
        "feature": lambda: _feature(run, s),
        "mode": lambda: _mode(run, s),
    }
    for stage in STAGES[1 : STAGES.index(s.upto) + 1]:
        run.begin(stage, digest=f"digest of {stage}", parameters={"example": {"value": 1}})
        writers[stage]()
        run.finish(stage)
    return run


def _align(run: Run, texture: np.ndarray) -> None:
    sizes = run.sizes | {"component": 2}
    run.put("component", ["x", "y"], sizes)
    run.put("reference", texture.astype(np.float32), sizes)
    run.put("gain", np.ones(sizes["time"]), sizes)
    run.put("drift", np.zeros((sizes["time"], 2)), sizes)
    run.note("align", results={"registered": True, "unregistered_frames": []})


def relevant(size: int) -> np.ndarray:
    mask = np.ones((size, size), bool)
    mask[: size // 8] = False
    return mask


def _spectrum(run: Run, wave: np.ndarray, s: Settings) -> None:
    frequency = np.linspace(2, 100, 99)
    sizes = run.sizes | {"frequency": len(frequency)}
    line = np.exp(-0.5 * ((frequency - FREQUENCY) / 3) ** 2)
    run.put("frequency", frequency, sizes)
    run.put("spectrum", 1e-6 + 1e-3 * line, sizes)
    run.put("peak_count", np.round(1000 * line).astype(np.int64), sizes)
    even = np.ones((s.size, s.size), np.float32)
    values = {
        "peak_frequency": FREQUENCY,
        "peak_amplitude": 0.05,
        "peak_phase": 0.0,
        "peak_snr": 100.0,
        "travel_index": 0.97,
        "wavelength": 1e3 * s.speed / FREQUENCY,
    }
    for name, value in values.items():
        run.put(name, even * np.float32(value), sizes)
    run.put("mask", relevant(s.size), sizes)
    run.put("wave", wave, sizes)
    band = {"low": 20.0, "high": 30.0, "centre": FREQUENCY, "significance": 40.0, "found": s.found}
    if not s.found:
        band["significance"] = 2.0
    run.note(
        "spectrum",
        results={
            "band": band,
            "wave_noise": 0.001,
            "relevant_share": 0.875,
            "travel_index": 0.05 if s.standing else 0.97,
        },
    )


def _pairs(run: Run, delays: np.ndarray, ok: np.ndarray) -> None:
    usable = np.flatnonzero(ok)
    sizes = run.sizes | {"pair": len(usable) - 1}
    run.put("frame_from", usable[:-1], sizes)
    run.put("frame_to", usable[1:], sizes)
    run.put("time_from", delays[usable[:-1]], sizes)
    run.put("time_to", delays[usable[1:]], sizes)


def _train(run: Run, path: Path) -> None:
    model = path.with_suffix(".pt")
    history = [
        {"step": 10, "phase": "pretrain", "loss": 1.0, "supervised": 1.0},
        {"step": 20, "phase": "pretrain", "loss": -0.5, "supervised": -0.5},
        {"step": 30, "phase": "finetune", "loss": 0.9, "photometric": 0.6, "anchor": 0.3},
        {"step": 40, "phase": "finetune", "loss": 0.7, "photometric": 0.5, "anchor": 0.2},
        {
            "phase": "guard",
            "kept": "finetuned",
            "pretrained_error": 0.25,
            "finetuned_error": 0.125,
        },
    ]
    lines = [json.dumps(entry) for entry in history]
    model.with_suffix(".history.jsonl").write_text("\n".join(lines) + "\n" + '{"step": 5')
    results = {"model": str(model), "model_digest": "beef", "trained": True, "runs": [run.name]}
    run.note("train", results=results)


def _flow(run: Run, s: Settings) -> None:
    sizes = run.sizes
    angle = s.angle if s.flow_angle is None else s.flow_angle
    steps = run.read("time_to") - run.read("time_from")
    vector = direction(angle)[None] * (s.speed * steps / PIXEL)[:, None]
    shape = (sizes["pair"], 2, s.size, s.size)
    flow = np.broadcast_to(vector[:, :, None, None], shape).astype(np.float32)
    valid = np.broadcast_to(relevant(s.size), (shape[0], *shape[2:])).copy()
    valid[run.read("time_from") < 0] = False
    run.put("flow", flow, sizes)
    run.put("flow_sd", np.full(shape, SD, np.float32), sizes)
    run.put("valid", valid & s.valid, sizes)


def _feature(run: Run, s: Settings) -> None:
    names = [feature.name for feature in FEATURES]
    sizes = run.sizes | {"roi": len(s.rois), "feature": len(names)}
    late = (run.read("time_from") >= 0) & s.valid
    truth = {"mean_speed": s.speed, "mean_angle": s.angle, "coherence": 1.0}
    value = np.full((len(s.rois), len(names), sizes["pair"]), np.nan)
    for i, name in enumerate(names):
        value[:, i, late] = truth.get(name, 0.0)
    value[:, names.index("valid_fraction")] = late
    run.put("roi", list(s.rois), sizes)
    run.put("feature", names, sizes)
    run.put("feature_unit", [feature.unit for feature in FEATURES], sizes)
    outline = mask_outline(relevant(s.size), run.read("y"), run.read("x"))
    run.put("roi_outline", [outline] * len(s.rois), sizes)
    run.put("roi_feature", value, sizes)
    run.put("roi_feature_sd", np.full(value.shape, 0.04), sizes)
    delays = np.stack([run.read("time_from"), run.read("time_to")])[:, late]
    first, last = (delays.min(), delays.max()) if late.any() else (np.nan, np.nan)
    known = 1.0 if late.any() else np.nan
    numbers = {
        "roi_speed": s.speed,
        "roi_speed_sd": 0.01,
        "roi_direction": s.angle,
        "roi_direction_sd": 0.1,
        "roi_direction_spread": s.spread,
        "roi_frequency": FREQUENCY,
        "roi_wavelength": 1e3 * s.speed / FREQUENCY,
        "roi_delay_first": first,
        "roi_delay_last": last,
    }
    for name, number in numbers.items():
        run.put(name, np.full(len(s.rois), number * known), sizes)
    run.put("roi_speed_missing", ["" if late.any() else "none is valid"] * len(s.rois), sizes)
    run.put("roi_pair_speed", [np.where(late, s.speed, np.nan)] * len(s.rois), sizes)


def _mode(run: Run, s: Settings) -> None:
    sizes = run.sizes | {"mode_class": len(MODES)}
    probability = np.full((len(s.rois), len(MODES)), 0.02)
    probability[:, MODES.index(s.mode)] = 0.94
    run.put("mode_class", list(MODES), sizes)
    run.put("mode", [s.mode] * len(s.rois), sizes)
    run.put("mode_probability", probability, sizes)
    run.put("roi_travelling_share", np.full(len(s.rois), float(s.valid)), sizes)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a run with some settings changed, once each."""
    made: dict[str, Path] = {}

    def make(name: str = "wedge", **changed: Any) -> Path:
        settings = Settings(**changed)
        key = f"{name}: {settings}"
        if key not in made:
            path = tmp_path_factory.mktemp("runs") / f"{name}.zarr"
            write_run(path, settings)
            made[key] = path
        return made[key]

    return make
