"""Opening a run for analysis, as one lazy Dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import xarray as xr

from uemdask.cube import layout
from uemdask.cube.attributes import plain_attributes
from uemdask.cube.contract import VARIABLES, validate
from uemdask.cube.store import Run

#: The middle of a pair, by which pairs can be selected.
_PAIR_INDEX = "pair_time"


def open_run(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a run, with images that are read when they are needed.

    Images are lazy, in dask chunks that suit analysis: series (time, y, x) in columns of all
    frames of a 256 px tile where that stays under 128 MiB, pairs in slabs as they are stored.
    Coordinates, series, spectra, features and masks are small and read at once. Pairs can be
    selected by ``pair_time``, the delay in their middle.

    Parameters
    ----------
    path : path-like
        The store, ``NAME.zarr``.

    Returns
    -------
    xarray.Dataset
        Every variable of the data contract that exists so far. Attributes with parts, such as
        the vendor's tags, are JSON text, so that ``to_netcdf`` takes them.

    Raises
    ------
    UemError
        If there is no run at `path`.
    FaultsError
        If the store breaks the data contract.

    Examples
    --------
    >>> ds = open_run("run.zarr")
    >>> ds.speed.sel(pair_time=52, method="nearest").dims
    ('y', 'x')
    """
    there = set(Run(path).group.array_keys())
    dataset = xr.open_zarr(path, chunks=None)
    # The listing may still name what has been deleted since, such as `wave`.
    dataset = dataset.drop_vars([name for name in dataset.variables if name not in there])
    validate(dataset, str(path))
    chunks: dict[str, int] = {"time": -1, "pair": layout.PAIRS, "y": layout.TILE, "x": layout.TILE}
    column = dataset.sizes["time"] * layout.TILE**2 * 2  # bytes of 16-bit counts
    if column > 128 * 2**20:
        chunks["time"] = 8 * layout.FRAMES
    dataset = dataset.assign({name: _read(dataset[name], chunks) for name in dataset.variables})
    if _PAIR_INDEX in dataset:
        dataset = dataset.set_xindex(_PAIR_INDEX)
    dataset.attrs = plain_attributes(dataset.attrs)
    return dataset


def _read(array: xr.DataArray, chunks: Mapping[str, int]) -> xr.DataArray:
    """Return an image in chunks, and what is small in memory."""
    if {"y", "x"} <= set(array.dims) and not (array.ndim == 2 and array.dtype == bool):
        array = array.chunk({dim: size for dim, size in chunks.items() if dim in array.dims})
        # Plain xarray unpacks to double precision, of which half the memory holds nothing.
        known = VARIABLES.get(str(array.name))
        return array.astype(np.float32) if known and known.step is not None else array
    # Text of variable length knows no missing value, which `where` would have to put there.
    return array.load() if array.dtype.kind != "T" else array.load().astype(object)
