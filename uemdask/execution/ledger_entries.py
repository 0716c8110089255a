"""What stands in a ledger: each line sealed with a sum of itself and of a known shape.

A ledger decides what is done again and what is not. So what no driver has written, or has not
written whole, is passed over: a torn line, a flipped bit, a line by another hand.
"""

from __future__ import annotations

import json
from typing import Any

import google_crc32c
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uemdask.cube.file_store import Files

_SEAL = ',"sum":"'


class Entry(BaseModel):
    """A line of a ledger.

    Attributes
    ----------
    at, made : str
        When it was written, and `Run.identity` of the stage.
    """

    model_config = ConfigDict(frozen=True)

    at: str
    made: str


class TaskDone(Entry):
    """A task that ended well.

    Attributes
    ----------
    stage, phase, digest, region : str
        Which task, and the digest of what it worked on.
    receipt : dict
        What it found.
    files : dict
        Size and sum of each chunk file that it wrote.
    """

    stage: str
    phase: str
    digest: str
    region: str
    receipt: dict[str, Any]
    files: Files = Field(default_factory=dict)


class DriverWrote(Entry):
    """Chunk files of a stage that no task wrote but the driver itself.

    Attributes
    ----------
    stage, digest : str
        Which stage, and the digest of what it worked on.
    files : dict
        Size and sum of each.
    partly : bool
        Whether the stage goes on; else it is about to be finished, and these are all of them.
    """

    stage: str
    digest: str
    files: Files
    partly: bool = False


class Voided(Entry):
    """A task whose files were found damaged: what was said of it before no longer counts."""

    stage: str
    phase: str
    region: str
    void: bool


class Failed(Entry):
    """A failure: where, the message for people, and the traceback."""

    stage: str
    phase: str
    region: str
    failed: str
    traceback: str


class Mended(Entry):
    """All is done, whatever failed before."""

    mended: bool


#: By the key that only they have; the first that is there counts.
_KINDS: dict[str, type[Entry]] = {
    "receipt": TaskDone,
    "failed": Failed,
    "void": Voided,
    "mended": Mended,
    "files": DriverWrote,
}


def sealed(line: dict[str, Any]) -> str:
    """Return a line as text that `entry_of` believes.

    Examples
    --------
    >>> from uemdask.execution.ledger_entries import entry_of
    >>> entry_of(sealed({"at": "2024-05-03", "made": "id", "mended": True})).mended
    True
    >>> entry_of('{"at": "2024-05-03", "made": "id", "mended": true}') is None
    True
    """
    text = json.dumps(line, separators=(",", ":"))[:-1]
    return f'{text}{_SEAL}{_sum(text)}"}}\n'


def entry_of(text: str) -> Entry | None:
    """Return what a line says; None where it is not as a driver wrote it."""
    body, seal, end = text.rstrip("\n").rpartition(_SEAL)
    if not seal or end != f'{_sum(body)}"}}':
        return None
    try:
        found = json.loads(body + "}")
        kind = next(model for key, model in _KINDS.items() if key in found)
        return kind.model_validate(found)
    except (ValueError, RecursionError, StopIteration, ValidationError):
        return None


def _sum(text: str) -> str:
    return f"{google_crc32c.value(text.encode('utf-8', 'surrogatepass')):08x}"
