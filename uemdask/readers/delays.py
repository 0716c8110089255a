"""Pump-probe delays from a table or a stated plan."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uemdask.errors import FaultsError, UemError
from uemdask.units import parse_delay

# Words in the head of a column, the surest first.
_FILE_WORDS = ("file", "name", "image", "frame")
_DELAY_WORDS = ("delay", "time")
_DELAY_SYMBOLS = {"t", "dt"}
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
_DECIMAL_COMMA = re.compile(r"[-+−]?\d+,\d+")
_THOUSANDS = re.compile(r"[-+−]?[1-9]\d{0,2},\d{3}")
_SEGMENT = re.compile(r"\s*(\S+?)\s*:\s*(\S+?)\s*:\s*(\S+?)\s*")
#: More delays than this in a plan are a slip of the pen.
_MOST_DELAYS = 100_000


@dataclass(frozen=True)
class DelayTable:
    """Delays in ps, with the file of each where the table names files."""

    delays: tuple[float, ...]
    files: tuple[str, ...] | None = None


def read_table(path: Path) -> DelayTable:
    """Read delays from a text table, one row per frame.

    The separator is a comma, semicolon or tab; beside the last two, decimals may have a comma.
    The head of the delay column holds ``delay``, or else ``time``, or is ``t``, and may give the
    unit, as ``delay_ps`` or ``Delay (fs)``; without one delays are in ps. A column whose head
    holds ``file``, ``name``, ``image`` or ``frame`` names the files; frame numbers in it give the
    order. Without a head the first column is the file and the last the delay. Lines that begin
    with ``#`` are comments.

    Raises
    ------
    UemError
        If the file cannot be read, or it is not clear which column holds delays in which unit.
    FaultsError
        If some rows have no finite delay; all of them are listed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UemError(f"{path}: cannot be read as a table of delays ({error})") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise UemError(f"{path}: holds no rows; write the columns file,delay_ps")
    separator = next((s for s in "\t;," if 2 * sum(s in line for line in lines) > len(lines)), ",")
    try:
        table = csv.reader(lines, delimiter=separator)
        rows = [[cell.strip() for cell in row] for row in table]
    except csv.Error as error:
        raise UemError(f"{path}: cannot be read as a table of delays ({error})") from error
    if separator != ",":
        rows = [[_with_point(cell) for cell in row] for row in rows]
    head, unit = rows[0], "ps"
    delay_column, file_columns = len(head) - 1, [0] if len(head) > 1 else []
    headed = not any(_is_delay(cell) for cell in head)
    if headed:
        rows = rows[1:]
        delay_column, unit = _delay_column(path, head)
        file_columns = [
            i
            for word in _FILE_WORDS
            for i, cell in enumerate(head)
            if word in cell.casefold() and i != delay_column
        ]
    if not rows:
        raise UemError(f"{path}: holds no rows below its head; write one per frame")
    delays = _delays(path, rows, delay_column, unit)
    columns = [[row[i] if i < len(row) else "" for row in rows] for i in file_columns]
    for names in columns:
        if any(names) and not all(map(_is_number, names)):
            return DelayTable(tuple(delays), tuple(names))
    if headed and columns:
        delays = _in_order(columns[0], delays)
    return DelayTable(tuple(delays))


def _delay_column(path: Path, head: Sequence[str]) -> tuple[int, str]:
    """Return the column of delays and its unit."""
    names = [cell.casefold() for cell in head]
    found = next(
        (
            columns
            for word in _DELAY_WORDS
            if (columns := [i for i, name in enumerate(names) if word in name])
        ),
        [i for i, name in enumerate(names) if _words(name) & _DELAY_SYMBOLS],
    )
    if not found:
        raise UemError(f"{path}: no column of delays among {', '.join(head)}; name one 'delay_ps'")
    units = {i: _unit_of(path, head[i]) for i in found}
    stated = [i for i in found if units[i]]
    if len(found) > 1 and len(stated) != 1:
        raise UemError(
            f"{path}: {' and '.join(repr(head[i]) for i in found)} could both hold the delays; "
            f"name one 'delay_ps' and take the others out"
        )
    column = stated[0] if stated else found[0]
    return column, units[column] or "ps"


