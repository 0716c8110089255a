"""The headline of each region of interest: its speed and direction from the phase of the wave.

It needs the wave and `valid`, not the network's displacement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.cube import Run
from uemdask.cube.blocks import Place
from uemdask.cube.layout import TILE, Region, regions, tiles
from uemdask.regions import FRONT_HALO, FrontSums, Headline, away_from_rims, front_sums, headlines
from uemdask.spectrum.complex_wave import COMPLEX_WINDOW
from uemdask.stages.regions_of_interest import FeatureParameters, rasterise_rois
from uemdask.stages.spectrum import band_of
from uemdask.stages.stage import Phase, Receipt
from uemdask.stages.stored_wave import pairs_of, read_complex_wave

# Pairs of a task: with the reach of the window in time it then reads two or three times as many
# frames as it looks at.
_PAIRS = 32
# Where a wave is weaker, of its rms in the region, a pixel's phase is that of its neighbours.
_LEAST_AMPLITUDE = 0.5
_DIGITS = 7  # of the sums in the ledger
_NO_WAVE = "the wave is not kept here"


def _strength(run: Run, region: Region, parameters: FeatureParameters) -> Receipt:
    """Sum the strength of the wave over the relevant pixels of each region."""
    rois = rasterise_rois(run, parameters, region)
    inside = rois & run.read("mask", region)
    power = np.square(run.read("peak_amplitude", region), dtype=np.float64)
    return {
        "pixels": rois.sum(axis=(1, 2)).tolist(),
        "relevant": inside.sum(axis=(1, 2)).tolist(),
        "power": [float(np.nansum(power[pixels])) for pixels in inside],
    }


def _keep_strength(
    run: Run, parameters: FeatureParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    pixels, relevant, power = (
        np.sum([receipt[name] for receipt in receipts.values()], axis=0)
        for name in ("pixels", "relevant", "power")
    )
    return {
        "roi_pixels": pixels.tolist(),
        "roi_relevant_pixels": relevant.tolist(),
        "roi_amplitude": np.sqrt(power / np.maximum(relevant, 1)).tolist(),
    }


def _regions(run: Run, parameters: FeatureParameters) -> list[Region]:
    return regions(run.sizes, pair=_PAIRS, y=TILE, x=TILE)


def _sum(run: Run, region: Region, parameters: FeatureParameters) -> Receipt:
    rois = rasterise_rois(run, parameters, region)
    place = Place.of(region, run.sizes, FRONT_HALO)
    inner = place.inner
    relevant = np.asarray(run.group["mask"][place.rows, place.columns])
    if "wave" not in run or not (rois & relevant[inner]).any():
        return {}
    results = run.results("spectrum")
    pairs = pairs_of(run, region)
    start, stop = int(pairs.min()), int(pairs.max())
    wave = read_complex_wave(run, region, (start, stop), halo=FRONT_HALO)
    least = _LEAST_AMPLITUDE * np.asarray(run.results("feature").roi_amplitude)
    strong = run.read("peak_amplitude", region) >= least[:, None, None]
    sums = front_sums(
        wave.values,
        pairs - start,
        run.read("time")[start : stop + 1],
        run.read("valid", region),
        relevant,
        rois,
        rois & strong & away_from_rims(relevant)[inner],
        frequency=band_of(run).centre,
        wavelength_px=results.wavelength_px,
        pixel_size=run.pixel_size,
        smoothing=run.stage("spectrum")["parameters"]["smoothing"],
        noise=results.wave_noise,
        inner=inner,
    )
    return {"pair": _rounded(sums.pair), "patch": _rounded(sums.patch)}


def _rounded(sums: np.ndarray) -> list[Any]:
    flat = [float(f"{value:.{_DIGITS}g}") for value in sums.ravel()]
    rounded: list[Any] = np.reshape(flat, sums.shape).tolist()
    return rounded


def _finish(
    run: Run, parameters: FeatureParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    sizes = run.sizes
    sums = FrontSums.empty(
        sizes["roi"], sizes["pair"], -(-sizes["pair"] // _PAIRS), (sizes["y"], sizes["x"])
    )
    for key, receipt in receipts.items():
        if not receipt:
            continue
        region = Region.from_key(key)
        first, y, x = (region.span(dim, 0)[0] for dim in ("pair", "y", "x"))
        part = FrontSums(np.asarray(receipt["pair"]), np.asarray(receipt["patch"]))
        sums.add(part, first_pair=first, slab=first // _PAIRS, origin=(y, x))
    found = _headlines(run, sums)
    values = {
        "roi_speed": [each.speed for each in found],
        "roi_speed_sd": [each.speed_sd for each in found],
        "roi_direction": [each.direction for each in found],
        "roi_direction_sd": [each.direction_sd for each in found],
        "roi_direction_spread": [each.spread for each in found],
        "roi_frequency": [each.frequency for each in found],
        "roi_wavelength": [each.wavelength for each in found],
        "roi_delay_first": [each.first for each in found],
        "roi_delay_last": [each.last for each in found],
        "roi_speed_missing": [each.reason for each in found],
        "roi_pair_speed": [each.speeds for each in found],
    }
    for name, value in values.items():
        run.put(name, value, sizes)
    return {}


def _headlines(run: Run, sums: FrontSums) -> list[Headline]:
    if "wave" not in run:
        none = np.full(run.sizes["pair"], np.nan)
        return [Headline(speeds=none, reason=_NO_WAVE)] * run.sizes["roi"]
    results, band = run.results("feature"), band_of(run)
    period = 1e3 / band.centre
    window = run.stage("spectrum")["parameters"]["window"] * period
    return headlines(
        sums,
        np.stack([run.read("time_from"), run.read("time_to")], axis=1),
        np.asarray(results.roi_pixels),
        np.asarray(results.roi_relevant_pixels),
        frequency=band.centre,
        window=window,
        complex_window=float(np.hypot(window, COMPLEX_WINDOW * period)),
        noise=run.results("spectrum").wave_noise,
    )


#: Phases of the stage ``feature`` after its features.
FRONT_PHASES = (
    Phase("strength", lambda run, parameters: tiles(run.sizes), _strength, _keep_strength),
    Phase("fronts", _regions, _sum, _finish),
)
