"""Attributes of a run in the few kinds that NetCDF knows: text, numbers and lists of numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_WHOLE = 2**63  # of the integers that NetCDF has


def plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return attributes that every file format takes.

    Sentences become lines of one text. What has parts, such as the vendor's tags, becomes JSON
    text; `structured` gives it back.

    Examples
    --------
    >>> plain_attributes({"pixel_size": [3.0, 3.0], "notes": ["thin", "bent"], "vendor": {"a": 1}})
    {'pixel_size': [3.0, 3.0], 'notes': 'thin\nbent', 'vendor': '{"a": 1}'}
    """
    return {name: _plain(value) for name, value in attributes.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str) or _is_number(value):
        return value
    if isinstance(value, list) and value:
        if all(map(_is_number, value)):
            return value
        if all(isinstance(part, str) for part in value):
            return "\n".join(value)
    return json_text(value)


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON as people read it; what JSON does not know as its text."""
    return json.dumps(value, indent=indent, ensure_ascii=False, default=str)


def _is_number(value: Any) -> bool:
    # A truth value is an integer in Python, and not in NetCDF.
    return isinstance(value, float) or (type(value) is int and -_WHOLE <= value < _WHOLE)


def structured(value: Any) -> Any:
    """Return what an attribute holds that has parts, also where it has become JSON text.

    Examples
    --------
    >>> structured('{"a": 1}'), structured({"a": 1}), structured("a: 1")
    ({'a': 1}, {'a': 1}, 'a: 1')
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
