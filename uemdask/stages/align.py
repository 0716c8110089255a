"""Align: hot pixels, drift, the reference, and brightness of every frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from uemdask.align import (
    EARLY,
    EarlyFrames,
    Penumbra,
    average_frames,
    beam_fall,
    brightness,
    brightness_slope,
    find_bad_pixels,
    find_breathing,
    find_hits,
    find_shaded,
    find_stuck_pixels,
    find_unlit,
    first_change,
    lit_level,
    measure_noise,
    sample_nearest,
    sample_shifted,
)
from uemdask.cube import Run
from uemdask.cube.layout import Region, frame_slabs
from uemdask.errors import UemError
from uemdask.readers import match_drift, read_drift_table
from uemdask.stages.drift import (
    drift_tiles,
    follow_slab,
    join_slabs,
    keep_followed,
    keep_refined,
    reference_frames,
    refine_tile,
    spread_drift,
)
from uemdask.stages.recorded import RecordedFrames
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage
from uemdask.stages.table_check import check_table

# Bad pixels are looked for in the mean of this many frames spread over the series: the sample
# drifts and blurs, the detector stays.
_BAD_PIXEL_FRAMES = 32
# Frames that tell which pixels are seen, and pairs of successive ones that tell the noise.
_SEEN_FRAMES = 16
_NOISE_PAIRS = 6
# Frames that tell how much light passes at the edge of a shade.
_PENUMBRA_FRAMES = 48
# A beam that falls further than this over the field brightens and dims places as it wanders.
_BEAM_PROFILE = 0.25
# The reference takes all its frames where they hold no more pixels than this, else a share.
_REFERENCE_PIXELS = 2**30
_REFERENCE_FRAMES = 64


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


def _spread(frames: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the frames, evenly spread."""
    if len(frames) <= count:
        return frames
    return frames[np.linspace(0, len(frames) - 1, count).astype(int)]


def _table(run: Run, parameters: AlignParameters) -> np.ndarray:
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


def _refines(run: Run, parameters: AlignParameters) -> bool:
    """Whether the drift is fitted, not only followed or taken from the table."""
    if parameters.drift_table is None or parameters.drift_refine is not None:
        wanted = parameters.drift_refine is not False
        return wanted and (parameters.register_drift or parameters.drift_table is not None)
    table = _table(run, parameters)
    return bool((np.nan_to_num(table) == np.round(np.nan_to_num(table))).all())


# ---- phases


