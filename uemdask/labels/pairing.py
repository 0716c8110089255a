"""Pairs: which frames are compared with which."""

from __future__ import annotations

import numpy as np
import xarray as xr

from uemdask.cube.blocks import at_once, is_lazy
from uemdask.cube.contract import VARIABLES
from uemdask.cube.layout import PAIRS
from uemdask.errors import UemError


def pairs(frame_ok: xr.DataArray, time: xr.DataArray) -> xr.Dataset:
    """Return the pairs of successive usable frames.

    How many there are must be known: where `frame_ok` is lazy, it is computed.

    Parameters
    ----------
    frame_ok : DataArray, (time,) bool
        Frames to use.
    time : DataArray, (time,)
        Delays, ps.

    Returns
    -------
    Dataset
        Coordinates (pair): `frame_from` and `frame_to`, indices of the frames; `time_from`,
        `time_to` and, in their middle, `pair_time`, ps.

    Raises
    ------
    UemError
        If there are fewer than two usable frames.

    Examples
    --------
    >>> import xarray as xr
    >>> usable = xr.DataArray([True, False, True, True], dims="time")
    >>> found = uemdask.pairs(usable, xr.DataArray([0.0, 1.0, 2.0, 4.0], dims="time"))
    >>> found.frame_to.values.tolist(), found.pair_time.values.tolist()
    ([2, 3], [1.0, 3.0])
    """
    usable = np.flatnonzero(at_once(frame_ok))
    delays = at_once(time).astype(np.float64)
    if len(usable) < 2:
        raise UemError("fewer than two usable frames, so no pair; see frame_flag")
    start, end = delays[usable[:-1]], delays[usable[1:]]
    values = {
        "frame_from": usable[:-1],
        "frame_to": usable[1:],
        "time_from": start,
        "time_to": end,
        "pair_time": (start + end) / 2,
    }
    found = {}
    for name, value in values.items():
        about = VARIABLES[name]
        found[name] = ("pair", value, {"units": about.units, "long_name": about.long_name})
    return xr.Dataset(coords=found)


def frames_of(array: xr.DataArray | xr.Dataset) -> xr.DataArray:
    """Return the indices (pair, end) of the frames of pairs."""
    ends = [at_once(array[name]) for name in ("frame_from", "frame_to")]
    return xr.DataArray(np.stack(ends, axis=1), dims=("pair", "end"))


def in_slabs(pairs: xr.DataArray, wave: xr.DataArray) -> xr.DataArray:
    """Return indices of pairs in slabs as a run has them, where the wave is lazy."""
    return pairs.chunk(pair=PAIRS) if is_lazy(wave) else pairs
