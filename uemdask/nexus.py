"""A run, or a part of it, as a NeXus file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from uemdask.atomic_write import atomic_write
from uemdask.cube.attributes import json_text, structured
from uemdask.errors import UemError
from uemdask.metadata import read_metadata, to_nexus
from uemdask.version import __version__

_ENDINGS = (".nxs", ".nx5", ".h5", ".hdf5")


def write_nexus(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    variables: Iterable[str] = ("intensity",),
    *,
    overwrite: bool = False,
) -> None:
    """Write variables of a run with their axes, and the acquisition metadata, to a NeXus file.

    Each variable is an ``NXdata`` group of its own name, the first one the default plot; the
    metadata stand as in ``docs/metadata.md``, the vendor's tags as JSON in
    ``/entry/collection/vendor``. Lazy variables are written chunk by chunk.

    Parameters
    ----------
    dataset : xarray.Dataset
        A run opened with `uemdask.open_run`.
    path : path-like
        The file, ending in ``.nxs`` or ``.h5``.
    variables : iterable of str
        Names of variables of the dataset.
    overwrite : bool
        Replace a file that is there already.

    Raises
    ------
    UemError
        If a variable is not there, the file is there already, or it cannot be written.

    Examples
    --------
    >>> uemdask.write_nexus(uemdask.open_run("run.zarr"), "run.nxs", ["speed"])
    """
    import h5py

    path, names = Path(path), list(variables)
    missing = [name for name in names if name not in dataset.data_vars]
    if missing or not names:
        raise UemError(
            f"{', '.join(missing) or 'no variable'}: not in this dataset; name some of "
            f"{', '.join(map(str, dataset.data_vars))}"
        )
    if path.suffix.casefold() not in _ENDINGS:
        raise UemError(f"{path}: is no name of a NeXus file; let it end in .nxs")
    if path.exists() and not (overwrite and path.is_file()):
        raise UemError(f"{path}: is there already; name another file or overwrite it")
    tree = to_nexus(read_metadata(dataset.attrs))
    if vendor := structured(dataset.attrs.get("vendor")):
        rest = tree["entry"].setdefault("collection", {"@NX_class": "NXcollection"})
        rest["vendor"] = json_text(vendor)
    tree |= {"@NX_class": "NXroot", "@default": "entry", "@creator": "uemdask"}
    tree["entry"] |= {
        "@default": names[0],
        "program_name": "uemdask",
        "program_name@version": __version__,
    }
    try:
        with atomic_write(path) as stream, h5py.File(stream, "w") as file:
            _write_tree(file, tree)
            for name in names:
                _write_data(file["entry"], dataset[name])
    except OSError as error:
        raise UemError(f"{path}: cannot be written ({error}); check the folder") from error


def _write_tree(group: Any, tree: Mapping[str, Any]) -> None:
    """Write fields and groups, then the attributes, as `uemdask.metadata.to_nexus` names them."""
    for name, value in tree.items():
        if "@" in name:
            continue
        # A slash would make a group of its own.
        field = name.replace("/", "_")
        if isinstance(value, Mapping) and "@NX_class" in value:
            _write_tree(group.require_group(field), value)
        else:
            group[field] = value if isinstance(value, str | int | float) else json_text(value)
    for name, value in tree.items():
        field, at, attribute = name.rpartition("@")
        if at and (not field or field in group):
            (group[field] if field else group).attrs[attribute] = value


def _write_data(entry: Any, array: xr.DataArray) -> None:
    name = str(array.name)
    data = entry.create_group(name)
    axes = ["time_from" if dim == "pair" else str(dim) for dim in array.dims]
    axes = [axis if axis in array.coords else "." for axis in axes]
    data.attrs.update({"NX_class": "NXdata", "signal": name, "axes": axes})
    for place, axis in enumerate(axes):
        if axis != ".":
            _write_array(data, array[axis].compute(scheduler="synchronous"), axis)
            data.attrs[f"{axis}_indices"] = place
    _write_array(data, array, name)


def _write_array(group: Any, array: xr.DataArray, name: str) -> None:
    import dask.array as da
    import h5py

    values = array.data
    if values.dtype.kind in "OUT":
        text = np.asarray(values).astype(object)
        field = group.create_dataset(name, data=text, dtype=h5py.string_dtype())
    else:
        if values.dtype.kind == "b":
            values = values.astype(np.uint8)
        chunked = isinstance(values, da.Array)
        options = {"chunks": values.chunksize, "compression": "gzip"} if chunked else {}
        field = group.create_dataset(name, values.shape, values.dtype, **options)
        if chunked:
            da.store(values, field, lock=True)
        else:
            field[...] = values
    for key, value in array.attrs.items():
        field.attrs[key] = value if isinstance(value, str | int | float) else json_text(value)
