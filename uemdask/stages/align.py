"""Align: hot pixels, drift, the reference, and brightness of every frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from uemdask.align import EARLY, EarlyFrames, beam_fall
from uemdask.align.detector import DETECTOR_FRAMES, find_detector_faults, spread
from uemdask.align.gains import frame_brightness, join_gains
from uemdask.align.reference_image import ChosenFrames, make_reference
from uemdask.align.series_drift import drift_tiles, spread_drift
from uemdask.cube import Run, RunLike
from uemdask.cube.layout import Region, frame_slabs
from uemdask.errors import UemError
from uemdask.readers import match_drift, read_drift_table
from uemdask.stages.drift_table_check import check_table
from uemdask.stages.drift_tasks import (
    follow_slab,
    join_slabs,
    keep_followed,
    keep_refined,
    refine_tile,
)
from uemdask.stages.raw_frames import recorded_frames
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage


class AlignParameters(Parameters):
    """Settings of the alignment.

    Attributes
    ----------
    register_drift : bool
        Look for sample drift; where false, drift is zero or that of the table. With a table it
        only says whether the table makes the series steadier.
    bad_pixels : bool
        Look for hot and dead pixels and lines of the detector, and for X-ray hits. Areas that no
        beam reaches are always looked for.
    max_drift : float, optional
        Largest jump looked for, px, between a frame and the few before it; a quarter of the
        shorter edge where not given.
    drift_table : str, optional
        File with the drift of each frame, see `uemdask.readers.read_drift_table`, instead of
        looking for it from frame to frame.
    drift_refine : bool, optional
        Take the table as a start and fit the drift to a fraction of a pixel. Where not given, that
        is done where the table holds whole pixels only.
    drift_sign : str
        What the table holds. ``drift``: where the sample has moved to, frame(r + drift) =
        reference(r), x to the right, y downwards. ``correction``: the shift that brings the frame
        back, the opposite, as plug-ins of ImageJ write it.
    drift_digest : str, optional
        Digest of the table; found by the campaign, so that a changed table is noticed.
    """

    register_drift: bool = True
    bad_pixels: bool = True
    max_drift: float | None = Field(default=None, gt=0)
    drift_table: str | None = None
    drift_refine: bool | None = None
    drift_sign: Literal["drift", "correction"] = "drift"
    drift_digest: str | None = None


def _create(run: Run, parameters: AlignParameters) -> None:
    sizes = run.sizes | {"component": 2}
    run.put("component", ["x", "y"], sizes)
    for name in (
        "reference",
        "bad_pixel",
        "shaded",
        "passed_light",
        "unlit",
        "drift",
        "drift_sd",
        "gain",
        "gain_slope",
    ):
        run.create(name, sizes)


def _table(run: RunLike, parameters: AlignParameters) -> np.ndarray:
    """Return the drift of the user's table, (time, component) px, NaN where it has none."""
    drift = match_drift(
        read_drift_table(Path(str(parameters.drift_table))),
        files=[str(file) for file in run.read("source_file")],
        delays=run.read("time"),
        wanted=run.read("frame_ok"),
        pixel_size=run.pixel_size,
    )
    largest = 0.5 * min(run.sizes["y"], run.sizes["x"])
    far = np.flatnonzero(np.abs(np.nan_to_num(drift)).max(axis=1) > largest)
    if far.size:
        raise UemError(
            f"{parameters.drift_table}: frame {far[0]} moved by {np.abs(drift[far[0]]).max():g} px,"
            f" more than half of the image; check the unit and subtract a common offset"
        )
    return drift if parameters.drift_sign == "drift" else -drift


def _refines(run: RunLike, parameters: AlignParameters) -> bool:
    """Whether the drift is fitted, not only followed or taken from the table."""
    if parameters.drift_table is None or parameters.drift_refine is not None:
        wanted = parameters.drift_refine is not False
        return wanted and (parameters.register_drift or parameters.drift_table is not None)
    table = _table(run, parameters)
    return bool((np.nan_to_num(table) == np.round(np.nan_to_num(table))).all())


# ---- phases


