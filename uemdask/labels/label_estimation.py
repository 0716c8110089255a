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
from uemdask.labels.pairing import frames_of, in_slabs
from uemdask.spectrum.complex_wave import complex_wave
from uemdask.spectrum.wave_sample import WaveSample, wave_sample

LABEL_HALO = 64
"""Halo in px: optical flow sees about two of its coarsest patches, phase flow its Gaussians."""


def label_block(
    wave: Any,
    travels: np.ndarray,
    pairs: np.ndarray,
    *,
    place: Place,
    delays: np.ndarray,
    estimator: LabelEstimator,
) -> dict[str, np.ndarray]:
    """Return labels of a block with a halo of `LABEL_HALO`, and their confidence.

    Parameters
    ----------
    wave : array, (time, y, x) float32
        The wave at all delays; read only where it is indexed.
    travels : ndarray of bool, (y, x)
        Where the series as a whole travels.
    pairs : ndarray, (pair, 2)
        Indices of the frames. `PAIRS` at a time share what is read.
    """
    shape = tuple(part.stop - part.start for part in place.inner)
    label = np.empty((len(pairs), 2, *shape), np.float32)
    confidence = np.empty((len(pairs), *shape), np.float32)
    for first in range(0, len(pairs), PAIRS):
        slab = pairs[first : first + PAIRS]
        frames = int(slab.min()), int(slab.max())
        there = complex_wave(wave, delays, frames, centre=estimator.frequency, place=place)
        # Pair by pair: the estimates of a whole slab would be many times the result.
        for i, (start, end) in enumerate(slab, first):
            ends = there.values[start - there.first], there.values[end - there.first]
            found, trust = estimator(*ends, float(delays[end] - delays[start]))
            label[i] = round_flow(found[:, *place.inner])
            confidence[i] = trust[place.inner] * travels[place.inner]
    packing = Packing.of_variable("label_confidence")
    return {"label": label, "label_confidence": packing.unpack(packing.pack(confidence))}


def _label_block(
    *blocks: np.ndarray,
    place: Place,
    delays: np.ndarray,
    methods: Sequence[Method],
    **numbers: float,
) -> dict[str, np.ndarray]:
    estimator = LabelEstimator(methods, **numbers)
    return label_block(*blocks, place=place, delays=delays, estimator=estimator)


def estimate_labels(
    wave: xr.DataArray,
    pairs: xr.Dataset,
    peaks: xr.Dataset,
    *,
    methods: Sequence[Method] = ("dis", "phase"),
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
    >>> float(abs(found.label - ds.label[:2]).max()) <= 1 / 128  # a step of what is stored
    True
    """
    require_variables(wave.coords.to_dataset(), "wave_centre", "wave_noise", "wave_smoothing")
    sample = wave_sample(wave, peaks)
    travels = wave.coords.get("wave_travels", xr.ones_like(peaks["mask"], bool))
    found = map_space(
        _label_block,
        wave.transpose("time", "y", "x").reset_coords(drop=True),
        travels.reset_coords(drop=True),
        in_slabs(frames_of(pairs), wave),
        out=["label", "label_confidence"],
        halo=LABEL_HALO,
        whole={"time": "the wave is asked around each pair", "end": "a pair has two frames"},
        delays=np.asarray(wave["time"].values, np.float64),
        frequency=wave["wave_centre"],
        noise=wave["wave_noise"],
        smoothing=wave["wave_smoothing"],
        grey_scale=of_few(grey_of, sample),
        wavelength_px=of_few(length_of, sample),
        methods=tuple(methods),
    )
    return found.assign_coords(pairs.coords)


def grey_of(sample: WaveSample) -> float:
    """Return the amplitude of a wave for grey images, see `uemdask.labels.grey_scale`."""
    return grey_scale(sample.values) if np.any(sample.values) else 1.0


def length_of(sample: WaveSample) -> float:
    """Return the wavelength of a wave, px."""
    return sample.wavelength_px
