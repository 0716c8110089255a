"""Spectrum: the wave's frequency band, the relevant pixels, and the band-passed wave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import reduce
from operator import add
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import Field, field_validator

from uemdask import labels, network
from uemdask.align import SEEN
from uemdask.cube import Run
from uemdask.cube.layout import Region, tiles
from uemdask.cube.packing import Packing
from uemdask.errors import UemError
from uemdask.spectrum import (
    Band,
    TileSurvey,
    WeightedSmoothing,
    aliased_harmonic,
    analytic_wave,
    band_pass_operator,
    band_passed,
    choose_band,
    directional_filter,
    frequency_grid,
    local_wavevector,
    noise_gain,
    opposed_power,
    peak_map,
    peak_ratio_map,
    relevant_pixels,
    smoothing_halo,
    survey_operator,
    survey_tile,
    travel_index,
    wave_step,
)
from uemdask.spectrum.harmonics import FEWEST_DELAYS
from uemdask.stages.frames import Tile, read_ratio, widened
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

_PHASE_SIGMA = 8.0  # px, of the local wave vector and the travel index
# From this share of its power against the wave, a reflected wave is taken out: 10 % amplitude.
_REFLECTED_SHARE = 0.01
# A wave that travels less has no direction to keep; standing and breathing ones are below 0.12.
_LEAST_TRAVEL = 0.5
# Of a single pixel, which ripples: half the power of the wave may come back, and the index over the
# whole series is low where the wavelength changes. Standing waves are below 0.12.
_TRAVELS_HERE = {"none": 0.0, "aliased": 0.15, "all": 0.35}
# Longer waves lose more at the edges of the field than they gain.
_LONGEST_OF_FIELD = 1 / 2
# A second harmonic has a third of the wave's amplitude or less: of a share below this, which also
# the one-sided windows at the ends let pass, the speed is 3 % off at most.
_ALIASED = 0.35
_LEAST_ALIASED = 0.1  # of the frames: fewer are at the ends, and not worth another pass
_DIRECTION_HALO = 48  # px at least: three sigma of the local direction
_RIM = 24  # px at the edge of the frame, where the share cannot be told
_ROWS = 32  # of a tile, band-passed at once: copies of a part, never of the tile
_SCALE_TILES = 32  # tiles looked at for the scale of the wave: 2 million pixels
_SCALE_VALUES = 1_000_000


#: In which frames what runs against the wave is taken out.
Directional = Literal["none", "aliased", "all"]


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
    """

    band: tuple[float, float] | None = None
    smoothing: float = Field(default=2.0, ge=0, le=16)
    window: float = Field(default=0.5, gt=0)
    trend: int = Field(default=2, ge=0, le=6)
    statistic: Literal["amplitude", "peak_ratio"] = "amplitude"
    threshold: float | None = None
    directional: Literal["auto"] | bool = "auto"

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


