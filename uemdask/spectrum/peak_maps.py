"""Each pixel's peak, and the relevant pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
import xarray as xr

from uemdask.align import SEEN
from uemdask.cube.blocks import Place, map_space
from uemdask.cube.contract import Variable
from uemdask.spectrum.band import Band
from uemdask.spectrum.direction import DIRECTION_SIGMA, opposed_power
from uemdask.spectrum.harmonics import Float32
from uemdask.spectrum.mask import relevant_pixels
from uemdask.spectrum.peaks import peak_map, peak_ratio_map
from uemdask.spectrum.phase import local_wavevector, travel_index
from uemdask.spectrum.smoothing import smoothing_halo
from uemdask.spectrum.squares import Cells, Reduction, grid_halo
from uemdask.spectrum.usable_series import pixel_size_from_centres, used_series

PHASE_SIGMA = 8.0
"""Sigma of the local wave vector and the travel index, px."""

_AROUND = 16  # px around a block in which its mask is cleaned
_RIM = 24  # px at the edge of the frame, where the share cannot be told

Statistic = Literal["amplitude", "peak_ratio"]

MAPS = (
    "peak_frequency",
    "peak_amplitude",
    "peak_phase",
    "peak_snr",
    "travel_index",
    "wavelength",
    "mask",
)
#: Sums over the relevant pixels that tell whether a wave is reflected.
SUMS = (
    Variable("relevant", (), "int64", "1", "relevant pixels", "spectrum"),
    Variable("power", (), "float64", "1", "power of the wave", "spectrum"),
    Variable("opposed", (), "float64", "1", "power against the wave", "spectrum"),
    Variable("travel", (), "float64", "1", "travel index, with the power", "spectrum"),
    Variable("wave_number_px", (), "float64", "rad/px", "wave number, with the power", "spectrum"),
    Variable("lit", (), "int64", "1", "lit pixels", "spectrum"),
)


def peak_halo(smoothing: float) -> int:
    """Return the halo of a block in px that its maps need."""
    return grid_halo(smoothing) + smoothing_halo(PHASE_SIGMA)


def peak_block(
    series: Float32,
    weight: Float32,
    *,
    place: Place,
    delays: np.ndarray,
    band: Band,
    pixel_size: tuple[float, float],
    smoothing: float,
    trend: int,
    statistic: Statistic,
    threshold: float | None,
) -> dict[str, Any]:
    """Return the maps of a block (time, y, x) with a halo of `peak_halo`, and sums over it."""
    reduction = Reduction(weight, place, smoothing)
    reduced = reduction.cells.at_centres(reduction.series(series), in_place=True)
    ratio = published_ratio(series, delays, band, trend) if statistic == "peak_ratio" else None
    return peak_maps(
        reduced,
        reduction.cells,
        reduction.seen,
        ratio,
        place=place,
        delays=delays,
        band=band,
        pixel_size=pixel_size,
        smoothing=smoothing,
        trend=trend,
        threshold=threshold,
    )


def published_ratio(
    series: Float32, delays: np.ndarray, band: Band, trend: int
) -> tuple[Float32, Float32]:
    """Return the published statistic of the pixels of a block, and the frequency of the peak."""
    return peak_ratio_map(np.nan_to_num(series), delays, band, trend=trend)


def peak_maps(
    series: Float32,
    cells: Cells,
    seen: Float32,
    ratio: tuple[Float32, Float32] | None,
    *,
    place: Place,
    delays: np.ndarray,
    band: Band,
    pixel_size: tuple[float, float],
    smoothing: float,
    trend: int,
    threshold: float | None,
) -> dict[str, Any]:
    """Return the maps of a block from its smoothed series, and sums over it.

    Parameters
    ----------
    series : ndarray, (T, h, w) float32
        From `Cells.at_centres`.
    cells : Cells
        Its squares.
    seen : ndarray, (y, x)
        Share of the frames that show a pixel.
    ratio : pair of ndarray, (y, x), optional
        From `published_ratio`, to decide on relevant pixels.
    place, delays, band, pixel_size, smoothing, trend, threshold
        As for `peak_block`.
    """
    edge = cells.edge
    peaks = peak_map(series, delays, band, smoothing=0, trend=trend)
    # Specks are told from what is larger with what is around them.
    around = tuple(
        slice(max(part.start - _AROUND, span.start), min(part.stop + _AROUND, span.stop))
        for part, span in zip(place.inner, (cells.rows, cells.columns), strict=True)
    )
    within = tuple(
        slice(part.start - span.start, part.stop - span.start)
        for part, span in zip(place.inner, around, strict=True)
    )
    near = cells.to_pixels((around[0], around[1]))
    statistics = (
        (near(peaks.snr), near(peaks.frequency))
        if ratio is None
        else (ratio[0][around], ratio[1][around])
    )
    relevant = relevant_pixels(
        *statistics,
        band,
        delays,
        method="amplitude" if ratio is None else "peak_ratio",
        threshold=threshold,
        trend=trend,
    )
    # What hardly any frame shows, as under a dead column, is only bridged.
    relevant &= near.lit & (seen[around] >= SEEN)
    mask = np.zeros(cells.lit.shape, bool)
    mask[around] = relevant
    k = local_wavevector(peaks.Z, sigma=PHASE_SIGMA / edge, smoothing=smoothing / edge) / edge
    step_y, step_x = pixel_size
    k_nm = np.hypot(k[0] / step_x, k[1] / step_y)  # rad/nm
    travel = travel_index(peaks.Z, sigma=PHASE_SIGMA / edge)
    part = cells.part(place.inner)
    told = cells.of_flags(mask & away_from_edges(place, cells.lit))[part]
    power = np.where(told, np.abs(peaks.Z[part]) ** 2, 0)
    opposed = opposed_power(peaks.Z, sigma=DIRECTION_SIGMA / edge)[part]
    inner = cells.to_pixels(place.inner)
    turned = np.exp(1j * peaks.phase)
    with np.errstate(divide="ignore"):
        wavelength = 2 * np.pi / inner(k_nm.astype(np.float32))
    return {
        "peak_frequency": inner(peaks.frequency),
        "peak_amplitude": inner(peaks.amplitude),
        "peak_phase": np.arctan2(inner(peaks.amplitude * turned.imag),
                                 inner(peaks.amplitude * turned.real)),
        "peak_snr": inner(peaks.snr),
        "mask": relevant[within],
        "travel_index": inner(travel),
        "wavelength": wavelength.astype(np.float32),
        "relevant": int(np.count_nonzero(relevant[within])),
        "power": float(power.sum(dtype=np.float64)),
        "opposed": float(opposed[told].sum(dtype=np.float64)),
        "travel": float((power * travel[part]).sum(dtype=np.float64)),
        "wave_number_px": float((power * np.hypot(*k)[part]).sum(dtype=np.float64)),
        "lit": int(np.count_nonzero(cells.lit[place.inner])),
    }  # fmt: skip


def away_from_edges(place: Place, lit: np.ndarray) -> np.ndarray:
    """Return the pixels of a block that are not at the rim of the frame or of the dark."""
    height, width = place.frame
    rim = _RIM if min(height, width) >= 4 * _RIM else 0
    y, x = (np.arange(part.start, part.stop) for part in (place.rows, place.columns))
    inside_y, inside_x = (y >= rim) & (y < height - rim), (x >= rim) & (x < width - rim)
    near = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
    # Single pixels of no weight have no rim: here and there one would leave nothing.
    areas = cv2.morphologyEx((~lit).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    dark = cv2.dilate(areas, near) > 0
    return inside_y[:, None] & inside_x[None, :] & ~dark


def judge(sums: Mapping[str, Any] | xr.Dataset) -> dict[str, Any]:
    """Turn the sums over all blocks into shares and means over the relevant pixels."""
    power = np.maximum(sums["power"], 1e-300)  # of nothing, shares are 0
    return {
        "relevant_share": sums["relevant"] / np.maximum(sums["lit"], 1),
        "opposed_share": sums["opposed"] / power,
        "travel_index": sums["travel"] / power,
        "wave_number_px": sums["wave_number_px"] / power,
    }


def peaks(
    ratio: xr.DataArray,
    band: Band,
    *,
    smoothing: float = 2.0,
    trend: int = 2,
    statistic: Statistic = "amplitude",
    threshold: float | None = None,
) -> xr.Dataset:
    """Return each pixel's strongest peak in the band, and which pixels are relevant.

    Parameters
    ----------
    ratio : DataArray, (time, y, x) float32
        From `uemdask.aligned`; delays in ps, pixel centres in nm. Where lazy, the frames of a
        pixel must be in one chunk, and chunks of about 256 x 256 px keep memory small.
    band : uemdask.Band
        GHz; from `uemdask.choose_band`, perhaps delayed.
    smoothing : float
        Sigma of the spatial Gaussian, px.
    trend : int
        Order of the slow polynomial that is taken out of each time profile.
    statistic : {"amplitude", "peak_ratio"}
        What decides on relevant pixels: the smoothed complex amplitude over the residual, or the
        published ratio of a pixel's highest peak to its median power.
    threshold : float, optional
        Of that statistic; from the distribution of pure noise where not given.

    Returns
    -------
    Dataset
        Maps (y, x): `peak_frequency` (GHz), `peak_amplitude` (1), `peak_phase` (rad), `peak_snr`
        (1), `travel_index` (1), `wavelength` (nm), `mask`. Numbers over the relevant pixels:
        `relevant_share`, `opposed_share`, `mean_travel_index`, `wave_number_px` (rad/px). Lazy
        where an input is.

    Raises
    ------
    UemError
        If the delays are cut into chunks, or pixel centres are missing.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> ratio = uemdask.aligned(ds).chunk(time=-1)
    >>> found = uemdask.peaks(ratio, uemdask.choose_band(ds))
    >>> found.mask.dims, found.wavelength.attrs["units"]
    (('y', 'x'), 'nm')
    """
    series, weight, whole = used_series(ratio)
    found = map_space(
        peak_block,
        series.reset_coords(drop=True),
        weight,
        out=[*MAPS, *SUMS],
        halo=peak_halo(smoothing),
        whole=whole,
        delays=series["time"].values,
        band=band,
        pixel_size=pixel_size_from_centres(ratio),
        smoothing=smoothing,
        trend=trend,
        statistic=statistic,
        threshold=threshold,
    )
    numbers = judge(found)
    numbers["mean_travel_index"] = numbers.pop("travel_index")
    found = found.drop_vars([variable.name for variable in SUMS]).assign(numbers)
    for name in numbers:
        found[name].attrs["units"] = "rad/px" if name == "wave_number_px" else "1"
    return found
