"""The space-time plot along a line, as microscopists draw it by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from uemdask.align.frames import whole_frames
from uemdask.cube.blocks import Place, is_lazy, map_space
from uemdask.cube.contract import Variable
from uemdask.errors import UemError
from uemdask.spectrum.leakage import leaked_frames
from uemdask.spectrum.usable_series import usable_frames


def space_time(
    series: xr.DataArray,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    width: float = 0.0,
) -> xr.DataArray:
    """Return the space-time plot along a line.

    Shortly before time zero a wave cannot be told: the band-pass carries a trace of what comes
    after into these frames. There the plot of what `uemdask.band_pass` gives is NaN.

    Parameters
    ----------
    series : DataArray, (time, y, x)
        Delays in ps, pixel centres in nm; of any unit.
    start, end : (x, y)
        Ends of the line in nm.
    width : float
        The profile is averaged over this width across the line, nm.

    Returns
    -------
    DataArray, (time, distance) float32
        Distance from `start` in nm, true to length along tilted lines; in the unit of the series,
        lazy where it is.

    Raises
    ------
    UemError
        If the line leaves the image.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> uemdask.space_time(ds.intensity, (100, 100), (700, 400), width=30).dims
    ('time', 'distance')
    """
    weights, distance = _line(series["y"].values, series["x"].values, start, end, width)
    name, units = str(series.name), series.attrs.get("units", "1")
    plot = Variable("space_time", ("time", "distance"), "float32", units, name, "")
    series = series.transpose("time", "y", "x")
    delays = np.asarray(series["time"].values, np.float64)
    result = map_space(
        _along,
        whole_frames(series) if is_lazy(series) else series,
        xr.DataArray(delays, dims="time"),
        out=[plot],
        whole=dict.fromkeys("yx", "a line crosses the whole frame"),
        sizes={"distance": len(distance)},
        weights=weights,
        delays=delays[usable_frames(series)],
        wave_centre=series.coords.get("wave_centre"),
        wave_window=series.coords.get("wave_window"),
    )["space_time"]
    return result.assign_coords(distance=("distance", distance, {"units": "nm"}))


def _along(
    frames: np.ndarray,
    at: np.ndarray,
    *,
    place: Place,
    weights: Any,
    delays: np.ndarray,
    wave_centre: float | None,
    wave_window: float | None,
) -> dict[str, np.ndarray]:
    flat = np.asarray(frames, np.float32).reshape(len(frames), -1)
    profile = np.asarray((weights @ flat.T).T, np.float32)
    if wave_centre is not None and wave_window is not None:
        leaked = leaked_frames(delays, centre=wave_centre, window=wave_window, at=at)
        profile[leaked] = np.nan
    return {"space_time": profile}


def _line(
    y: np.ndarray, x: np.ndarray, start: tuple[float, float], end: tuple[float, float], width: float
) -> tuple[Any, np.ndarray]:
    """Return bilinear weights (distance, pixel) of points along a line, and their distances."""
    from scipy.sparse import csr_array

    steps = float(y[1] - y[0]), float(x[1] - x[0])
    step = min(steps)
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    if length == 0:
        raise UemError(f"line: both ends are at {start}; give two points in nm")
    distance = np.arange(0.0, length + step / 2, step)
    across = np.arange(-(width // (2 * step)), width // (2 * step) + 1) * step
    to_x, to_y = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    at_x = start[0] + distance[:, None] * to_x - across * to_y
    at_y = start[1] + distance[:, None] * to_y + across * to_x
    column, row = (at_x - x[0]) / steps[1], (at_y - y[0]) / steps[0]
    # Half a pixel beyond the outermost centres is still the image.
    outside = (np.abs(column - (len(x) - 1) / 2) > len(x) / 2) | (
        np.abs(row - (len(y) - 1) / 2) > len(y) / 2
    )
    if outside.any():
        raise UemError(
            f"line: {start} to {end} nm with a width of {width:g} nm leaves the image of "
            f"{len(x) * steps[1]:g} x {len(y) * steps[0]:g} nm; shorten it"
        )
    row, column = np.clip(row, 0, len(y) - 1), np.clip(column, 0, len(x) - 1)
    top, left = (
        np.minimum(row.astype(int), len(y) - 2),
        np.minimum(column.astype(int), len(x) - 2),
    )
    down, right = row - top, column - left
    point = np.broadcast_to(np.arange(len(distance))[:, None], row.shape)
    parts = []
    for dy, wy in ((0, 1 - down), (1, down)):
        for dx, wx in ((0, 1 - right), (1, right)):
            parts.append((wy * wx / len(across), point, (top + dy) * len(x) + left + dx))
    weight, index, pixel = (np.concatenate([p[i].ravel() for p in parts]) for i in range(3))
    shape = (len(distance), len(y) * len(x))
    return csr_array((weight.astype(np.float32), (index, pixel)), shape=shape), distance
