"""An HDF5 file and what lies in it; what lies outside is never read.

A file may say that its values, or parts of it, lie in other files: any that the user may read,
``/etc/passwd`` too. Links, external storage and virtual datasets that lead out are refused.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from uemdask.errors import UemError

_CACHE_BYTES = 32 * 2**20
# Values and texts of a header; longer ones are data.
_TAG_VALUES = 256
_TAG_TEXT = 100_000
_TAGS = 5_000
#: Links, defaults and virtual datasets that are followed one after the other.
_DEEPEST = 16
#: Largest chunk that is decoded, bytes.
_CHUNK_BYTES = 2**32
#: Longest axis whose positions are read.
_AXIS_VALUES = 2**24


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, with the codecs of hdf5plugin where that is installed."""
    if importlib.util.find_spec("hdf5plugin") is not None:
        importlib.import_module("hdf5plugin")
    # Files on a share may not be lockable. The cache is for chunks of several frames.
    return h5py.File(path, "r", locking=False, rdcc_nbytes=_CACHE_BYTES)


def item_at(path: Path, group: h5py.Group, name: str, deepest: int = _DEEPEST) -> Any:
    """Return the group or dataset at a place in the file, None where there is none.

    Parameters
    ----------
    path : Path
        The file, for messages.
    group : Group
        Where names without a leading slash begin.
    name : str
        Names joined by slashes.
    deepest : int
        Links that are followed one after the other.

    Raises
    ------
    UemError
        If a link on the way leads into another file.
    """
    node: Any = group.file["/"] if name.startswith("/") else group
    for part in name.split("/"):
        if part in ("", "."):
            continue
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise UemError(
                f"{path}: {node.name.rstrip('/')}/{part} is a link into another file "
                f"({link.filename}), which is not followed; name that file"
            )
        if isinstance(link, h5py.SoftLink):
            node = item_at(path, node, link.path, deepest - 1) if deepest else None
        else:
            node = None if link is None else node[part]
    return node


def lies_outside(path: Path, data: h5py.Dataset, deepest: int = _DEEPEST) -> str:
    """Return the sentence that says in which other file values of a dataset lie; else nothing.

    Nothing else may be asked of a dataset before: even its shape may be looked up in another file.
    """
    plan = data.id.get_create_plist()
    if plan.get_external_count():
        other = text_of(plan.get_external(0)[0])
        return f"{path}: {data.name} has its values in another file ({other}); save them in one"
    if plan.get_layout() != h5py.h5d.VIRTUAL:
        return ""
    for number in range(plan.get_virtual_count()):
        other, name = plan.get_virtual_filename(number), plan.get_virtual_dsetname(number)
        if other != "." or "%" in name or not deepest:
            return (
                f"{path}: {data.name} is put together from other files ({other}); save its values "
                f"in one"
            )
        source = item_at(path, data.file, name)
        if isinstance(source, h5py.Dataset):
            reason = lies_outside(path, source, deepest - 1)
            if reason:
                return reason
    return ""


def check_readable(path: Path, data: h5py.Dataset) -> None:
    """Refuse a dataset whose values lie elsewhere or are missing: HDF5 would make up zeros.

    Raises
    ------
    UemError
        If values lie in other files, it was never written, it is compressed in a way that nothing
        installed can undo, or a chunk of it would fill the memory.
    """
    reason = lies_outside(path, data)
    if reason:
        raise UemError(reason)
    plan = data.id.get_create_plist()
    for code, _, _, name in map(plan.get_filter, range(plan.get_nfilters())):
        if not h5py.h5z.filter_avail(code):
            raise UemError(
                f"{path}: {data.name} is compressed with {text_of(name) or code}, which h5py alone "
                f"does not know; run pip install 'uemdask[formats]'"
            )
    if not data.is_virtual and data.size and data.id.get_storage_size() == 0:
        raise UemError(f"{path}: {data.name} was never written; copy the finished file")
    chunk = prod(data.chunks or (0,)) * data.dtype.itemsize
    if chunk > _CHUNK_BYTES:
        raise UemError(
            f"{path}: {data.name} has chunks of {chunk / 2**30:.0f} GiB, more than can be held; "
            f"save it with a chunk for each frame"
        )


def arrays_in(path: Path, file: h5py.File) -> tuple[dict[str, h5py.Dataset], list[str]]:
    """Return the datasets of two axes and more by name, and why others cannot be read."""
    found: dict[str, h5py.Dataset] = {}
    outside: list[str] = []

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        reason = lies_outside(path, item)
        if reason:
            outside.append(reason)
        elif item.ndim >= 2 and item.dtype.kind in "uifcb":
            found[f"/{name}"] = item

    file.visititems(visit)
    for name in _links(file):
        try:
            item = item_at(path, file, name)
        except UemError as error:
            outside.append(str(error))
            continue
        if item not in found.values():
            visit(name, item)
    return found, outside


def _links(group: h5py.Group, depth: int = 4) -> Iterator[str]:
    """Yield the names of soft and external links, which HDF5's own walk leaves out."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.SoftLink | h5py.ExternalLink):
            yield f"{group.name}/{name}".strip("/")
        elif depth and isinstance(item := group[name], h5py.Group):
            yield from _links(item, depth - 1)


def values_of(path: Path, axis: Any) -> np.ndarray | None:
    """Return the numbers of a small dataset, such as the positions along an axis."""
    if not isinstance(axis, h5py.Dataset) or lies_outside(path, axis):
        return None
    if axis.dtype.kind not in "uif" or axis.size is None or axis.size > _AXIS_VALUES:
        return None
    return np.asarray(axis[()])


def tags_of(path: Path, file: h5py.File) -> dict[str, Any]:
    """Return attributes and small values of a file, nested as its groups are."""
    tags: dict[str, Any] = {}
    left = _TAGS

    def visit(name: str, item: Any) -> int | None:
        nonlocal left
        place = tags
        *groups, last = name.split("/")
        for group in groups:
            place = place.setdefault(group, {})
        attributes = {f"@{key}": plain_value(value) for key, value in _attributes(item)}
        if isinstance(item, h5py.Group):
            place.setdefault(last, {}).update(attributes)
        elif _is_small(path, item):
            value = plain_value(item[()])
            place[last] = {"value": value, **attributes} if attributes else value
        elif attributes:
            place[last] = attributes
        left -= 1
        return None if left > 0 else 1

    tags |= {f"@{key}": plain_value(value) for key, value in _attributes(file)}
    file.visititems(visit)
    return tags


def _is_small(path: Path, item: Any) -> bool:
    if not isinstance(item, h5py.Dataset) or lies_outside(path, item):
        return False
    return item.size is not None and item.size <= _TAG_VALUES and item.dtype.kind != "V"


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


def plain_value(value: Any) -> Any:
    """Return a value of HDF5 as text, numbers and lists."""
    if isinstance(value, np.ndarray):
        return [plain_value(part) for part in value.ravel()[:_TAG_VALUES].tolist()]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:_TAG_TEXT]
    if isinstance(value, np.generic):
        return plain_value(value.item())
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:_TAG_TEXT]
