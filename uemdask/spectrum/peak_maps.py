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
from uemdask.spectrum.direction import opposed_power
from uemdask.spectrum.filtering import smoothed
from uemdask.spectrum.harmonics import Float32
from uemdask.spectrum.mask import relevant_pixels
from uemdask.spectrum.peaks import peak_map, peak_ratio_map
from uemdask.spectrum.phase import local_wavevector, travel_index
from uemdask.spectrum.smoothing import smoothing_halo
from uemdask.spectrum.usable_series import pixel_size_from_centres, used_series

PHASE_SIGMA = 8.0
"""Sigma of the local wave vector and the travel index, px."""

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
    return smoothing_halo(smoothing) + smoothing_halo(PHASE_SIGMA)


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
    in_place: bool = False,
) -> dict[str, Any]:
    """Return the maps of a block (time, y, x) with a halo of `peak_halo`, and sums over it.

    With `in_place` the series is smoothed where it is.
    """
    ratio = None
    if statistic == "peak_ratio":
        ratio = peak_ratio_map(np.nan_to_num(series), delays, band, trend=trend)
    seen = np.mean([np.isfinite(frame) for frame in series], axis=0) >= SEEN
    series = smoothed(series, weight, smoothing, in_place=in_place)
    peaks = peak_map(series, delays, band, smoothing=0, trend=trend)
    value, frequency = (peaks.snr, peaks.frequency) if ratio is None else ratio
    mask = relevant_pixels(
        value, frequency, band, delays, method=statistic, threshold=threshold, trend=trend
    )
    # What hardly any frame shows, as under a dead column, is only bridged.
    mask &= (weight > 0) & seen
    k_x, k_y = local_wavevector(peaks.Z, sigma=PHASE_SIGMA, smoothing=smoothing)
    step_y, step_x = pixel_size
    k = np.hypot(k_x / step_x, k_y / step_y)  # rad/nm
    with np.errstate(divide="ignore"):
        wavelength = np.where(k > 0, 2 * np.pi / k, np.inf).astype(np.float32)
    travel = travel_index(peaks.Z, sigma=PHASE_SIGMA)
    inner = place.inner
    told = mask & away_from_edges(place, weight > 0)
    power = np.where(told, np.abs(peaks.Z) ** 2, 0)[inner]
    return {
        "peak_frequency": peaks.frequency[inner],
        "peak_amplitude": peaks.amplitude[inner],
        "peak_phase": peaks.phase[inner],
        "peak_snr": peaks.snr[inner],
        "mask": mask[inner],
        "travel_index": travel[inner],
        "wavelength": wavelength[inner],
        "relevant": int(mask[inner].sum()),
        "power": float(power.sum(dtype=np.float64)),
        "opposed": float(opposed_power(peaks.Z)[inner][told[inner]].sum(dtype=np.float64)),
        "travel": float((power * travel[inner]).sum(dtype=np.float64)),
        "wave_number_px": float((power * np.hypot(k_x, k_y)[inner]).sum(dtype=np.float64)),
        "lit": int(np.count_nonzero(weight[inner] > 0)),
    }


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
