"""Acquisition metadata in the names and units of HyperSpy, there and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from uemdask.errors import FaultsError, UemError
from uemdask.metadata.check import clean_value, quantities
from uemdask.metadata.table import ENTRIES, HYPERSPY_REST, RESERVED, MetadataEntry

_OFFSET = re.compile(r"(?:UTC)?([+-]\d\d:?\d\d)")


def to_hyperspy_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return acquisition metadata as a tree in HyperSpy's names.

    Each number is in the unit that HyperSpy takes for granted, with that unit beside it in
    ``NAME_units``. What HyperSpy has no name for goes to ``Uemdask.metadata`` as text.

    Parameters
    ----------
    metadata : mapping
        As `uemdask.metadata.check_metadata` or ``ds.uem.metadata()`` returns them.

    Raises
    ------
    FaultsError
        If a known value is of the wrong kind or unit.

    Examples
    --------
    >>> to_hyperspy_metadata({"beam_energy": "200 keV"})["Acquisition_instrument"]
    {'TEM': {'beam_energy': 200.0, 'beam_energy_units': 'keV'}}
    """
    tree: dict[str, Any] = {}
    faults = []
    for name, value in metadata.items():
        entry = ENTRIES.get(name)
        if name in RESERVED:
            continue
        try:
            if entry is None:
                _put(tree, f"{HYPERSPY_REST}.{name}", value, whole=HYPERSPY_REST)
            else:
                _write(tree, entry, value)
        except UemError as error:
            faults.append(str(error))
    if faults:
        raise FaultsError("metadata", faults)
    return tree


def _write(tree: dict[str, Any], entry: MetadataEntry, value: Any) -> None:
    clean = clean_value(entry, value)
    if not entry.hyperspy:
        _put(tree, f"{HYPERSPY_REST}.{entry.name}", clean)
    elif entry.is_quantity:
        number = quantities(entry, clean)[0].to(entry.hyperspy_unit).value
        _put(tree, entry.hyperspy[0], number)
        _put(tree, f"{entry.hyperspy[0]}_units", entry.hyperspy_unit)
    elif entry.kind == "date":
        for path, part in zip(entry.hyperspy, _split(clean), strict=True):
            if part:
                _put(tree, path, part)
    else:
        _put(tree, entry.hyperspy[0], "\n".join(clean) if entry.kind == "notes" else clean)


def _split(text: str) -> tuple[str, str, str]:
    """Return date, time and time zone of a date in the documented spelling."""
    day, _, clock = text.partition("T")
    found = re.fullmatch(r"(.*?)(Z|[+-][\d:.]+)?", clock)
    zone = (found and found[2]) or ""
    return day, clock.removesuffix(zone), "UTC" if zone == "Z" else zone


def from_hyperspy_metadata(tree: Any) -> dict[str, Any]:
    """Return the acquisition metadata that a tree of HyperSpy's metadata holds.

    Parameters
    ----------
    tree : mapping or hyperspy DictionaryTreeBrowser
        ``signal.metadata``. Leaves that uemdask has no name for are not taken over.

    Returns
    -------
    dict
        As `uemdask.metadata.check_metadata` returns it, numbers in the canonical unit.

    Raises
    ------
    FaultsError
        If a value is not of the kind that its name says.

    Examples
    --------
    >>> from_hyperspy_metadata({"Acquisition_instrument": {"TEM": {"beam_energy": 200.0}}})
    {'beam_energy': '200 keV'}
    """
    if hasattr(tree, "as_dictionary"):
        tree = tree.as_dictionary()
    found: dict[str, Any] = {}
    faults = []
    for entry in ENTRIES.values():
        try:
            value = _read(tree, entry)
            if value is not None and value != "":
                found[entry.name] = clean_value(entry, value)
        except UemError as error:
            faults.append(str(error))
    rest = _get(tree, HYPERSPY_REST)
    for name, value in (rest if isinstance(rest, Mapping) else {}).items():
        found.setdefault(str(name), value)
    if faults:
        raise FaultsError("HyperSpy metadata", faults)
    return found


def _read(tree: Any, entry: MetadataEntry) -> Any:
    if not entry.hyperspy:
        return _get(tree, f"{HYPERSPY_REST}.{entry.name}")
    if entry.kind == "date":
        day, clock, zone = (_get(tree, path) for path in entry.hyperspy)
        return _join(day, clock, zone)
    for path in entry.hyperspy:
        value = _get(tree, path)
        if value is None or value == "":
            continue
        if not entry.is_quantity:
            return value
        unit = _get(tree, f"{path}_units") or entry.hyperspy_unit
        return quantities(entry, f"{value} {unit}")[0].to(entry.unit)
    return None


def _join(day: Any, clock: Any, zone: Any) -> str | None:
    if not day:
        return None
    if not clock:
        return str(day)
    text = f"{day}T{clock}"
    named = str(zone or "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text  # refused with a sentence by the check
    if moment.tzinfo is None:
        offset = _OFFSET.fullmatch(named)
        text += "Z" if named in ("UTC", "Z", "GMT") else offset[1] if offset else ""
    return text


def _get(tree: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _put(tree: dict[str, Any], path: str, value: Any, *, whole: str = "") -> None:
    """Set a leaf; the name below `whole` may hold dots of its own."""
    head, _, name = (whole, "", path[len(whole) + 1 :]) if whole else path.rpartition(".")
    for part in head.split("."):
        tree = tree.setdefault(part, {})
    tree[name] = value
