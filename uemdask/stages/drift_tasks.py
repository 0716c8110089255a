"""The tasks of the drift of a run, see `uemdask.align.series_drift`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.align import DARK, OVERLAP, Piece, join_pieces
from uemdask.align.series_drift import (
    FoundDrift,
    TileContrast,
    TileFit,
    fit_tile,
    follow_piece,
    followed_drift,
    join_tiles,
    tile_window,
)
from uemdask.cube import Run
from uemdask.cube.layout import Region, frame_slabs
from uemdask.stages.raw_frames import recorded_frames
from uemdask.stages.stage import Receipt


def follow_slab(run: Run, region: Region, max_drift: float | None) -> Receipt:
    """Follow the usable frames of a slab, from a few of the one before."""
    start, stop = region.span("time", run.sizes["time"])
    usable = np.flatnonzero(run.read("frame_ok"))
    before, here = usable[usable < start], usable[(usable >= start) & (usable < stop)]
    if not here.size:
        return {"frames": [], "position": [], "found": []}
    frames = [int(frame) for frame in (*before[-OVERLAP:], *here)]
    shaded = run.read("shaded")
    recorded = recorded_frames(run, run.read("bad_pixel"), shaded)
    piece = follow_piece(recorded, frames, shaded, max_drift)
    return {
        "frames": piece.frames,
        "position": piece.position.tolist(),
        "found": piece.found.tolist(),
    }


def join_slabs(receipts: Mapping[str, Receipt]) -> Piece | None:
    """Return the series as it was followed slab by slab; None where nothing was."""
    pieces = [
        Piece(r["frames"], np.asarray(r["position"], np.float64), np.asarray(r["found"], bool))
        for r in receipts.values()
        if r["frames"]
    ]
    return join_pieces(pieces) if pieces else None


def keep_followed(run: Run, receipts: Mapping[str, Receipt]) -> dict[str, Any]:
    """Write the drift as followed."""
    whole = join_slabs(receipts)
    assert whole is not None  # a run has usable frames
    found = followed_drift(whole, run.read("frame_ok"), run.read("time"))
    run.write("drift", found.drift)
    return {
        "followed_share": found.followed_share,
        "registered": found.registered,
        "unregistered_frames": found.lost,
    }


# ---- all frames at once


def refine_tile(run: Run, region: Region) -> Receipt:
    """Fit the drift of all usable frames in one tile."""
    sizes = run.sizes
    usable = np.flatnonzero(run.read("frame_ok"))
    drift = run.read("drift")[usable]
    rows, columns = tile_window(region, sizes, drift)
    intensity = run.group["intensity"]
    bad, shaded = (np.asarray(run.group[name][rows, columns]) for name in ("bad_pixel", "shaded"))
    contrast_of = TileContrast(bad, shaded, DARK * run.results("align").lit_level)
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
            contrast[number] = contrast_of(counts[usable[number] - start])
    found = fit_tile(contrast, drift, shaded)
    return {
        "frames": usable.tolist(),
        "drift": found.drift.tolist(),
        "error": [[e if np.isfinite(e) else None for e in pair] for pair in found.error.tolist()],
        "votes": found.votes.tolist(),
    }


def keep_refined(run: Run, receipts: Mapping[str, Receipt]) -> dict[str, Any]:
    """Combine the tiles and write drift and its standard error."""
    tiles = [
        TileFit(
            np.asarray(r["drift"], np.float64),
            np.array([[np.inf if e is None else e for e in pair] for pair in r["error"]]),
            np.asarray(r["votes"], np.float64),
        )
        for r in receipts.values()
        if r["frames"]
    ]
    drift, followed = run.read("drift"), run.results("align").followed_share
    start = FoundDrift(drift, np.full_like(drift, np.nan), False, [], followed)
    found = join_tiles(tiles, start, run.read("frame_ok"), run.read("time"))
    run.write("drift", found.drift)
    run.write("drift_sd", found.drift_sd)
    return {"registered": found.registered, "unregistered_frames": found.lost}
