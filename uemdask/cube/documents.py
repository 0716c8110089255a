"""The ``zarr.json`` files of a store: read quickly, and each replaced at one moment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uemdask.cube.beside import beside, place_of
from uemdask.errors import UemError, telling_of_room
from uemdask.files import read_regular


def array_documents(store: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata of every array of a store, as they stand in its ``zarr.json``.

    Zarr gives them too, ten times slower: too slow for a driver of a thousand runs.

    Raises
    ------
    UemError
        If one is damaged.
    """
    return {file.parent.name: _read(file) for file in sorted(store.glob("*/zarr.json"))}


def change_document(
    store: Path, array: str = "", *, attributes: Mapping[str, Any], **parts: Any
) -> dict[str, Any]:
    """Change attributes and other parts of the metadata of a store, or of one of its arrays.

    Whoever reads the file finds the old one or the new one.

    Returns
    -------
    dict
        All of the metadata.

    Raises
    ------
    UemError
        If there is no room, or the file is damaged.
    """
    file = store / array / "zarr.json"
    document = _read(file) | parts
    document["attributes"] |= attributes
    # Outside the store, as Zarr warns of files that it does not know.
    part = beside(store, "json")
    try:
        with telling_of_room(place_of(store)):
            part.write_text(json.dumps(document), encoding="utf-8")
            os.replace(part, file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return document


def _read(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(read_regular(file))
    except UemError:
        raise
    except ValueError as error:
        raise UemError(
            f"{file}: is damaged ({error}); bring it back from a copy, or remove the run and "
            f"ingest the raw data again"
        ) from error
    return document
