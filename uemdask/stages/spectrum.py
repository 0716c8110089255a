"""Spectrum: the wave's frequency band, the relevant pixels, and the band-passed wave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import partial, reduce
from operator import add
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from uemdask.cube import Run, RunLike
from uemdask.cube.blocks import Place
from uemdask.cube.layout import FIELD, TILE, Region, regions, tiles
from uemdask.errors import UemError
from uemdask.labels.label_estimation import grey_of
from uemdask.labels.optical_flow import SMALLEST_IMAGE_PX
from uemdask.network.flow import scale_of
from uemdask.spectrum import (
    Band,
    Cells,
    Direction,
    Reduction,
    TileStatistics,
    band_of_spectrum,
    band_passed,
    choose_direction,
    filter_series,
    frequency_grid,
    grid_halo,
    judge,
    mean_of,
    peak_halo,
    peak_maps,
    published_ratio,
    statistics_of_tile,
    statistics_operator,
    surveyed,
    travels_over_all,
    wave_noise,
    wave_operator,
    wave_step,
)
from uemdask.spectrum.binning import FEWEST_SAMPLES, Crests
from uemdask.spectrum.harmonics import FEWEST_DELAYS
from uemdask.spectrum.peak_maps import MAPS
from uemdask.spectrum.squares import edge_of
from uemdask.spectrum.wave_sample import (
    SampledTiles,
    WaveSample,
    binning_of_sample,
    join_samples,
)
from uemdask.stages.aligned_reader import aligned_slabs, read_aligned, weight_of
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

#: Largest smoothed series of a task, bytes.
_SERIES = 192 * 2**20


class SpectrumParameters(Parameters):
    """Settings of the temporal spectrum.

    Attributes
    ----------
    band : (low, high), optional
        Frequency band in GHz; chosen from the spectrum where not given.
    smoothing : float
        Sigma of the spatial Gaussian in px.
    window : float
        Sigma of the temporal window of the band-pass in periods: short for a wave that changes its
        wavelength, up to 2 for a dim and steady one.
    trend : int
        Order of the slow polynomial that is taken out of each time profile.
    statistic : {"amplitude", "peak_ratio"}
        What decides on relevant pixels: the smoothed complex amplitude over the residual, or the
        published ratio of a pixel's highest peak to its median power.
    threshold : float, optional
        Of that statistic; from the distribution of pure noise where not given.
    directional : "auto" or bool
        Take out of the wave what travels against it. With ``auto``, in a wave that travels and is
        shorter than half the field: in all frames where a tenth of the amplitude or more does,
        such as a reflection from an edge; else in the frames whose delay steps are so coarse
        that a second harmonic looks like that.
    binning : "auto" or {1, 2, 4, 8, 16}
        Factor by which the grid of the motion is coarser than the pixels. With ``auto`` the
        largest that leaves 16 samples of the shortest wavelength.
    """

    band: tuple[float, float] | None = None
    smoothing: float = Field(default=2.0, ge=0, le=16)
    window: float = Field(default=0.5, gt=0)
    trend: int = Field(default=2, ge=0, le=6)
    statistic: Literal["amplitude", "peak_ratio"] = "amplitude"
    threshold: float | None = None
    directional: Literal["auto"] | bool = "auto"
    binning: Literal["auto", 1, 2, 4, 8, 16] = "auto"

    @field_validator("band")
    @classmethod
    def _rising(cls, band: tuple[float, float] | None) -> tuple[float, float] | None:
        if band is not None and not band[0] < band[1]:
            raise ValueError(f"is {band[0]:g} to {band[1]:g} GHz; give the lower end first")
        return band


def band_of(run: Run) -> Band:
    """Return the frequency band that the spectrum stage chose."""
    return Band(**dict(run.results("spectrum").band))


def smoothing_of(run: Run) -> float:
    """Return the sigma in px by which the spectrum stage smoothed the frames."""
    return float(run.stage("spectrum")["parameters"]["smoothing"])


def binning_of(run: RunLike) -> int:
    """Return the edge of the squares, px, of the wave's natural grid."""
    return int(run.results("spectrum").binning)


