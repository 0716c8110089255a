"""The headline of each region of interest, from the wave and where it is valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from uemdask.cube.blocks import Place, as_variables, at_once, is_lazy, map_space, of_few
from uemdask.cube.contract import Variable
from uemdask.cube.layout import Region, along_tiles
from uemdask.cube.required_variables import require_variables
from uemdask.errors import UemError
from uemdask.labels.pairing import frames_of
from uemdask.regions.fronts import (
    FRONT_HALO,
    PAIR_QUANTITIES,
    PATCH_PX,
    PATCH_QUANTITIES,
    FrontSums,
    away_from_rims,
    front_sums,
)
from uemdask.regions.headline import Headline, headlines
from uemdask.regions.roi import Roi
from uemdask.regions.roi_features import pixels_of, rois_and_masks
from uemdask.spectrum.complex_wave import COMPLEX_WINDOW, complex_wave
from uemdask.spectrum.grid import Grid
from uemdask.spectrum.usable_series import pixel_size_from_centres
from uemdask.spectrum.wave_sample import length_of, wave_sample

SLAB = 32
"""Pairs of a task, and of a slab of patches: with the reach of the window in time a task then reads
two or three times as many frames as it looks at."""

STRENGTH = (
    Variable("roi_pixels", ("roi",), "int64", "1", "pixels", "feature"),
    Variable("roi_relevant_pixels", ("roi",), "int64", "1", "relevant pixels", "feature"),
    Variable("roi_power", ("roi",), "float64", "1", "sum of squared amplitudes", "feature"),
)
"""What `strength_block` gives."""

_SUMS = (
    Variable("pair", ("quantity", "roi", "pair"), "float64", "1", "sums of pairs", "feature"),
    Variable(
        "patch", ("part", "roi", "slab", "row", "column"), "float64", "1", "sums of patches",
        "feature",
    ),
)  # fmt: skip

HEADLINE = {
    "roi_speed": "speed",
    "roi_speed_sd": "speed_sd",
    "roi_direction": "direction",
    "roi_direction_sd": "direction_sd",
    "roi_direction_spread": "spread",
    "roi_frequency": "frequency",
    "roi_wavelength": "wavelength",
    "roi_delay_first": "first",
    "roi_delay_last": "last",
    "roi_speed_missing": "reason",
    "roi_pair_speed": "speeds",
}
"""Attribute of `Headline` by variable of a run."""

# Where a wave is weaker, of its rms in the region, a pixel's phase is that of its neighbours.
_LEAST_AMPLITUDE = 0.5


def strength_block(
    relevant: np.ndarray, amplitude: np.ndarray, rois: np.ndarray
) -> dict[str, np.ndarray]:
    """Return how many pixels of a block each region has, and the power of its relevant ones.

    Parameters
    ----------
    relevant, amplitude : ndarray, (y, x)
        Relevant pixels, and each pixel's own amplitude.
    rois : ndarray of bool, (roi, y, x)
    """
    inside = rois & relevant
    power = np.square(amplitude, dtype=np.float64)
    return {
        "roi_pixels": rois.sum(axis=(1, 2)),
        "roi_relevant_pixels": inside.sum(axis=(1, 2)),
        "roi_power": np.array([float(np.nansum(power[pixels])) for pixels in inside]),
    }


def roi_amplitude(power: np.ndarray, relevant: np.ndarray) -> npt.NDArray[np.float64]:
    """Return the rms amplitude of the wave in each region, of the sums of `strength_block`."""
    return np.asarray(np.sqrt(power / np.maximum(relevant, 1)))


def front_block(
    wave: Any,
    valid: np.ndarray,
    relevant: np.ndarray,
    amplitude: np.ndarray,
    pairs: np.ndarray,
    rois: np.ndarray,
    *,
    place: Place,
    rms: np.ndarray,
    delays: np.ndarray,
    centre: float,
    **about: Any,
) -> FrontSums:
    """Sum the phases of the fronts of a tile over regions, for pairs of one slab.

    Parameters
    ----------
    wave : array, (time, y, x) float32
        The wave at all delays with a halo of `FRONT_HALO`; read only where it is indexed.
    valid, amplitude : ndarray, (pair, y, x), (y, x)
        Without the halo; `relevant` (y, x) with it.
    pairs : ndarray, (pair, 2)
        Indices of the frames.
    rois : ndarray of bool, (roi, y, x)
        Without the halo.
    rms : ndarray, (roi,)
        Amplitude of the wave in each region.
    delays, centre
        ps, GHz.
    **about
        As of `front_sums`.
    """
    if not (rois & relevant[place.inner]).any():
        return FrontSums.empty(len(rois), len(pairs), 1, amplitude.shape)
    start, stop = int(pairs.min()), int(pairs.max())
    strong = amplitude >= (_LEAST_AMPLITUDE * rms)[:, None, None]
    return front_sums(
        complex_wave(wave, delays, (start, stop), centre=centre, grid=Grid(place)).values,
        pairs - start,
        delays[start : stop + 1],
        valid,
        relevant,
        rois,
        rois & strong & away_from_rims(relevant)[place.inner],
        frequency=centre,
        inner=place.inner,
        **about,
    )


def region_headlines(
    sums: FrontSums,
    delays: np.ndarray,
    pixels: np.ndarray,
    relevant: np.ndarray,
    *,
    centre: float,
    window: float,
    noise: float,
) -> list[Headline]:
    """Return the headline of each region, see `headlines`; the `window` is in periods."""
    period = 1e3 / centre
    return headlines(
        sums,
        delays,
        pixels,
        relevant,
        frequency=centre,
        window=window * period,
        complex_window=float(np.hypot(window * period, COMPLEX_WINDOW * period)),
        noise=noise,
    )


def headline(
    motion: xr.Dataset,
    wave: xr.DataArray,
    peaks: xr.Dataset,
    rois: Sequence[Roi | Mapping[str, Any]] = (),
    *,
    masks: Mapping[str, xr.DataArray] | None = None,
) -> xr.Dataset:
    """Return the one speed and direction of each region of interest, with their standard errors.

    From the phase of the wave where it is valid, over all delays that are trusted: the displacement
    of the network only has a say in what is valid.

    Parameters
    ----------
    motion : Dataset
        From `uemdask.speed_angle`, or a run: `valid` (pair, y, x) and its pairs.
    wave : DataArray, (time, y, x) float32
        From `uemdask.band_pass`, or ``ds.uem.wave`` of a run. Where lazy, the frames of a pixel
        must be in one chunk, and chunks begin at multiples of 32 px.
    peaks : Dataset
        From `uemdask.peaks`: `mask`, `peak_amplitude` and `wavelength` (y, x).
    rois : sequence of `uemdask.Roi` or mapping
        As for `uemdask.roi_features`.
    masks : mapping of name to DataArray, (y, x) bool
        As there.

    Returns
    -------
    Dataset
        `roi_speed` (roi) in nm/ps, `roi_direction` in degree, the standard errors of both,
        `roi_pair_speed` (roi, pair) and what else a run stores of them; NaN where there is no
        motion to trust, and `roi_speed_missing` says why. Lazy where an input is.

    Raises
    ------
    UemError, FaultsError
        If the wave does not tell how it was made, a region is not one, or chunks cut patches of
        32 px.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> left = {"name": "left", "rectangle": {"x": [0, 400], "y": [0, 768]}}
    >>> uemdask.headline(ds, ds.uem.wave, ds, [left]).roi_speed.dims
    ('roi',)
    """
    require_variables(motion, "valid", "frame_from", "frame_to", "time_from", "time_to")
    require_variables(
        wave.coords.to_dataset(), "wave_centre", "wave_noise", "wave_smoothing", "wave_window"
    )
    require_variables(peaks, "mask", "peak_amplitude", "wavelength")
    regions, wanted = rois_and_masks(rois, wave, {"mask": peaks["mask"]} | dict(masks or {}))
    named = [each.reset_coords(drop=True).astype(bool) for each in wanted.values()]
    relevant, amplitude = (
        peaks[name].reset_coords(drop=True) for name in ("mask", "peak_amplitude")
    )
    count, frame = motion.sizes["pair"], (wave.sizes["y"], wave.sizes["x"])
    sizes = {
        "roi": len(regions),
        "quantity": len(PAIR_QUANTITIES),
        "part": len(PATCH_QUANTITIES),
        "slab": -(-count // SLAB),
        "row": -(-frame[0] // PATCH_PX),
        "column": -(-frame[1] // PATCH_PX),
    }
    shapes: dict[str, Any] = {
        "rois": regions,
        "names": tuple(wanted),
        "y": wave["y"].values,
        "x": wave["x"].values,
    }
    strength = map_space(
        _strength_block, relevant, amplitude, *named, out=STRENGTH, sizes=sizes, **shapes
    )
    rms = of_few(roi_amplitude, strength["roi_power"], strength["roi_relevant_pixels"])
    pairs, numbers = frames_of(motion), xr.DataArray(np.arange(count), dims="pair")
    if is_lazy(wave, motion["valid"]):
        pairs, numbers = (each.chunk(pair=SLAB) for each in (pairs, numbers))
    sums = map_space(
        _front_block,
        numbers,
        pairs,
        wave.transpose("time", "y", "x").reset_coords(drop=True),
        motion["valid"].reset_coords(drop=True).drop_vars("pair_time", errors="ignore"),
        relevant,
        amplitude,
        *named,
        out=_SUMS,
        halo=FRONT_HALO,
        whole={"time": "the wave is asked around each pair", "end": "a pair has two frames"},
        sizes=sizes,
        **shapes,
        slabs=sizes["slab"],
        rms=rms,
        delays=np.asarray(wave["time"].values, np.float64),
        centre=wave["wave_centre"],
        noise=wave["wave_noise"],
        smoothing=wave["wave_smoothing"],
        wavelength_px=of_few(length_of, wave_sample(wave, peaks)),
        pixel_size=pixel_size_from_centres(wave),
    )
    found = of_few(
        _headlines,
        sums["pair"],
        sums["patch"],
        strength["roi_pixels"],
        strength["roi_relevant_pixels"],
        np.stack([at_once(motion[name]) for name in ("time_from", "time_to")], axis=1),
        *(wave[f"wave_{name}"] for name in ("centre", "window", "noise")),
    )
    coords = {str(key): c for key, c in motion.coords.items() if c.dims == ("pair",)}
    result = xr.Dataset(as_variables(found, HEADLINE, {"roi": len(regions), "pair": count}), coords)
    return result.assign_coords(roi=[roi.name for roi in regions])


def _strength_block(
    relevant: np.ndarray,
    amplitude: np.ndarray,
    *masks: np.ndarray,
    place: Place,
    rois: Sequence[Roi],
    names: Sequence[str],
    y: np.ndarray,
    x: np.ndarray,
) -> dict[str, np.ndarray]:
    named = dict(zip(names, masks, strict=True))
    return strength_block(
        relevant, amplitude, pixels_of(rois, y[place.rows], x[place.columns], named)
    )


def _front_block(
    numbers: np.ndarray,
    pairs: np.ndarray,
    wave: np.ndarray,
    valid: np.ndarray,
    relevant: np.ndarray,
    amplitude: np.ndarray,
    *masks: np.ndarray,
    place: Place,
    rois: Sequence[Roi],
    names: Sequence[str],
    y: np.ndarray,
    x: np.ndarray,
    slabs: int,
    **about: Any,
) -> dict[str, np.ndarray]:
    """Sum over a block tile by tile and slab by slab, as the tasks of a run do."""
    sums = FrontSums.empty(len(rois), len(pairs), slabs, place.frame)
    corner = place.rows.start, place.columns.start
    spans = [
        along_tiles(slice(start + part.start, start + part.stop))
        for start, part in zip(corner, place.inner, strict=True)
    ]
    sizes = dict(zip(("y", "x"), place.frame, strict=True))
    for rows, columns in product(*spans):
        if rows.start % PATCH_PX or columns.start % PATCH_PX:
            raise UemError(
                f"headline: a chunk starts at {(rows.start, columns.start)} px; let them start at "
                f"multiples of {PATCH_PX} px, as .chunk(y=256, x=256) does"
            )
        tile = Region((("y", rows.start, rows.stop), ("x", columns.start, columns.stop)))
        here = Place.of(tile, sizes, FRONT_HALO)
        around, inside = (
            tuple(
                slice(part.start - start, part.stop - start)
                for part, start in zip(parts, corner, strict=True)
            )
            for parts in ((here.rows, here.columns), (rows, columns))
        )
        named = {name: mask[inside] for name, mask in zip(names, masks, strict=True)}
        pixels = pixels_of(rois, y[rows], x[columns], named)
        for slab in np.unique(numbers // SLAB):
            chosen = np.flatnonzero(numbers // SLAB == slab)
            part = front_block(
                wave[:, *around],
                valid[chosen][:, *inside],
                relevant[around],
                amplitude[inside],
                pairs[chosen],
                pixels,
                place=here,
                **about,
            )
            origin = rows.start, columns.start
            sums.add(part, first_pair=int(chosen[0]), slab=int(slab), origin=origin)
    return {"pair": sums.pair, "patch": sums.patch}


def _headlines(
    pair: np.ndarray,
    patch: np.ndarray,
    pixels: np.ndarray,
    relevant: np.ndarray,
    delays: np.ndarray,
    centre: float,
    window: float,
    noise: float,
) -> list[np.ndarray]:
    sums = FrontSums(pair, patch)
    about = {"centre": float(centre), "window": float(window), "noise": float(noise)}
    return headline_values(region_headlines(sums, delays, pixels, relevant, **about))


def headline_values(found: Sequence[Headline]) -> list[np.ndarray]:
    """Return the variables of `HEADLINE`, in order, of one headline a region."""
    return [np.array([getattr(each, name) for each in found]) for name in HEADLINE.values()]
