"""The mean spectrum of a series, and the frequency band of its wave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, map_space, of_few
from uemdask.cube.contract import Variable
from uemdask.cube.required_variables import require_variables
from uemdask.spectrum import band as bands
from uemdask.spectrum.band import Band
from uemdask.spectrum.harmonics import frequency_grid
from uemdask.spectrum.squares import grid_halo
from uemdask.spectrum.tile_statistics import (
    TileStatistics,
    statistics_of_tile,
    statistics_operator,
    surveyed_in,
)
from uemdask.spectrum.usable_series import used_series

#: Sums over pixels that tell the mean spectrum, see `uemdask.spectrum.TileStatistics`.
SUMS = (
    Variable("power_sum", ("frequency",), "float64", "1", "sum of power", "spectrum"),
    Variable("peak_count", ("frequency",), "int64", "1", "pixels that peak here", "spectrum"),
    Variable("pixel_count", (), "int64", "1", "pixels looked at", "spectrum"),
    Variable("weight_sum", (), "float64", "1", "sum of their weights", "spectrum"),
    Variable("variance_sum", (), "float64", "1", "sum of variances", "spectrum"),
    Variable("noise_sum", (), "float64", "1", "sum of noise variances", "spectrum"),
    Variable("noise_count", (), "float64", "1", "pixels that tell the noise", "spectrum"),
    Variable("brightness_sum", ("used",), "float64", "1", "sum of ratios", "spectrum"),
    Variable("lit", (), "int64", "1", "lit pixels", "spectrum"),
)


def statistics_block(
    series: np.ndarray,
    weight: np.ndarray,
    *,
    place: Place,
    delays: np.ndarray,
    frequency: np.ndarray,
    smoothing: float,
    trend: int,
) -> dict[str, Any]:
    """Return the sums of a block (time, y, x), see `uemdask.spectrum.statistics_of_tile`."""
    operator = statistics_operator(delays, frequency, trend=trend)
    halo = grid_halo(smoothing)
    found = TileStatistics.nothing(len(delays), len(frequency))
    for part in surveyed_in(place):
        # With its halo alone: of a large block little is looked at.
        around = tuple(slice(max(each.start - halo, 0), each.stop + halo) for each in part)
        inner = tuple(
            slice(each.start - span.start, each.stop - span.start)
            for each, span in zip(part, around, strict=True)
        )
        found += statistics_of_tile(
            series[:, *around],
            operator,
            smoothing=smoothing,
            inner=(inner[0], inner[1]),
            weight=weight[around],
        )
    return asdict(found) | {"lit": np.count_nonzero(weight[place.inner] > 0)}


def mean_of(sums: Mapping[str, Any] | xr.Dataset) -> dict[str, Any]:
    """Turn the sums over all blocks into mean spectrum, noise, and mean modulation.

    It looks at one lit pixel of many; the others are like it.
    """
    share = sums["lit"] / np.maximum(sums["pixel_count"], 1)
    return {
        "spectrum": sums["power_sum"] / np.maximum(sums["weight_sum"], 1e-30),
        "peak_count": np.rint(sums["peak_count"] * share).astype(np.int64),
        "noise_level": np.sqrt(sums["noise_sum"] / np.maximum(sums["noise_count"], 1.0)),
        "mean_modulation": sums["brightness_sum"] / np.maximum(sums["weight_sum"], 1e-30),
    }


def mean_spectrum(ratio: xr.DataArray, *, smoothing: float = 2.0, trend: int = 2) -> xr.Dataset:
    """Return the mean power spectrum of the time profiles, and how many pixels peak where.

    Parameters
    ----------
    ratio : DataArray, (time, y, x) float32
        From `uemdask.aligned`: frames over the reference, minus 1; delays in ps. Where lazy, the
        frames of a pixel must be in one chunk.
    smoothing : float
        Sigma of the spatial Gaussian, px.
    trend : int
        Order of the slow polynomial that is taken out of each time profile.

    Returns
    -------
    Dataset
        `spectrum` and `peak_count` (frequency), frequency in GHz; `noise_level`, the noise of one
        well lit pixel in one frame; `mean_modulation` (used) of the usable frames, all of unit 1;
        `peak_sample`, the peaks of the pixels that were looked at. Lazy where `ratio` is.

    Raises
    ------
    UemError
        If the delays are cut into chunks.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> ratio = uemdask.aligned(ds).chunk(time=-1, y=256, x=256)
    >>> float(abs(uemdask.mean_spectrum(ratio).spectrum - ds.spectrum).max()) < 1e-12
    True
    """
    series, weight, whole = used_series(ratio)
    delays = series["time"].values
    frequency = frequency_grid(delays)
    sums = map_space(
        statistics_block,
        series.reset_coords(drop=True),
        weight,
        out=SUMS,
        halo=grid_halo(smoothing),
        whole=whole,
        sizes={"frequency": len(frequency)},
        delays=delays,
        frequency=frequency,
        smoothing=smoothing,
        trend=trend,
    )
    found = xr.Dataset(mean_of(sums) | {"peak_sample": sums["peak_count"]})
    axis = xr.Variable("frequency", frequency, {"units": "GHz", "long_name": "temporal frequency"})
    for name in found:
        found[name].attrs["units"] = "1"
    return found.assign_coords(frequency=axis)


def choose_band(spectrum: xr.Dataset, *, limits: tuple[float, float] | None = None) -> Band:
    """Return the band of the wave: where power and peaks stand out from their surroundings.

    Parameters
    ----------
    spectrum : Dataset
        From `mean_spectrum`.
    limits : (low, high), optional
        The band in GHz, if it is known.

    Returns
    -------
    uemdask.Band
        In GHz; ``found`` is false where nothing stands out. Of a lazy spectrum a Dask ``Delayed``
        of it, which `uemdask.peaks` and `uemdask.band_pass` take as it is; ``.compute()`` shows it.

    Raises
    ------
    UemError
        If the spectrum has no peaks, or the limits lie beyond it.

    Examples
    --------
    >>> band = uemdask.choose_band(uemdask.open_run("run.zarr"))
    >>> band.low < band.centre < band.high
    True
    """
    require_variables(spectrum, "frequency", "spectrum", "peak_count")
    count = spectrum["peak_sample" if "peak_sample" in spectrum else "peak_count"]
    return of_few(_choose, spectrum["frequency"], spectrum["spectrum"], count, limits)


def _choose(frequency: Any, power: Any, count: Any, limits: tuple[float, float] | None) -> Band:
    return bands.band_of_spectrum(frequency, power, count, limits=limits)