def usable_frames(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and delays (ps) of the frames that may be used."""
    index = np.flatnonzero(run.read("frame_ok"))
    return index, run.read("time")[index]


def travels_over_all(run: Run, region: Region) -> np.ndarray:
    """Return where (y, x) the series as a whole travels, if frames were made directional.

    There a standing wave looks like one that travels, and only the map made before still knows.
    Elsewhere True: single frames tell better.
    """
    how = run.results("spectrum").directional
    return np.asarray(run.read("travel_index", region) >= _TRAVELS_HERE[how])


def _create(run: Run, parameters: SpectrumParameters) -> None:
    frequency = frequency_grid(usable_frames(run)[1])
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


def _tiles(run: Run, parameters: SpectrumParameters) -> list[Region]:
    return tiles(run.sizes)


# ---- first pass: mean spectrum and distribution of peaks


def _survey(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    frames, delays = usable_frames(run)
    tile = read_ratio(run, region, frames=frames, halo=smoothing_halo(parameters.smoothing))
    operator = survey_operator(delays, run.read("frequency"), trend=parameters.trend)
    found = survey_tile(
        tile.values,
        operator,
        smoothing=parameters.smoothing,
        inner=tile.inner,
        weight=tile.weight,
    )
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(found).items()
    }


def _choose(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    whole = reduce(add, (_from_receipt(receipt) for receipt in receipts.values()))
    run.write("spectrum", whole.power)
    # The survey looks at one lit pixel of many; the others are like it.
    seen = max(whole.pixel_count, 1)
    pixels = _lit_pixels(run)
    run.write("peak_count", np.rint(whole.peak_count * (pixels / seen)).astype(np.int64))
    band = choose_band(run.read("frequency"), whole.power, whole.peak_count, limits=parameters.band)
    brightness = whole.brightness_sum / max(whole.weight_sum, 1e-30)
    _, delays = usable_frames(run)
    operator = _operator(parameters, band, delays, delays)
    # White noise through the smoothing and the band-pass, mean over the frames.
    kept = noise_gain(parameters.smoothing)[0] * np.mean(np.sum(operator.real**2, axis=1))
    wave_noise = whole.noise_level * float(np.sqrt(kept))
    run.set_step("wave", wave_step(run.read("frequency"), whole.power, band, noise=wave_noise))
    return {
        "band": asdict(band),
        "noise_level": whole.noise_level,
        "wave_noise": wave_noise,
        "mean_modulation": brightness.tolist(),
    }


def _lit_pixels(run: Run) -> int:
    return int(np.count_nonzero(~run.read("unlit")))


def _operator(
    parameters: SpectrumParameters, band: Band, delays: np.ndarray, at: np.ndarray
) -> np.ndarray:
    window = parameters.window * 1e3 / band.centre
    return band_pass_operator(delays, band.centre, window=window, at=at)


def _from_receipt(receipt: Receipt) -> TileSurvey:
    arrays = ("power_sum", "peak_count", "brightness_sum")
    return TileSurvey(**receipt | {name: np.asarray(receipt[name]) for name in arrays})


# ---- second pass: each pixel's peak, the relevant pixels, the wave


def _map(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    frames, delays = usable_frames(run)
    band = band_of(run)
    halo = smoothing_halo(parameters.smoothing) + smoothing_halo(_PHASE_SIGMA)
    tile = read_ratio(run, region, frames=frames, halo=halo)
    series, inner = tile.values, tile.inner
    ratio = None
    if parameters.statistic == "peak_ratio":
        ratio = peak_ratio_map(np.nan_to_num(series), delays, band, trend=parameters.trend)
    seen = np.mean([np.isfinite(frame) for frame in series], axis=0) >= SEEN
    _smooth_in_place(tile, parameters)
    peaks = peak_map(series, delays, band, smoothing=0, trend=parameters.trend)
    statistic, frequency = (peaks.snr, peaks.frequency) if ratio is None else ratio
    mask = relevant_pixels(
        statistic,
        frequency,
        band,
        delays,
        method=parameters.statistic,
        threshold=parameters.threshold,
        trend=parameters.trend,
    )
    # What hardly any frame shows, as under a dead column, is only bridged.
    mask &= (tile.weight > 0) & seen
    k_x, k_y = local_wavevector(peaks.Z, sigma=_PHASE_SIGMA, smoothing=parameters.smoothing)
    step_y, step_x = run.pixel_size
    k = np.hypot(k_x / step_x, k_y / step_y)  # rad/nm
    with np.errstate(divide="ignore"):
        wavelength = np.where(k > 0, 2 * np.pi / k, np.inf).astype(np.float32)
    run.write("peak_frequency", peaks.frequency[inner], region)
    run.write("peak_amplitude", peaks.amplitude[inner], region)
    run.write("peak_phase", peaks.phase[inner], region)
    run.write("peak_snr", peaks.snr[inner], region)
    run.write("mask", mask[inner], region)
    travel = travel_index(peaks.Z, sigma=_PHASE_SIGMA)
    run.write("travel_index", travel[inner], region)
    run.write("wavelength", wavelength[inner], region)
    packing = run.packing("wave")
    wave, beyond = _wave(run, parameters, band, delays, series[:, *inner], packing)
    run.write_stored("wave", wave, region)
    told = mask & _away_from_edges(run, region, halo, tile.weight > 0)
    power = np.where(told, np.abs(peaks.Z) ** 2, 0)[inner]
    return {
        "relevant": int(mask[inner].sum()),
        "power": float(power.sum(dtype=np.float64)),
        "wave_power": [
            float(np.square(packing.unpack(frame[mask[inner]])).sum(dtype=np.float64))
            for frame in wave
        ],
        "beyond": beyond,
        "opposed": float(opposed_power(peaks.Z)[inner][told[inner]].sum(dtype=np.float64)),
        "travel": float((power * travel[inner]).sum(dtype=np.float64)),
        "wave_number_px": float((power * np.hypot(k_x, k_y)[inner]).sum(dtype=np.float64)),
    }


def _smooth_in_place(tile: Tile, parameters: SpectrumParameters) -> None:
    """Smooth a tile frame by frame: its series is most of what the task holds in memory."""
    smoothing = WeightedSmoothing(tile.weight, parameters.smoothing)
    for frame in tile.values:
        frame[...] = smoothing(frame)


def _away_from_edges(run: Run, region: Region, halo: int, lit: np.ndarray) -> np.ndarray:
    """Return the pixels of a widened region that are not at the rim of the frame or of the dark."""
    rows, columns, _ = widened(region, run.sizes, halo)
    height, width = run.sizes["y"], run.sizes["x"]
    rim = _RIM if min(height, width) >= 4 * _RIM else 0
    y, x = (np.arange(part.start, part.stop) for part in (rows, columns))
    inside_y, inside_x = (y >= rim) & (y < height - rim), (x >= rim) & (x < width - rim)
    near = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
    # Single pixels of no weight have no rim: here and there one would leave nothing.
    areas = cv2.morphologyEx((~lit).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    dark = cv2.dilate(areas, near) > 0
    return inside_y[:, None] & inside_x[None, :] & ~dark


def _wave(
    run: Run,
    parameters: SpectrumParameters,
    band: Band,
    delays: np.ndarray,
    series: np.ndarray,
    packing: Packing,
) -> tuple[np.ndarray, int]:
    """Band-pass a smoothed tile for all frames; flagged ones get what their neighbours agree on.

    Returns the packed wave, and how many values are beyond what can be packed.
    """
    operator = _operator(parameters, band, delays, run.read("time"))
    _, height, width = series.shape
    wave, beyond = np.empty((len(operator), height, width), packing.dtype), 0
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS)
        part = band_passed(series[:, rows], operator)
        wave[:, rows] = packing.pack(part)
        beyond += packing.beyond(part)
    return wave, beyond


# ---- third pass, where something runs against the wave: take it out


def directed_frames(
    operator: np.ndarray, delays: np.ndarray, centre: float, directional: Directional
) -> np.ndarray:
    """Return for each row of a band-pass operator whether its frame is made directional."""
    if directional == "aliased":
        return aliased_harmonic(operator, delays, centre) >= _ALIASED
    return np.full(len(operator), directional == "all")


def _directed(run: Run, parameters: SpectrumParameters) -> list[Region] | None:
    results = run.results("spectrum")
    if "directional" not in results:  # the maps tell
        return None
    return tiles(run.sizes) if results.directional != "none" else []


def _direct(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    """Write the wave again, from the frames, without what travels against it."""
    frames, delays = usable_frames(run)
    results, band = run.results("spectrum"), band_of(run)
    wave_number = results.wave_number_px
    reach = max(_DIRECTION_HALO, int(np.ceil(2 * np.pi / wave_number)))
    tile = read_ratio(run, region, frames=frames, halo=reach + smoothing_halo(parameters.smoothing))
    _smooth_in_place(tile, parameters)
    operator = _operator(parameters, band, delays, run.read("time"))
    directed = directed_frames(operator, delays, band.centre, results.directional)
    shape = tile.reference[tile.inner].shape
    packing = run.packing("wave")
    wave, beyond = np.empty((len(operator), *shape), packing.dtype), 0
    for index in range(len(operator)):
        row = operator[index : index + 1]
        if directed[index]:
            Z = analytic_wave(tile.values, row)[0]
            kept = directional_filter(Z, wave_number=wave_number).real[tile.inner]
        else:
            kept = band_passed(tile.values[:, *tile.inner], row)[0]
        wave[index] = packing.pack(kept)
        beyond += packing.beyond(kept)
    run.write_stored("wave", wave, region)
    return {"beyond": beyond}


def _told_beyond(
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


def _told_directed(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    return _told_beyond(run, parameters, receipts) if receipts else {}


# ---- the scale of the wave


def _scale(run: Run, region: Region, parameters: SpectrumParameters) -> Receipt:
    everything = tiles(run.sizes)
    relevant = run.read("mask")
    if not relevant.any():
        relevant = np.ones_like(relevant)
    # Only tiles with relevant pixels can say how strong the wave is.
    told = [tile for tile in everything if relevant[tile.slices(("y", "x"), run.sizes)].any()]
    chosen = told[:: max(1, len(told) // _SCALE_TILES)]
    share = _SCALE_VALUES // len(chosen)
    samples, lengths, packing = [], [], run.packing("wave")
    for tile in chosen:
        stored, length = run.read_stored("wave", tile), run.read("wavelength", tile)
        mask = relevant[tile.slices(("y", "x"), run.sizes)]
        values = stored[:, mask].reshape(-1)
        samples.append(packing.unpack(values[:: max(1, values.size // share) | 1]))
        lengths.append(length[mask])
    sample = np.concatenate(samples).reshape(1, 1, -1)
    pixel = float(np.sqrt(np.prod(run.pixel_size)))
    length_px = float(np.median(np.concatenate(lengths))) / pixel
    scales = {"grey_scale": 1.0, "wave_scale": 1.0}
    if np.any(sample):
        scales = {
            "grey_scale": labels.grey_scale(sample),
            "wave_scale": network.wave_scale(sample),
        }
    return scales | {"wavelength_px": min(length_px, float(max(run.sizes["y"], run.sizes["x"])))}


def _keep_scale(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    return dict(receipts["all"])


def _judge(
    run: Run, parameters: SpectrumParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    """Find how much of the frame is relevant, and in which frames to make the wave directional."""
    relevant, power, opposed, travel, number = (
        sum(receipt[name] for receipt in receipts.values())
        for name in ("relevant", "power", "opposed", "travel", "wave_number_px")
    )
    # Frame by frame, over the relevant pixels: how the wave comes and goes.
    frame_power = np.sum([receipt["wave_power"] for receipt in receipts.values()], axis=0)
    results: dict[str, Any] = {
        "relevant_share": relevant / max(_lit_pixels(run), 1),
        "opposed_share": opposed / power if power > 0 else 0.0,
        "travel_index": travel / power if power > 0 else 0.0,
        "wave_power": (frame_power / max(relevant, 1)).tolist(),
        "wave_number_px": number / power if power > 0 else 0.0,
    }
    return (
        results
        | {"directional": _direction(run, parameters, results)}
        | _told_beyond(run, parameters, receipts)
    )


def _direction(run: Run, parameters: SpectrumParameters, results: Mapping[str, Any]) -> Directional:
    if results["wave_number_px"] <= 0 or parameters.directional is False:
        return "none"
    if parameters.directional is True:
        return "all"
    length = 2 * np.pi / results["wave_number_px"]
    longest = _LONGEST_OF_FIELD * min(run.sizes["y"], run.sizes["x"])
    if results["travel_index"] < _LEAST_TRAVEL or length > longest:
        return "none"
    if results["opposed_share"] >= _REFLECTED_SHARE:
        return "all"
    band, delays = band_of(run), usable_frames(run)[1]
    operator = _operator(parameters, band, delays, run.read("time"))
    aliased = directed_frames(operator, delays, band.centre, "aliased")
    return "aliased" if aliased.mean() > _LEAST_ALIASED else "none"


def _check(run: Run, parameters: SpectrumParameters) -> None:
    """Find what must fail before the results of an earlier making are removed."""
    _, delays = usable_frames(run)
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
    version=3,
    parameters=SpectrumParameters,
    create=_create,
    phases=(
        Phase("survey", _tiles, _survey, _choose),
        Phase("map", _tiles, _map, _judge),
        Phase("direction", _directed, _direct, _told_directed),
        Phase("scale", lambda run, parameters: [Region()], _scale, _keep_scale),
    ),
    check=_check,
)
