"""Align: hot pixels, the reference, drift and brightness of every frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from uemdask.align import (
    Registrar,
    brightness,
    build_reference,
    find_bad_pixels,
    repair_pixels,
    sample_shifted,
)
from uemdask.cube import Run
from uemdask.cube.layout import Region, frame_slabs
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

# Bad pixels are looked for in the mean of this many frames spread over the series: the sample
# drifts and blurs, the detector stays.
_BAD_PIXEL_FRAMES = 32
# The reference takes all its frames where they hold no more pixels than this, else a share.
_REFERENCE_PIXELS = 2**30
_REFERENCE_FRAMES = 64


class AlignParameters(Parameters):
    """Settings of the alignment.

    Attributes
    ----------
    register_drift : bool
        Look for sample drift; where false, drift is zero.
    bad_pixels : bool
        Look for hot and dead pixels of the detector.
    max_drift : float, optional
        Largest drift looked for in px; a quarter of the shorter edge where not given.
    """

    register_drift: bool = True
    bad_pixels: bool = True
    max_drift: float | None = Field(default=None, gt=0)


def reference_frames(run: Run) -> np.ndarray:
    """Return the frames whose mean is the reference: usable ones before time zero, else all."""
    usable = np.flatnonzero(run.read("frame_ok"))
    before = usable[run.read("time")[usable] < 0]
    return before if before.size else usable


def _create(run: Run, parameters: AlignParameters) -> None:
    sizes = run.sizes | {"component": 2}
    run.put("component", ["x", "y"], sizes)
    for name in ("reference", "bad_pixel", "drift", "gain"):
        run.create(name, sizes)


def _spread(frames: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the frames, evenly spread."""
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).astype(int)]


def _load(run: Run, frame: int) -> np.ndarray:
    counts = np.asarray(run.group["intensity"][int(frame)], np.float32)
    return counts if run.dark is None else counts - run.dark


def _reference(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    sizes = run.sizes
    frames = reference_frames(run)
    bad = np.zeros((sizes["y"], sizes["x"]), bool)
    if parameters.bad_pixels:
        chosen = _spread(np.flatnonzero(run.read("frame_ok")), _BAD_PIXEL_FRAMES)
        mean = np.zeros(bad.shape, np.float32)
        for frame in chosen:
            mean += np.nan_to_num(_load(run, frame)) / np.float32(len(chosen))
        bad = find_bad_pixels(mean)
    if len(frames) * bad.size > _REFERENCE_PIXELS:
        frames = _spread(frames, _REFERENCE_FRAMES)
    options: dict[str, Any] = {"max_drift": parameters.max_drift}
    if parameters.register_drift:
        found = build_reference(lambda i: _load(run, frames[i]), len(frames), bad=bad, **options)
        image = found.image
    else:
        image = np.zeros(bad.shape, np.float32)
        for frame in frames:
            image += repair_pixels(_load(run, frame), bad) / np.float32(len(frames))
    run.write("bad_pixel", bad)
    run.write("reference", image)
    return {
        "frames": [int(frame) for frame in frames],
        "before_zero": bool(run.read("time")[frames].max() < 0),
        "bad_pixels": int(bad.sum()),
    }


def _keep_reference(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    receipt = dict(receipts["all"])
    return {
        "reference_frames": len(receipt["frames"]),
        "reference_before_zero": receipt["before_zero"],
        "bad_pixels": receipt["bad_pixels"],
    }


def _register(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    start, stop = region.span("time", run.sizes["time"])
    reference, bad, ok = run.read("reference"), run.read("bad_pixel"), run.read("frame_ok")
    registrar = Registrar(reference, max_drift=parameters.max_drift)
    drift, gain, quality = [], [], []
    for frame in range(start, stop):
        if not ok[frame]:
            drift.append([0.0, 0.0])
            gain.append(1.0)
            quality.append(0.0)
            continue
        image = _load(run, frame)
        broken = bad | ~np.isfinite(image)
        image = repair_pixels(image, broken)
        x = y = good = 0.0
        if parameters.register_drift:
            found = registrar.drift(image)
            x, y, good = found.x, found.y, found.quality
        moved, covered = sample_shifted(image, (x, y))
        drift.append([x, y])
        gain.append(brightness(moved, reference, covered))
        quality.append(good)
    return {"drift": drift, "gain": gain, "quality": quality}


def _collect(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    joined = {
        name: np.concatenate([np.asarray(r[name], np.float64) for r in receipts.values()])
        for name in ("drift", "gain", "quality")
    }
    drift, good = joined["drift"], joined["quality"] > 0
    trusted = good.sum() > run.read("frame_ok").sum() / 2
    if not trusted:
        # Most frames have nothing to lock on; the few that seemed to are not better.
        drift = np.zeros_like(drift)
    elif not good.all():
        frames = np.arange(len(good))
        for component in (0, 1):
            drift[:, component] = np.interp(frames, frames[good], drift[good, component])
    run.write("drift", drift)
    run.write("gain", joined["gain"])
    return {
        "registered": bool(trusted and parameters.register_drift),
        "unregistered_frames": np.flatnonzero(~good).tolist() if trusted else [],
    }


ALIGN = Stage(
    name="align",
    version=1,
    parameters=AlignParameters,
    create=_create,
    phases=(
        Phase("reference", lambda run, parameters: [Region()], _reference, _keep_reference),
        Phase("register", lambda run, parameters: frame_slabs(run.sizes), _register, _collect),
    ),
)
