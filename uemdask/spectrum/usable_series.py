"""The usable frames of a series, as the kernels of the spectrum take them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from uemdask.cube.blocks import at_once, is_lazy
from uemdask.errors import UemError


def used_series(ratio: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, dict[str, str]]:
    """Return the usable frames (used, y, x), the weight (y, x), and which dims must be whole.

    Frames count where `frame_ok` is not false, pixels with their `weight`, if there is one.

    Raises
    ------
    UemError
        If it is no series of images, or has no delays.
    """
    if set(ratio.dims) != {"time", "y", "x"} or "time" not in ratio.coords:
        raise UemError(
            f"{ratio.name}: has the dims {', '.join(map(str, ratio.dims))}; give a series of "
            f"images (time, y, x) with its delays in ps as the coordinate 'time'"
        )
    parts = len(ratio.chunksizes["time"]) if is_lazy(ratio) else 1
    if parts > 1:
        raise UemError(
            f"{ratio.name}: is in {parts} chunks along 'time', but the time profile of a pixel is "
            f"needed whole; join them with .chunk(time=-1)"
        )
    weight = ratio.coords.get("weight")
    if weight is None:
        weight = xr.DataArray(
            np.ones((ratio.sizes["y"], ratio.sizes["x"]), np.float32), dims=("y", "x")
        )
    usable = usable_frames(ratio)
    series = ratio.drop_vars("weight", errors="ignore").transpose("time", "y", "x")
    if not usable.all():
        series = series.isel(time=np.flatnonzero(usable))
    series = series.swap_dims(time="used").astype(np.float32, copy=False)
    return series, weight.reset_coords(drop=True), {"used": "a time profile is needed whole"}


def usable_frames(array: xr.DataArray | xr.Dataset) -> np.ndarray:
    """Return which frames (time) may be used: all where `frame_ok` does not tell."""
    if "frame_ok" in array.coords:
        return at_once(array.coords["frame_ok"]).astype(bool)
    return np.ones(array.sizes["time"], bool)


def pixel_size_from_centres(array: xr.DataArray | xr.Dataset) -> tuple[float, float]:
    """Return the pixel size (y, x) in nm from the pixel centres.

    Raises
    ------
    UemError
        If there are no centres in nm, or too few to tell.
    """
    steps = []
    for dim in ("y", "x"):
        if dim not in array.coords or array.sizes[dim] < 2:
            raise UemError(f"{dim}: no pixel centres; give them in nm as the coordinate {dim!r}")
        centres = np.asarray(array[dim].values, np.float64)
        steps.append(float(centres[-1] - centres[0]) / (len(centres) - 1))
    return steps[0], steps[1]
