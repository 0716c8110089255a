"""A new run in the place of an old one: nothing is lost, whenever it is killed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from uemdask.atomic_write import sync_folder
from uemdask.cube import Run
from uemdask.cube.sidecar import remove_sidecar, sidecar
from uemdask.errors import UemError


def ingest_record(store: Path) -> dict[str, Any]:
    """Return what a run says of its ingest, empty for an empty folder.

    Raises
    ------
    UemError
        If something else is there.
    """
    try:
        return Run(store).stage("ingest")
    except UemError:
        # Only an empty folder may be taken over; anything else is the user's.
        if store.is_dir() and not any(store.iterdir()):
            return {}
        raise UemError(f"{store}: is there already and is not a run; name another output") from None


def is_whole(store: Path) -> bool:
    """Return whether a run is there whose frames are all in it, or one that `recover` brings back.

    What an unfinished ingest left holds nothing that could not be made again.

    Raises
    ------
    UemError
        If something else is there.
    """
    there = store if store.exists() else sidecar(store, "old")
    return there.exists() and bool(ingest_record(there).get("finished"))


def is_clear(store: Path) -> bool:
    """Return whether there is no store, or a whole run that nothing is about to replace."""
    if not store.exists():
        return True
    try:
        return is_whole(store) and not sidecar(store, "new").exists()
    except UemError:
        return False


def put_in_place(run: Run, store: Path) -> Run:
    """Move an ingested run to where it belongs; what it replaces goes only now."""
    if run.path == store:
        return run
    old = sidecar(store, "old")
    if store.exists():
        remove_sidecar(old)
        os.replace(store, old)
    os.replace(run.path, store)
    sync_folder(store.parent)
    shutil.rmtree(old, ignore_errors=True)
    return Run(store)


def recover(store: Path) -> None:
    """Bring back a run whose replacement was killed before the new one was in its place.

    Where it was killed after that, what was replaced goes.
    """
    old = sidecar(store, "old")
    if not old.exists():
        return
    if not store.exists():
        os.replace(old, store)
    elif is_whole(store):
        shutil.rmtree(old, ignore_errors=True)


def discard_half(store: Path) -> None:
    """Remove what a failed ingest made, so that no half store is left behind."""
    shutil.rmtree(sidecar(store, "new"), ignore_errors=True)
    try:
        if Run(store).is_done("ingest"):
            return
    except UemError:
        return
    # The ledger stays: it says what happened, and its lines do not count for another store.
    shutil.rmtree(store, ignore_errors=True)
