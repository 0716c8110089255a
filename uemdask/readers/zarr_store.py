"""Zarr stores with an array of frames, read chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from uemdask.errors import UemError
from uemdask.readers.choice import Candidate, choose, frames_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of, step_of


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return shape and dtype of the array, its axes' pixel size, and the store's attributes."""
    group, array = _find(path, dataset)
    pixel_size, reason = _pixel_size(group, array)
    vendor = {**dict(group.attrs if group is not None else {}), **dict(array.attrs)}
    return ImageInfo(
        frames=frames_of(path, array.shape),
        shape=(array.shape[-2], array.shape[-1]),
        dtype=np.dtype(array.dtype).newbyteorder("=").name,
        pixel_size=pixel_size,
        vendor=vendor,
        no_pixel_size=reason,
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames; only their chunks are read."""
    _, array = _find(path, dataset)
    for index in indices:
        yield np.asarray(array[tuple(int(i) for i in np.unravel_index(index, array.shape[:-2]))])


def _find(path: Path, dataset: str | None) -> tuple[zarr.Group | None, zarr.Array]:
    node = zarr.open(str(path), mode="r")
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


def _arrays(group: zarr.Group, prefix: str = "") -> Iterator[tuple[str, zarr.Array]]:
    for name, item in group.members():
        if isinstance(item, zarr.Group):
            yield from _arrays(item, f"{prefix}{name}/")
        elif item.dtype.kind in "uifcb" and item.ndim >= 2:
            yield f"{prefix}{name}", item


def _safe(path: Path, array: zarr.Array) -> zarr.Array:
    """Refuse an array that would be unpickled, which could run anything."""
    if "pickle" in str(array.metadata.to_dict()).casefold():
        raise UemError(
            f"{path}: {array.name} is made of pickles, which are not opened; save it anew"
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


def _pixel_size(group: zarr.Group | None, array: zarr.Array) -> PixelSize:
    scales = _ome(group)
    units = [axis.get("unit") for axis in scales.get("axes", []) if isinstance(axis, dict)]
    for level in scales.get("datasets", []):
        if f"/{level['path']}" != f"/{array.name.rpartition('/')[2]}":
            continue
        for change in level.get("coordinateTransformations", []):
            if change.get("type") == "scale" and len(units) == array.ndim:
                return pixel_size_of(change["scale"][-2:], units[-2:])
    dims = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if group is None or not dims or len(dims) != array.ndim:
        return None, "it names no axes with units"
    axes = [group.get(str(name)) for name in dims[-2:]]
    if not all(isinstance(a, zarr.Array) and a.ndim == 1 and a.dtype.kind in "uif" for a in axes):
        return None, "it names no axes with units"
    return pixel_size_of(
        [step_of(np.asarray(axis[:])) for axis in axes], [axis.attrs.get("units") for axis in axes]
    )
