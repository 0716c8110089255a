"""NetCDF files: version 4, which is HDF5, and the classic format through SciPy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from uemdask.errors import UemError
from uemdask.readers import hdf5
from uemdask.readers.array_choice import Candidate, choose
from uemdask.readers.axes import ImageAxes, axes_of
from uemdask.readers.decoding import Decoding, decoding_of
from uemdask.readers.hdf5_file import plain_value, text_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of, step_of

_CLASSIC = b"CDF"


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return shape and dtype of the variable, its axes' pixel size, and the attributes."""
    if not _is_classic(path):
        return hdf5.describe(path, dataset)
    with _classic(path) as file:
        name = _choose(path, file, dataset)
        axes = _axes(path, file, name)
        pixel_size, reason = _pixel_size(file, name, axes)
        return ImageInfo(
            frames=axes.frames,
            shape=axes.shape,
            dtype=_decoding(path, file, name).dtype.name,
            pixel_size=pixel_size,
            vendor={
                "dataset": name,
                **{f"@{key}": plain_value(value) for key, value in _attributes(file).items()},
            },
            no_pixel_size=reason,
            notes=(axes.note,) if axes.note else (),
        )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames; only their part of the file is read."""
    if not _is_classic(path):
        yield from hdf5.read(path, indices, dataset)
        return
    with _classic(path) as file:
        name = _choose(path, file, dataset)
        axes, decoding = _axes(path, file, name), _decoding(path, file, name)
        for image in axes.read(file.variables[name].data, indices):
            yield decoding(np.array(image))  # the map of the file ends with it


def _is_classic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_CLASSIC)) == _CLASSIC


@contextmanager
def _classic(path: Path) -> Iterator[Any]:
    file = netcdf_file(path, "r", mmap=True)
    try:
        yield file
    finally:
        with warnings.catch_warnings():
            # Views of the map may be left, and are not used any more.
            warnings.filterwarnings("ignore", "Cannot close a netcdf_file", RuntimeWarning)
            file.close()


def _choose(path: Path, file: Any, dataset: str | None) -> str:
    names = [name for name, variable in file.variables.items() if len(variable.shape) >= 2]
    found = [
        Candidate(name, file.variables[name].shape, file.variables[name].data.dtype)
        for name in names
    ]
    return names[choose(path, found, dataset)]


def _attributes(item: Any) -> dict[str, Any]:
    return dict(item._attributes)  # SciPy has no other way to list them


def _unit(file: Any, name: str) -> str:
    variable = file.variables.get(name)
    return "" if variable is None else text_of(_attributes(variable).get("units"))


def _axes(path: Path, file: Any, name: str) -> ImageAxes:
    variable = file.variables[name]
    names = [str(dim) for dim in variable.dimensions]
    return axes_of(path, variable.shape, names, [_unit(file, dim) for dim in names])


def _pixel_size(file: Any, name: str, axes: ImageAxes) -> PixelSize:
    space = axes.of_space([str(dim) for dim in file.variables[name].dimensions])
    found = [file.variables.get(dim) for dim in space]
    if any(axis is None or len(axis.shape) != 1 for axis in found):
        return None, "it names no axes with units"
    steps = [step_of(np.array(axis.data)) for axis in found if axis is not None]
    return pixel_size_of(steps, [_unit(file, dim) for dim in space])


def _decoding(path: Path, file: Any, name: str) -> Decoding:
    variable = file.variables[name]
    if variable.data.dtype.kind not in "iuf":
        raise UemError(f"{path}: {name} holds no numbers; name another with `dataset`")
    return decoding_of(path, _attributes(variable), variable.data.dtype)
