"""The space-time plot along a line, as microscopists draw it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from uemdask.align.frames import whole_frames
from uemdask.cube.blocks import Place, is_lazy, map_space
from uemdask.cube.contract import Variable
from uemdask.errors import UemError
from uemdask.spectrum.leakage import leaked_frames
from uemdask.spectrum.usable_series import usable_frames

_LEAST_KNOWN = 0.25  # of the width


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
        The profile is averaged over this width across the line, nm; NaN where less than a quarter
        of it is known.

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
    y, x = series["y"].values, series["x"].values
    strip = strip_along(y, x, start, end, width)
    if strip.leaves:
        raise UemError(
            f"line: {start} to {end} nm with a width of {width:g} nm leaves the image of "
            f"{len(x) * (x[1] - x[0]):g} x {len(y) * (y[1] - y[0]):g} nm; shorten it"
        )
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
        sizes={"distance": len(strip.distance)},
        strip=strip,
        delays=delays[usable_frames(series)],
        wave_centre=series.coords.get("wave_centre"),
        wave_window=series.coords.get("wave_window"),
    )["space_time"]
    return result.assign_coords(distance=("distance", strip.distance, {"units": "nm"}))


def _along(
    frames: np.ndarray,
    at: np.ndarray,
    *,
    place: Place,
    strip: Strip,
    delays: np.ndarray,
    wave_centre: float | None,
    wave_window: float | None,
) -> dict[str, np.ndarray]:
    profile = strip.average(frames).astype(np.float32)
    if wave_centre is not None and wave_window is not None:
        leaked = leaked_frames(delays, centre=wave_centre, window=wave_window, at=at)
        profile[leaked] = np.nan
    return {"space_time": profile}


@dataclass(frozen=True)
class Strip:
    """What averages frames across a line.

    Attributes
    ----------
    weights : csr_array of float64, (distance, pixel)
        Bilinear, of the points of the strip that lie in the image.
    pixels : ndarray of int, (pixel,)
        Which ones of a flat frame.
    distance : ndarray, (distance,)
        From the beginning of the line, nm.
    leaves : bool
        Whether a part of the strip lies outside the image.
    """

    weights: Any
    pixels: npt.NDArray[np.intp]
    distance: npt.NDArray[np.float64]
    leaves: bool

    def average(self, frames: np.ndarray) -> npt.NDArray[np.float64]:
        """Average frames (frame, y, x) across the line, (frame, distance).

        Pixels that are NaN do not count; where less than a quarter of the width does, it is NaN.
        """
        values = frames.reshape(len(frames), -1)[:, self.pixels].T.astype(np.float64)
        known = np.isfinite(values)
        share = self.weights @ known.astype(np.float64)
        enough = (share > 0) & (share > _LEAST_KNOWN * self.weights.sum(axis=1)[:, None])
        total = self.weights @ np.where(known, values, 0)
        return np.divide(total, share, out=np.full(total.shape, np.nan), where=enough).T


def strip_along(
    y: np.ndarray, x: np.ndarray, start: tuple[float, float], end: tuple[float, float], width: float
) -> Strip:
    """Lay a strip along a line, see `space_time`; `y` and `x` are pixel centres in nm."""
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
    inside = (np.abs(column - (len(x) - 1) / 2) <= len(x) / 2) & (
        np.abs(row - (len(y) - 1) / 2) <= len(y) / 2
    )
    point = np.broadcast_to(np.arange(len(distance))[:, None], row.shape)[inside]
    row, column = np.clip(row[inside], 0, len(y) - 1), np.clip(column[inside], 0, len(x) - 1)
    top, left = np.minimum(row.astype(int), len(y) - 2), np.minimum(column.astype(int), len(x) - 2)
    down, right = row - top, column - left
    corners = [
        (wy * wx, (top + dy) * len(x) + left + dx)
        for dy, wy in ((0, 1 - down), (1, down))
        for dx, wx in ((0, 1 - right), (1, right))
    ]
    weight, pixel = (np.concatenate(part) for part in zip(*corners, strict=True))
    # A pixel that a point lies beside, and not between, has no say.
    there = weight > 0
    pixels, index = np.unique(pixel[there], return_inverse=True)
    weights = csr_array(
        (weight[there], (np.tile(point, 4)[there], index)), shape=(len(distance), len(pixels))
    )
    return Strip(weights, pixels, distance, not inside.all())
