"""Errors that a person can act on.

Every message is one plain sentence: the file or key, what was found, what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class UemError(ValueError):
    """Something in the user's input, data or set-up that uemdask cannot work with.

    The command line prints its message and ends with exit code 2.
    """


class FaultsError(UemError):
    """Several faults found in one check, reported all at once.

    Parameters
    ----------
    subject : str
        What was checked, a file or a store.
    faults : sequence of str
        One sentence each, ``location: what was found; what to do``.
    """

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.subject = subject
        self.faults = list(faults)
        super().__init__(subject, self.faults)

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return f"{self.subject}: {self.faults[0]}"
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        return f"{self.subject}: {len(self.faults)} faults\n{lines}"


#: The system has no room left: disk, quota, or a limit on the size of files.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def has_no_room(error: BaseException) -> bool:
    """Return whether the system said that there is no room to write."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


@contextmanager
def telling_of_room(path: Path) -> Iterator[None]:
    """Say in plain words if there is no room left to write a file or store.

    Raises
    ------
    UemError
        In the place of the system's error.
    """
    try:
        yield
    except OSError as error:
        if not has_no_room(error):
            raise
        raise UemError(
            f"{path}: cannot be written ({error.strerror}); make room there, then give the same "
            f"command again"
        ) from error


#: Keys and numbers of entries that lead to a value in a file.
Place = tuple[str | int, ...]

#: What to write, by the kind of fault that pydantic found.
_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text, in quotes, a quantity with its unit",
    "list_type": "a list like [30, 40]",
    "tuple_type": "a list like [30, 40]",
    "dict_type": "'key: value' lines",
    "model_type": "'key: value' lines",
}


def located_faults(
    error: ValidationError, keys: Mapping[str, str] | None = None
) -> list[tuple[Place, str]]:
    """Return place and sentence of each fault that pydantic found.

    `keys` gives words that a misspelt key may have been meant to be, and the key for each.
    """
    faults = error.errors()
    places = [fault["loc"] for fault in faults]
    return [
        (fault["loc"], sentence(fault, keys))
        for fault in faults
        # A list of which every part is wrong is no second fault.
        if not any(
            len(p) > len(fault["loc"]) and p[: len(fault["loc"])] == fault["loc"] for p in places
        )
    ]


def keys_of(schema: type[BaseModel]) -> dict[str, str]:
    """Return the keys of a schema and of the schemas in it as words, and the dotted path of each.

    Of keys of one name the first counts.
    """
    found = {key: key for key in schema.model_fields}
    for key, field in schema.model_fields.items():
        for inner in (field.annotation, *get_args(field.annotation)):
            if hasattr(inner, "model_fields"):
                found = {word: f"{key}.{path}" for word, path in keys_of(inner).items()} | found
    return found


def spelled(place: Place) -> str:
    """Return a place as it is written in messages, such as ``runs.0.name``."""
    return ".".join(str(part) for part in place) or "file"


def _nearby(path: str, place: Place) -> str:
    """Return the key at the end of a path; its whole path where the word itself is no mistake."""
    *_, key = path.split(".")
    return path if key == place[-1] else key


def sentence(fault: Mapping[str, Any], keys: Mapping[str, str] | None = None) -> str:
    """Return in words of a person what one of pydantic's faults says."""
    kind, found = fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        words = keys or {}
        like = get_close_matches(str(fault["loc"][-1]), words, n=1)
        remedy = (
            f"did you mean {_nearby(words[like[0]], fault['loc'])!r}?"
            if like
            else "check the spelling"
        )
        return f"is no key that is known here; {remedy}"
    if kind == "missing":
        return "is missing; give it"
    if kind == "literal_error":
        return f"{found!r} was found; write {fault['ctx']['expected']}"
    if kind in _WANTED:
        return f"{found!r} was found; write {_WANTED[kind]}"
    if kind == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    limit = str(fault["msg"]).removeprefix("Input should ")
    return f"{found!r} was found; it should {limit}" if limit != fault["msg"] else limit
