"""The drift of a series: followed from frame to frame, then fitted for all frames at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from uemdask.align.bad_pixels import PixelRepair, find_hits, repair_pixels
from uemdask.align.detector import spread
from uemdask.align.groupwise import LEAST_VOTES, refine_drift
from uemdask.align.illumination import fill_hidden, hidden_now
from uemdask.align.patch_spectra import local_contrast
from uemdask.align.sequential import Piece, register_sequentially
from uemdask.cube.layout import TILE, Region

WHOLE = 384
"""Frames up to this edge, px, are fitted whole; of larger ones some tiles spread over them."""

_TILES = 3
# A tile at the far edge of a frame is used from this size, px.
_NARROWEST = 128
# Drift, px, that leaves enough in common within a tile.
_SPARE = 32
# Tiles that disagree with the others by more than this, px, and three times the usual, are dropped.
_AGREE = 0.5


@dataclass(frozen=True)
class FoundDrift:
    """Drift of all frames of a series.

    Attributes
    ----------
    drift, drift_sd : ndarray, shape (time, 2)
        (x, y) px; the standard error is NaN where it is not known.
    registered : bool
        Whether there was anything to go by; else the drift is zero.
    lost : list of int
        Frames that were not recognised: interpolated between the others.
    followed_share : float
        Of the frames, that were recognised from frame to frame.
    """

    drift: npt.NDArray[np.float64]
    drift_sd: npt.NDArray[np.float64]
    registered: bool
    lost: list[int]
    followed_share: float


def reference_frames(frame_ok: np.ndarray, delays: np.ndarray) -> np.ndarray:
    """Return the frames whose mean is the reference: usable ones before time zero, else all."""
    usable = np.flatnonzero(frame_ok)
    before = usable[delays[usable] < 0]
    return before if before.size else usable


def spread_drift(count: int, frames: np.ndarray, drift: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return a drift for every frame, interpolated between the good ones."""
    every = np.arange(count)
    return np.stack([np.interp(every, frames[good], drift[good, c]) for c in (0, 1)], axis=1)


def follow_piece(
    load: Callable[[int], np.ndarray],
    frames: Sequence[int],
    shaded: npt.NDArray[np.bool_],
    max_drift: float | None = None,
) -> Piece:
    """Follow some frames, see `uemdask.align.sequential`; to a ten-thousandth of a pixel."""
    piece = register_sequentially(load, frames, shaded=shaded, max_drift=max_drift)
    return replace(piece, position=np.round(piece.position, 4))


def followed_drift(whole: Piece, frame_ok: np.ndarray, delays: np.ndarray) -> FoundDrift:
    """Return the drift as followed; frames that were not recognised lie between the others."""
    count = len(delays)
    frames, followed = np.asarray(whole.frames), float(whole.found.mean())
    # A start for the fit, which may see what single frames do not show.
    drift = spread_drift(count, frames, whole.position, whole.found | (followed == 0.0))
    lost = np.setdiff1d(np.arange(count), frames[whole.found]).tolist()
    origin = drift[reference_frames(frame_ok, delays)].mean(axis=0)
    unknown = np.full((count, 2), np.nan)
    return FoundDrift(drift - origin, unknown, followed > 0.5, lost, followed)


# ---- all frames at once


def drift_tiles(sizes: Mapping[str, int]) -> list[Region]:
    """Return the parts of a frame that are fitted: all of it, or tiles spread over it.

    Tiles are those of the store, so that each is read once.
    """
    edges = {dim: sizes[dim] for dim in ("y", "x")}
    if max(edges.values()) <= WHOLE:
        return [Region()]
    spans: dict[str, list[tuple[int, int]]] = {}
    for dim, size in edges.items():
        if size <= WHOLE:
            spans[dim] = [(0, size)]
            continue
        starts = np.arange(0, size, TILE)
        starts = spread(starts[size - starts >= _NARROWEST], _TILES)
        spans[dim] = [(int(start), min(int(start) + TILE, size)) for start in starts]
    return [Region((("y", *y), ("x", *x))) for y in spans["y"] for x in spans["x"]]


