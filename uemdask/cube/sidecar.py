"""Sidecars, hidden folders beside a store: what is made for its place, and what it replaces."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal

#: A store that is being created; a run that will replace one; the run that is being replaced.
Kind = Literal["part", "new", "old"]

_BESIDE = re.compile(r"\.(.+)\.(?:part|new|old)")


def sidecar(store: Path, kind: Kind) -> Path:
    """Return the hidden folder of a kind beside a store.

    Examples
    --------
    >>> from pathlib import Path
    >>> sidecar(Path("results/a.zarr"), "new").name
    '.a.zarr.new'
    """
    return store.with_name(f".{store.name}.{kind}")


def remove_sidecar(folder: Path) -> None:
    """Remove a hidden folder; of a link that somebody put there only the link."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def store_of(store: Path) -> Path:
    """Return the store that the user named, for the hidden folders beside it too.

    Examples
    --------
    >>> from pathlib import Path
    >>> store_of(Path("results/.a.zarr.new")).name
    'a.zarr'
    """
    match = _BESIDE.fullmatch(store.name)
    return store_of(store.with_name(match[1])) if match else store
