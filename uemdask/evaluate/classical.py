"""What a microscopist would try first: zero flow, and OpenCV on raw or band-passed frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.labels.grey import to_grey
from uemdask.labels.optical_flow import FlowEstimator, Method

GREY_QUANTILES = (0.001, 0.999)
"""Brightness quantiles of the sampled frames that become black and white."""

SAMPLED_FRAMES = 8
"""Frames looked at for the range, evenly spread."""

FARNEBACK: dict[str, Any] = {
    "pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2,
}  # fmt: skip
"""Parameters of OpenCV's own example, as most people use them."""


def grey_limits(frames: Any) -> tuple[float, float]:
    """One fixed brightness range for a series of raw frames.

    Parameters
    ----------
    frames : array, (time, y, x)
        Numpy, Zarr or alike; only a few frames are read.

    Returns
    -------
    low, high : float
        Counts that become grey 0 and 255.

    Raises
    ------
    UemError
        If no frame holds a finite value.

    Examples
    --------
    >>> import numpy as np
    >>> grey_limits(np.tile(np.arange(1001.0), (2, 1, 1)))
    (1.0, 999.0)
    """
    chosen = np.unique(np.linspace(0, frames.shape[0] - 1, SAMPLED_FRAMES).astype(int))
    values = np.concatenate([np.asarray(frames[int(t)]).ravel() for t in chosen])
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise UemError("frames: no finite value was found in the sampled frames")
    low, high = (float(value) for value in np.quantile(values, GREY_QUANTILES))
    return low, high if high > low else low + 1.0


def farneback_flows(
    frames: Any,
    pairs: Iterable[tuple[int, int]],
    *,
    limits: tuple[float, float] | None = None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Farneback on raw frames with the usual parameters, pair by pair.

    Parameters
    ----------
    frames : array, (time, y, x)
        Raw frames, counts; numpy, Zarr or alike, read one at a time.
    pairs : iterable of (int, int)
        Indices of first and second frame.
    limits : tuple of float, optional
        Brightness range, see `grey_limits`.

    Yields
    ------
    ndarray of float32, (2, y, x)
        Displacement in px, components ``[x, y]``: ``first(r) = second(r + flow(r))``.

    Examples
    --------
    >>> import numpy as np
    >>> frames = np.random.default_rng(0).normal(100, 10, (2, 32, 32))
    >>> [flow.shape for flow in farneback_flows(frames, [(0, 1)])]
    [(2, 32, 32)]
    """
    low, high = limits or grey_limits(frames)
    held: dict[int, npt.NDArray[np.uint8]] = {}
    for start, end in pairs:
        held = {t: held[t] if t in held else _grey(frames, t, low, high) for t in (start, end)}
        flow = cv2.calcOpticalFlowFarneback(held[start], held[end], None, flags=0, **FARNEBACK)
        yield np.ascontiguousarray(np.moveaxis(flow, -1, 0), dtype=np.float32)


def wave_flows(
    wave: Any,
    pairs: Iterable[tuple[int, int]],
    *,
    scale: float,
    wavelength: float,
    method: Method,
) -> Iterator[npt.NDArray[np.float32]]:
    """OpenCV on the band-passed, smoothed series in one fixed range: the published way to label.

    Parameters
    ----------
    wave : array, (time, y, x)
        Band-passed, smoothed wave, unit 1; numpy, Zarr or alike, read one frame at a time.
    pairs : iterable of (int, int)
        Indices of first and second frame.
    scale : float
        The run's amplitude, see `uemdask.labels.grey_scale`.
    wavelength : float
        In px; keeps the pyramid from jumping by a whole wavelength.
    method : {"dis", "farneback"}
        See `uemdask.labels.FlowEstimator`.

    Yields
    ------
    ndarray of float32, (2, y, x)
        Displacement in px, components ``[x, y]``: ``first(r) = second(r + flow(r))``.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.sin(np.add.outer(np.arange(3), np.tile(np.arange(64) / 5, (64, 1))))
    >>> [f.shape for f in wave_flows(wave, [(0, 1)], scale=1.0, wavelength=31.0, method="dis")]
    [(2, 64, 64)]
    """
    # With its own refinement, as published; only what `label_pairs` refines can do without.
    estimate = FlowEstimator(method, tuple(wave.shape[1:]), wavelength=wavelength, preset="fast")
    for start, end in pairs:
        first, second = (to_grey(np.asarray(wave[int(t)]), scale) for t in (start, end))
        yield estimate(first, second)


def _grey(frames: Any, index: int, low: float, high: float) -> npt.NDArray[np.uint8]:
    frame = np.asarray(frames[int(index)], dtype=np.float32)
    return to_grey(frame - np.float32((low + high) / 2), (high - low) / 2)


def zero_flows(pairs: int, shape: tuple[int, int]) -> Iterator[npt.NDArray[np.float32]]:
    """No motion at all: what every estimator must beat.

    Parameters
    ----------
    pairs : int
    shape : tuple of int
        (y, x).

    Yields
    ------
    ndarray of float32, (2, y, x)

    Examples
    --------
    >>> [flow.max() for flow in zero_flows(1, (4, 4))]
    [np.float32(0.0)]
    """
    for _ in range(pairs):
        yield np.zeros((2, *shape), np.float32)
