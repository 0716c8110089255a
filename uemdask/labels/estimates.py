"""Pseudo-labels: the displacement of every pair, by classical estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, map_space, of_few
from uemdask.cube.layout import PAIRS
from uemdask.cube.needed import need
from uemdask.cube.packing import Packing
from uemdask.cube.rounding import round_flow
from uemdask.labels.combination import combine
from uemdask.labels.confidence import AMBIGUOUS_DISPLACEMENT
from uemdask.labels.grey import grey_scale
from uemdask.labels.pairing import frames_of, in_slabs
from uemdask.labels.pairs import label_pairs
from uemdask.spectrum.complex_wave import ComplexWave, complex_wave
from uemdask.spectrum.phase import phase_flow, travel_index
from uemdask.spectrum.sample import WaveSample, wave_sample

LABEL_HALO = 64
"""Halo in px: optical flow sees about two of its coarsest patches, phase flow its Gaussians."""

# An eighth of a wavelength, within these bounds, px: wider than the noise, inside the halo.
_PHASE_SIGMA = (8.0, 20.0)
# Trust in a label from two frames, beside one from the frames around them. A contrast that is
# reversed across a line holds the former there, and it does not know.
_TWO_FRAMES = 0.1

Method = Literal["phase", "dis", "farneback"]


def label_block(
    wave: Any,
    travels: np.ndarray,
    pairs: np.ndarray,
    *,
    place: Place,
    delays: np.ndarray,
    centre: float,
    noise: float,
    smoothing: float,
    grey: float,
    wavelength_px: float,
    methods: Sequence[Method],
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
    numbers = {"noise": noise, "smoothing": smoothing, "wavelength_px": wavelength_px}
    for first in range(0, len(pairs), PAIRS):
        slab = pairs[first : first + PAIRS]
        frames = int(slab.min()), int(slab.max())
        there = complex_wave(wave, delays, frames, centre=centre, place=place)
        # Two frames cannot tell a standing wave from one that travels; those around them can.
        travel = [travel_index(frame) for frame in there.values]
        # Pair by pair: the estimates of a whole slab would be many times the result.
        for i, pair in enumerate(slab, first):
            delay = float(delays[pair[1]] - delays[pair[0]])
            periods, step = centre * 1e-3 * delay, 2e-3 * np.pi * centre * delay
            found = [
                _estimate(there, travel, pair, method, step=step, grey=grey, **numbers)
                for method in methods
            ]
            merged, trust = found[0]
            if len(found) > 1:
                # The frames around a pair know more than the pair: where both are sure, they lead.
                weights = [
                    trust if method == "phase" else _TWO_FRAMES * trust
                    for method, (_, trust) in zip(methods, found, strict=True)
                ]
                merged, trust = combine([each for each, _ in found], weights)
            label[i] = round_flow(merged[:, *place.inner])
            # Beyond half a period a front cannot be told from the next one.
            known = travels[place.inner] * (periods < AMBIGUOUS_DISPLACEMENT)
            confidence[i] = trust[place.inner] * known
    packing = Packing.of_variable("label_confidence")
    return {"label": label, "label_confidence": packing.unpack(packing.pack(confidence))}


def _estimate(
    wave: ComplexWave,
    travel: list[np.ndarray],
    pair: np.ndarray,
    method: Method,
    *,
    step: float,
    grey: float,
    noise: float,
    smoothing: float,
    wavelength_px: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return label (2, y, x) in px and confidence (y, x) of one pair by one method."""
    start, end = pair - wave.first
    first, second = wave.values[start], wave.values[end]
    if method == "phase":
        sigma = float(np.clip(wavelength_px / 8, *_PHASE_SIGMA))
        label, confidence = phase_flow(
            first, second, phase_step=step, sigma=sigma, smoothing=smoothing
        )
        power = (np.abs(first) ** 2 + np.abs(second) ** 2) / 2
        return label, confidence * power / (power + 2 * noise**2 + 1e-30)
    labels, confidences = label_pairs(
        np.stack([first.real, second.real]),
        [(0, 1)],
        scale=grey,
        wavelength=wavelength_px,
        noise=noise,
        method=method,
    )
    # Pyramids carry the edge of an unlit area far into the wave.
    away = _from_dark(first) / wavelength_px
    travels = np.minimum(travel[start], travel[end])
    return labels[0], confidences[0] * travels * np.clip(away, 0, 1) ** 2


def _from_dark(wave: np.ndarray) -> np.ndarray:
    """Return the distance of pixels (y, x) to the next unlit one, px; the wave is 0 there."""
    lit = (wave != 0).astype(np.uint8)
    if lit.all():
        return np.full(lit.shape, np.inf, np.float32)
    return cv2.distanceTransform(lit, cv2.DIST_L2, 5)


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
    need(wave.coords.to_dataset(), "wave_centre", "wave_noise", "wave_smoothing")
    sample = wave_sample(wave, peaks)
    travels = wave.coords.get("wave_travels", xr.ones_like(peaks["mask"], bool))
    found = map_space(
        label_block,
        wave.transpose("time", "y", "x").reset_coords(drop=True),
        travels.reset_coords(drop=True),
        in_slabs(frames_of(pairs), wave),
        out=["label", "label_confidence"],
        halo=LABEL_HALO,
        whole={"time": "the wave is asked around each pair", "end": "a pair has two frames"},
        delays=np.asarray(wave["time"].values, np.float64),
        centre=wave["wave_centre"],
        noise=wave["wave_noise"],
        smoothing=wave["wave_smoothing"],
        grey=of_few(grey_of, sample),
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
