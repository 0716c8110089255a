"""Pairs: which frames are compared with which."""

from __future__ import annotations

import xarray as xr

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.labels.pairing import pairs
from uemdask.stages.stage import Parameters, Stage


class PairParameters(Parameters):
    """Pairs are successive usable frames; there is nothing to set."""


def _create(run: Run, parameters: PairParameters) -> None:
    frame_ok, time = (xr.DataArray(run.read(name), dims="time") for name in ("frame_ok", "time"))
    try:
        found = pairs(frame_ok, time)
    except UemError as error:
        raise UemError(f"{run.path}: {error}") from None
    sizes = run.sizes | {"pair": found.sizes["pair"]}
    for name, values in found.coords.items():
        run.put(str(name), values.values, sizes)


PAIRS = Stage(name="pairs", version=2, parameters=PairParameters, create=_create)
