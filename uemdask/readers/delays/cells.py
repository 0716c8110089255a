"""Cells of tables and logs: a delay with or without its unit, a scan number, a column's unit."""

from __future__ import annotations

import re
from collections.abc import Sequence

from uemdask.errors import UemError
from uemdask.numbers import AmbiguousNumberError, decimal_mark, parse_number, split_quantity
from uemdask.units import parse_delay

# A column of stage positions is not one of delays.
_LENGTHS = {"nm", "um", "µm", "μm", "mm", "cm", "m"}
_BRACKET = re.compile(r"[\[(]([^\])]*)[\])]\s*$")
_NOT_FINITE = {"nan", "inf", "infinity"}


def is_number(text: str) -> bool:
    """Return whether a text is a number, NaN and infinity included, or may be several."""
    try:
        parse_number(text)
    except AmbiguousNumberError:
        return True
    except UemError:
        return text.strip().lstrip("+-").casefold() in _NOT_FINITE
    return True


def is_delay(text: str) -> bool:
    """Return whether a text is meant for a delay, finite or not."""
    try:
        parse_delay(text)
    except AmbiguousNumberError:
        return True
    except UemError:
        return is_number(text)
    return True


def is_unit(word: str) -> bool:
    """Return whether a word is a unit of time."""
    try:
        parse_delay(f"1 {word}")
    except UemError:
        return False
    return True


def mark_in(cells: Sequence[str]) -> str:
    """Return the decimal mark of a column of delays, with or without units; empty if unclear."""
    numbers = [parts[0] for cell in cells if (parts := split_quantity(cell))]
    return decimal_mark(numbers, strict=True, ordered=True)


def is_grouped(cell: str, decimal: str) -> bool:
    """Return whether the mark that is not the decimal one stands in a cell."""
    return (decimal == "." and "," in cell) or (decimal == "," and "." in cell)


def delay_in(cell: str, unit: str, decimal: str | None = None) -> float:
    """Return the delay of a cell in ps; a bare number is in `unit`.

    Parameters
    ----------
    cell, unit : str
        The cell, and the unit of its column.
    decimal : {".", ",", ""}, optional
        The decimal mark of its column, see `mark_in`.

    Raises
    ------
    UemError
        If it is no finite delay, or may be one of two.
    """
    try:
        return parse_delay(cell, unit=unit, decimal=decimal)
    except AmbiguousNumberError as error:
        raise AmbiguousNumberError(f"{cell!r} is not a delay: it", error.readings) from None
    except UemError:
        raise UemError(f"{cell!r} is not a delay; write a number in {unit}") from None


def number_in(cell: str) -> int:
    """Return the whole number, 0 or above, of a cell such as ``3`` or ``3.0``.

    Raises
    ------
    UemError
        If it is none.
    """
    try:
        number = parse_number(cell)
    except UemError:
        number = -1.0
    if number < 0 or number != int(number) or number >= 1e9:
        raise UemError(f"{cell!r} is not a scan number; write 0, 1, 2 ...")
    return int(number)


def unit_in(head: str) -> str:
    """Return the unit that the head of a column states, or an empty string.

    Raises
    ------
    UemError
        If it states one that is none of time.
    """
    bracket = _BRACKET.search(head)
    word = (bracket[1] if bracket else re.split(r"[\s_/,.:-]+", head)[-1]).strip()
    if is_unit(word):
        return word
    if bracket or word.casefold() in _LENGTHS:
        raise UemError(
            f"column {head!r} is in {word!r}, which is no unit of time; "
            f"write delays in ps and name the column 'delay_ps'"
        )
    return ""
