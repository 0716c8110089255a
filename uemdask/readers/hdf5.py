"""HDF5 and NeXus files, a dataset by its path, read frame by frame."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from uemdask.errors import UemError
from uemdask.readers.choice import Candidate, choose, frames_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of, step_of

_CACHE_BYTES = 32 * 2**20
# Values and texts of a header; longer ones are data.
_TAG_VALUES = 256
_TAG_TEXT = 100_000
_TAGS = 5_000


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, with the codecs of hdf5plugin where that is installed."""
    if importlib.util.find_spec("hdf5plugin") is not None:
        importlib.import_module("hdf5plugin")
    # Files on a share may not be lockable. The cache is for chunks of several frames.
    return h5py.File(path, "r", locking=False, rdcc_nbytes=_CACHE_BYTES)


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return shape and dtype of the dataset, its axes' pixel size, and the small values around."""
    with open_hdf5(path) as file:
        data = find(path, file, dataset)
        pixel_size, reason = _pixel_size(data)
        return ImageInfo(
            frames=frames_of(path, data.shape),
            shape=(data.shape[-2], data.shape[-1]),
            dtype=data.dtype.newbyteorder("=").name,
            pixel_size=pixel_size,
            vendor={"dataset": data.name, **tags_of(file)},
            no_pixel_size=reason,
        )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames; only their chunks are read."""
    with open_hdf5(path) as file:
        data = find(path, file, dataset)
        for index in indices:
            yield data[tuple(int(i) for i in np.unravel_index(index, data.shape[:-2]))]


def find(path: Path, file: h5py.File, dataset: str | None) -> h5py.Dataset:
    """Return the dataset that is named, else NeXus's default, else the only stack or image.

    Raises
    ------
    UemError
        If none or more than one fits, or its values were never written.
    """
    found = {} if dataset is not None else _default(file)
    if not found:
        found = _datasets(file)
        if dataset is not None and dataset.strip("/") not in (name.strip("/") for name in found):
            # A path through a link, or to a group with a default signal.
            found |= _named(file, dataset)
    names = list(found)
    candidates = [Candidate(name, found[name].shape, found[name].dtype) for name in names]
    data = found[names[choose(path, candidates, dataset)]]
    check_readable(path, data)
    return data


def check_readable(path: Path, data: h5py.Dataset) -> None:
    """Refuse a dataset whose values are missing: HDF5 would make up zeros for them.

    Raises
    ------
    UemError
        If it was never written, parts of it lie in files that are missing, or it is compressed
        in a way that nothing installed can undo.
    """
    plan = data.id.get_create_plist()
    for code, _, _, name in map(plan.get_filter, range(plan.get_nfilters())):
        if not h5py.h5z.filter_avail(code):
            raise UemError(
                f"{path}: {data.name} is compressed with {text_of(name) or code}, which h5py alone "
                f"does not know; run pip install 'uemdask[formats]'"
            )
    if data.is_virtual:
        sources = {source.file_name for source in data.virtual_sources()}
        missing = sorted(s for s in sources if s != "." and not (path.parent / s).is_file())
        if missing:
            raise UemError(
                f"{path}: {data.name} lies in {missing[0]}, which is missing; copy it beside it"
            )
    elif data.size and data.id.get_storage_size() == 0:
        raise UemError(f"{path}: {data.name} was never written; copy the finished file")


def _datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim >= 2 and item.dtype.kind in "uifcb":
            found[f"/{name}"] = item

    file.visititems(visit)
    for name, item in _linked(file):
        if item not in found.values():
            visit(name, item)
    return found


def _linked(group: h5py.Group, depth: int = 4) -> Iterator[tuple[str, Any]]:
    """Yield datasets behind soft and external links, which HDF5's own walk leaves out."""
    for name in group:
        link = group.get(name, getlink=True)
        item = group.get(name)
        if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
            if isinstance(item, h5py.Dataset):
                yield f"{group.name}/{name}".strip("/"), item
        elif isinstance(item, h5py.Group) and depth:
            yield from _linked(item, depth - 1)


def _named(file: h5py.File, dataset: str) -> dict[str, h5py.Dataset]:
    item = file.get(dataset)
    if isinstance(item, h5py.Group):
        item = _signal(item)
    return {dataset: item} if isinstance(item, h5py.Dataset) else {}


def _default(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the signal of NeXus's default plot, found as NeXus tells to.

    https://manual.nexusformat.org/datarules.html#find-the-plottable-data
    """
    group: Any = file
    while isinstance(group, h5py.Group):
        signal = _signal(group)
        if signal is not None and signal.ndim >= 2:
            return {signal.name: signal}
        group = group.get(text_of(group.attrs.get("default"))) if "default" in group.attrs else None
    return {}


def _signal(group: h5py.Group) -> h5py.Dataset | None:
    name = text_of(group.attrs.get("signal"))
    item = group.get(name) if name else None
    return item if isinstance(item, h5py.Dataset) else None


def _pixel_size(data: h5py.Dataset) -> PixelSize:
    """Return the pixel size from the axes that NeXus names for the last two dimensions."""
    names = [text_of(n) for n in np.atleast_1d(data.parent.attrs.get("axes", []))]
    if len(names) != data.ndim:
        return None, "it names no axes with units"
    axes = [data.parent.get(name) for name in names[-2:]]
    if not all(isinstance(axis, h5py.Dataset) and axis.ndim == 1 for axis in axes):
        return None, "it names no axes with units"
    return pixel_size_of(
        [step_of(axis[()]) for axis in axes], [text_of(axis.attrs.get("units")) for axis in axes]
    )


def tags_of(file: h5py.File) -> dict[str, Any]:
    """Return attributes and small values of a file, nested as its groups are."""
    tags: dict[str, Any] = {}
    left = _TAGS

    def visit(name: str, item: Any) -> int | None:
        nonlocal left
        place = tags
        *groups, last = name.split("/")
        for group in groups:
            place = place.setdefault(group, {})
        attributes = {f"@{key}": plain(value) for key, value in _attributes(item)}
        if isinstance(item, h5py.Group):
            place.setdefault(last, {}).update(attributes)
        elif item.size is not None and item.size <= _TAG_VALUES and item.dtype.kind != "V":
            value = plain(item[()])
            place[last] = {"value": value, **attributes} if attributes else value
        elif attributes:
            place[last] = attributes
        left -= 1
        return None if left > 0 else 1

    tags |= {f"@{key}": plain(value) for key, value in _attributes(file)}
    file.visititems(visit)
    return tags


def _attributes(item: Any) -> Iterator[tuple[str, Any]]:
    for key in item.attrs:
        try:
            yield key, item.attrs[key]
        except (OSError, TypeError):  # of a type that h5py does not know
            continue


def text_of(value: Any) -> str:
    """Return an attribute as text; an array of one as its value."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def plain(value: Any) -> Any:
    """Return a value of HDF5 as text, numbers and lists."""
    if isinstance(value, np.ndarray):
        return [plain(part) for part in value.ravel()[:_TAG_VALUES].tolist()]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:_TAG_TEXT]
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_TAG_TEXT]
