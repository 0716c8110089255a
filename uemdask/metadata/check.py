"""Metadata at the door: known values are checked and spelled one way, all else is kept."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from numbers import Real
from typing import Any

from uemdask.errors import FaultsError, UemError
from uemdask.metadata.table import ENTRIES, RESERVED, MetadataEntry
from uemdask.units import Quantity, parse_quantity, split_lengths

# Bare numbers have had a unit here from the first day, as on the command line.
_BARE = {"pixel_size": "nm", "time_zero": "ps", "offset": "counts"}
_SIGNED = ("time_zero", "offset")


def check_metadata(mapping: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """Return metadata in the documented spelling, and what a person should know of them.

    Numbers stay as they are written; their unit gets its one spelling, ``200keV`` becomes
    ``200 keV``. Unknown keys are kept as they are. Known keys without a value are left out.

    Parameters
    ----------
    mapping : mapping
        Metadata as people write them, such as the content of ``metadata.yaml``.
    where : str
        Where they were found, for the error.

    Returns
    -------
    clean : dict
        Metadata as they go to the attributes of the store.
    notes : list of str
        One sentence for each unknown key that looks like a misspelled one.

    Raises
    ------
    FaultsError
        If a value is of the wrong kind or unit, or a key is one that the store keeps for itself;
        all faults are listed.

    Examples
    --------
    >>> check_metadata({"beam_energy": "200keV", "flake": 3}, "metadata.yaml")
    ({'beam_energy': '200 keV', 'flake': 3}, [])
    """
    clean: dict[str, Any] = {}
    notes: list[str] = []
    faults: list[str] = []
    for key, value in mapping.items():
        name = str(key)
        if name in RESERVED:
            faults.append(f"{name}: is a name that the store keeps for itself; choose another")
        elif name in ENTRIES:
            try:
                spelled = clean_value(ENTRIES[name], "" if value is None else value)
            except UemError as error:
                faults.append(str(error))
                continue
            if spelled not in ("", []):
                clean[name] = spelled
        else:
            clean[name] = value
            meant = _meant(name)
            if meant and meant not in mapping:
                notes.append(
                    f"{name}: is not known; if {meant!r} is meant, write that in {where}, "
                    f"else it is kept as it is"
                )
    if faults:
        raise FaultsError(where, faults)
    return clean, notes


def _meant(name: str) -> str | None:
    """Return the known name that a key is probably a misspelling of."""
    words = re.sub(r"[\s.:-]+", "_", name.strip().casefold())
    close = difflib.get_close_matches(words, ENTRIES, 1, cutoff=0.8)
    return close[0] if close else None


def clean_value(entry: MetadataEntry, value: Any) -> Any:
    """Return a value of a known piece of metadata in its one spelling, empty where it is.

    Raises
    ------
    UemError
        If it is of the wrong kind or unit.
    """
    if isinstance(value, str) and not value.strip():
        return ""
    if entry.name == "pixel_size":
        sizes = quantities(entry, value)
        return ", ".join(str(size) for size in (sizes[:1] if sizes[0] == sizes[-1] else sizes))
    if entry.is_quantity:
        return str(quantities(entry, value)[0])
    if entry.kind == "date":
        return _clean_date(entry, value)
    if entry.kind == "notes":
        lines = value if isinstance(value, list | tuple) else [value]
        return [line.strip() for part in lines for line in str(part).splitlines() if line.strip()]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise UemError(f"{entry.name}: {value!r} was found; write text like '{entry.example}'")
    return " ".join(str(value).split())


def quantities(entry: MetadataEntry, value: Any) -> tuple[Quantity, ...]:
    """Return the quantity that a value holds, of a pixel size two (y, x), in the unit written.

    Raises
    ------
    UemError
        If it is of the wrong kind or unit.
    """
    several = entry.name == "pixel_size"
    if several and isinstance(value, str):
        value = split_lengths(value, what=f"{entry.name}:")
    parts = list(value) if several and isinstance(value, list | tuple) else [value]
    if not 1 <= len(parts) <= 2:
        raise UemError(f"{entry.name}: {value!r} is not one or two lengths (y, x)")
    found = []
    for part in parts:
        if isinstance(part, Quantity):
            part = str(part)
        if isinstance(part, bool) or not isinstance(part, str | Real):
            raise UemError(f"{entry.name}: {part!r} was found; write it like '{entry.example}'")
        quantity = parse_quantity(
            str(part).strip().removesuffix("/px") if several else str(part),
            entry.kind,
            what=f"{entry.name}:",
            example=entry.example,
            bare=_BARE.get(entry.name),
        )
        if entry.name not in _SIGNED and quantity.to(entry.unit).value < 0:
            limit = "below absolute zero" if entry.kind == "temperature" else "negative"
            raise UemError(f"{entry.name}: {part!r} is {limit}; check the number")
        found.append(quantity)
    return (found[0], found[-1]) if several else (found[0],)


def _clean_date(entry: MetadataEntry, value: Any) -> str:
    if isinstance(value, datetime):
        moment: date = value
    elif isinstance(value, date):
        return value.isoformat()
    else:
        text = str(value).strip()
        try:
            if len(text) == len("2024-05-03"):
                return date.fromisoformat(text).isoformat()
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise UemError(
                f"{entry.name}: {text!r} is not a date; write it like '2024-05-03' or "
                f"'{entry.example}', with the time zone as '+02:00' or 'Z' behind it"
            ) from None
    return moment.isoformat().replace("+00:00", "Z")


def read_metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the acquisition metadata among the attributes of a run, numbers with their units.

    Parameters
    ----------
    attributes : mapping
        ``ds.attrs``, or metadata as `check_metadata` returns them.

    Returns
    -------
    dict
        `uemdask.units.Quantity` in the canonical unit (a pair of them, y and x, for the pixel
        size), text, and whatever stands under unknown keys. Values that an earlier version let
        pass and that are not understood are given as they are.
    """
    found: dict[str, Any] = {}
    names = [name for name in ENTRIES if name in attributes]
    for name in [*names, *(str(key) for key in attributes if key not in ENTRIES)]:
        if name in RESERVED:
            continue
        value = attributes[name]
        if hasattr(value, "tolist"):  # a list of numbers that has been in a NetCDF file
            value = value.tolist()
        entry = ENTRIES.get(name)
        with suppress(UemError):
            if entry is not None and entry.is_quantity:
                pair = tuple(part.to(entry.unit) for part in quantities(entry, value))
                value = pair if name == "pixel_size" else pair[0]
            elif entry is not None:
                value = clean_value(entry, value)
        found[name] = value
    return found