def _words(text: str) -> set[str]:
    return set(re.split(r"[^a-zµμ]+", text))


def _unit_of(path: Path, head: str) -> str:
    """Return the unit that the head of a column states, or an empty string."""
    bracket = _BRACKET.search(head)
    word = (bracket[1] if bracket else re.split(r"[\s_/,.:-]+", head)[-1]).strip()
    word = _UNIT_WORDS.get(word.casefold(), word)
    try:
        parse_delay(f"1{word}")
    except UemError:
        if bracket or word.casefold() in _LENGTHS:
            raise UemError(
                f"{path}: column {head!r} is in {word!r}, which is no unit of time; "
                f"write delays in ps and name the column 'delay_ps'"
            ) from None
        return ""
    return word


def _delays(path: Path, rows: list[list[str]], column: int, unit: str) -> list[float]:
    delays, faults = [], []
    for number, row in enumerate(rows, 1):
        cell = row[column] if column < len(row) else ""
        try:
            delays.append(parse_delay(f"{cell}{unit}" if _is_number(cell) else cell))
        except UemError:
            faults.append(f"row {number}: {cell!r} is not a delay; write a number in {unit}")
    if faults:
        raise FaultsError(str(path), faults)
    return delays


def _in_order(numbers: list[str], delays: list[float]) -> list[float]:
    """Return the delays in the order of the frame numbers, where those are all different."""
    if not all(map(_is_number, numbers)) or len(set(map(float, numbers))) < len(numbers):
        return delays
    return [delays[i] for i in sorted(range(len(delays)), key=lambda i: float(numbers[i]))]


def _with_point(cell: str) -> str:
    # '1,000' may be one or a thousand: left as it is, it is refused as a delay.
    if _DECIMAL_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell):
        return cell.replace(",", ".")
    return cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_delay(text: str) -> bool:
    try:
        parse_delay(text)
    except UemError:
        return _is_number(text)
    return True


def parse_plan(text: str) -> DelayTable:
    """Return the delays of a stated plan, ``start:stop:step`` segments with one unit at the end.

    The stop of a segment is included; a segment that begins where the last one ended counts the
    shared delay once.

    Raises
    ------
    UemError
        If the text is not such a plan.

    Examples
    --------
    >>> parse_plan("-10:0:5, 0:20:10 ps").delays
    (-10.0, -5.0, 0.0, 10.0, 20.0)
    """
    match = re.fullmatch(r"(.*?)\s*(fs|ps|ns|us|µs|μs|ms|s)?\s*", text, re.DOTALL)
    body, unit = (match[1], match[2] or "ps") if match else (text, "ps")
    delays: list[float] = []
    for segment in body.split(","):
        parts = _SEGMENT.fullmatch(segment)
        if parts is None or not all(map(_is_number, parts.groups())):
            raise UemError(
                f"delays {text!r}: {segment.strip()!r} is not start:stop:step; "
                f"write a plan like '-30:500:5,500:990:10 ps' or name a file"
            )
        start, stop, step = (parse_delay(f"{part}{unit}") for part in parts.groups())
        if step <= 0 or stop < start:
            raise UemError(
                f"delays {text!r}: {segment.strip()!r} does not rise; write start:stop:step with "
                f"a stop after the start and a step above 0"
            )
        steps = (stop - start) / step + 1e-9
        if not steps < _MOST_DELAYS:
            raise UemError(
                f"delays {text!r}: {segment.strip()!r} has more than {_MOST_DELAYS} delays; "
                f"take a longer step"
            )
        values = (start + step * np.arange(int(steps) + 1)).tolist()
        if delays and abs(values[0] - delays[-1]) < 1e-9 * max(1.0, abs(values[0])):
            values = values[1:]
        delays += values
    return DelayTable(tuple(delays))
