"""Delays in the names of image files, ``<base>_<scan>_<step>_<delay><unit>.dm3``."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uemdask.errors import UemError
from uemdask.numbers import MINUS, PLUS, AmbiguousNumberError, decimal_mark, parse_number
from uemdask.readers.delays.delay_table import DelayTable, known_scans
from uemdask.units import parse_delay

_GROUP = "['’ʼ\u00a0\u2006\u2007\u2008\u2009\u200a\u202f]"
# A '-' after a letter or digit may be a minus or a dash: such a number is not taken. Nor is the
# end of a number whose beginning stands behind a letter, as in 'Ge1,500ps'.
_TIME = re.compile(
    rf"(?:^|(?<=[_=(\[;])|(?<![0-9][\s,])(?<=[\s,])|(?<=[0-9] )|(?P<word>delay)"
    rf"|(?<=[{MINUS}.])(?=[{MINUS}{PLUS}]))"
    rf"(?P<sign>[{MINUS}{PLUS}]|minus|plus|neg|pos|[mnp](?=[0-9]))?"
    rf"(?P<number>[0-9]{{1,12}}(?:(?:[.,]|{_GROUP})[0-9]{{1,20}})*(?:p[0-9]{{1,20}})?"
    rf"(?:e[{MINUS}{PLUS}]?[0-9]{{1,3}})?)(?P<tenths>x10)?"
    rf"\s?(?P<unit>as|fs|ps|ns|us|µs|μs)(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?:delay|dt)[\s_=]*$", re.IGNORECASE)
_PLACE = re.compile(r"(?:(?P<base>.*)_)?(?P<scan>[0-9]{1,9})_(?P<step>[0-9]{1,9})_", re.DOTALL)
_NEGATIVE = {*MINUS, "minus", "neg", "m", "n"}
# A number before a blank, which may be the thousands of the three digits behind it.
_BEFORE = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{0,2} $")


@dataclass(frozen=True)
class NamedDelay:
    """A delay as a file name states it.

    Attributes
    ----------
    delay : float
        In ps.
    number, unit : float, str
        As written, before the unit, and the unit; tenths taken as such.
    tenths : bool
        Whether it is written in tenths, ``105x10ps`` for 10.5 ps.
    rounding : float
        Half of the last place written, in ps.
    word : bool
        Whether the word ``delay`` (or ``dt``) stands before it.
    base, scan, step
        Base name and numbers before it, None where the name has another form.
    """

    delay: float
    number: float
    unit: str
    tenths: bool
    rounding: float
    word: bool
    base: str | None
    scan: int | None
    step: int | None


def delays_in_name(name: str) -> list[NamedDelay]:
    """Return all times in a file name that may be its delay; those after ``delay`` alone if any.

    Raises
    ------
    AmbiguousNumberError
        If one may be two numbers.

    Examples
    --------
    >>> [found.delay for found in delays_in_name("Ge_0_3_-30ps.dm3")]
    [-30.0]
    >>> [found.delay for found in delays_in_name("Ge_0_3_105x10ps.dm4")]
    [10.5]
    """
    return delays_in_names([name])[0]


def delays_in_names(names: Sequence[str], decimal: str | None = None) -> list[list[NamedDelay]]:
    """Return the times in each of several names of one series, see `delays_in_name`.

    Parameters
    ----------
    names : sequence of str
        They tell together whether ``1,000ps`` is one or a thousand.
    decimal : {".", ","}, optional
        The decimal mark where it is known.
    """
    names = [unicodedata.normalize("NFC", name) for name in names]
    matches = [list(_TIME.finditer(name)) for name in names]
    every = [(name, match) for name, inside in zip(names, matches, strict=True) for match in inside]
    _check_blanks(every)
    if decimal is None:
        decimal = decimal_mark(
            [match["number"] for _, match in every if not _has_p(match)], strict=True
        )
    found = []
    for name, inside in zip(names, matches, strict=True):
        times = [time for match in inside if (time := _named(name, match, decimal)) is not None]
        found.append([time for time in times if time.word] or times)
    return found


def _check_blanks(found: Sequence[tuple[str, re.Match[str]]]) -> None:
    """Refuse ``1 000ps`` unless other names show that the blank parts two numbers."""
    parted = [(name, match) for name, match in found if _BEFORE.search(name[: match.start()])]
    group = [bool(re.fullmatch("[0-9]{3}", m["number"])) and not m["sign"] for _, m in parted]
    if not group or not all(group):
        return
    name, match = parted[0]
    before = _BEFORE.search(name[: match.start()])
    number = float(match["number"])
    thousands = float(before[0]) * 1000 if before else 0.0
    raise AmbiguousNumberError(f"{name}: its delay", (thousands + number, number))


def _has_p(match: re.Match[str]) -> bool:
    return "p" in match["number"].casefold()


def _named(name: str, match: re.Match[str], decimal: str) -> NamedDelay | None:
    text = match["number"].casefold().replace("p", ".")
    try:
        number = parse_number(text, "." if _has_p(match) else decimal)
    except AmbiguousNumberError as error:
        raise AmbiguousNumberError(f"{name}: its delay {text!r}", error.readings) from None
    except UemError:
        return None
    mantissa, _, power = text.partition("e")
    mark = "." if _has_p(match) else decimal or "."
    places = len(mantissa.partition(mark)[2]) - int(parse_number(power or "0"))
    if match["tenths"]:
        number, places = number / 10, places + 1
    if (match["sign"] or "").casefold() in _NEGATIVE:
        number = -number
    number += 0.0  # no negative zero
    unit = match["unit"].casefold()
    before = name[: match.start()]
    place = _PLACE.fullmatch(before)
    return NamedDelay(
        delay=parse_delay(number, unit=unit),
        number=number,
        unit=unit,
        tenths=match["tenths"] is not None,
        rounding=parse_delay(0.5 / 10**places, unit=unit),
        word=match["word"] is not None or _WORD.search(before) is not None,
        base=place["base"] if place else None,
        scan=int(place["scan"]) if place else None,
        step=int(place["step"]) if place else None,
    )


def read_names(images: Sequence[Path]) -> DelayTable | None:
    """Return the delays that most of the file names state, or None where they do not.

    A time that is the same in all names, such as an exposure, is not the delay.

    Raises
    ------
    UemError
        If the names hold several times that change from file to file, or numbers that may be
        two.
    """
    times_of = delays_in_names([image.name for image in images])
    found = [(image, times) for image, times in zip(images, times_of, strict=True) if times]
    if not found:
        return None
    width = Counter(len(times) for _, times in found).most_common(1)[0][0]
    rows = [(image, times) for image, times in found if len(times) == width]
    if 2 * len(rows) <= len(images):
        return None
    columns = [[times[i] for _, times in rows] for i in range(width)]
    columns = [times for times in columns if len({time.delay for time in times}) > 1]
    if len(columns) > 1:
        columns = [times for times in columns if all(time.step is not None for time in times)]
        if len(columns) != 1:
            raise UemError(
                f"{rows[0][0].name}: holds several times that change from file to file; write "
                f"'delay' before the one that is, or give `delays=FILE`"
            )
    if not columns:
        return None
    (times,) = columns
    delays = tuple(time.delay for time in times)
    numbers = [time.scan for time in times if time.scan is not None]
    bases = {time.base for time in times}
    return DelayTable(
        delays,
        tuple(image.name for image, _ in rows),
        known_scans(numbers, delays) if len(numbers) == len(delays) else None,
        source="file names",
        origin="names",
        facts={"base_name": base} if len(bases) == 1 and (base := bases.pop()) else {},
    )
