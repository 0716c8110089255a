"""The ``zarr.json`` files of a store: read quickly, and each replaced at one moment."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from uemdask.atomic_write import atomic_write
from uemdask.cube.sidecar import store_of
from uemdask.errors import UemError, telling_of_room
from uemdask.regular_files import read_regular


def all_array_metadata(store: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata of every array of a store, as they stand in its ``zarr.json``.

    Zarr gives them too, ten times slower.

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
    """Return the metadata of every array as the store itself lists them; not to be changed.

    Raises
    ------
    UemError
        If there is no such list, or it is damaged.
    """
    found = _roots.of(store)
    if found.listed is None:
        raise UemError(f"{store}: its list of variables in zarr.json is damaged; {_REMEDY}")
    return found.listed


class _Root:
    """What stands in the ``zarr.json`` of a store, and the list of variables in it, if it is one.

    Neither is to be changed.
    """

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata

    @cached_property
    def listed(self) -> dict[str, dict[str, Any]] | None:
        listed = self.metadata.get("consolidated_metadata")
        found = listed.get("metadata") if isinstance(listed, dict) else None
        return found if isinstance(found, dict) and all(map(_is_array, found.values())) else None


class _Roots:
    """The roots of the stores that were looked at last, each as long as its file is the same.

    A driver has many runs at work, and asks for the metadata of each again and again.
    """

    _MOST = 64

    def __init__(self) -> None:
        self._found: OrderedDict[Path, tuple[tuple[int, int, int], _Root]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, store: Path) -> _Root:
        file = store / "zarr.json"
        try:
            now = _state_of(file)
        except OSError:
            return _Root(_read(file))  # which says what is wrong
        with self._lock:
            known = self._found.get(store)
        return known[1] if known and known[0] == now else self.note(store, now, _read(file))

    def note(self, store: Path, state: tuple[int, int, int], metadata: dict[str, Any]) -> _Root:
        """Note what was found in a file that is in this state."""
        found = _Root(metadata)
        with self._lock:
            self._found[store] = (state, found)
            self._found.move_to_end(store)
            while len(self._found) > self._MOST:
                self._found.popitem(last=False)
        return found


_roots = _Roots()


def _state_of(file: Path | int) -> tuple[int, int, int]:
    """Return what tells a file from what was in its place before."""
    found = os.stat(file)
    return found.st_ino, found.st_mtime_ns, found.st_size


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
    **parts: Any,
) -> dict[str, Any]:
    """Change attributes and other parts of the metadata of a store, or of one of its arrays.

    Whoever reads the file finds the old one or the new one, see `uemdask.atomic_write`.

    Returns
    -------
    dict
        All of the metadata, as whoever reads the file finds them; not to be changed.

    Raises
    ------
    UemError
        If there is no room, or the file is damaged.
    """
    file = store / array / "zarr.json"
    metadata = _read(file) if array else dict(_roots.of(store).metadata)
    metadata |= parts | {"attributes": metadata["attributes"] | attributes}
    # Drafts outside the store, as Zarr warns of files that it does not know, but on its disk: the
    # store may be a link.
    with (
        telling_of_room(store_of(store)),
        atomic_write(file, drafts=store.resolve().parent) as stream,
    ):
        stream.write(json.dumps(metadata).encode())
        stream.flush()
        state = _state_of(stream.fileno())
    if not array:
        # What was listed was looked at when it was read or made.
        _roots.note(store, state, metadata).listed = metadata["consolidated_metadata"]["metadata"]
    return metadata


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
