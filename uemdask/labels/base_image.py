"""Base image against later frames.

The published workflow also compares an image before stimulation with each later one. A travelling
wave is absent from the base image, so this flow carries modulation, bend contours and remaining
drift, not the displacement of wave fronts: useful as an input, not as a velocity.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import xarray as xr

from uemdask.cube.blocks import Place, at_once, is_lazy, map_space, of_few
from uemdask.cube.rounding import round_flow
from uemdask.errors import UemError
from uemdask.labels.grey import to_grey
from uemdask.labels.optical_flow import LABEL_HALO, FlowEstimator, Method, Preset
from uemdask.spectrum.usable_series import usable_frames

BASE_SMOOTHING_PX = 2.0
"""Sigma of the Gaussian against pixel noise, px."""

BASE_QUANTILES = (0.005, 0.995)
"""Brightness quantiles of the reference that set the fixed range."""

BASE_MARGIN = 0.25
"""The range is wider than the reference by this share on either side: frames brighten later."""

# A base label carries no motion; finer steps would only store noise.
_STEP = 1 / 16


def base_range(reference: np.ndarray) -> tuple[float, float]:
    """Find one brightness range for comparing a run's frames with its base image.

    Parameters
    ----------
    reference : ndarray, (y, x)
        Mean of the aligned frames before time zero, counts.

    Returns
    -------
    low, high : float
        Counts that become grey 0 and 255.

    Raises
    ------
    UemError
        If the reference holds no finite value.

    Examples
    --------
    >>> import numpy as np
    >>> base_range(np.array([[100.0, 200.0]]))
    (75.75, 224.25)
    """
    finite = reference[np.isfinite(reference)]
    if finite.size == 0:
        raise UemError("reference: no finite value was found; run the align stage again")
    low, high = (float(value) for value in np.quantile(finite, BASE_QUANTILES))
    margin = BASE_MARGIN * max(high - low, 1e-6 * max(abs(high), 1.0))
    return low - margin, high + margin


def base_label(
    reference: np.ndarray,
    frames: np.ndarray,
    *,
    limits: tuple[float, float],
    smoothing: float = BASE_SMOOTHING_PX,
    method: Method = "dis",
    preset: Preset = "ultrafast",
) -> npt.NDArray[np.float32]:
    """Displacement from the base image to each later frame: modulation, not wave motion.

    Parameters
    ----------
    reference : ndarray, (y, x)
        Base image, counts.
    frames : ndarray, (time, y, x)
        Aligned, gain-corrected frames, counts.
    limits : tuple of float
        Brightness range, one for the run, from `base_range` of the whole reference.
    smoothing : float
        Sigma of a Gaussian, px.
    method, preset : str
        See `FlowEstimator`; finer presets cost ten times as much.

    Returns
    -------
    ndarray of float32, (time, 2, y, x)
        px: ``reference(r) = frame(r + flow(r))``.

    Raises
    ------
    UemError
        If shapes differ or the range is empty.

    Examples
    --------
    >>> import cv2
    >>> from uemdask.labels.base_image import base_range
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    >>> base = 100 + 30 * cv2.GaussianBlur(noise, (0, 0), 4)
    >>> flow = base_label(base, base[None], limits=base_range(base))
    >>> flow.shape, bool(abs(flow).max() < 0.01)
    ((1, 2, 64, 64), True)
    """
    low, high = limits
    if not high > low:
        raise UemError(f"limits: found {low} to {high}; the second must be the larger")
    if frames.ndim != 3 or frames.shape[1:] != reference.shape:
        raise UemError(
            f"frames: found shape {frames.shape} for a reference of {reference.shape}; "
            "give (time, y, x) of the same image size"
        )
    middle, half = (low + high) / 2, (high - low) / 2

    def grey(image: np.ndarray) -> npt.NDArray[np.uint8]:
        centred = np.nan_to_num(np.asarray(image, dtype=np.float32) - np.float32(middle))
        if smoothing > 0:
            centred = cv2.GaussianBlur(centred, (0, 0), smoothing)
        return to_grey(centred, half)

    rows, columns = reference.shape
    estimate = FlowEstimator(method, (rows, columns), preset=preset)
    base = grey(reference)
    flow = np.empty((len(frames), 2, rows, columns), np.float32)
    for index, frame in enumerate(frames):
        flow[index] = estimate(base, grey(frame))
    return flow


def base_block(
    frames: np.ndarray,
    reference: np.ndarray,
    *,
    place: Place,
    limits: Sequence[float],
) -> npt.NDArray[np.float32]:
    """Return base labels (time, 2, y, x) of a block with a halo of `LABEL_HALO`, rounded.

    Parameters
    ----------
    frames : ndarray, (time, y, x)
        Aligned frames, counts; `reference` (y, x) likewise.
    limits : (low, high)
        From `base_range` of the whole reference.
    """
    low, high = limits
    label = np.empty((len(frames), 2, *reference[place.inner].shape), np.float32)
    for frame, found in zip(frames, label, strict=True):
        whole = base_label(reference, frame[None], limits=(low, high))[0]
        found[:] = round_flow(whole[:, *place.inner], _STEP)
    return label


def estimate_base_labels(frames: xr.DataArray, reference: xr.DataArray) -> xr.Dataset:
    """Return the displacement from the reference to each later frame: modulation, not motion.

    Parameters
    ----------
    frames : DataArray, (time, y, x) float32
        From ``uemdask.aligned(ds, ratio=False)``, counts; delays in ps.
    reference : DataArray, (y, x) float32
        From `uemdask.reference`, counts.

    Returns
    -------
    Dataset
        `base_label` (time, component, y, x), px: ``reference(r) = frame(r + base_label(r))``; NaN
        in frames up to time zero and in those that may not be used. Lazy where an input is.

    Raises
    ------
    UemError
        If the reference holds no finite value.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> late = uemdask.aligned(ds, ratio=False).isel(time=slice(-2, None))
    >>> uemdask.estimate_base_labels(late, ds.reference).base_label.dims
    ('time', 'component', 'y', 'x')
    """
    frames = frames.transpose("time", "y", "x")
    told = usable_frames(frames) & (at_once(frames["time"]) > 0)
    wanted = xr.DataArray(told, dims="time")
    if is_lazy(frames):
        wanted = wanted.chunk(time=frames.chunksizes["time"])
    whole = reference.reset_coords(drop=True)
    found = map_space(
        _told_base_block,
        wanted,
        frames.reset_coords(drop=True),
        whole.chunk({d: frames.chunksizes[d] for d in "yx"}) if is_lazy(frames) else whole,
        out=["base_label"],
        halo=LABEL_HALO,
        limits=of_few(base_range, whole),
    )
    return found.assign_coords(time=frames["time"])


def _told_base_block(
    wanted: np.ndarray,
    frames: np.ndarray,
    reference: np.ndarray,
    *,
    place: Place,
    limits: Sequence[float],
) -> dict[str, np.ndarray]:
    shape = reference[place.inner].shape
    label = np.full((len(frames), 2, *shape), np.nan, np.float32)
    label[wanted] = base_block(frames[wanted], reference, place=place, limits=limits)
    return {"base_label": label}
