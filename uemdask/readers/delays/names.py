"""Delays in the names of image files, ``<base>_<scan>_<step>_<delay><unit>.dm3``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uemdask.errors import UemError
from uemdask.readers.delays.delay_table import DelayTable, known_scans
from uemdask.units import parse_delay

# A '-' after a letter or digit may be a minus or a dash: such a number is not taken.
_TIME = re.compile(
    r"(?:^|(?<=[_\s=(\[,;])|(?P<word>delay)|(?<=-)(?=[-+−]))"
    r"(?P<sign>[-+−]|minus|plus|neg|pos|[mnp](?=[0-9]))?"
    r"(?P<number>[0-9]{1,12}(?:[.,p][0-9]{1,20})?)(?P<tenths>x10)?"
    r"\s?(?P<unit>fs|ps|ns|us|µs|μs)(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?:delay|dt)[\s_=]*$", re.IGNORECASE)
_PLACE = re.compile(r"(?:(?P<base>.*)_)?(?P<scan>[0-9]{1,9})_(?P<step>[0-9]{1,9})_", re.DOTALL)
_NEGATIVE = {"-", "−", "minus", "neg", "m", "n"}


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

    Examples
    --------
    >>> [found.delay for found in delays_in_name("Ge_0_3_-30ps.dm3")]
    [-30.0]
    >>> [found.delay for found in delays_in_name("Ge_0_3_105x10ps.dm4")]
    [10.5]
    """
    found = [_named(name, match) for match in _TIME.finditer(name)]
    return [delay for delay in found if delay.word] or found


def _named(name: str, match: re.Match[str]) -> NamedDelay:
    text = re.sub("[,pP]", ".", match["number"])
    number, places = float(text), len(text.partition(".")[2])
    if match["tenths"]:
        number, places = number / 10, places + 1
    if (match["sign"] or "").casefold() in _NEGATIVE:
        number = -number
    number += 0.0  # no negative zero
    unit = match["unit"].casefold()
    before = name[: match.start()]
    place = _PLACE.fullmatch(before)
    return NamedDelay(
        delay=parse_delay(f"{number!r}{unit}"),
        number=number,
        unit=unit,
        tenths=match["tenths"] is not None,
        rounding=parse_delay(f"{0.5 / 10**places!r}{unit}"),
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
        If the names hold several times that change from file to file.
    """
    found = [(image, times) for image in images if (times := delays_in_name(image.name))]
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
                f"'delay' before the one that is, or give --delays FILE"
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
        facts={"base_name": base} if len(bases) == 1 and (base := bases.pop()) else {},
    )
