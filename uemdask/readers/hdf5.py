"""HDF5, NeXus and NetCDF 4 files, a dataset by its path, read frame by frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from uemdask.errors import UemError
from uemdask.readers.array_choice import Candidate, choose
from uemdask.readers.axes import ImageAxes, axes_of
from uemdask.readers.decoding import Decoding, decoding_of
from uemdask.readers.hdf5_file import (
    arrays_in,
    check_readable,
    item_at,
    lies_outside,
    open_hdf5,
    tags_of,
    text_of,
    values_of,
)
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of, step_of

#: Groups that NeXus's attribute ``default`` leads through.
_DEEPEST = 16


@dataclass(frozen=True)
class _Axis:
    """An axis of a dataset: its name, and the dataset of its positions."""

    name: str = ""
    positions: h5py.Dataset | None = None

    @property
    def unit(self) -> str:
        attributes = self.positions.attrs if self.positions is not None else {}
        return text_of(attributes.get("units", attributes.get("unit")))


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return shape and dtype of the dataset, its axes' pixel size, and the small values around."""
    with open_hdf5(path) as file:
        data = find(path, file, dataset)
        axes, named = _axes(path, data)
        pixel_size, reason = _pixel_size(path, axes, named)
        return ImageInfo(
            frames=axes.frames,
            shape=axes.shape,
            dtype=_decoding(path, data).dtype.name,
            pixel_size=pixel_size,
            vendor={"dataset": data.name, **tags_of(path, file)},
            no_pixel_size=reason,
            notes=(axes.note,) if axes.note else (),
        )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames; only their chunks are read."""
    with open_hdf5(path) as file:
        data = find(path, file, dataset)
        axes, _ = _axes(path, data)
        yield from map(_decoding(path, data), axes.read(data, indices))


def find(path: Path, file: h5py.File, dataset: str | None) -> h5py.Dataset:
    """Return the dataset that is named, else NeXus's default, else the only stack or image.

    Raises
    ------
    UemError
        If none or more than one fits, or its values lie in other files or were never written.
    """
    found = {} if dataset is not None else _default(path, file)
    if not found:
        found, outside = arrays_in(path, file)
        if dataset is not None and dataset.strip("/") not in (name.strip("/") for name in found):
            # A path through a link, or to a group with a default signal.
            found |= _named(path, file, dataset)
        elif not found and outside:
            raise UemError(outside[0])
    names = list(found)
    candidates = [Candidate(name, found[name].shape, found[name].dtype) for name in names]
    data = found[names[choose(path, candidates, dataset)]]
    check_readable(path, data)
    return data


def _named(path: Path, file: h5py.File, dataset: str) -> dict[str, h5py.Dataset]:
    item = item_at(path, file, dataset)
    if isinstance(item, h5py.Group):
        item = _signal(path, item)
    return {dataset: _inside(path, item)} if isinstance(item, h5py.Dataset) else {}


def _inside(path: Path, data: h5py.Dataset) -> h5py.Dataset:
    reason = lies_outside(path, data)
    if reason:
        raise UemError(reason)
    return data


def _default(path: Path, file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the signal of NeXus's default plot, found as NeXus tells to.

    https://manual.nexusformat.org/datarules.html#find-the-plottable-data
    """
    group: Any = file
    for _ in range(_DEEPEST):
        signal = _signal(path, group)
        if signal is not None and _inside(path, signal).ndim >= 2:
            return {signal.name: signal}
        if "default" not in group.attrs:
            return {}
        group = item_at(path, group, text_of(group.attrs.get("default")))
        if not isinstance(group, h5py.Group):
            return {}
    raise UemError(
        f"{path}: its attributes 'default' lead in a circle; name the frames with `dataset`"
    )


def _signal(path: Path, group: h5py.Group) -> h5py.Dataset | None:
    name = text_of(group.attrs.get("signal"))
    item = item_at(path, group, name) if name else None
    return item if isinstance(item, h5py.Dataset) else None


# ---- axes, packing


def _axes(path: Path, data: h5py.Dataset) -> tuple[ImageAxes, list[_Axis]]:
    named = _named_axes(path, data)
    names, units = [axis.name for axis in named], [axis.unit for axis in named]
    return axes_of(path, data.shape, names, units), named


def _named_axes(path: Path, data: h5py.Dataset) -> list[_Axis]:
    """Return the axes as NeXus, NetCDF, HDF5 or MATLAB name them; nameless where none does."""
    names = _names(data.parent.attrs.get("axes")) or _names(data.attrs.get("axes"))
    if len(names) == data.ndim:
        found = [item_at(path, data.parent, name) if name else None for name in names]
        return [
            _Axis(name, item if isinstance(item, h5py.Dataset) else None)
            for name, item in zip(names, found, strict=True)
        ]
    axes = [_scale(dim) for dim in data.dims]
    if any(axis.name for axis in axes):
        return axes
    names = _names(data.attrs.get("_ARRAY_DIMENSIONS"))
    if len(names) != data.ndim and "MATLAB_class" in data.attrs:
        # MATLAB's first index, the row, runs fastest, and HDF5's last.
        names = [*["frame"] * (data.ndim - 2), "x", "y"]
    return [_Axis(name) for name in names] if len(names) == data.ndim else [_Axis()] * data.ndim


def _names(given: Any) -> list[str]:
    """Return names from a list, or from one text with colons or commas as older NeXus has it."""
    names = [text_of(name) for name in np.atleast_1d([] if given is None else given)]
    if len(names) == 1:
        names = re.split(r"[:,]", names[0].strip("[]"))
    return ["" if name.strip() == "." else name.strip() for name in names]


def _scale(dim: Any) -> _Axis:
    """Return the axis of a dimension from its label and scale."""
    scale = dim[0] if len(dim) else None
    name = dim.label or ("" if scale is None else str(scale.name).rpartition("/")[2])
    return _Axis(name, scale)


def _pixel_size(path: Path, axes: ImageAxes, named: list[_Axis]) -> PixelSize:
    """Return the pixel size from the positions along y and x."""
    space = axes.of_space(named)
    found = [values_of(path, axis.positions) for axis in space]
    if any(values is None or values.ndim != 1 for values in found):
        return None, "it names no axes with units"
    return pixel_size_of(
        [step_of(values) for values in found if values is not None], [axis.unit for axis in space]
    )


def _decoding(path: Path, data: h5py.Dataset) -> Decoding:
    """Return how values are packed: by the attributes of the dataset, or NeXus's fields beside."""
    attributes = dict(data.attrs)
    if text_of(data.parent.attrs.get("signal")) == data.name.rpartition("/")[2]:
        for field, name in (("scaling_factor", "scale_factor"), ("offset", "add_offset")):
            values = values_of(path, item_at(path, data.parent, field))
            if values is not None and values.size == 1:
                attributes.setdefault(name, values)
    return decoding_of(path, attributes, data.dtype)
