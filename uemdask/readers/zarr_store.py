"""Zarr stores with an array of frames, read chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from uemdask.errors import UemError
from uemdask.readers.array_choice import Candidate, choose
from uemdask.readers.axes import ImageAxes, axes_of
from uemdask.readers.decoding import Decoding, decoding_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of, step_of
from uemdask.regular_files import check_regular

#: Groups within groups that are looked into.
_DEEPEST = 16
#: Largest chunk that is decoded, bytes.
_CHUNK_BYTES = 2**32
#: Longest axis whose positions are read.
_AXIS_VALUES = 2**24


class _OwnFiles(LocalStore):
    """A folder of which only its own files are read: no pipe, and no link that leads out."""

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        file = self.root / key
        check_regular(file)
        if file.resolve() != self.root.resolve() / key:
            raise UemError(f"{file}: leads out of the store; copy the file itself there")
        return await super().get(key, prototype, byte_range)


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return shape and dtype of the array, its axes' pixel size, and the store's attributes."""
    group, array = _find(path, dataset)
    names, units = _named_axes(group, array)
    axes = axes_of(path, array.shape, names, units)
    pixel_size, reason = _pixel_size(group, array, axes, units)
    return ImageInfo(
        frames=axes.frames,
        shape=axes.shape,
        dtype=_decoding(path, array).dtype.name,
        pixel_size=pixel_size,
        vendor={**dict(group.attrs if group is not None else {}), **dict(array.attrs)},
        no_pixel_size=reason,
        notes=(axes.note,) if axes.note else (),
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames; only their chunks are read."""
    group, array = _find(path, dataset)
    axes = axes_of(path, array.shape, *_named_axes(group, array))
    yield from map(_decoding(path, array), axes.read(array, indices))


def _find(path: Path, dataset: str | None) -> tuple[zarr.Group | None, zarr.Array]:
    node = zarr.open(_OwnFiles(path, read_only=True), mode="r")
    if isinstance(node, zarr.Array):
        if dataset is not None:
            raise UemError(f"{path}: holds one array; leave out the dataset {dataset!r}")
        return None, _safe(path, node)
    arrays = {f"/{name}": item for name, item in _arrays(node)}
    names = list(arrays)
    pyramid = _pyramid(node)
    if dataset is None and pyramid in names:
        dataset = pyramid
    found = [Candidate(name, arrays[name].shape, np.dtype(arrays[name].dtype)) for name in names]
    chosen = names[choose(path, found, dataset)]
    parent = chosen.strip("/").rpartition("/")[0]
    group = node[parent] if parent else node
    return (group if isinstance(group, zarr.Group) else None), _safe(path, arrays[chosen])


def _arrays(
    group: zarr.Group, prefix: str = "", left: int = _DEEPEST
) -> Iterator[tuple[str, zarr.Array]]:
    for name, item in group.members():
        if isinstance(item, zarr.Group):
            if left:
                yield from _arrays(item, f"{prefix}{name}/", left - 1)
        elif item.dtype.kind in "uifcb" and item.ndim >= 2:
            yield f"{prefix}{name}", item


def _safe(path: Path, array: zarr.Array) -> zarr.Array:
    """Refuse an array that would be unpickled, which could run anything, or fill the memory."""
    if "pickle" in str(array.metadata.to_dict()).casefold():
        raise UemError(
            f"{path}: {array.name} is made of pickles, which are not opened; save it anew"
        )
    chunk = prod(array.chunks) * np.dtype(array.dtype).itemsize
    if chunk > _CHUNK_BYTES:
        raise UemError(
            f"{path}: {array.name} has chunks of {chunk / 2**30:.0f} GiB, more than can be held; "
            f"save it with a chunk for each frame"
        )
    return array


def _pyramid(group: zarr.Group) -> str | None:
    """Return the full-size array of an OME-Zarr image."""
    scales = _ome(group)
    return f"/{scales['datasets'][0]['path']}" if scales.get("datasets") else None


def _ome(group: zarr.Group | None) -> dict[str, Any]:
    attributes = dict(group.attrs) if group is not None else {}
    found = (attributes.get("ome") or attributes).get("multiscales") or [{}]
    return found[0] if isinstance(found[0], dict) else {}


def _level(group: zarr.Group | None, array: zarr.Array) -> dict[str, Any] | None:
    """Return what an OME-Zarr image says of one of its arrays."""
    name = array.name.rpartition("/")[2]
    levels = _ome(group).get("datasets", [])
    return next((level for level in levels if level.get("path") == name), None)


# ---- axes, packing


def _named_axes(group: zarr.Group | None, array: zarr.Array) -> tuple[list[str], list[str]]:
    """Return names and units of the axes: of OME-Zarr, else those that xarray writes."""
    if _level(group, array) is not None:
        axes = [
            axis if isinstance(axis, dict) else {"name": axis}
            for axis in _ome(group).get("axes", [])
        ]
        return (
            [str(axis.get("name") or "") for axis in axes],
            [str(axis.get("unit") or "") for axis in axes],
        )
    dims = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    names = [str(dim or "") for dim in dims] if isinstance(dims, list | tuple) else []
    units = []
    for name in names:
        positions = _positions(group, name)
        units.append("" if positions is None else str(positions.attrs.get("units") or ""))
    return names, units


def _positions(group: zarr.Group | None, name: str) -> zarr.Array | None:
    """Return the array of the positions along an axis."""
    axis = group.get(name) if group is not None and name else None
    if not isinstance(axis, zarr.Array) or axis.ndim != 1 or axis.dtype.kind not in "uif":
        return None
    return axis if axis.size <= _AXIS_VALUES else None


def _pixel_size(
    group: zarr.Group | None, array: zarr.Array, axes: ImageAxes, units: Sequence[str]
) -> PixelSize:
    names, _ = _named_axes(group, array)
    if group is None or len(names) != array.ndim:
        return None, "it names no axes with units"
    level = _level(group, array)
    if level is not None:
        for change in level.get("coordinateTransformations", []):
            if change.get("type") == "scale" and len(change.get("scale", [])) == array.ndim:
                return pixel_size_of(axes.of_space(change["scale"]), axes.of_space(units))
    positions = [_positions(group, name) for name in axes.of_space(names)]
    steps = [step_of(np.asarray(axis[:])) for axis in positions if axis is not None]
    if len(steps) < 2:
        return None, "it names no axes with units"
    return pixel_size_of(steps, axes.of_space(units))


def _decoding(path: Path, array: zarr.Array) -> Decoding:
    """Return how values are packed; xarray keeps ``_FillValue`` of Zarr 2 as its fill value.

    Where nothing is packed a fill value of 0 is Zarr's default and no mark: 0 counts are counts.
    """
    attributes = dict(array.attrs)
    packed = "scale_factor" in attributes or "add_offset" in attributes
    if array.metadata.zarr_format == 2 and "_ARRAY_DIMENSIONS" in attributes:
        fill = array.fill_value
        if fill is not None and (packed or fill != 0):
            attributes.setdefault("_FillValue", fill)
    return decoding_of(path, attributes, np.dtype(array.dtype))
