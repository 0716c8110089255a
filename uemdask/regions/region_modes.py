"""Which kind of motion regions of interest show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, as_variables, at_once, is_lazy, map_space, of_few
from uemdask.cube.required_variables import require_variables
from uemdask.errors import UemError
from uemdask.regions.mode_classifier import MODES, classify_mode, roi_numbers, uniform_share
from uemdask.regions.rasterising import rasterise
from uemdask.regions.roi import Roi
from uemdask.regions.roi_features import rois_and_masks
from uemdask.spectrum.band import Band
from uemdask.spectrum.harmonics import RADIAN_PER_GHZ_PS, harmonic_amplitudes, harmonic_operator
from uemdask.spectrum.usable_series import usable_frames

_TREND = 2  # order of the slow polynomial that is taken out of the brightness

MODE_NAMES = (
    "roi_travel_index",
    "roi_relevant_share",
    "roi_uniform_share",
)


def brightness_share(brightness: np.ndarray, delays: np.ndarray, frequency: float) -> float:
    """Return the share of the mean brightness' variance that lies at the wave's frequency.

    Parameters
    ----------
    brightness : (time,)
        Mean brightness of the frames, before gain correction, any unit.
    delays : (time,)
        In ps.
    frequency : float
        In GHz.

    Returns
    -------
    float
        0..1; near 1 where the whole field breathes.
    """
    centred = brightness - np.polynomial.Polynomial.fit(delays, brightness, _TREND)(delays)
    total = float(np.mean(centred**2))
    if total <= 0:
        return 0.0
    return min(abs(_swing(centred, delays, frequency)) ** 2 / 2 / total, 1.0)


def _swing(brightness: np.ndarray, delays: np.ndarray, frequency: float) -> complex:
    """Return the complex amplitude of a series (time,) at a frequency in GHz, at delay 0."""
    operator = harmonic_operator(delays, np.array([frequency]), trend=_TREND)
    return complex(harmonic_amplitudes(brightness.astype(np.float32), operator)[0])


def region_numbers(
    travel: np.ndarray,
    relevant: np.ndarray,
    amplitude: np.ndarray,
    phase: np.ndarray,
    frequency: np.ndarray,
    unlit: np.ndarray,
    *masks: np.ndarray,
    place: Place | None = None,
    rois: Sequence[Roi],
    y: np.ndarray,
    x: np.ndarray,
    names: Sequence[str],
    gain: np.ndarray,
    delays: np.ndarray,
    centre: float,
) -> dict[str, np.ndarray]:
    """Return travel index, relevant share and uniform share of regions of a whole frame.

    Parameters
    ----------
    travel, relevant, amplitude, phase, frequency, unlit : ndarray, (y, x)
        Maps of a run.
    *masks : ndarray of bool, (y, x)
        What regions name, as `names` has it.
    rois : sequence of Roi
        In nm.
    gain, delays : ndarray, (time,)
        Of the usable frames; ps.
    centre : float
        Of the band, GHz.
    """
    # In the middle of the delays pixels whose peaks differ by a little are still in step.
    middle = float(delays.mean())
    complex_amplitude = amplitude * np.exp(1j * (phase + RADIAN_PER_GHZ_PS * frequency * middle))
    common = _swing(gain / gain.mean(), delays - middle, centre)
    named = dict(zip(names, masks, strict=True))
    numbers = []
    for shape in rois:  # one at a time: each is as large as a frame
        roi = rasterise(shape, y, x, named)
        index, significant = roi_numbers(travel, relevant, amplitude, roi)
        # The region of all relevant pixels says nothing by its share of them: there and everywhere
        # the share is that of the frame or the drawn region.
        if np.array_equal(roi, relevant):
            significant = float(relevant.mean())
        uniform = uniform_share(complex_amplitude, common, roi & ~unlit)
        numbers.append((index, significant, uniform))
    return dict(zip(MODE_NAMES, np.array(numbers, np.float64).T, strict=True))


def travelling_share(
    valid_fraction: np.ndarray, start: np.ndarray, end: np.ndarray, centre: float
) -> np.ndarray:
    """Return the share of each region's pixels (roi,) that have a valid speed over a period."""
    valid = np.nan_to_num(valid_fraction)
    middle = (start + end) / 2
    distance = (middle[:, None] - middle) * centre * 1e-3
    weight = (np.abs(distance) <= 0.5).astype(np.float64)
    return np.asarray((valid @ weight / weight.sum(axis=0)).max(axis=1))


