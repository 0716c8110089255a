"""The file beside a model that says how its training goes: one JSON line per entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uemdask.atomic_write import atomic_write
from uemdask.errors import telling_of_room


def history_path(model: Path) -> Path:
    """Return where the training history of a model lies: one JSON line per entry."""
    return model.with_suffix(".history.jsonl")


def newest_entry(model: Path) -> dict[str, Any] | None:
    """Return the last entry; None where there is none, or it is being written."""
    try:
        text = history_path(model).read_text(encoding="utf-8")
        entry: dict[str, Any] = json.loads(text.splitlines()[-1])
    except (OSError, IndexError, ValueError):
        return None
    return entry


class History:
    """Writes the history of a training.

    Parameters
    ----------
    model : Path
        The model.
    place : dict
        What every entry says: where the training runs.
    """

    def __init__(self, model: Path, place: dict[str, Any]) -> None:
        self._path, self._place = history_path(model), place

    def begin(self, entries: list[dict[str, Any]], **first: Any) -> None:
        """Write the file anew, with the entries of an earlier task that goes on."""
        lines = [{"phase": "start", **first, **self._place}, *entries]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with telling_of_room(self._path), atomic_write(self._path, settled=False) as file:
            file.write(text.encode())

    def add(self, entry: dict[str, Any]) -> None:
        """Add an entry."""
        with telling_of_room(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry | self._place) + "\n")