def _bad_pixels(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    none = np.zeros((run.sizes["y"], run.sizes["x"]), bool)
    chosen = _spread(np.flatnonzero(run.read("frame_ok")), _BAD_PIXEL_FRAMES)
    total, squares = np.zeros((2, *none.shape), np.float64)
    count, hit = np.zeros((2, *none.shape), np.int32)
    recorded = RecordedFrames(run)
    for frame in chosen:
        image, hidden = recorded.with_hidden(frame)
        if parameters.bad_pixels and not hidden.all():
            hits = find_hits(image)
            hit += hits
            hidden = hidden | hits
        image = np.where(hidden, 0.0, image)
        total += image
        squares += np.square(image, dtype=np.float64)
        count += ~hidden
    mean = total / np.maximum(count, 1)
    bad = none
    if parameters.bad_pixels:
        variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
        # A margin without values is no defect.
        known = np.where(count > 0, mean, np.median(mean[count > 0]) if count.any() else 0.0)
        bad = find_bad_pixels(known) | find_stuck_pixels(mean, variance, len(chosen))
        # Hit again and again, a pixel is hot.
        bad |= hit > 0.5 * len(chosen)
    # A pixel that most frames show is seen; single frames say where they do not show it.
    shaded = find_shaded(mean, bad) if parameters.bad_pixels else none
    bad &= ~shaded
    run.write("bad_pixel", bad)
    run.write("shaded", shaded)
    return {
        "bad_pixels": int(bad.sum()),
        "shaded_share": float(shaded.mean()),
        "lit_level": lit_level(np.where(shaded | bad, 0.0, mean)),
    }


def _slabs_followed(run: Run, parameters: AlignParameters) -> list[Region]:
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


def _tiles(run: Run, parameters: AlignParameters) -> list[Region]:
    return drift_tiles(run.sizes) if _refines(run, parameters) else []


def _keep_refined(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    return keep_refined(run, receipts) if receipts else {}


def _average(run: Run, region: Region, parameters: AlignParameters) -> Receipt:
    frames, bad, shaded = reference_frames(run), run.read("bad_pixel"), run.read("shaded")
    lost = run.results("align").unregistered_frames
    seen = np.setdiff1d(frames, lost)
    frames = seen if seen.size else frames
    if len(frames) * bad.size > _REFERENCE_PIXELS:
        frames = _spread(frames, _REFERENCE_FRAMES)
    recorded, drift = RecordedFrames(run, bad, shaded), run.read("drift")
    image = average_frames(lambda i: recorded.with_hidden(frames[i]), drift[frames])
    run.write("reference", image)
    level = lit_level(image)
    usable = np.setdiff1d(np.flatnonzero(run.read("frame_ok")), lost)
    noise = measure_noise(_noise_pairs(recorded, usable, drift), level)
    share = _seen_share(recorded, _spread(usable, _SEEN_FRAMES), drift)
    unlit = find_unlit(image, share, noise)
    run.write("unlit", unlit)
    run.write("passed_light", _passed_light(recorded, usable, drift, shaded, image, unlit))
    return {
        "frames": len(frames),
        "before_zero": bool(run.read("time")[frames].max() < 0),
        "noise": asdict(noise),
        "lit_level": lit_level(np.where(unlit, 0.0, image)),
        "unlit_share": float(unlit.mean()),
        "beam_fall": beam_fall(image, ~unlit),
    }


def _passed_light(
    recorded: RecordedFrames,
    usable: np.ndarray,
    drift: np.ndarray,
    shaded: np.ndarray,
    reference: np.ndarray,
    unlit: np.ndarray,
) -> np.ndarray:
    """Return the share of the light that shades of the detector let pass."""
    if not shaded.any():
        return np.ones(shaded.shape, np.float32)
    penumbra = Penumbra(shaded, reference, unlit)
    for frame in _spread(usable, _PENUMBRA_FRAMES):
        image, hidden = recorded.with_hidden(frame)
        moved, covered = sample_shifted(image, drift[frame])
        covered &= ~unlit & ~sample_nearest(hidden, drift[frame], (0, 0), hidden.shape)
        penumbra.add(image, hidden, drift[frame], brightness(moved, reference, covered))
    return penumbra.light()


def _noise_pairs(
    recorded: RecordedFrames, usable: np.ndarray, drift: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield pairs of successive usable frames on common ground, and where both show something."""
    for number in _spread(np.arange(len(usable) - 1), _NOISE_PAIRS):
        moved, known = [], np.array(True)
        for frame in usable[number : number + 2]:
            image, hidden = recorded.with_hidden(frame)
            image, covered = sample_shifted(image, drift[frame])
            moved.append(image)
            known = known & covered & ~sample_nearest(hidden, drift[frame], (0, 0), image.shape)
        yield moved[0], moved[1], known


def _seen_share(recorded: RecordedFrames, frames: np.ndarray, drift: np.ndarray) -> np.ndarray:
    """Return the share of some frames that show each pixel of the reference."""
    seen = []
    for frame in frames:
        image, hidden = recorded.with_hidden(frame)
        _, covered = sample_shifted(image, drift[frame])
        seen.append(covered & ~sample_nearest(hidden, drift[frame], (0, 0), hidden.shape))
    return np.asarray(np.mean(seen, axis=0, dtype=np.float32))


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
    start, stop = region.span("time", run.sizes["time"])
    reference, unlit, ok = run.read("reference"), run.read("unlit"), run.read("frame_ok")
    drift = run.read("drift")
    first = np.flatnonzero(ok)[:EARLY]
    recorded = RecordedFrames(run, run.read("bad_pixel"), run.read("shaded"))
    early = EarlyFrames(recorded, first.tolist(), drift[first])
    profile = run.results("align").beam_fall < _BEAM_PROFILE
    passed = run.read("passed_light")
    shade = bool((passed < 1).any())
    gain: list[float] = []
    slope: list[tuple[float, float]] = []
    change: list[tuple[float | None, float | None]] = []
    for frame in range(start, stop):
        if not ok[frame]:
            gain.append(1.0)
            slope.append((0.0, 0.0))
            change.append((None, None))
            continue
        image, hidden = recorded.with_hidden(frame)
        moved, covered = sample_shifted(image, drift[frame])
        covered &= ~unlit & ~sample_nearest(hidden, drift[frame], (0, 0), hidden.shape)
        if shade:
            moved *= passed / sample_shifted(passed, drift[frame])[0]
        gain.append(brightness(moved, reference, covered))
        slope.append(brightness_slope(moved, reference, covered) if profile else (0.0, 0.0))
        energy, error = early.change(frame, image, drift[frame])
        change.append((energy, error) if np.isfinite(energy) else (None, None))
    return {"gain": gain, "slope": slope, "change": change}


def _keep_brightness(
    run: Run, parameters: AlignParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    gain = np.concatenate([np.asarray(r["gain"], np.float64) for r in receipts.values()])
    change = np.concatenate([np.array(r["change"], np.float64) for r in receipts.values()])
    used, delays = run.read("frame_ok"), run.read("time")
    breathing = find_breathing(gain[used], delays[used])
    gain[used] /= 1.0 + breathing.swing
    run.write("gain", gain)
    slope = np.concatenate([np.asarray(r["slope"], np.float64) for r in receipts.values()])
    if breathing.frequency is not None:
        # A wave longer than the field swings the gain, and its slope is no beam's.
        slope[:] = 0.0
    run.write("gain_slope", slope)
    onset = first_change(delays[used], *change[used].T)
    return {
        "breathing_ghz": breathing.frequency,
        "time_zero_ps": onset.time,
        "time_zero_sd_ps": onset.error,
        "time_zero_reason": onset.reason,
    }


def _check(run: Run, parameters: AlignParameters) -> None:
    """Find faults in the table before the first task."""
    if parameters.drift_table is not None:
        _table(run, parameters)


ALIGN = Stage(
    name="align",
    version=4,
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