def _bad_pixels(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    chosen = spread(np.flatnonzero(run.read("frame_ok")), DETECTOR_FRAMES)
    shape = run.sizes["y"], run.sizes["x"]
    found = find_detector_faults(
        recorded_frames(run), chosen.tolist(), shape, look=parameters.bad_pixels
    )
    run.write("bad_pixel", found.bad)
    run.write("shaded", found.shaded)
    return {
        "bad_pixels": int(found.bad.sum()),
        "shaded_share": float(found.shaded.mean()),
        "lit_level": found.level,
    }


def _slabs_followed(run: RunLike, parameters: AlignParameters) -> list[Region]:
    return frame_slabs(run.sizes) if parameters.register_drift else []


def _follow(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    return follow_slab(run, region, parameters.max_drift)


def _keep_followed(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    count = run.sizes["time"]
    run.write("drift_sd", np.full((count, 2), np.nan))
    if parameters.drift_table is not None:
        table = _table(run, parameters)
        known = np.isfinite(table[:, 0])
        run.write("drift", spread_drift(count, np.arange(count), table, known))
        found = {"followed_share": 1.0, "registered": True, "unregistered_frames": []}
        whole = join_slabs(receipts)
        return found | (check_table(table, whole, parameters.drift_sign) if whole else {})
    if not parameters.register_drift:
        run.write("drift", np.zeros((count, 2)))
        return {"followed_share": 0.0, "registered": False, "unregistered_frames": []}
    return keep_followed(run, receipts)


def _tiles(run: RunLike, parameters: AlignParameters) -> list[Region]:
    return drift_tiles(run.sizes) if _refines(run, parameters) else []


def _keep_refined(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    return keep_refined(run, receipts) if receipts else {}


def _average(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    bad, delays = run.read("bad_pixel"), run.read("time")
    lost = run.results("align").unregistered_frames
    chosen = ChosenFrames.of(run.read("frame_ok"), delays, lost, bad.size)
    shaded = run.read("shaded")
    recorded = recorded_frames(run, bad, shaded)
    found = make_reference(recorded, chosen, run.read("drift"), shaded)
    run.write("reference", found.image)
    run.write("unlit", found.unlit)
    run.write("passed_light", found.passed)
    return {
        "frames": len(chosen.average),
        "before_zero": bool(delays[chosen.average].max() < 0),
        "noise": asdict(found.noise),
        "lit_level": found.level,
        "unlit_share": float(found.unlit.mean()),
        "beam_fall": beam_fall(found.image, ~found.unlit),
    }


def _keep_average(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    receipt = receipts["all"]
    return {
        "reference_frames": receipt["frames"],
        "reference_before_zero": receipt["before_zero"],
        **{name: receipt[name] for name in ("noise", "lit_level", "unlit_share", "beam_fall")},
    }


def _brightness(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    ok, drift = run.read("frame_ok"), run.read("drift")
    first = np.flatnonzero(ok)[:EARLY]
    recorded = recorded_frames(run, run.read("bad_pixel"), run.read("shaded"))
    found = frame_brightness(
        recorded,
        range(*region.span("time", run.sizes["time"])),
        ok,
        drift,
        run.read("reference"),
        run.read("unlit"),
        run.read("passed_light"),
        EarlyFrames(recorded, first.tolist(), drift[first]),
        fall=run.results("align").beam_fall,
    )
    change = [
        (energy, error) if np.isfinite(energy) else (None, None) for energy, error in found.change
    ]
    return {"gain": found.gain, "slope": found.slope, "change": change}


def _keep_brightness(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    gain, slope, change = (
        np.concatenate([np.asarray(receipt[name], np.float64) for receipt in receipts.values()])
        for name in ("gain", "slope", "change")
    )
    found = join_gains(gain, slope, change, run.read("frame_ok"), run.read("time"))
    run.write("gain", found.gain)
    run.write("gain_slope", found.slope)
    return {
        "breathing_ghz": found.breathing.frequency,
        "time_zero_ps": found.onset.time,
        "time_zero_sd_ps": found.onset.error,
        "time_zero_reason": found.onset.reason,
    }


def _check(run: RunLike, parameters: AlignParameters) -> None:
    """Find faults in the table before the first task."""
    if parameters.drift_table is not None:
        _table(run, parameters)


ALIGN = Stage(
    name="align",
    version=5,
    parameters=AlignParameters,
    create=_create,
    phases=(
        Phase(
            "pixels",
            lambda run, parameters: [Region()],
            _bad_pixels,
            lambda run, parameters, receipts: dict(receipts["all"]),
        ),
        Phase("follow", _slabs_followed, _follow, _keep_followed),
        Phase("refine", _tiles, lambda run, region, _: refine_tile(run, region), _keep_refined),
        Phase("reference", lambda run, parameters: [Region()], _average, _keep_average),
        Phase(
            "brightness",
            lambda run, parameters: frame_slabs(run.sizes),
            _brightness,
            _keep_brightness,
        ),
    ),
    check=_check,
)
