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
from uemdask.cube.layout import Region, tiles
from uemdask.errors import UemError
from uemdask.labels.label_estimation import grey_of
from uemdask.network.flow import scale_of
from uemdask.spectrum import (
    Band,
    Direction,
    TileStatistics,
    band_of_spectrum,
    choose_direction,
    filter_series,
    frequency_grid,
    judge,
    mean_of,
    peak_block,
    peak_halo,
    smoothed,
    smoothing_halo,
    statistics_block,
    travels_over_all,
    wave_noise,
    wave_operator,
    wave_step,
)
from uemdask.spectrum.binning import Crests, natural_binning
from uemdask.spectrum.harmonics import FEWEST_DELAYS
from uemdask.spectrum.peak_maps import MAPS
from uemdask.spectrum.wave_sample import SampledTiles, join_samples
from uemdask.stages.aligned_reader import read_aligned
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage


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
    for name in (
        "spectrum",
        "peak_count",
        "peak_frequency",
        "peak_amplitude",
        "peak_phase",
        "peak_snr",
        "travel_index",
        "wavelength",
        "mask",
        "wave",
    ):
        run.create(name, sizes)


def _tiles(run: RunLike, parameters: SpectrumParameters) -> list[Region]:
    return tiles(run.sizes)


# ---- first pass: mean spectrum and distribution of peaks


def _statistics(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    frames, delays = usable_indices(run)
    halo = smoothing_halo(parameters.smoothing)
    tile = read_aligned(run, region, frames=frames, halo=halo, ratio=True)
    found = statistics_block(
        tile.values,
        tile.weight,
        place=tile.place,
        delays=delays,
        frequency=run.read("frequency"),
        smoothing=parameters.smoothing,
        trend=parameters.trend,
    )
    names = [each.name for each in fields(TileStatistics)]
    return {name: np.asarray(found[name]).tolist() for name in names}


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


def _map(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    frames, delays = usable_indices(run)
    band, packing = band_of(run), run.packing("wave")
    halo = peak_halo(parameters.smoothing)
    tile = read_aligned(run, region, frames=frames, halo=halo, ratio=True)
    found = peak_block(
        tile.values,
        tile.weight,
        place=tile.place,
        delays=delays,
        band=band,
        pixel_size=run.pixel_size,
        smoothing=parameters.smoothing,
        trend=parameters.trend,
        statistic=parameters.statistic,
        threshold=parameters.threshold,
        in_place=True,
    )
    for name in MAPS:
        run.write(name, found[name], region)
    operator = wave_operator(delays, band.centre, window=parameters.window, at=run.read("time"))
    wave, beyond = filter_series(tile.values, operator, inner=tile.place.inner, packing=packing)
    run.write_stored("wave", wave, region)
    mask = found["mask"]
    return {
        **{name: found[name] for name in _SUMS},
        "wave_power": [
            float(np.square(packing.unpack(frame[mask])).sum(dtype=np.float64)) for frame in wave
        ],
        "beyond": beyond,
    }


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
    return tiles(run.sizes) if results.directional != "none" else []


def _direct(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    """Write the wave again, from the frames, without what travels against it."""
    frames, delays = usable_indices(run)
    band, direction = band_of(run), direction_of(run)
    halo = direction.halo + smoothing_halo(parameters.smoothing)
    tile = read_aligned(run, region, frames=frames, halo=halo, ratio=True)
    series = smoothed(tile.values, tile.weight, parameters.smoothing, in_place=True)
    operator = wave_operator(delays, band.centre, window=parameters.window, at=run.read("time"))
    wave, beyond = filter_series(
        series,
        operator,
        directed=direction.directed(operator, delays, band.centre),
        wave_number=direction.wave_number,
        inner=tile.place.inner,
        packing=run.packing("wave"),
    )
    run.write_stored("wave", wave, region)
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
        "binning": natural_binning(sample.shortest_px, (run.sizes["y"], run.sizes["x"]))
        if parameters.binning == "auto"
        else parameters.binning,
    }


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
        Phase("survey", _tiles, _statistics, _choose),
        Phase("map", _tiles, _map, _judge),
        Phase("direction", _directed, _direct, _directed_results),
        Phase("scale", lambda run, parameters: [Region()], _scale, _keep_scale),
    ),
    check=_check,
)
