"""Cells of tables and logs: a delay with or without its unit, a scan number, a column's unit."""

from __future__ import annotations

import re

from uemdask.errors import UemError
from uemdask.units import parse_delay

_UNIT_WORDS = {
    f"{prefix}{ending}": unit
    for prefix, unit in (
        ("femto", "fs"),
        ("pico", "ps"),
        ("nano", "ns"),
        ("micro", "us"),
        ("milli", "ms"),
    )
    for ending in ("second", "seconds", "sec")
}
# A column of stage positions is not one of delays.
_LENGTHS = {"nm", "um", "µm", "μm", "mm", "cm", "m"}
_BRACKET = re.compile(r"[\[(]([^\])]*)[\])]\s*$")


def is_number(text: str) -> bool:
    """Return whether a text is a number, NaN and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_unit(word: str) -> bool:
    """Return whether a word is a unit of time."""
    try:
        parse_delay(f"1{word}")
    except UemError:
        return False
    return True


def delay_in(cell: str, unit: str) -> float:
    """Return the delay of a cell in ps; a bare number is in `unit`.

    Raises
    ------
    UemError
        If it is no finite delay.
    """
    try:
        return parse_delay(f"{cell}{unit}" if is_number(cell) else cell)
    except UemError:
        raise UemError(f"{cell!r} is not a delay; write a number in {unit}") from None


def number_in(cell: str) -> int:
    """Return the whole number, 0 or above, of a cell such as ``3`` or ``3.0``.

    Raises
    ------
    UemError
        If it is none.
    """
    match = re.fullmatch(r"\s*([0-9]{1,9})(?:\.0*)?\s*", cell)
    if match is None:
        raise UemError(f"{cell!r} is not a scan number; write 0, 1, 2 ...")
    return int(match[1])


def unit_in(head: str) -> str:
    """Return the unit that the head of a column states, or an empty string.

    Raises
    ------
    UemError
        If it states one that is none of time.
    """
    bracket = _BRACKET.search(head)
    word = (bracket[1] if bracket else re.split(r"[\s_/,.:-]+", head)[-1]).strip()
    word = _UNIT_WORDS.get(word.casefold(), word)
    if is_unit(word):
        return word
    if bracket or word.casefold() in _LENGTHS:
        raise UemError(
            f"column {head!r} is in {word!r}, which is no unit of time; "
            f"write delays in ps and name the column 'delay_ps'"
        )
    return ""
