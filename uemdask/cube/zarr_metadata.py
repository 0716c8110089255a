"""The ``zarr.json`` files of a store: read quickly, and each replaced at one moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from uemdask.atomic_write import atomic_write
from uemdask.cube.sidecar import store_of
from uemdask.errors import UemError, telling_of_room
from uemdask.regular_files import read_regular


def all_array_metadata(store: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata of every array of a store, as they stand in its ``zarr.json``.

    Zarr gives them too, ten times slower: too slow for a driver of a thousand runs.

    Raises
    ------
    UemError
        If one is damaged.
    """
    return {file.parent.name: _read_array(file) for file in sorted(store.glob("*/zarr.json"))}


def array_metadata(store: Path, array: str) -> dict[str, Any]:
    """Return the metadata of one array.

    Raises
    ------
    UemError, OSError
        If they are damaged, or not there.
    """
    return _read_array(store / array / "zarr.json")


def consolidated_metadata(store: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata of every array as the store itself lists them; not to be changed."""
    file = store / "zarr.json"
    try:
        now = file.stat()
    except OSError:
        return _listed(store, 0, 0, 0)  # which says what is wrong
    return _listed(store, now.st_ino, now.st_mtime_ns, now.st_size)


# Of one store at a time: its stages are looked at one after the other.
@lru_cache(maxsize=1)
def _listed(store: Path, inode: int, modified: int, size: int) -> dict[str, dict[str, Any]]:
    listed = _read(store / "zarr.json").get("consolidated_metadata")
    found = listed.get("metadata") if isinstance(listed, dict) else None
    if not isinstance(found, dict) or not all(map(_is_array, found.values())):
        raise UemError(f"{store}: its list of variables in zarr.json is damaged; {_REMEDY}")
    return found


def restore_array_metadata(store: Path, array: str, metadata: Mapping[str, Any]) -> None:
    """Write the metadata of an array as the store lists them."""
    (store / array).mkdir(exist_ok=True)
    with telling_of_room(store_of(store)), atomic_write(store / array / "zarr.json") as stream:
        stream.write(json.dumps(metadata).encode())


def change_metadata(
    store: Path,
    array: str = "",
    *,
    attributes: Mapping[str, Any],
    settled: bool = True,
    **parts: Any,
) -> dict[str, Any]:
    """Change attributes and other parts of the metadata of a store, or of one of its arrays.

    Whoever reads the file finds the old one or the new one, see `uemdask.atomic_write.atomic_write`.

    Returns
    -------
    dict
        All of the metadata, as whoever reads the file finds them.

    Raises
    ------
    UemError
        If there is no room, or the file is damaged.
    """
    file = store / array / "zarr.json"
    metadata = _read(file) | parts
    metadata["attributes"] |= attributes
    text = json.dumps(metadata)
    # Drafts outside the store, as Zarr warns of files that it does not know.
    with (
        telling_of_room(store_of(store)),
        atomic_write(file, drafts=store.parent, settled=settled) as stream,
    ):
        stream.write(text.encode())
    written: dict[str, Any] = json.loads(text)
    return written


def _read(file: Path) -> dict[str, Any]:
    try:
        metadata: Any = json.loads(read_regular(file))
        if not isinstance(metadata, dict) or not isinstance(metadata.get("attributes", {}), dict):
            raise ValueError("it is no metadata")
    except UemError:
        raise
    except (ValueError, RecursionError) as error:
        raise UemError(f"{file}: is damaged ({error}); {_REMEDY}") from error
    metadata.setdefault("attributes", {})
    return metadata


def _read_array(file: Path) -> dict[str, Any]:
    metadata = _read(file)
    if not _is_array(metadata):
        raise UemError(f"{file}: is damaged (it is no metadata of a variable); {_REMEDY}")
    return metadata


def _is_array(metadata: Any) -> bool:
    """Return whether these may be the metadata of a variable, as far as uemdask reads them."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get("attributes", {}), dict):
        return False
    grid = metadata.get("chunk_grid")
    configuration = grid.get("configuration") if isinstance(grid, dict) else None
    unit = configuration.get("chunk_shape") if isinstance(configuration, dict) else None
    shape, names = metadata.get("shape"), metadata.get("dimension_names")
    if not (isinstance(shape, list) and isinstance(names, list) and isinstance(unit, list)):
        return False
    return (
        len(shape) == len(names) == len(unit)
        and all(type(size) is int and 0 <= size < 2**53 for size in shape)
        and all(type(size) is int and 0 < size < 2**53 for size in unit)
        and all(isinstance(name, str) for name in names)
    )


_REMEDY = "bring it back from a copy, or remove the run and ingest the raw data again"
