"""Delays that go by the order of the files, held against the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from uemdask.errors import UemError
from uemdask.numbers import decimal_mark, parse_number
from uemdask.readers.delays.delay_table import DECIMALS
from uemdask.readers.delays.names import delays_in_names
from uemdask.readers.natural_order import NumberColumn, number_columns

_WORD = re.compile(r"(?:delay|dt|tau|τ|(?:^|[\W_])t|time)[\W_]*$", re.IGNORECASE)
_UNIT = re.compile(r"[\s_]?(?:as|fs|ps|ns|us|µs|μs)(?![^\W_])", re.IGNORECASE)


def disorder(files: Sequence[Path], delays: Sequence[float]) -> str | None:
    """Return how numbers in names that may be delays fail to rise with the delays, or None.

    Such numbers have signs, decimals, a unit of time behind or a word like ``delay`` before them,
    or are the delays themselves in another order.

    Parameters
    ----------
    files : sequence of Path
        Of one frame each.
    delays : sequence of float
        The delay in ps that each would have.

    Examples
    --------
    >>> from pathlib import Path
    >>> disorder([Path("a_+1.tif"), Path("a_-1.tif")], [0.0, 5.0])
    'a_-1.tif would be at 5 ps and a_+1.tif at 0 ps'
    """
    stems = {file.stem: (file, delay) for file, delay in zip(files, delays, strict=True)}
    for values, alike in _candidates(list(stems), delays):
        rows = sorted((value, *stems[stem][::-1]) for stem, value in values.items())
        for (first, early, one), (second, late, other) in pairwise(rows):
            if (first < second and early >= late) or (alike and first == second and early != late):
                return f"{one.name} would be at {early:g} ps and {other.name} at {late:g} ps"
    return None


def _candidates(
    stems: Sequence[str], delays: Sequence[float]
) -> list[tuple[Mapping[str, float], bool]]:
    """Return numbers of names that may be delays, and whether equal ones are equal delays."""
    found: list[tuple[Mapping[str, float], bool]] = []
    try:
        named = delays_in_names(stems)
        found.append(
            ({s: t[-1].delay for s, t in zip(stems, named, strict=True) if len(t) == 1}, True)
        )
    except UemError:  # not clear: the columns are looked at in all readings
        pass
    wanted = {round(delay, DECIMALS) for delay in delays}
    for column in number_columns(stems).values():
        sure = column.signed or bool(_WORD.search(column.before))
        sure = sure or all(_UNIT.match(after) for after in column.after)
        plain = not any(after[:1].isalpha() for after in column.after)
        for values in _readings(column):
            numbers = sorted({round(value, DECIMALS) for value in values.values()})
            counted = numbers == [numbers[0] + i for i in range(len(numbers))]
            if sure or (column.decimal and plain) or (set(numbers) == wanted and not counted):
                found.append((values, sure))
    return [
        (values, alike)
        for values, alike in found
        if 2 * len(values) > len(stems) and len(set(values.values())) > 1
    ]


def _readings(column: NumberColumn) -> list[dict[str, float]]:
    """Return the numbers of a column, both ways where it is not clear what a mark means."""
    mark = decimal_mark(column.texts, strict=True)
    found = []
    for decimal in [mark] if mark else [".", ","]:
        try:
            values = [parse_number(text, decimal) for text in column.texts]
        except UemError:
            continue
        found.append(dict(zip(column.names, values, strict=True)))
    return found


def unbroken(files: Sequence[Path]) -> bool:
    """Return whether the names count all files, so that none is missing between two.

    Examples
    --------
    >>> from pathlib import Path
    >>> unbroken([Path("f_7.tif"), Path("f_8.tif")]), unbroken([Path("f_7.tif"), Path("f_9.tif")])
    (True, False)
    """
    for column in number_columns([file.stem for file in files]).values():
        numbers = sorted(int(text) for text in column.texts if text.isdecimal())
        if len(numbers) == len(files) and numbers[-1] - numbers[0] == len(files) - 1:
            return len(set(numbers)) == len(files)
    return False