def tile_window(region: Region, sizes: Mapping[str, int], drift: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns that the fit of a tile needs: more where the drift is large."""
    windows = []
    for dim, moved in (("y", drift[:, 1]), ("x", drift[:, 0])):
        begin, end = region.span(dim, sizes[dim])
        more = max(int(np.ptp(moved)) - _SPARE, 0)
        first = begin + int(np.floor(moved.min())) if more else begin
        last = end + int(np.ceil(moved.max())) if more else end
        windows.append(slice(max(min(first, begin), 0), min(max(last, end), sizes[dim])))
    return windows[0], windows[1]


class TileContrast:
    """What is compared of frames in a tile: the local contrast, where they show something.

    Parameters
    ----------
    bad, shaded : ndarray of bool, shape (y, x)
        Of the tile.
    dark_below : float
        Counts below which shaded areas are dark.
    """

    def __init__(
        self, bad: npt.NDArray[np.bool_], shaded: npt.NDArray[np.bool_], dark_below: float
    ) -> None:
        self._repair = PixelRepair(bad) if not bad.all() else None
        self._shaded, self._dark_below = shaded, dark_below

    def __call__(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the contrast of a frame, (y, x) counts less the dark image; it is changed."""
        hidden = hidden_now(image, self._shaded, self._dark_below) | ~np.isfinite(image)
        if self._repair is None or hidden.all():
            return np.zeros(image.shape, np.float32)
        self._repair(fill_hidden(image, hidden))
        hits = find_hits(image)
        if hits.any():
            repair_pixels(image, hits)
        return local_contrast(image, hidden)


@dataclass(frozen=True)
class TileFit:
    """Drift, its error (t, 2) px and votes (t,) of the usable frames in one tile."""

    drift: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    votes: npt.NDArray[np.float64]


def fit_tile(contrast: np.ndarray, start: np.ndarray, shaded: npt.NDArray[np.bool_]) -> TileFit:
    """Fit the drift of the frames of a tile, see `uemdask.align.refine_drift`."""
    found = refine_drift(contrast, start, shaded=shaded)
    error = np.where(np.isfinite(found.error), np.round(found.error, 5), np.inf)
    return TileFit(np.round(found.drift, 5), error, np.round(found.votes, 2))


def join_tiles(
    tiles: Sequence[TileFit], start: FoundDrift, frame_ok: np.ndarray, delays: np.ndarray
) -> FoundDrift:
    """Combine the fits of tiles with what was followed."""
    count, followed = len(delays), start.followed_share
    frames = np.flatnonzero(frame_ok)
    fitted = [t for t in tiles if np.isfinite(t.error).all(axis=1).mean() > 0.5]
    drift_sd = np.full((count, 2), np.nan)
    if followed > 0.5 and not fitted:
        # Too little is common to all frames: what was followed is the best there is.
        drift, good, seen = start.drift, np.ones(len(frames), bool), True
    elif not fitted:
        drift, good, seen = np.zeros((count, 2)), np.zeros(len(frames), bool), False
    else:
        mean, error = mean_drift([t.drift for t in fitted], [t.error for t in fitted])
        votes = np.max([t.votes for t in fitted], axis=0)
        good = np.isfinite(error).all(axis=1) & (votes >= LEAST_VOTES)
        # The rest may be noise, or a wave, laid on itself.
        seen = followed > 0.5 and bool(good.mean() > 0.5)
        drift = spread_drift(count, frames, mean, good) if seen else np.zeros((count, 2))
        if seen:
            drift_sd[frames[good]] = error[good]
    if seen:
        origin = np.intersect1d(reference_frames(frame_ok, delays), frames[good])
        drift = drift - drift[origin if origin.size else frames[good]].mean(axis=0)
    lost = sorted({*range(count)} - {*frames[good].tolist()}) if seen else []
    return FoundDrift(drift, drift_sd, seen, lost, followed)


def mean_drift(drifts: list[np.ndarray], errors: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
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
