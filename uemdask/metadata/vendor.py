"""Known metadata among the tags that microscopes and cameras write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from uemdask.errors import UemError
from uemdask.metadata.check import clean_value
from uemdask.metadata.table import ENTRIES, MetadataEntry
from uemdask.units import Quantity, parse_quantity

_Path = tuple[str, ...]
_Flat = list[tuple[_Path, Any]]

# A pump has a wavelength between the deep ultraviolet and the mid-infrared. A bare number that is
# not one in nm may be in any unit, and is left where it is.
_WAVELENGTHS = (150.0, 20_000.0)  # nm
_UNKNOWN = ("", "unknown", "none", "[]")
_WINDOWS_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_vendor(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known among the tags of a file, in the documented spelling.

    A tag is recognised by the end of its path, whatever holds the group: DigitalMicrograph's tags
    are found below ``ImageList``, below ``source`` of a stack, or alone. What is empty, zero where
    zero means unknown, in an unknown unit, or told differently by tags of the same rank is left
    out; the tags themselves stay in ``vendor``.

    Parameters
    ----------
    tags : mapping
        The tags of a file: groups are mappings or lists, or names joined with ``.`` or ``:``.

    Returns
    -------
    dict
        As `uemdask.metadata.check_metadata` returns it. Nothing is raised.

    Examples
    --------
    >>> from_vendor({"ImageTags": {"Microscope Info": {"Voltage": 200000.0}}})
    {'beam_energy': '200 keV'}
    """
    flat = list(_flat(tags, ()))
    found = {}
    for entry in ENTRIES.values():
        for path, unit in entry.vendor:
            tag = _find(flat, path)
            value = None if tag is None else _read(entry, tag[1], unit, flat, tag[0])
            if value is not None:
                found[entry.name] = value
                break
    return found


def _flat(tags: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    if isinstance(tags, Mapping):
        for key, value in tags.items():
            yield from _flat(value, path + _split(str(key)))
    elif isinstance(tags, list | tuple) and any(isinstance(part, Mapping) for part in tags):
        for number, value in enumerate(tags):
            yield from _flat(value, (*path, str(number)))
    else:
        yield path, tags


def _split(key: str) -> _Path:
    words = key.replace("_", " ").casefold()
    return tuple(part.strip() for part in re.split(r"[.:]", words))


def _find(flat: _Flat, path: str) -> tuple[_Path, Any] | None:
    """Return the tag whose path ends so and is the shortest, unless such tags disagree."""
    wanted = _split(path)
    count = len(wanted)
    hits: list[tuple[_Path, Any]] = []
    for where, value in flat:
        tail = where[-count:]
        if len(tail) == count and all(w in ("*", t) for w, t in zip(wanted, tail, strict=True)):
            text = _plain(value)
            if text is not None:
                hits.append((where, text))
    shortest = min((len(where) for where, _ in hits), default=0)
    hits = [hit for hit in hits if len(hit[0]) == shortest]
    return hits[0] if hits and all(text == hits[0][1] for _, text in hits) else None


def _plain(value: Any) -> str | float | None:
    """Return a tag as text or number, None where it is empty."""
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:  # of NumPy
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        text = value.strip("\0 \t\r\n")
        return None if text.casefold() in _UNKNOWN else text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _read(entry: MetadataEntry, value: str | float, unit: str, flat: _Flat, where: _Path) -> Any:
    """Return the value of a tag in the documented spelling, or None."""
    try:
        if entry.kind == "date":
            moment = _date(value, unit, flat, where)
            return None if moment is None else clean_value(entry, moment)
        if entry.is_quantity:
            quantity = parse_quantity(
                str(value), entry.kind, what=entry.name, example=entry.example, bare=unit or None
            ).to(entry.unit)
            return _sound(entry, quantity)
        return clean_value(entry, value)
    except (UemError, ValueError, OverflowError):
        return None


def _sound(entry: MetadataEntry, quantity: Quantity) -> str | None:
    if quantity.value <= 0:
        return None
    if entry.name == "pump_wavelength" and not _WAVELENGTHS[0] <= quantity.value <= _WAVELENGTHS[1]:
        return None
    # Cameras keep exposures in single precision: 0.2 s is written as 0.20000000298.
    return clean_value(entry, Quantity(float(f"{quantity.value:.7g}"), quantity.unit))


def _date(value: str | float, form: str, flat: _Flat, where: _Path) -> datetime | None:
    if form == "filetime":  # counts of 100 ns
        return (_WINDOWS_EPOCH + timedelta(microseconds=float(value) / 10)).replace(microsecond=0)
    if form == "seconds since 1970":
        return _UNIX_EPOCH + timedelta(seconds=float(value))
    if form == "ctime":
        return datetime.strptime(str(value), "%a %b %d %H:%M:%S %Y")
    if form == "year:month:day":
        return datetime.strptime(str(value), "%Y:%m:%d %H:%M:%S")
    # DigitalMicrograph writes the date as Windows is set: day and month may be swapped.
    day = datetime.strptime(str(value), "%m/%d/%Y")
    if day.day <= 12 and day.day != day.month:
        return None
    beside = [v for p, v in flat if p == (*where[:-1], "acquisition time")]
    for pattern in ("%I:%M:%S %p", "%H:%M:%S"):
        try:
            clock = datetime.strptime(str(beside[0]), pattern)
        except (ValueError, IndexError):
            continue
        return day.replace(hour=clock.hour, minute=clock.minute, second=clock.second)
    return None
