"""Reading the frames of a region as analysis wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uemdask.align import CountingNoise, correct_frames, pixel_weight, required_halo
from uemdask.cube import Run
from uemdask.cube.blocks import Place
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
    place : Place
        Where it lies in the frame.
    """

    values: np.ndarray
    reference: np.ndarray
    weight: np.ndarray
    place: Place


def read_aligned(run: Run, region: Region, *, frames: np.ndarray, halo: int, ratio: bool) -> Tile:
    """Return aligned, repaired frames: the ratio to the reference minus 1, or counts."""
    place = Place.of(region, run.sizes, halo)
    drift, gain = run.read("drift")[frames], run.read("gain")[frames]
    slope = run.read("gain_slope")[frames]
    results = run.results("align")
    reach = required_halo(drift)
    around, here = place.widened(reach), (place.rows, place.columns)
    bad, shaded = (np.asarray(run.group[name][around]) for name in ("bad_pixel", "shaded"))
    passed = np.asarray(run.group["passed_light"][around])
    unlit, reference = (np.asarray(run.group[name][here]) for name in ("unlit", "reference"))
    dark = np.asarray(run.group["dark"][around]) if "dark" in run else None
    values = np.empty((len(frames), *reference.shape), np.float32)
    # Slab by slab, as the chunks lie: the raw counts of all frames never stand beside the result.
    for slab in np.unique(frames // FRAMES):
        chosen = np.flatnonzero(frames // FRAMES == slab)
        first, last = int(frames[chosen[0]]), int(frames[chosen[-1]])
        counts = np.asarray(run.group["intensity"][first : last + 1, *around])
        values[chosen] = correct_frames(
            counts[frames[chosen] - first],
            *(
                drift[chosen],
                gain[chosen],
                slope[chosen],
                bad,
                shaded,
                passed,
                unlit,
                reference,
                dark,
            ),
            place=place,
            ratio=ratio,
            level=results.lit_level,
            halo=reach,
        )
    weight = pixel_weight(reference, unlit, CountingNoise(**results.noise), results.lit_level)
    return Tile(values, reference, weight, place)
