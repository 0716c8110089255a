"""Making an empty run: coordinates, metadata, and an `intensity` to be written in slabs."""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from uemdask.atomic_write import sync_folder
from uemdask.cube.attributes import structured
from uemdask.cube.contract import CONTRACT_VERSION, coordinate_faults
from uemdask.cube.sidecar import remove_sidecar, sidecar, store_of
from uemdask.cube.store import RECORD, Run
from uemdask.errors import FaultsError, UemError, telling_of_room
from uemdask.metadata import check_metadata
from uemdask.version import __version__


def create_run(
    path: str | os.PathLike[str],
    *,
    delays: np.ndarray,
    shape: tuple[int, int],
    dtype: str,
    pixel_size: tuple[float, float],
    source_file: Iterable[str],
    scan_count: Iterable[int] | None = None,
    dark: bool = False,
    metadata: Mapping[str, Any] | None = None,
    digest: str = "",
    parameters: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Run:
    """Make an empty run: coordinates and metadata, and an `intensity` to be written in slabs.

    When all frames are written, ``run.finish("ingest")`` closes the stage.

    Parameters
    ----------
    path : path-like
        Where; ends in ``.zarr``.
    delays : (time,) float
        Pump-probe delays in ps, rising.
    shape : (y, x)
        Frame shape in px.
    dtype : str
        The camera's, such as ``"uint16"``.
    pixel_size : (y, x)
        In nm.
    source_file, scan_count : one per frame
        Where each frame came from, and how many repeats were averaged (default 1).
    dark : bool
        Also make a `dark` image, to be written.
    metadata : mapping, optional
        Acquisition metadata in the documented spelling, see ``docs/metadata.md``; under
        ``vendor`` the vendor's own tags.
    digest, parameters : str, mapping
        What the frames were made from, for the record of the stage ``ingest``.
    facts : mapping, optional
        What else that record is to tell.
    overwrite : bool
        Replace a run that is there already.

    Raises
    ------
    UemError
        If there is something at `path` and `overwrite` is false, or it is not a run.
    FaultsError
        If the delays or pixel sizes break the data contract, or a known piece of metadata is of
        the wrong kind or unit.

    Examples
    --------
    >>> run = create_run("a.zarr", delays=np.arange(3.0), shape=(32, 32), dtype="uint16",
    ...                  pixel_size=(3.0, 3.0), source_file=["a", "b", "c"])
    >>> run.sizes["time"]
    3
    """
    path = Path(path)
    delays = np.asarray(delays, np.float64)
    count = len(delays)
    files = list(source_file)
    scans = [1] * count if scan_count is None else list(scan_count)
    if len(files) != count or len(scans) != count:
        raise UemError(
            f"{path}: {count} delays, {len(files)} source files and {len(scans)} scan counts; "
            f"give one of each per frame"
        )
    given = dict(metadata or {})
    vendor = {key: structured(given.pop(key)) for key in ("vendor",) if key in given}
    clean, _ = check_metadata(given, f"{path}: metadata")
    centres = {
        dim: (np.arange(size) + 0.5) * step
        for dim, size, step in zip(("y", "x"), shape, pixel_size, strict=True)
    }
    faults = coordinate_faults(xr.Dataset(coords={"time": delays} | centres))
    if faults:
        raise FaultsError(str(path), faults)
    _check_way(path, overwrite=overwrite)
    # Made beside its place and then renamed: what is there is whole, and what was there is safe.
    part = sidecar(path, "part")
    remove_sidecar(part)
    try:
        attributes = {
            **_plain(clean | vendor),
            "pixel_size": [float(pixel_size[0]), float(pixel_size[1])],
            "pixel_size_units": "nm",
            RECORD: {
                "contract": CONTRACT_VERSION,
                "run_id": uuid.uuid4().hex,
                "created_by": __version__,
                "stages": {},
            },
        }
        with telling_of_room(store_of(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.mkdir()  # ours alone: not what somebody else may have put there
            zarr.create_group(str(part), zarr_format=3, attributes=attributes)
        run = Run(part)
        sizes = {"time": count, "y": shape[0], "x": shape[1]}
        with run.at_once():
            run.begin("ingest", digest=digest, parameters=_plain(parameters or {}))
            run.put("time", delays, sizes)
            for dim, values in centres.items():
                run.put(dim, values, sizes)
            run.put("frame_ok", np.ones(count, bool), sizes)
            run.put("frame_flag", [""] * count, sizes)
            run.put("source_file", files, sizes)
            run.put("scan_count", scans, sizes)
            run.create("intensity", sizes, dtype=dtype)
            if dark:
                run.create("dark", sizes)
            run.note("ingest", **(facts or {}))
        if path.exists():
            shutil.rmtree(path)
        os.replace(part, path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Run(path)


def _plain(value: Any) -> Any:
    """Return metadata as plain JSON, which every language reads; what has no place there as text.

    JSON knows no dates, and no numbers that are not finite.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)


def _check_way(path: Path, *, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise UemError(f"{path}: is there already; name another output or use `overwrite=True`")
    if not (path.is_dir() and not any(path.iterdir())):
        Run(path)  # raises for anything that is not a run: that is the user's
