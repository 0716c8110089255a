"""The drift of a run: followed from frame to frame, then fitted for all frames at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.align import (
    DARK,
    LEAST_VOTES,
    OVERLAP,
    Piece,
    Repair,
    fill_hidden,
    find_hits,
    follow,
    hidden_now,
    join,
    local_contrast,
    refine_drift,
    repair_pixels,
    required_halo,
)
from uemdask.cube import Run
from uemdask.cube.layout import Region, frame_slabs
from uemdask.stages.recorded import RecordedFrames
from uemdask.stages.stage import Receipt

WHOLE = 384
"""Frames up to this edge, px, are fitted whole; of larger ones some tiles spread over them."""

_TILE = 256
_TILES = 3
# Tiles that disagree with the others by more than this, px, and three times the usual, are dropped.
_AGREE = 0.5
# A start may be this far off, px: pixels around a tile that may yet be needed.
_ASTRAY = 20


def reference_frames(run: Run) -> np.ndarray:
    """Return the frames whose mean is the reference: usable ones before time zero, else all."""
    usable = np.flatnonzero(run.read("frame_ok"))
    before = usable[run.read("time")[usable] < 0]
    return before if before.size else usable


# ---- from frame to frame


def follow_slab(run: Run, region: Region, max_drift: float | None) -> Receipt:
    """Follow the usable frames of a slab, from a few of the one before."""
    start, stop = region.span("time", run.sizes["time"])
    usable = np.flatnonzero(run.read("frame_ok"))
    before, here = usable[usable < start], usable[(usable >= start) & (usable < stop)]
    if not here.size:
        return {"frames": [], "position": [], "found": []}
    frames = [int(frame) for frame in (*before[-OVERLAP:], *here)]
    recorded = RecordedFrames(run, run.read("bad_pixel"), run.read("shaded"))
    piece = follow(recorded, frames, max_drift=max_drift)
    return {
        "frames": piece.frames,
        "position": np.round(piece.position, 4).tolist(),
        "found": piece.found.tolist(),
    }


def join_slabs(receipts: Mapping[str, Receipt]) -> Piece | None:
    """Return the series as it was followed slab by slab; None where nothing was."""
    pieces = [
        Piece(r["frames"], np.asarray(r["position"], np.float64), np.asarray(r["found"], bool))
        for r in receipts.values()
        if r["frames"]
    ]
    return join(pieces) if pieces else None


def keep_followed(run: Run, receipts: Mapping[str, Receipt]) -> dict[str, Any]:
    """Write the drift as followed; frames that were not recognised lie between the others."""
    count = run.sizes["time"]
    whole = join_slabs(receipts)
    assert whole is not None  # a run has usable frames
    frames, followed = np.asarray(whole.frames), float(whole.found.mean())
    # A start for the fit, which may see what single frames do not show.
    drift = spread_drift(count, frames, whole.position, whole.found | (followed == 0.0))
    run.write("drift", drift - drift[reference_frames(run)].mean(axis=0))
    return {
        "followed_share": followed,
        "registered": followed > 0.5,
        "unregistered_frames": np.setdiff1d(np.arange(count), frames[whole.found]).tolist(),
    }


def spread_drift(count: int, frames: np.ndarray, drift: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return a drift for every frame, interpolated between the good ones."""
    every = np.arange(count)
    return np.stack([np.interp(every, frames[good], drift[good, c]) for c in (0, 1)], axis=1)


# ---- all frames at once


