"""Where the displacement of a pair is that of a travelling wave that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, map_space
from uemdask.cube.contract import REASONS, VARIABLES
from uemdask.cube.layout import PAIRS
from uemdask.cube.required_variables import require_variables
from uemdask.labels.pairing import frames_of, in_slabs
from uemdask.motion.validity import (
    DISAGREEMENT_LIMIT,
    DISPLACEMENT_LIMIT,
    FIELD_LIMIT,
    NOISE_THRESHOLD,
    TRAVEL_THRESHOLD,
    disagreement,
)
from uemdask.motion.validity import (
    invalid_reason as reason_of_pixels,
)
from uemdask.spectrum.complex_wave import ComplexWave, complex_wave
from uemdask.spectrum.grid import Grid, binned_noise, binned_smoothing, halo_on_grid
from uemdask.spectrum.peak_maps import PHASE_SIGMA
from uemdask.spectrum.phase import local_wavevector, travel_index, wavelength
from uemdask.spectrum.presence import lasting, sharp_amplitude
from uemdask.spectrum.smoothing import smooth
from uemdask.spectrum.wave_sample import check_reach, natural_grid, wave_sample

_HALO = 40


def wave_halo(binning: int) -> int:
    """Return how many px of the wave around the pixels that are judged are needed."""
    return halo_on_grid(_HALO, binning)


STRENGTH_THRESHOLD = 0.25
"""Share of the pixel's own amplitude over the series from which a wave counts as present."""

# Relative error of a label in units of the noise over the amplitude, as simulated dim waves show.
_NOISE_TOLERANCE = 0.15


def valid_block(
    wave: Any,
    flow: np.ndarray,
    label: np.ndarray,
    confidence: np.ndarray,
    mask: np.ndarray,
    travels: np.ndarray,
    amplitude: np.ndarray,
    pairs: np.ndarray,
    *,
    place: Place,
    delays: np.ndarray,
    centre: float,
    noise: float,
    smoothing: float,
    window: float,
    limits: Mapping[str, float],
    binning: int = 1,
) -> dict[str, np.ndarray]:
    """Return where displacements of a block count, and elsewhere why they do not.

    Parameters
    ----------
    wave : array, (time, y, x) float32
        The wave at all delays with a halo, see `wave_halo`; read only where it is indexed.
    flow, label : ndarray, (pair, 2, y, x)
        px, without the halo; `confidence` (pair, y, x) is the label's, 0..1.
    mask, travels, amplitude : ndarray, (y, x)
        Relevant pixels, where the series as a whole travels, and each pixel's own amplitude,
        without the halo.
    pairs : ndarray, (pair, 2)
        Indices of the frames.
    limits : mapping
        The keywords of `uemdask.valid`.
    binning : int
        Edge of the squares on which the wave is looked at, px, see `uemdask.spectrum.grid`.
    """
    grid = Grid(place, binning)
    sigma, blurred = PHASE_SIGMA / binning, binned_smoothing(smoothing, binning)
    left = binned_noise(noise, smoothing, binning)
    own = limits["strength_threshold"] * amplitude
    why = np.empty((len(pairs), *mask.shape), np.uint8)
    measurable = measurable_pairs(delays, pairs, centre, limits["displacement_limit"])
    rest = {name: limit for name, limit in limits.items() if name != "strength_threshold"}
    for begin in range(0, len(pairs), PAIRS):
        slab = pairs[begin : begin + PAIRS]
        frames = int(slab.min()), int(slab.max())
        there = complex_wave(wave, delays, frames, centre=centre, grid=grid)
        strength, present = _present(there, delays, centre, left, window, own)
        travel = [grid.fine(travel_index(Z, sigma=sigma)) for Z in there.values]
        lit = grid.fine(there.lit()) > 0
        for i, (start, end) in enumerate(slab - there.first, begin):
            if not measurable[i]:
                why[i] = np.where(lit, REASONS.index("unmeasurable_pair"), REASONS.index("unlit"))
                continue
            k = local_wavevector(there.values[start], sigma=sigma, smoothing=blurred)
            weakest = np.maximum(np.minimum(strength[start], strength[end]), 1e-30)
            # Both frames have a say: in one of them the wave may not have come yet.
            why[i] = reason_of_pixels(
                flow[i],
                mask=mask,
                lit=lit,
                present=present[start] & present[end],
                travel=np.minimum(travel[start], travel[end]) * travels,
                amplitude_to_noise=weakest / max(left, 1e-30),
                disagreement=disagreement(flow[i], label[i], confidence[i])
                - _NOISE_TOLERANCE * left / weakest,
                wavelength_px=binning * wavelength(grid.fine(k)),
                field_px=place.frame,
                **rest,
            )
    return {"valid": why == 0, "invalid_reason": why}


