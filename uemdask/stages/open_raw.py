"""Raw data as a lazy dataset, without a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.attributes import plain_attributes
from uemdask.cube.blocks import in_one, is_lazy
from uemdask.cube.contract import VARIABLES
from uemdask.cube.layout import FRAMES
from uemdask.cube.required_variables import require_variables
from uemdask.errors import FaultsError, UemError
from uemdask.readers import RawAcquisition, inspect_raw, relative_name
from uemdask.stages.counts import Brightness, brightness_of, check_describable, fault_of
from uemdask.stages.frame_writer import RawSlab, mean_dark
from uemdask.stages.ingest import joined_names, metadata_of, sources_of
from uemdask.stages.outlier_frames import flag_outliers


def open_raw(raw: str | os.PathLike[str], **known: Any) -> xr.Dataset:
    """Open raw data as they are, without making a run of them.

    Names, tags and tables are read, and no frame: none is judged yet, so `frame_ok` is true
    everywhere. `flag_frames` finds those that cannot be used.

    Parameters
    ----------
    raw : path-like
        Folder of frames, or a stack.
    **known
        What is known of them, ``delays="delays.csv"``, ``pixel_size="3nm"``, ``time_zero="0ps"``,
        see `uemdask.readers.RawSettings`; all else is looked for.

    Returns
    -------
    xarray.Dataset
        `intensity` (time, y, x) in counts, lazy in slabs of whole frames, repeats averaged; `dark`
        (y, x), if there is one; delays `time` in ps and pixel centres `y`, `x` in nm; `frame_ok`,
        `frame_flag`, `source_file`, `scan_count` (time); metadata as attributes.

    Raises
    ------
    UemError, FaultsError
        If something is missing, damaged or does not fit; of frames when they are read.

    Examples
    --------
    >>> ds = uemdask.open_raw("raw/wedge", pixel_size="12nm")
    >>> ds.intensity.dims, ds.time.attrs["units"]
    (('time', 'y', 'x'), 'ps')
    """
    found = inspect_raw(Path(raw), **known)
    count, (height, width) = len(found.delays), found.shape
    values: dict[str, Any] = {
        "time": found.delays,
        "y": (np.arange(height) + 0.5) * found.pixel_size[0],
        "x": (np.arange(width) + 0.5) * found.pixel_size[1],
        "frame_ok": np.ones(count, bool),
        "frame_flag": np.full(count, "", object),
        "source_file": np.array([joined_names(names) for names in found.source_names], object),
        "scan_count": np.array([len(images) for images in found.repeats], np.int32),
    }
    no_beam = _dark(found)
    arrays = {"intensity": _frames(found, no_beam)}
    if no_beam is not None:
        arrays["dark"] = no_beam
    attributes = plain_attributes(metadata_of(found))
    attributes |= {"pixel_size": list(found.pixel_size), "pixel_size_units": "nm"}
    return xr.Dataset(
        {name: _with_units(name, data) for name, data in arrays.items()},
        coords={name: _with_units(name, data) for name, data in values.items()},
        attrs=attributes,
    )


def _with_units(name: str, data: Any) -> xr.Variable:
    about = VARIABLES[name]
    return xr.Variable(about.dims, data, {"units": about.units, "long_name": about.long_name})


def _frames(raw: RawAcquisition, dark: Any) -> Any:
    import dask
    import dask.array as da

    dtype = raw.stored_dtype
    facts = {"dtype": raw.dtype, "images_in_file": raw.images_in_file}
    sources = sources_of(raw)
    read, slabs = dask.delayed(_read), []
    for start in range(0, len(sources), FRAMES):
        some = sources[start : start + FRAMES]
        slab = RawSlab(raw.path, some, raw.shape, dtype, facts, raw.dataset)
        # Only an average of repeats asks what the dark image is.
        part = read(slab, in_one(dark) if raw.averaged else None)
        slabs.append(da.from_delayed(part, (len(some), *raw.shape), dtype))
    return da.concatenate(slabs)


def _read(slab: RawSlab, dark: np.ndarray | None) -> np.ndarray:
    frames, receipt = slab.read(dark)
    _raise(slab.raw, receipt["faults"])
    return frames


def _raise(raw: Path, faults: list[str]) -> None:
    if len(faults) == 1:
        raise UemError(faults[0])
    if faults:
        raise FaultsError(str(raw), faults)


def _dark(raw: RawAcquisition) -> Any:
    if raw.offset:
        return np.full(raw.shape, raw.offset, np.float32)
    if not raw.dark:
        return None
    import dask
    import dask.array as da

    names = [relative_name(raw.path, file) for file in raw.dark]
    dark = dask.delayed(_read_dark)(names, raw.path, raw.shape, raw.dataset)
    return da.from_delayed(dark, raw.shape, np.float32)


def _read_dark(
    names: list[str], raw: Path, shape: tuple[int, int], dataset: str | None
) -> np.ndarray:
    dark, _, faults = mean_dark(names, raw, shape, dataset)
    _raise(raw, faults)
    return dark.astype(np.float32)


def flag_frames(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with frames flagged that cannot be used; reads every frame once.

    How many frames can be used decides how many pairs there are; so this is computed at once,
    where frames are lazy by Dask.

    Parameters
    ----------
    ds : Dataset
        `intensity` (time, y, x) in counts, and `dark` (y, x), if there is one.

    Returns
    -------
    Dataset
        With `frame_ok` (time), and `frame_flag`, why one is not: blank, saturated, NaN, or unlike
        the frames around it.

    Raises
    ------
    UemError
        If the frames lie around zero or below, so that a ratio means nothing, or fewer than three
        can be used.

    Examples
    --------
    >>> ds = uemdask.flag_frames(uemdask.open_raw("raw/wedge", pixel_size="12nm"))
    >>> bool(ds.frame_ok.all())
    True
    """
    require_variables(ds, "intensity")
    frames = ds["intensity"].transpose("time", "y", "x").data
    dark = ds["dark"].transpose("y", "x").data if "dark" in ds else None
    if is_lazy(ds["intensity"]):
        import dask

        judge = dask.delayed(_judge)
        parts = [
            judge(in_one(frames[start : start + FRAMES]), in_one(dark))
            for start in range(0, ds.sizes["time"], FRAMES)
        ]
        judged = [one for part in dask.compute(*parts) for one in part]
    else:
        judged = _judge(frames, dark)
    told = [flag for flag, _ in judged]
    name = str(ds.attrs.get("source", "intensity"))
    check_describable(name, [frame for flag, frame in judged if not flag])
    flags = flag_outliers(
        told, [frame.level for _, frame in judged], [frame.contrast for _, frame in judged]
    )
    ok = np.array([not flag for flag in flags])
    if ok.sum() < 3:
        raise UemError(f"{name}: only {ok.sum()} of {len(ok)} frames can be used; check the files")
    return ds.assign_coords(
        frame_ok=_with_units("frame_ok", ok),
        frame_flag=_with_units("frame_flag", np.array(flags, object)),
    )


def _judge(frames: np.ndarray, dark: np.ndarray | None) -> list[tuple[str, Brightness]]:
    return [(fault_of(frame), brightness_of(frame, dark)) for frame in frames]
