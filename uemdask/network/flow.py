"""The network's displacement of every pair."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, map_space, of_few
from uemdask.labels.pairing import frames_of, in_slabs
from uemdask.network.amplitude import wave_scale
from uemdask.network.base_model import BASE_MODEL
from uemdask.network.checkpoint import load_model
from uemdask.network.device import choose_device
from uemdask.network.inference import predict
from uemdask.network.unet import UNet
from uemdask.spectrum.grid import Grid, halo_on_grid
from uemdask.spectrum.wave_sample import WaveSample, check_reach, natural_grid, wave_sample

# Further away a pixel hardly counts, whatever the receptive field.
_HALO = 128


def flow_halo(binning: int) -> int:
    """Return how many px around a block the network needs."""
    return halo_on_grid(_HALO, binning)


def flow_block(
    wave: Any,
    pairs: np.ndarray,
    *,
    place: Place,
    model: UNet | Path,
    scale: float,
    views: int,
    samples: int,
    binning: int = 1,
) -> dict[str, np.ndarray]:
    """Return the flow of a block with a halo, see `flow_halo`, and its standard deviation.

    Parameters
    ----------
    wave : array, (time, y, x) float32
        The wave at all delays; read only where it is indexed.
    pairs : ndarray, (pair, 2)
        Indices of the frames.
    model : UNet or Path
        The network or its file.
    scale : float
        Of the wave, see `uemdask.network.wave_scale`.
    views, samples : int
        See `uemdask.network.predict`.
    binning : int
        Edge of the squares that the network sees, px, see `uemdask.spectrum.grid`.
    """
    grid = Grid(place, binning)
    first, last = int(pairs.min()), int(pairs.max())
    frames = grid.bin(
        np.asarray(wave[first : last + 1, :, :], np.float32), place.rows, place.columns
    )
    flow, flow_sd = predict(
        model if isinstance(model, UNet) else _loaded(model),
        frames[pairs[:, 0] - first],
        frames[pairs[:, 1] - first],
        scale=scale,
        device=choose_device("auto")[0],
        views=views,
        samples=samples,
    )
    return {"flow": binning * grid.fine(flow), "flow_sd": binning * grid.fine(flow_sd)}


def _flow_block(
    *blocks: Any, place: Place, binning: int, reach: int, **keywords: Any
) -> dict[str, np.ndarray]:
    check_reach(place, binning, _HALO, reach)
    return flow_block(*blocks, place=place, binning=binning, **keywords)


def _loaded(model: Path) -> UNet:
    return _loaded_once(model, model.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _loaded_once(model: Path, made: int) -> UNet:
    return load_model(model)[0]


def predict_flow(
    wave: xr.DataArray,
    pairs: xr.Dataset,
    peaks: xr.Dataset,
    model: UNet | str | os.PathLike[str] = "base",
    *,
    views: Literal[1, 2, 4] = 1,
    samples: int = 0,
    binning: int | None = None,
) -> xr.Dataset:
    """Return the displacement of every pair that a network sees, filled everywhere.

    Parameters
    ----------
    wave : DataArray, (time, y, x) float32
        From `uemdask.band_pass`, or of a run. Where lazy, the frames of a pixel must be in one
        chunk; chunks of about 1024 x 1024 px are those of a run.
    pairs : Dataset
        From `uemdask.pairs`.
    peaks : Dataset
        From `uemdask.peaks`, or the run: `mask` and `wavelength` (y, x), nm, which tell where the
        strength of the wave is taken.
    model : UNet or path
        A network or the file of one; ``"base"`` is the one that comes with uemdask.
    views : int
        1, 2 or 4 views of each pair that are averaged, see `uemdask.network.predict`.
    samples : int
        Monte-Carlo dropout samples per pair; 0 uses only the stated variance.
    binning : int, optional
        Edge in px of the squares that the network sees; by default that of the run, or the largest
        that leaves 16 of the shortest wavelength.

    Returns
    -------
    Dataset
        `flow` and `flow_sd` (pair, component, y, x), px: ``first(r) = second(r + flow(r))``; the
        deviation as the network states it, see `uemdask.fuse_flow`. Lazy where an input is; on a
        cluster the file of the model must be seen by all workers.

    Raises
    ------
    UemError
        If the delays are cut into chunks, or the file is no model.

    Notes
    -----
    U-Net: Ronneberger et al. (2015), doi:10.1007/978-3-319-24574-4_28.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> found = uemdask.predict_flow(ds.uem.wave, ds.isel(pair=slice(0, 2)), ds, views=1)
    >>> found.flow.dims
    ('pair', 'component', 'y', 'x')
    """
    if not isinstance(model, UNet):
        model = BASE_MODEL if str(model) == "base" else Path(model).absolute()
        load_model(model)
    sample = wave_sample(wave, peaks)
    binning, reach = natural_grid(wave, binning, _HALO, lambda: sample)
    found = map_space(
        _flow_block,
        wave.transpose("time", "y", "x").reset_coords(drop=True),
        in_slabs(frames_of(pairs), wave),
        out=["flow", "flow_sd"],
        halo=reach,
        whole={"time": "a pair may lie anywhere in it", "end": "a pair has two frames"},
        model=model,
        scale=of_few(scale_of, sample),
        views=views,
        samples=samples,
        binning=binning,
        reach=reach,
    )
    component = ("component", ["x", "y"])
    return found.assign_coords(pairs.coords).assign_coords(component=component)


def scale_of(sample: WaveSample) -> float:
    """Return the amplitude of a wave for the network, see `uemdask.network.wave_scale`."""
    return wave_scale(sample.values) if np.any(sample.values) else 1.0
