"""Opening a run for analysis, as one lazy Dataset."""

from __future__ import annotations

import os

import numpy as np
import xarray as xr

from uemdask.cube import layout
from uemdask.cube.contract import VARIABLES, validate
from uemdask.cube.store import Run


def open_run(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a run lazily, with dask chunks that suit analysis.

    Series (time, y, x) come in columns of all frames of a 256 px tile where that stays under
    128 MiB, pairs in slabs as they are stored. Nothing is computed.

    Parameters
    ----------
    path : path-like
        The store, ``NAME.zarr``.

    Returns
    -------
    xarray.Dataset
        Every variable of the data contract that exists so far.

    Raises
    ------
    UemError
        If there is no run at `path`.
    FaultsError
        If the store breaks the data contract.
    """
    there = set(Run(path).group.array_keys())
    dataset = xr.open_zarr(path, chunks=None)
    # The listing may still name what has been deleted since, such as `wave`.
    dataset = dataset.drop_vars([name for name in dataset.variables if name not in there])
    chunks: dict[str, int] = {"time": -1, "pair": layout.PAIRS, "y": layout.TILE, "x": layout.TILE}
    column = dataset.sizes["time"] * layout.TILE**2 * 2  # bytes of 16-bit counts
    if column > 128 * 2**20:
        chunks["time"] = 8 * layout.FRAMES
    dataset = dataset.chunk({d: c for d, c in chunks.items() if d in dataset.dims})
    # Plain xarray unpacks to double precision, of which half the memory holds nothing.
    packed = [name for name, row in VARIABLES.items() if row.step is not None and name in dataset]
    dataset = dataset.assign({name: dataset[name].astype(np.float32) for name in packed})
    validate(dataset, str(path))
    return dataset
