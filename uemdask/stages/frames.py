"""Reading frames as analysis wants them: aligned, repaired, at equal brightness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from uemdask.align import (
    DARK,
    Noise,
    aligned_frames,
    aligned_ratio,
    even_out,
    pixel_weight,
    required_halo,
)
from uemdask.cube import Run
from uemdask.cube.layout import FRAMES, Region


@dataclass(frozen=True)
class Tile:
    """Corrected frames of a region with a halo.

    Attributes
    ----------
    values : (frame, y, x) float32
        Counts at the brightness of the reference, or the ratio to it minus 1; NaN where the frame
        says nothing of the pixel.
    reference : (y, x) float32
        The reference of the same pixels, counts.
    weight : (y, x) float32
        Weight of the pixels by their precision; 0 where unlit.
    inner : (slice, slice)
        The region without its halo.
    """

    values: np.ndarray
    reference: np.ndarray
    weight: np.ndarray
    inner: tuple[slice, slice]


def widened(
    region: Region, sizes: Mapping[str, int], halo: int
) -> tuple[slice, slice, tuple[slice, slice]]:
    """Return rows and columns of a region with a halo, and the region within them.

    The halo ends at the edge of the image.
    """
    outer, inner = [], []
    for dim in ("y", "x"):
        start, stop = region.span(dim, sizes[dim])
        low, high = max(start - halo, 0), min(stop + halo, sizes[dim])
        outer.append(slice(low, high))
        inner.append(slice(start - low, stop - low))
    return outer[0], outer[1], (inner[0], inner[1])


def read_aligned(run: Run, region: Region, *, frames: np.ndarray, halo: int) -> Tile:
    """Return aligned, repaired frames at the brightness of the reference, in counts."""
    return _read(run, region, frames, halo, ratio=False)


def read_ratio(run: Run, region: Region, *, frames: np.ndarray, halo: int) -> Tile:
    """Return the ratio of aligned frames to the reference, minus 1."""
    return _read(run, region, frames, halo, ratio=True)


def _read(run: Run, region: Region, frames: np.ndarray, halo: int, *, ratio: bool) -> Tile:
    sizes = run.sizes
    rows, columns, inner = widened(region, sizes, halo)
    drift, gain = run.read("drift")[frames], run.read("gain")[frames]
    reach = required_halo(drift)
    # Pixels around the tile that drift carries in, and where the frame ends among them.
    bounds = []
    for part, size in ((rows, sizes["y"]), (columns, sizes["x"])):
        low, high = max(part.start - reach, 0), min(part.stop + reach, size)
        bounds.append((low, high, low - (part.start - reach), part.stop + reach - part.start))
    (y0, y1, top, height), (x0, x1, left, width) = bounds
    height, width = height + reach, width + reach
    inside = (top, top + y1 - y0, left, left + x1 - x0)
    window = (slice(inside[0], inside[1]), slice(inside[2], inside[3]))

    intensity = run.group["intensity"]
    bad, shaded = (np.zeros((height, width), bool) for _ in range(2))
    passed = np.ones((height, width), np.float32)
    passed[window] = run.group["passed_light"][y0:y1, x0:x1]
    bad[window] = run.group["bad_pixel"][y0:y1, x0:x1]
    shaded[window] = run.group["shaded"][y0:y1, x0:x1]
    reference = np.asarray(run.group["reference"][rows, columns])
    unlit = np.asarray(run.group["unlit"][rows, columns])
    values = np.empty((len(frames), *reference.shape), np.float32)
    dark = run.group["dark"][y0:y1, x0:x1] if "dark" in run else None
    dtype = intensity.dtype if dark is None else np.float32
    buffer = np.zeros((FRAMES, height, width), dtype)
    # Slab by slab, as the chunks lie: the raw counts of all frames never stand beside the result.
    for slab in np.unique(frames // FRAMES):
        chosen = np.flatnonzero(frames // FRAMES == slab)
        first, last = int(frames[chosen[0]]), int(frames[chosen[-1]])
        counts = np.asarray(intensity[first : last + 1, y0:y1, x0:x1])
        block = buffer[: len(chosen)]
        block[:, *window] = counts[frames[chosen] - first]
        if dark is not None:
            block[:, *window] -= dark
        shift = drift[chosen], gain[chosen], bad
        where: dict[str, Any] = {
            "halo": reach,
            "inside": inside,
            "shaded": shaded,
            "passed": None if (passed == 1).all() else passed,
            "dark_below": DARK * run.results("align").lit_level,
        }
        if ratio:
            values[chosen] = aligned_ratio(block, reference, *shift, unlit=unlit, **where)
        else:
            values[chosen] = aligned_frames(block, *shift, **where)
    slope = run.read("gain_slope")[frames]
    whole = sizes["y"], sizes["x"]
    even_out(values, slope, (rows.start, columns.start), whole, ratio=ratio)
    return Tile(values, reference, weight_of(run, reference, unlit), inner)


def weight_of(run: Run, reference: np.ndarray, unlit: np.ndarray) -> np.ndarray:
    """Return the weight of pixels (y, x) by the precision of their counts."""
    results = run.results("align")
    return pixel_weight(reference, unlit, Noise(**results.noise), results.lit_level)