def drift_tiles(sizes: Mapping[str, int]) -> list[Region]:
    """Return the parts of a frame that are fitted: all of it, or tiles spread over it."""
    edges = {dim: sizes[dim] for dim in ("y", "x")}
    if max(edges.values()) <= WHOLE:
        return [Region()]
    spans: dict[str, list[tuple[int, int]]] = {}
    for dim, size in edges.items():
        if size <= WHOLE:
            spans[dim] = [(0, size)]
            continue
        starts = np.linspace(0, size - _TILE, min(_TILES, max(1, size // _TILE))).astype(int)
        spans[dim] = [(int(start), int(start) + _TILE) for start in starts]
    return [Region((("y", *y), ("x", *x))) for y in spans["y"] for x in spans["x"]]


def refine_tile(run: Run, region: Region) -> Receipt:
    """Fit the drift of all usable frames in one tile."""
    sizes = run.sizes
    usable = np.flatnonzero(run.read("frame_ok"))
    drift = run.read("drift")[usable]
    reach = required_halo(drift) + _ASTRAY
    rows, columns = (
        slice(max(a - reach, 0), min(b + reach, sizes[dim]))
        for dim in ("y", "x")
        for a, b in [region.span(dim, sizes[dim])]
    )
    intensity = run.group["intensity"]
    bad, shaded = (np.asarray(run.group[name][rows, columns]) for name in ("bad_pixel", "shaded"))
    dark_below = DARK * run.results("align").lit_level
    repair = Repair(bad) if not bad.all() else None
    contrast = np.empty((len(usable), *bad.shape), np.float32)
    for slab in frame_slabs(sizes):
        start, stop = slab.span("time", sizes["time"])
        chosen = np.flatnonzero((usable >= start) & (usable < stop))
        if not chosen.size:
            continue
        counts = np.asarray(intensity[start:stop, rows, columns], np.float32)
        if run.dark is not None:
            counts -= run.dark[rows, columns]
        for number in chosen:
            image = counts[usable[number] - start]
            hidden = hidden_now(image, shaded, dark_below) | ~np.isfinite(image)
            if repair is None or hidden.all():
                contrast[number] = 0.0
                continue
            repair(fill_hidden(image, hidden))
            hits = find_hits(image)
            if hits.any():
                repair_pixels(image, hits)
            contrast[number] = np.where(hidden, 0.0, local_contrast(image))
    found = refine_drift(contrast, drift, shaded=shaded)
    return {
        "frames": usable.tolist(),
        "drift": np.round(found.drift, 5).tolist(),
        "error": [[round(e, 5) if np.isfinite(e) else None for e in pair] for pair in found.error],
        "votes": np.round(found.votes, 2).tolist(),
    }


def keep_refined(run: Run, receipts: Mapping[str, Receipt]) -> dict[str, Any]:
    """Combine the tiles and write drift and its standard error."""
    count = run.sizes["time"]
    followed = run.results("align").followed_share
    frames = np.flatnonzero(run.read("frame_ok"))
    tiles = [
        (
            np.asarray(r["drift"], np.float64),
            np.array([[np.inf if e is None else e for e in pair] for pair in r["error"]]),
            np.asarray(r["votes"], np.float64),
        )
        for r in receipts.values()
        if r["frames"]
    ]
    fitted = [t for t in tiles if np.isfinite(t[1]).all(axis=1).mean() > 0.5]
    drift_sd = np.full((count, 2), np.nan)
    if followed > 0.5 and not fitted:
        # Too little is common to all frames: what was followed is the best there is.
        drift, good, seen = run.read("drift"), np.ones(len(frames), bool), True
    elif not fitted:
        drift, good, seen = np.zeros((count, 2)), np.zeros(len(frames), bool), False
    else:
        joint, error = combine([t[0] for t in fitted], [t[1] for t in fitted])
        votes = np.max([t[2] for t in fitted], axis=0)
        good = np.isfinite(error).all(axis=1) & (votes >= LEAST_VOTES)
        # The rest may be noise, or a wave, laid on itself.
        seen = followed > 0.5 and bool(good.mean() > 0.5)
        drift = spread_drift(count, frames, joint, good) if seen else np.zeros((count, 2))
        if seen:
            drift_sd[frames[good]] = error[good]
    if seen:
        origin = np.intersect1d(reference_frames(run), frames[good])
        drift = drift - drift[origin if origin.size else frames[good]].mean(axis=0)
    run.write("drift", drift)
    run.write("drift_sd", drift_sd)
    lost = sorted({*range(count)} - {*frames[good].tolist()}) if seen else []
    return {"registered": seen, "unregistered_frames": lost}


def combine(drifts: list[np.ndarray], errors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of tiles, each up to a constant, and its standard error.

    Parameters
    ----------
    drifts, errors : list of ndarray, shape (t, 2)
        px; an infinite error where a frame was not found in a tile.

    Returns
    -------
    drift, error : ndarray, shape (t, 2)
        The error covers how far the tiles disagree.
    """
    use = np.ones(len(drifts), bool)
    found = np.isfinite(np.array(errors)).all(axis=2)
    weight = np.where(found[..., None], 1.0 / np.square(errors), 0.0)
    common = found.all(axis=0)
    if not common.any():
        common = found[np.argmax(found.sum(axis=1))]
    centred = np.array(
        [
            d - d[common & f].mean(axis=0) if (common & f).any() else d
            for d, f in zip(drifts, found, strict=True)
        ]
    )
    for _ in range(2):
        total = weight[use].sum(axis=0)
        mean = (weight[use] * centred[use]).sum(axis=0) / np.maximum(total, 1e-30)
        rest = np.array(
            [
                np.sqrt(np.mean(np.square(c - mean)[f & (total > 0).all(axis=1)]))
                if (f & (total > 0).all(axis=1)).any()
                else np.inf
                for c, f in zip(centred, found, strict=True)
            ]
        )
        agree = rest <= max(_AGREE, 3.0 * float(np.median(rest)))
        if len(drifts) < 3 or agree.all() or not agree.any():
            break
        use = agree
    total = weight[use].sum(axis=0)
    with np.errstate(divide="ignore"):
        error = np.where(total > 0, 1.0 / np.sqrt(total), np.inf)
    if use.sum() > 1:
        squares = weight[use] * np.square(centred[use] - mean)
        spare = max(int(found[use].sum()) - len(mean), 1)
        error = error * max(1.0, float(np.sqrt(squares.sum() / 2 / spare)))
    return mean, error
