"""Numbers as people and programs write them: every place that reads numbers reads them here.

A sign may be any dash (``-``, ``−``, ``–``, ``‑`` ...). Groups of three digits may be set apart by
apostrophes, underscores, thin, narrow or fixed spaces, and by the one of comma and point that is
not the decimal mark. Exponents are ``1e2``, ``1E-2``, ``1×10^-2``, ``1·10⁻²``. What is written in
no such way is refused, and so is what has two readings.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from uemdask.errors import UemError

#: Signs, as in a class of a regular expression.
MINUS = "-−‐‑‒–—―﹣－⁻➖"
PLUS = "+＋⁺➕﹢"
# Spaces of type setters keep digits together; a blank also stands between two numbers.
_SPACES = "\u00a0\u2006\u2007\u2008\u2009\u200a\u202f"
_GROUPS = "'’ʼ＇_" + _SPACES
_POINTS, _COMMAS = ".．", ",，"
_MARKS = _POINTS + _COMMAS + _GROUPS
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SIGN = f"[{MINUS}{PLUS}]"
_MANTISSA = rf"(?:\d(?:[{_MARKS}]?\d)*[{_MARKS[:4]}]?|[{_MARKS[:4]}]\d+)"
_POWER = rf"10(?:(?:\^|\*\*){_SIGN}?\d{{1,4}}(?!\d)|[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,4}})"

#: A number at the beginning of a text, with what may be wrong in it.
NUMBER = (
    rf"{_SIGN}?(?:(?:{_MANTISSA}\s*[×xX*·⋅]\s*)?{_POWER}"
    rf"|{_MANTISSA}(?:[eE]{_SIGN}?\d{{1,4}}(?!\d))?)"
)
_PARTS = re.compile(
    rf"(?P<sign>{_SIGN})?(?:(?:(?P<before>{_MANTISSA})\s*[×xX*·⋅]\s*)?(?P<power>{_POWER})"
    rf"|(?P<mantissa>{_MANTISSA})(?:[eE](?P<exponent>{_SIGN}?\d{{1,4}}))?)"
)
_QUANTITY = re.compile(rf"({NUMBER})\s*(|[^\d\s].*)", re.DOTALL)
#: Of the two marks: what groups digits where the other is the decimal mark.
_OTHER = {".": ",", ",": "."}
_WHOLE = {
    mark: re.compile(
        rf"(?=\D?\d)(?P<whole>\d+|[1-9]\d{{0,2}}(?:(?:'\d{{3}})+|(?:\{_OTHER[mark]}\d{{3}})+))?"
        rf"(?:\{mark}(?P<part>\d*))?"
    )
    for mark in _OTHER
}
# Four digits in a row, or groups set apart otherwise: point and comma do not group then.
_LONG = re.compile(rf"\d{{4}}|\d[{_GROUPS}]\d")
_LEAST_ROWS = 3


class AmbiguousNumberError(UemError):
    """A number with two readings, such as ``1,234``.

    Parameters
    ----------
    subject : str
        What was written.
    readings : sequence of float
        What it may be.
    """

    def __init__(self, subject: str, readings: Sequence[float]) -> None:
        self.subject = subject
        self.readings = tuple(readings)
        super().__init__(subject, self.readings)

    def __str__(self) -> str:
        both = " or ".join(f"{reading:.15g}" for reading in self.readings)
        return f"{self.subject} may be {both}; write one of these"


def split_quantity(text: str) -> tuple[str, str] | None:
    """Return the number at the beginning of a text and the unit behind it, None without a number.

    Examples
    --------
    >>> split_quantity(" −1,5 ps")
    ('−1,5', 'ps')
    """
    match = _QUANTITY.fullmatch(_trimmed(text))
    return (match[1], match[2].rstrip()) if match else None


def parse_number(text: str, decimal: str | None = None) -> float:
    """Return the number that a text is.

    Parameters
    ----------
    text : str
        The number and nothing else.
    decimal : {".", ",", ""}, optional
        The decimal mark as its column tells it, see `decimal_mark`; empty if that is unclear. A
        number alone tells it itself: ``1,5`` and ``1.234,5`` have one reading, and a single point
        is a decimal mark.

    Raises
    ------
    AmbiguousNumberError
        If it may be one of two numbers.
    UemError
        If it is no finite number.

    Examples
    --------
    >>> parse_number("−1.234,5")
    -1234.5
    """
    found = _readings(text)
    if decimal:
        found = {mark: value for mark, value in found.items() if mark == decimal}
    if not found:
        raise UemError(f"{text!r} is no number")
    if len(set(found.values())) == 2 and (decimal == "" or not _is_pointed(text)):
        raise AmbiguousNumberError(repr(text), (found["."], found[","]))
    value = found.get(".", next(iter(found.values())))
    if not math.isfinite(value):
        raise UemError(f"{text!r} is not finite")
    return value


def decimal_mark(texts: Sequence[str], *, strict: bool = False, ordered: bool = False) -> str:
    """Return the decimal mark of a column of numbers, empty if it is unclear.

    It is told by numbers with one reading, as ``0,5``, ``12.25`` or ``1.234,5``. Else points are
    decimal marks. A strict reader doubts that where all numbers are like ``500`` and ``1.000``, as
    no program writes decimals so. In rows their order tells: marks group the digits if only so it
    rises or falls from each to the next.

    Parameters
    ----------
    texts : sequence of str
        Numbers; other texts are passed over.
    strict : bool
        Whether points may group digits.
    ordered : bool
        Whether the order of the numbers means something.

    Examples
    --------
    >>> decimal_mark(["0,5", "1.000"])
    ','
    >>> decimal_mark(["1,000", "2,000"])
    ''
    """
    columns = [found for text in texts if (found := _readings(text))]
    marks = {mark for found in columns if len(found) == 1 for mark in found}
    if len(marks) == 1:
        return marks.pop()
    doubted = [text for text in texts if len(set(_readings(text).values())) == 2]
    kinds = {"." if _is_pointed(text) else "," for text in doubted}
    if marks or len(kinds) > 1:
        return ""  # several hands wrote in it
    if not doubted:
        return "."
    mark = kinds.pop()
    alike = [text for text in texts if len(set(_readings(text).values())) == 1]
    if not alike:
        return "." if mark == "." else ""
    if any(_LONG.search(text) for text in alike) or (mark == "." and not strict):
        return mark
    long = ordered and len(columns) >= _LEAST_ROWS
    even = [mark for mark in _OTHER if long and _steady([found[mark] for found in columns])]
    if len(even) == 1:
        return even[0]
    zeros = any(_plain(_trimmed(text)).endswith("0") for text in doubted)
    return "" if ordered or zeros or mark == "," else "."


def _steady(values: Sequence[float]) -> bool:
    """Return whether values rise from each to the next, or fall."""
    pairs = list(pairwise(values))
    return all(a < b for a, b in pairs) or all(a > b for a, b in pairs)


def _trimmed(text: str) -> str:
    """Return a text without blanks at its ends, and without the marks that nobody sees."""
    ends = "".join({c for c in text if c.isspace() or _is_unseen(c)})
    return text.strip(ends) if ends else text


def _is_unseen(letter: str) -> bool:
    # A soft hyphen is not seen either, but may have been a minus.
    return unicodedata.category(letter) == "Cf" and letter != "\u00ad"


def _is_pointed(text: str) -> bool:
    return any(mark in text for mark in _POINTS)


def _readings(text: str) -> dict[str, float]:
    """Return the number that a text is by its decimal mark, nothing where it is none."""
    match = _PARTS.fullmatch(_trimmed(text))
    if match is None:
        return {}
    exponent = match["exponent"] or "0"
    if match["power"]:
        exponent = match["power"][2:].lstrip("^*").translate(_SUPERSCRIPTS)
    power = int(_plain(exponent))
    mantissa = _plain(match["mantissa"] or match["before"] or "1")
    sign = "-" if match["sign"] and match["sign"] in MINUS else ""
    scientific = match["exponent"] or match["power"]
    found = {}
    for mark, pattern in _WHOLE.items():
        parts = pattern.fullmatch(mantissa)
        if parts and not (mark == "," and parts["part"] == ""):
            if scientific and _OTHER[mark] in (parts["whole"] or ""):
                continue  # nobody groups digits before an exponent
            whole = re.sub(r"\D", "", parts["whole"] or "") or "0"
            value = float(f"{sign}{whole}.{parts['part'] or '0'}e{power}")
            found[mark] = value + 0.0  # no negative zero
    return found


def _plain(text: str) -> str:
    """Return digits, signs and marks in one spelling each."""
    return "".join(
        "'"
        if letter in _GROUPS
        else "."
        if letter in _POINTS
        else ","
        if letter in _COMMAS
        else "-"
        if letter in MINUS
        else "+"
        if letter in PLUS
        else str(unicodedata.decimal(letter))
        for letter in text
    )