def mode(
    features: xr.Dataset,
    peaks: xr.Dataset,
    ds: xr.Dataset,
    spectrum: xr.Dataset,
    band: Band,
    rois: Sequence[Roi | Mapping[str, Any]] = (),
    *,
    masks: Mapping[str, xr.DataArray] | None = None,
) -> xr.Dataset:
    """Return which kind of motion each region of interest shows.

    Parameters
    ----------
    features : Dataset
        From `roi_features`, of the same regions.
    peaks : Dataset
        From `uemdask.peaks`: maps (y, x) of amplitude, phase, frequency, travel index and mask.
    ds : Dataset
        `gain` (time), `unlit` (y, x) and the delays in ps, as `uemdask.gain` and
        `uemdask.reference` give them.
    spectrum : Dataset
        From `uemdask.mean_spectrum`: `mean_modulation` of the usable frames.
    band : uemdask.Band
        GHz; perhaps delayed.
    rois : sequence of `uemdask.Roi` or mapping
        As for `roi_features`; whole frames are looked at.
    masks : mapping of name to DataArray, (y, x) bool
        As there.

    Returns
    -------
    Dataset
        `mode` (roi), `mode_probability` (roi, mode_class) and the numbers that decide, all of
        unit 1. Lazy where an input is.

    Raises
    ------
    UemError
        If the regions are others than those of the features, or something is missing.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> spectrum = uemdask.mean_spectrum(uemdask.aligned(ds).chunk(time=-1))
    >>> rois = [{"name": "everything relevant", "mask": "mask"}]
    >>> found = uemdask.mode(
    ...     uemdask.roi_features(ds, rois), ds, ds, spectrum, uemdask.choose_band(ds), rois)
    >>> found["mode"].values.tolist() == ds["mode"].values[2:].tolist()
    True
    """
    maps = ("travel_index", "mask", "peak_amplitude", "peak_phase", "peak_frequency")
    require_variables(peaks, *maps)
    require_variables(ds, "gain", "unlit", "time")
    require_variables(spectrum, "mean_modulation")
    regions, wanted = rois_and_masks(rois, peaks, {"mask": peaks["mask"]} | dict(masks or {}))
    if [roi.name for roi in regions] != [str(name) for name in features["roi"].values]:
        raise UemError("rois: are not those of the features; give both the same")
    usable = np.flatnonzero(usable_frames(ds))
    delays = np.asarray(ds["time"].values, np.float64)[usable]
    gain = ds["gain"].reset_coords(drop=True).isel(time=usable)
    pixels = [peaks[name] for name in maps] + [ds["unlit"], *wanted.values()]
    centre = of_few(_centre, band)
    found = map_space(
        region_numbers,
        *(_whole(each.reset_coords(drop=True)) for each in pixels),
        out=MODE_NAMES,
        whole=dict.fromkeys("yx", "regions lie anywhere in the frame"),
        sizes={"roi": len(regions)},
        rois=regions,
        y=peaks["y"].values,
        x=peaks["x"].values,
        names=tuple(wanted),
        gain=of_few(np.asarray, gain),
        delays=delays,
        centre=centre,
    ).drop_vars(("y", "x"), errors="ignore")
    valid = features["roi_feature"].sel(feature="valid_fraction")
    ends = [at_once(features[name]) for name in ("time_from", "time_to")]
    share = of_few(_share, gain, spectrum["mean_modulation"], delays, centre)
    decided = of_few(decide, *(found[name] for name in MODE_NAMES), share, valid, *ends, centre)
    names = ("roi_brightness_share", "roi_travelling_share", "mode", "mode_probability")
    shape = {"roi": len(regions), "mode_class": len(MODES)}
    found = found.assign(as_variables(decided, names, shape))
    return found.assign_coords(roi=features["roi"], mode_class=list(MODES))


def _whole(array: xr.DataArray) -> xr.DataArray:
    return array.chunk(-1) if is_lazy(array) else array


def _centre(band: Band) -> float:
    return band.centre


def _share(gain: np.ndarray, modulation: np.ndarray, delays: np.ndarray, centre: float) -> float:
    return brightness_share(gain * (1 + modulation), delays, centre)


def decide(
    travel: np.ndarray,
    significant: np.ndarray,
    uniform: np.ndarray,
    share: float,
    valid: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    centre: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return brightness and travelling share, mode (roi,) and its probability (roi, mode)."""
    moving = travelling_share(valid, start, end, centre)
    shares = np.full(len(travel), share)
    mode, probability = classify_mode(travel, shares, uniform, moving, significant)
    return shares, moving, mode.astype(object), probability