def usable_indices(run: RunLike) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and delays (ps) of the frames that may be used."""
    index = np.flatnonzero(run.read("frame_ok"))
    return index, run.read("time")[index]


def read_travelling(run: Run, place: Place) -> np.ndarray:
    """Return where (y, x) the series as a whole travels."""
    travel = run.array("travel_index")[place.rows, place.columns]
    return np.asarray(travels_over_all(travel, direction_of(run)))


def direction_of(run: Run) -> Direction:
    """Return in which frames what runs against the wave is taken out."""
    results = run.results("spectrum")
    return Direction(results.directional, results.wave_number_px)


def _create(run: Run, parameters: SpectrumParameters) -> None:
    frequency = frequency_grid(usable_indices(run)[1])
    sizes = run.sizes | {"frequency": len(frequency)}
    run.put("frequency", frequency, sizes)
    for name in ("spectrum", "peak_count", *MAPS, "wave"):
        run.create(name, sizes)


# ---- first pass: mean spectrum and distribution of peaks


def _surveyed(run: RunLike, parameters: SpectrumParameters) -> list[Region]:
    return surveyed((run.sizes["y"], run.sizes["x"]))


def _statistics(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    frames, delays = usable_indices(run)
    halo = grid_halo(parameters.smoothing)
    tile = read_aligned(run, region, frames=frames, halo=halo, ratio=True)
    found = statistics_of_tile(
        tile.values,
        statistics_operator(delays, run.read("frequency"), trend=parameters.trend),
        smoothing=parameters.smoothing,
        inner=tile.place.inner,
        weight=tile.weight,
    )
    return {name: np.asarray(value).tolist() for name, value in asdict(found).items()}


def _choose(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    sums = {
        each.name: reduce(add, (np.asarray(receipt[each.name]) for receipt in receipts.values()))
        for each in fields(TileStatistics)
    }
    found = mean_of(sums | {"lit": _lit_pixels(run)})
    frequency, power = run.read("frequency"), found["spectrum"]
    run.write("spectrum", power)
    run.write("peak_count", found["peak_count"])
    band = band_of_spectrum(frequency, power, sums["peak_count"], limits=parameters.band)
    noise = wave_noise(
        float(found["noise_level"]),
        usable_indices(run)[1],
        band.centre,
        smoothing=parameters.smoothing,
        window=parameters.window,
    )
    run.set_step("wave", wave_step(frequency, power, band, noise=noise))
    return {
        "band": asdict(band),
        "noise_level": float(found["noise_level"]),
        "wave_noise": noise,
        "mean_modulation": found["mean_modulation"].tolist(),
    }


def _lit_pixels(run: Run) -> int:
    return int(np.count_nonzero(~run.read("unlit")))


# ---- second pass: each pixel's peak, the relevant pixels, the wave


def _mapped(run: RunLike, parameters: SpectrumParameters) -> list[Region]:
    """Return regions as large as their series allows: the less they read around them."""
    edge = map_edge(run.sizes["time"], parameters)
    return regions(run.sizes, y=edge, x=edge)


def map_edge(frames: int, parameters: SpectrumParameters) -> int:
    """Return the edge of the regions that are mapped at once, px; of a run of so many frames."""
    if parameters.statistic != "amplitude":  # asks every pixel
        return TILE
    pixels = _SERIES / (4 * frames) * edge_of(parameters.smoothing) ** 2
    return max(1, min(FIELD, int(np.sqrt(pixels))) // TILE) * TILE


def _reduced(
    run: Run, region: Region, parameters: SpectrumParameters, halo: int
) -> tuple[np.ndarray, Reduction, Place]:
    """Return the smoothed series of a region with a halo, on its squares."""
    place = Place.of(region, run.sizes, halo)
    frames, _ = usable_indices(run)
    reduction = Reduction(weight_of(run, place), place, parameters.smoothing)
    series = np.empty((len(frames), *reduction.share.shape), np.float32)
    for chosen, slab in aligned_slabs(run, place, frames=frames, ratio=True):
        series[chosen] = reduction.series(slab)
    return series, reduction, place


def _map(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    _, delays = usable_indices(run)
    band = band_of(run)
    halo = peak_halo(parameters.smoothing)
    series, reduction, place = _reduced(run, region, parameters, halo)
    cells = reduction.cells
    operator = wave_operator(delays, band.centre, window=parameters.window, at=run.read("time"))
    beyond = _write_wave(run, region, place, series, operator, cells)
    ratio = None
    if parameters.statistic == "peak_ratio":
        tile = read_aligned(run, region, frames=usable_indices(run)[0], halo=halo, ratio=True)
        ratio = published_ratio(tile.values, delays, band, parameters.trend)
    series = cells.at_centres(series, in_place=True)
    found = peak_maps(
        series,
        cells,
        reduction.seen,
        ratio,
        place=place,
        delays=delays,
        band=band,
        pixel_size=run.pixel_size,
        smoothing=parameters.smoothing,
        trend=parameters.trend,
        threshold=parameters.threshold,
    )
    for name in MAPS:
        run.write(name, found[name], region)
    return {
        **{name: found[name] for name in _SUMS},
        "wave_power": _power(series, operator, cells, place, found["mask"]).tolist(),
        "beyond": beyond,
    }


def _power(
    series: np.ndarray, operator: np.ndarray, cells: Cells, place: Place, mask: np.ndarray
) -> np.ndarray:
    """Return the sum over the relevant pixels (y, x) of the squared wave, frame by frame."""
    wide = np.zeros(cells.lit.shape, bool)
    wide[place.inner] = mask
    chosen = cells.of_flags(wide)
    count = np.count_nonzero(chosen)
    if count == 0:
        return np.zeros(len(operator))
    wave = band_passed(series[:, chosen][:, :, None], operator)
    power = np.einsum("tnx,tnx->t", wave, wave, dtype=np.float64)
    return np.asarray(power * np.count_nonzero(mask) / count)


def _write_wave(
    run: Run,
    region: Region,
    place: Place,
    series: np.ndarray,
    operator: np.ndarray,
    cells: Cells,
    **directed: Any,
) -> int:
    """Write the wave of a region tile by tile; return how many values cannot be stored."""
    beyond = 0
    for tile in tiles(run.sizes):
        inside = [tile.span(dim, 0)[0] in range(*region.span(dim, run.sizes[dim])) for dim in "yx"]
        if not all(inside):
            continue
        inner = tuple(
            slice(start - outer.start, stop - outer.start)
            for (_, start, stop), outer in zip(
                tile.bounds, (place.rows, place.columns), strict=True
            )
        )
        wave, more = filter_series(
            series,
            operator,
            cells,
            inner=(inner[0], inner[1]),
            packing=run.packing("wave"),
            **directed,
        )
        run.write_stored("wave", wave, tile)
        beyond += more
    return beyond


_SUMS = ("relevant", "power", "opposed", "travel", "wave_number_px")


def _judge(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    """Find how much of the frame is relevant, and in which frames to make the wave directional."""
    sums = {name: sum(receipt[name] for receipt in receipts.values()) for name in _SUMS}
    results = {
        name: float(value) for name, value in judge(sums | {"lit": _lit_pixels(run)}).items()
    }
    direction = choose_direction(
        results["opposed_share"],
        results["travel_index"],
        results["wave_number_px"],
        (run.sizes["y"], run.sizes["x"]),
        usable_indices(run)[1],
        run.read("time"),
        band_of(run),
        parameters.window,
        parameters.directional,
    )
    # Frame by frame, over the relevant pixels: how the wave comes and goes.
    frame_power = np.sum([receipt["wave_power"] for receipt in receipts.values()], axis=0)
    return {
        **results,
        "wave_power": (frame_power / max(sums["relevant"], 1)).tolist(),
        "directional": direction.frames,
        **_results_beyond(run, parameters, receipts),
    }


def _results_beyond(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    """Tell of values that are stored as the largest one that can be."""
    beyond = sum(receipt["beyond"] for receipt in receipts.values())
    if not beyond:
        return {"warnings": []}
    limit = run.packing("wave").limits[1]
    return {
        "warnings": [
            f"{beyond} values of the wave are beyond ±{limit:.3g} and stored as that; pixels "
            f"where the reference is close to zero look like this"
        ]
    }


# ---- third pass, where something runs against the wave: take it out


def _directed(run: RunLike, parameters: SpectrumParameters) -> list[Region] | None:
    results = run.results("spectrum")
    if "directional" not in results:  # the maps tell
        return None
    return _mapped(run, parameters) if results.directional != "none" else []


def _direct(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    """Write the wave again, from the frames, without what travels against it."""
    _, delays = usable_indices(run)
    band, direction = band_of(run), direction_of(run)
    halo = direction.halo + grid_halo(parameters.smoothing)
    series, reduction, place = _reduced(run, region, parameters, halo)
    operator = wave_operator(delays, band.centre, window=parameters.window, at=run.read("time"))
    beyond = _write_wave(
        run,
        region,
        place,
        series,
        operator,
        reduction.cells,
        directed=direction.directed(operator, delays, band.centre),
        wave_number=direction.wave_number,
    )
    return {"beyond": beyond}


def _directed_results(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    return _results_beyond(run, parameters, receipts) if receipts else {}


# ---- the scale of the wave


def _scale(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    chosen = SampledTiles.of(run.read("mask"))
    crests = Crests.of(
        run.read("time"),
        band_of(run).centre,
        noise=run.results("spectrum").wave_noise,
        smoothing=parameters.smoothing,
        window=parameters.window,
    )
    parts = [
        chosen.take(
            tile,
            partial(run.read, "wave", tile),
            partial(run.read, "wavelength", tile),
            crests,
        )
        for tile in chosen.tiles
    ]
    sample = join_samples(parts, run.pixel_size, (run.sizes["y"], run.sizes["x"]))
    return {
        "grey_scale": grey_of(sample),
        "wave_scale": scale_of(sample),
        "wavelength_px": sample.wavelength_px,
        "binning": checked_binning(run, parameters, sample),
    }


def checked_binning(run: RunLike, parameters: SpectrumParameters, sample: WaveSample) -> int:
    """Return the binning that is asked for, or the natural one; refuse what aliases the wave."""
    shortest = sample.shortest_px
    if parameters.binning == "auto":
        return binning_of_sample(sample, (run.sizes["y"], run.sizes["x"]))
    asked = int(parameters.binning)
    if shortest < FEWEST_SAMPLES * asked:
        raise UemError(
            f"{run.path}: spectrum.binning is {asked}, which leaves {shortest / asked:.1f} samples "
            f"of a wave of {shortest:.0f} px; take 'auto', or less: {FEWEST_SAMPLES} samples are "
            f"the fewest that tell its motion"
        )
    return asked


def _keep_scale(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    return dict(receipts["all"])


def _check(run: RunLike, parameters: SpectrumParameters) -> None:
    """Find what must fail before the results of an earlier making are removed."""
    _, delays = usable_indices(run)
    if len(delays) < FEWEST_DELAYS:
        raise UemError(
            f"{run.path}: {len(delays)} usable frames; a spectrum needs at least {FEWEST_DELAYS}"
        )
    shorter = min(run.sizes["y"], run.sizes["x"])
    if parameters.binning != "auto" and shorter < SMALLEST_IMAGE_PX * parameters.binning:
        raise UemError(
            f"{run.path}: spectrum.binning is {parameters.binning}, which leaves "
            f"{shorter // parameters.binning} squares along the frame; optical flow needs "
            f"{SMALLEST_IMAGE_PX}, so take less"
        )
    if parameters.band is None:
        return
    low, high = parameters.band
    frequency = frequency_grid(delays)
    if not np.any((frequency >= low) & (frequency <= high)):
        raise UemError(
            f"{run.path}: spectrum.band is {low:g} to {high:g} GHz; give the lower and the higher "
            f"end of a band between {frequency[0]:.3g} and {frequency[-1]:.3g} GHz"
        )


SPECTRUM = Stage(
    name="spectrum",
    version=4,
    parameters=SpectrumParameters,
    create=_create,
    phases=(
        Phase("survey", _surveyed, _statistics, _choose),
        Phase("map", _mapped, _map, _judge),
        Phase("direction", _directed, _direct, _directed_results),
        Phase("scale", lambda run, parameters: [Region()], _scale, _keep_scale),
    ),
    check=_check,
)
