"""The headline of each region of interest: its speed and direction from the phase of the wave.

It needs the wave and `valid`, not the network's displacement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.cube import Run, RunLike
from uemdask.cube.blocks import Place
from uemdask.cube.layout import TILE, Region, regions, tiles
from uemdask.regions import FRONT_HALO, FrontSums, Headline
from uemdask.regions.front_speed import (
    HEADLINE,
    SLAB,
    STRENGTH,
    front_block,
    headline_values,
    region_headlines,
    roi_amplitude,
    strength_block,
)
from uemdask.stages.regions_of_interest import FeatureParameters, rasterise_rois
from uemdask.stages.spectrum import band_of, smoothing_of
from uemdask.stages.stage import Phase, Receipt
from uemdask.stages.stored_wave import pairs_of, stored_wave

_DIGITS = 7  # of the sums in the ledger
_NO_WAVE = "the wave is not kept here"


def _strength(run: Run, region: Region, parameters: FeatureParameters) -> Receipt:
    """Sum the strength of the wave over the relevant pixels of each region."""
    found = strength_block(
        run.read("mask", region),
        run.read("peak_amplitude", region),
        rasterise_rois(run, parameters, region),
    )
    return {name: values.tolist() for name, values in found.items()}


def _keep_strength(
    run: Run, parameters: FeatureParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    pixels, relevant, power = (
        np.sum([receipt[each.name] for receipt in receipts.values()], axis=0) for each in STRENGTH
    )
    return {
        "roi_pixels": pixels.tolist(),
        "roi_relevant_pixels": relevant.tolist(),
        "roi_amplitude": roi_amplitude(power, relevant).tolist(),
    }


def _regions(run: RunLike, parameters: FeatureParameters) -> list[Region]:
    return regions(run.sizes, pair=SLAB, y=TILE, x=TILE)


def _sum(run: Run, region: Region, parameters: FeatureParameters) -> Receipt:
    if "wave" not in run:
        return {}
    place, results = Place.of(region, run.sizes, FRONT_HALO), run.results("spectrum")
    sums = front_block(
        stored_wave(run, place),
        run.read("valid", region),
        np.asarray(run.group["mask"][place.rows, place.columns]),
        run.read("peak_amplitude", region),
        pairs_of(run, region),
        rasterise_rois(run, parameters, region),
        place=place,
        rms=np.asarray(run.results("feature").roi_amplitude),
        delays=run.read("time"),
        centre=band_of(run).centre,
        wavelength_px=results.wavelength_px,
        pixel_size=run.pixel_size,
        smoothing=smoothing_of(run),
        noise=results.wave_noise,
    )
    return {"pair": _rounded(sums.pair), "patch": _rounded(sums.patch)} if sums.pair.any() else {}


def _rounded(sums: np.ndarray) -> list[Any]:
    flat = [float(f"{value:.{_DIGITS}g}") for value in sums.ravel()]
    rounded: list[Any] = np.reshape(flat, sums.shape).tolist()
    return rounded


def _finish(
    run: Run, parameters: FeatureParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    sizes = run.sizes
    sums = FrontSums.empty(
        sizes["roi"], sizes["pair"], -(-sizes["pair"] // SLAB), (sizes["y"], sizes["x"])
    )
    for key, receipt in receipts.items():
        if not receipt:
            continue
        region = Region.from_key(key)
        first, y, x = (region.span(dim, 0)[0] for dim in ("pair", "y", "x"))
        part = FrontSums(np.asarray(receipt["pair"]), np.asarray(receipt["patch"]))
        sums.add(part, first_pair=first, slab=first // SLAB, origin=(y, x))
    for name, value in zip(HEADLINE, headline_values(_headlines(run, sums)), strict=True):
        run.put(name, value, sizes)
    return {}


def _headlines(run: Run, sums: FrontSums) -> list[Headline]:
    if "wave" not in run:
        none = np.full(run.sizes["pair"], np.nan)
        return [Headline(speeds=none, reason=_NO_WAVE)] * run.sizes["roi"]
    results, band = run.results("feature"), band_of(run)
    return region_headlines(
        sums,
        np.stack([run.read("time_from"), run.read("time_to")], axis=1),
        np.asarray(results.roi_pixels),
        np.asarray(results.roi_relevant_pixels),
        centre=band.centre,
        window=run.stage("spectrum")["parameters"]["window"],
        noise=run.results("spectrum").wave_noise,
    )


#: Phases of the stage ``feature`` after its features.
FRONT_PHASES = (
    Phase("strength", lambda run, parameters: tiles(run.sizes), _strength, _keep_strength),
    Phase("fronts", _regions, _sum, _finish),
)
