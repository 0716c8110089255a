"""From Python: raw data into a run, and the stages of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from uemdask.cube import open_run
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan
from uemdask.execution.cluster import open_cluster, read_profile
from uemdask.execution.driver import Driver
from uemdask.execution.planning import plan_ingest, plan_runs
from uemdask.stages.ingest import IngestParameters

AnyPath = str | os.PathLike[str]


def ingest(
    raw: AnyPath,
    store: AnyPath,
    *,
    overwrite: bool = False,
    cluster: AnyPath | None = None,
    **known: Any,
) -> xr.Dataset:
    """Make a run of raw data, as ``uemdask ingest`` does.

    Parameters
    ----------
    raw : path-like
        Folder of frames, or a stack.
    store : path-like
        Where the run goes, ``NAME.zarr``.
    overwrite : bool
        Replace another run that is there.
    cluster : path-like, optional
        Profile of a cluster; a local one where not given.
    **known
        ``delays``, ``pixel_size="3nm"``, ``time_zero``, ``metadata`` and the like, see
        `uemdask.open_raw`.

    Returns
    -------
    xarray.Dataset
        The run, as `uemdask.open_run` gives it.

    Raises
    ------
    UemError, FaultsError
        If the raw data are at fault, or another run is there.

    Examples
    --------
    >>> ds = uemdask.ingest("raw/wedge", "a.zarr", pixel_size="12nm")      # doctest: +SKIP
    """
    path = Path(store)
    wanted = IngestParameters(raw=str(Path(raw).absolute()), **known)
    return _run(plan_ingest({path: wanted}), path, ("ingest",), cluster, overwrite=overwrite)


def run_stages(
    store: AnyPath,
    *,
    only: Sequence[str] = (),
    model: str = "base",
    parameters: Mapping[str, Any] | None = None,
    cluster: AnyPath | None = None,
) -> xr.Dataset:
    """Take a run through its stages, as ``uemdask run`` does; what is done is not done again.

    Parameters
    ----------
    store : path-like
        The run, ``NAME.zarr``.
    only : sequence of str
        Stages of ``uemdask.cube.STAGES``; all where none are named.
    model : str
        ``"base"``, ``"new"`` or the file of a network.
    parameters : mapping, optional
        Settings by stage, as in a campaign: ``{"spectrum": {"smoothing": 3}}``.
    cluster : path-like, optional
        Profile of a cluster; a local one where not given.

    Returns
    -------
    xarray.Dataset
        The run, as `uemdask.open_run` gives it.

    Raises
    ------
    UemError, FaultsError
        If a parameter is unknown, or a stage fails.

    Examples
    --------
    >>> ds = uemdask.run_stages("run.zarr", only=["spectrum"])      # doctest: +SKIP
    """
    path = Path(store)
    plan = plan_runs([path], model=model, parameters=dict(parameters or {}))
    return _run(plan, path, tuple(only), cluster)


def _run(
    plan: Plan,
    store: Path,
    only: tuple[str, ...],
    cluster: AnyPath | None,
    *,
    overwrite: bool = False,
) -> xr.Dataset:
    profile = read_profile(None if cluster is None else Path(cluster))
    with open_cluster(profile) as workers:
        outcome = Driver(plan, workers, only=only, overwrite=overwrite).run()
    for name, message in outcome.failed.items():
        raise UemError(f"{name}: failed in {outcome.stages[name]}: {message}")
    return open_run(store)
