"""Pseudo-labels of all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, map_space, of_few
from uemdask.cube.layout import PAIRS
from uemdask.cube.packing import Packing
from uemdask.cube.required_variables import require_variables
from uemdask.cube.rounding import round_flow
from uemdask.labels.estimator import LabelEstimator, Method
from uemdask.labels.grey import grey_scale
from uemdask.labels.optical_flow import LABEL_HALO
from uemdask.labels.pairing import frames_of, in_slabs
from uemdask.spectrum.complex_wave import complex_wave
from uemdask.spectrum.grid import Grid
from uemdask.spectrum.wave_sample import (
    WaveSample,
    check_reach,
    length_of,
    natural_grid,
    wave_sample,
)


def label_block(
    wave: Any,
    travels: np.ndarray,
    pairs: np.ndarray,
    *,
    place: Place,
    delays: np.ndarray,
    estimator: LabelEstimator,
    binning: int = 1,
) -> dict[str, np.ndarray]:
    """Return labels of a block with a halo, see `label_halo`, and their confidence.

    Parameters
    ----------
    wave : array, (time, y, x) float32
        The wave at all delays; read only where it is indexed.
    travels : ndarray of bool, (y, x)
        Where the series as a whole travels.
    pairs : ndarray, (pair, 2)
        Indices of the frames. `PAIRS` at a time share what is read.
    binning : int
        Edge of the squares on which the estimates are made, px, see `uemdask.spectrum.grid`.
    """
    grid, estimator = Grid(place, binning), estimator.on_grid(binning)
    shape = tuple(part.stop - part.start for part in place.inner)
    label = np.empty((len(pairs), 2, *shape), np.float32)
    confidence = np.empty((len(pairs), *shape), np.float32)
    for first in range(0, len(pairs), PAIRS):
        slab = pairs[first : first + PAIRS]
        frames = int(slab.min()), int(slab.max())
        there = complex_wave(wave, delays, frames, centre=estimator.frequency, grid=grid)
        lit = there.lit()
        # Pair by pair: the estimates of a whole slab would be many times the result.
        for i, (start, end) in enumerate(slab, first):
            ends = there.values[start - there.first], there.values[end - there.first]
            found, trust = estimator(*ends, float(delays[end] - delays[start]))
            label[i] = round_flow(binning * grid.fine(found, lit))
            confidence[i] = grid.fine(trust) * travels[place.inner]
    packing = Packing.of_variable("label_confidence")
    return {"label": label, "label_confidence": packing.unpack(packing.pack(confidence))}


def _label_block(
    *blocks: np.ndarray,
    place: Place,
    delays: np.ndarray,
    methods: Sequence[Method],
    binning: int,
    reach: int,
    **numbers: Any,
) -> dict[str, np.ndarray]:
    check_reach(place, binning, LABEL_HALO, reach)
    estimator = LabelEstimator(methods, **numbers)
    return label_block(*blocks, place=place, delays=delays, estimator=estimator, binning=binning)


def estimate_labels(
    wave: xr.DataArray,
    pairs: xr.Dataset,
    peaks: xr.Dataset,
    *,
    methods: Sequence[Method] = ("dis", "phase"),
    binning: int | None = None,
) -> xr.Dataset:
    """Return pseudo-ground-truth displacements of every pair.

    Parameters
    ----------
    wave : DataArray, (time, y, x) float32
        From `uemdask.band_pass`, or ``ds.uem.wave`` of a run. Where lazy, the frames of a pixel
        must be in one chunk; chunks of about 1024 x 1024 px are those of a run.
    pairs : Dataset
        From `uemdask.pairs`.
    peaks : Dataset
        From `uemdask.peaks`, or the run: `mask` and `wavelength` (y, x), nm.
    methods : sequence of {"dis", "farneback", "phase"}
        Estimators; several are combined by confidence. The two of OpenCV see only the pair;
        ``phase`` is the windowed phase velocity from the frames around it.
    binning : int, optional
        Edge in px of the squares on which the estimates are made; by default that of the run, or
        the largest that leaves 16 of the shortest wavelength.

    Returns
    -------
    Dataset
        `label` (pair, component, y, x), px: ``first(r) = second(r + label(r))``; and
        `label_confidence` (pair, y, x), 0 to 1. Lazy where an input is.

    Raises
    ------
    UemError
        If the delays are cut into chunks, or the wave does not tell how it was made.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> found = uemdask.estimate_labels(ds.uem.wave, ds.isel(pair=slice(0, 2)), ds, methods=["dis"])
    >>> float(abs(found.label - ds.label[:2]).max()) < 0.05  # px; OpenCV depends on its threads
    True
    """
    require_variables(wave.coords.to_dataset(), "wave_centre", "wave_noise", "wave_smoothing")
    sample = wave_sample(wave, peaks)
    binning, reach = natural_grid(wave, binning, LABEL_HALO, lambda: sample)
    travels = wave.coords.get("wave_travels", xr.ones_like(peaks["mask"], bool))
    found = map_space(
        _label_block,
        wave.transpose("time", "y", "x").reset_coords(drop=True),
        travels.reset_coords(drop=True),
        in_slabs(frames_of(pairs), wave),
        out=["label", "label_confidence"],
        halo=reach,
        whole={"time": "the wave is asked around each pair", "end": "a pair has two frames"},
        delays=np.asarray(wave["time"].values, np.float64),
        frequency=wave["wave_centre"],
        noise=wave["wave_noise"],
        smoothing=wave["wave_smoothing"],
        grey_scale=of_few(grey_of, sample),
        wavelength_px=of_few(length_of, sample),
        methods=tuple(methods),
        binning=binning,
        reach=reach,
    )
    return found.assign_coords(pairs.coords)


def grey_of(sample: WaveSample) -> float:
    """Return the amplitude of a wave for grey images, see `uemdask.labels.grey_scale`."""
    return grey_scale(sample.values) if np.any(sample.values) else 1.0