def _present(
    wave: ComplexWave,
    delays: np.ndarray,
    centre: float,
    noise: float,
    window: float,
    own: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return amplitude (frame, y, x), and where the wave is there, neither just coming nor gone."""
    around, period = delays[wave.around], 1e3 / centre
    power = smooth(wave.power, PHASE_SIGMA / wave.rougher.binning)
    amplitude = sharp_amplitude(power, around, period=period, window=window, noise=noise)
    lasts = lasting(amplitude, around, period=period)
    frames = np.arange(len(wave.values)) + wave.first - wave.around.start
    strength = wave.rougher.fine(amplitude[frames])
    there = wave.rougher.fine(lasts[frames].astype(np.float32)) > 0.5
    return strength, there & (strength > own)


def measurable_pairs(
    delays: np.ndarray, pairs: np.ndarray, centre: float, displacement_limit: float
) -> np.ndarray:
    """Return the pairs in which a motion can be told at all.

    Not those in which the wave runs on by too many wavelengths, whatever the flow says: the next
    front looks the same. Not those from before time zero: there is no wave yet, only the trace
    that the window of the band-pass carries there.
    """
    start, end = delays[pairs[:, 0]], delays[pairs[:, 1]]
    periods = centre * 1e-3 * (end - start)
    return np.asarray((periods < displacement_limit) & (start >= 0))


def invalid_reason(
    flow: xr.Dataset,
    wave: xr.DataArray,
    labels: xr.Dataset,
    peaks: xr.Dataset,
    *,
    travel_threshold: float = TRAVEL_THRESHOLD,
    noise_threshold: float = NOISE_THRESHOLD,
    strength_threshold: float = STRENGTH_THRESHOLD,
    disagreement_limit: float = DISAGREEMENT_LIMIT,
    displacement_limit: float = DISPLACEMENT_LIMIT,
    field_limit: float = FIELD_LIMIT,
    binning: int | None = None,
) -> xr.DataArray:
    """Return why a displacement means nothing, 0 where it is `uemdask.valid`.

    Parameters
    ----------
    flow : Dataset
        From `uemdask.predict_flow`: `flow` (pair, component, y, x), px, and its pairs. What the
        labels had a say in would always agree with them.
    wave : DataArray, (time, y, x) float32
        From `uemdask.band_pass`, or ``ds.uem.wave`` of a run.
    labels : Dataset
        From `uemdask.estimate_labels`: `label`, px, and `label_confidence`, with which the flow
        must agree.
    peaks : Dataset
        From `uemdask.peaks`: `mask`, `peak_amplitude` and `wavelength` (y, x).
    travel_threshold, noise_threshold, strength_threshold : float
        Least travel index; least amplitude over its noise, and over that of the whole series.
    disagreement_limit : float
        By which local means of flow and labels may differ, relative; more where noise makes the
        labels uncertain.
    displacement_limit, field_limit : float
        In wavelengths; longest wavelength, in lengths of the field of view.
    binning : int, optional
        Edge in px of the squares on which the wave is looked at; by default that of the run, or the
        largest that leaves 16 of the shortest wavelength.

    Returns
    -------
    DataArray, (pair, y, x) uint8
        The first test that failed, by its place in the attribute ``flag_meanings``, see
        docs/store.md. Lazy where an input is.

    Raises
    ------
    UemError
        If the delays are cut into chunks, or the wave does not tell how it was made.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> some = ds.isel(pair=slice(0, 8))
    >>> flow = uemdask.predict_flow(ds.uem.wave, some, ds, views=1)
    >>> reason = uemdask.invalid_reason(flow, ds.uem.wave, some, ds)
    >>> reason.attrs["flag_meanings"].split()[:3]
    ['valid', 'unlit', 'irrelevant']
    """
    require_variables(
        wave.coords.to_dataset(), "wave_centre", "wave_noise", "wave_smoothing", "wave_window"
    )
    require_variables(peaks, "mask", "peak_amplitude")
    require_variables(labels, "label", "label_confidence")
    parts = [
        flow["flow"],
        labels["label"],
        labels["label_confidence"],
        peaks["mask"],
        wave.coords.get("wave_travels", xr.ones_like(peaks["mask"], bool)),
        peaks["peak_amplitude"],
    ]
    limits = {
        "travel_threshold": travel_threshold,
        "noise_threshold": noise_threshold,
        "strength_threshold": strength_threshold,
        "disagreement_limit": disagreement_limit,
        "displacement_limit": displacement_limit,
        "field_limit": field_limit,
    }
    binning, reach = natural_grid(wave, binning, _HALO, lambda: wave_sample(wave, peaks))
    found = map_space(
        _whole_valid_block,
        wave.transpose("time", "y", "x").reset_coords(drop=True),
        *(part.reset_coords(drop=True) for part in parts),
        in_slabs(frames_of(flow), wave),
        out=["invalid_reason"],
        halo=reach,
        whole={
            "time": "the wave is asked around each pair",
            "end": "a pair has two frames",
            "component": "a displacement has two",
        },
        delays=np.asarray(wave["time"].values, np.float64),
        centre=wave["wave_centre"],
        noise=wave["wave_noise"],
        smoothing=wave["wave_smoothing"],
        window=wave["wave_window"],
        limits=limits,
        binning=binning,
        reach=reach,
    )["invalid_reason"]
    pairs = {name: flow[name] for name in ("frame_from", "frame_to", "time_from", "time_to")}
    return found.assign_coords(pairs).assign_attrs(VARIABLES["invalid_reason"].attributes)


def valid(
    flow: xr.Dataset, wave: xr.DataArray, labels: xr.Dataset, peaks: xr.Dataset, **limits: Any
) -> xr.DataArray:
    """Return where a displacement means something: relevant, travelling, there, not ambiguous.

    Parameters
    ----------
    flow, wave, labels, peaks, **limits
        As of `uemdask.invalid_reason`.

    Returns
    -------
    DataArray, (pair, y, x) bool
        Lazy where an input is.

    Raises
    ------
    UemError
        As `uemdask.invalid_reason`.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> some = ds.isel(pair=slice(0, 8))
    >>> flow = uemdask.predict_flow(ds.uem.wave, some, ds, views=1)
    >>> uemdask.valid(flow, ds.uem.wave, some, ds).dims
    ('pair', 'y', 'x')
    """
    found = invalid_reason(flow, wave, labels, peaks, **limits) == 0
    attributes = {"units": "1", "long_name": VARIABLES["valid"].long_name}
    return found.rename("valid").assign_attrs(attributes)


def _whole_valid_block(
    wave: np.ndarray, *blocks: Any, place: Place, binning: int, reach: int, **keywords: Any
) -> dict[str, np.ndarray]:
    check_reach(place, binning, _HALO, reach)
    maps = [block[..., *place.inner] for block in blocks[:-1]]
    judge: Callable[..., dict[str, np.ndarray]] = valid_block
    return judge(wave, *maps, blocks[-1], place=place, binning=binning, **keywords)
