"""Delays from a text table, in many hands' writing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from uemdask.errors import FaultsError, UemError
from uemdask.numbers import decimal_mark, parse_number
from uemdask.readers.delays.cells import (
    delay_in,
    is_delay,
    is_grouped,
    is_number,
    mark_in,
    number_in,
    unit_in,
)
from uemdask.readers.delays.delay_table import DelayTable, known_scans
from uemdask.readers.text_table import read_rows

# Words in the head of a column, the surest first.
_FILE_WORDS = ("file", "datei", "name", "image", "bild", "frame")
_DELAY_PARTS = ("delay", "verzögerung", "verzoegerung", "retard")
_DELAY_WORDS = {"time", "times", "timepoint", "timepoints", "zeit", "temps"}
_DELAY_SYMBOLS = {"t", "dt", "δt", "tau", "τ"}
_SCAN_WORDS = {"scan", "scans", "repeat", "repetition", "sweep", "cycle"}
#: With one of these the column holds when or how long, or which step, not the delay.
_OTHER_TIMES = {
    *("stamp", "timestamp", "date", "datetime", "clock", "wall", "utc", "local", "day"),
    *("exposure", "integration", "dwell", "acquisition", "acquired", "acq", "elapsed", "total"),
    *("start", "started", "end", "ended", "created", "modified", "saved", "written", "recorded"),
    *("frame", "file", "readout", "lab", "log", "logged", "zero", "belichtung"),
}
_DIGITS = re.compile(r"\d+")


def read_table(path: Path) -> DelayTable:
    """Read delays from a text table, one row per frame.

    The separator is a comma, semicolon or tab. Decimals may have a comma, in a table of commas
    inside quotes; the whole column tells what its commas and points are.
    The head of the delay column holds ``delay``, or else the word ``time``, or is ``t``, and may
    give the unit, as ``delay_ps`` or ``Delay (fs)``; without one delays are in ps. Columns of
    other times, as ``timestamp`` or ``exposure time``, are not taken. A column whose head holds
    ``file``, ``name``, ``image`` or ``frame`` names the files; frame numbers in it give the
    order. A column ``scan`` (``repeat``, ``sweep``, ``cycle``) numbers the scans, from 0 or 1.
    Without a head the first column is the file and the last the delay. Lines that begin with
    ``#`` are comments.

    Raises
    ------
    UemError
        If the file cannot be read, or it is not clear which column holds delays in which unit.
    FaultsError
        If some rows have no finite delay, or no scan number; all of them are listed.
    """
    rows = read_rows(path, "a table of delays")
    if not rows:
        raise UemError(f"{path}: holds no rows; write the columns file,delay_ps")
    head, unit = rows[0], "ps"
    delay_column, file_columns = len(head) - 1, [0] if len(head) > 1 else []
    scan_column: int | None = None
    headed = not any(is_delay(cell) for cell in head)
    if headed:
        rows = rows[1:]
        try:
            delay_column, unit = _delay_column(head)
        except UemError as error:
            raise UemError(f"{path}: {error}") from None
        file_columns = [
            i
            for word in _FILE_WORDS
            for i, cell in enumerate(head)
            if word in cell.casefold() and i != delay_column
        ]
        scan_column = _scan_column(head)
    if not rows:
        raise UemError(f"{path}: holds no rows below its head; write one per frame")
    faults = _faults_of_width(rows, len(head), headed)
    if faults:
        raise FaultsError(str(path), faults)
    delays, scans, notes = _values(path, rows, delay_column, unit, scan_column)
    origin = f"{path.name}, column {head[delay_column]!r}" if headed else path.name
    if not (headed and unit_in(head[delay_column])):
        bare = any(is_number(_cell(row, delay_column)) for row in rows)
        origin += ", no unit stated: ps" if bare else ""
    columns = [[_cell(row, i) for row in rows] for i in file_columns]
    for names in columns:
        if any(names) and not all(map(is_number, names)):
            return DelayTable(tuple(delays), tuple(names), scans, str(path), notes, {}, origin)
    if headed and columns:
        order = _order(columns[0])
        delays = [delays[i] for i in order]
        scans = tuple(scans[i] for i in order) if scans is not None else None
    return DelayTable(tuple(delays), None, scans, str(path), notes, {}, origin)


def _faults_of_width(rows: Sequence[Sequence[str]], width: int, headed: bool) -> list[str]:
    """Say where decimals with a comma were cut in two, so that half of a number would be taken."""
    remedy = "separate the cells by semicolons where decimals have a comma"
    if not headed and width > 2 and all(_are_halves(row[-2:]) for row in rows):
        whole, half = f"{rows[0][-2]},{rows[0][-1]}", rows[0][-1]
        return [f"row 1: its delay may be {whole!r} or {half!r}; write a head, or {remedy}"]
    return [
        f"row {number}: holds {len(row)} cells, the first line {width}; {remedy}"
        for number, row in enumerate(rows, 1)
        if len(row) > width and any(row[width:])
    ]


def _are_halves(cells: Sequence[str]) -> bool:
    return is_number(cells[0]) and _DIGITS.fullmatch(cells[-1]) is not None


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _delay_column(head: Sequence[str]) -> tuple[int, str]:
    """Return the column of delays and its unit."""
    found = [i for i, cell in enumerate(head) if any(p in cell.casefold() for p in _DELAY_PARTS)]
    for known in (_DELAY_WORDS, _DELAY_SYMBOLS):
        found = found or [
            i
            for i, cell in enumerate(head)
            if _words(cell) & known and not _words(cell) & _OTHER_TIMES
        ]
    if not found:
        raise UemError(f"no column of delays among {', '.join(head)}; name one 'delay_ps'")
    units = {i: unit_in(head[i]) for i in found}
    stated = [i for i in found if units[i]]
    if len(found) > 1 and len(stated) != 1:
        raise UemError(
            f"{' and '.join(repr(head[i]) for i in found)} could both hold the delays; "
            f"name one 'delay_ps' and take the others out"
        )
    column = stated[0] if stated else found[0]
    return column, units[column] or "ps"


def _scan_column(head: Sequence[str]) -> int | None:
    """Return the one column of scan numbers, if there is one."""
    found = [
        i
        for i, cell in enumerate(head)
        if (words := _words(cell)) & _SCAN_WORDS and not words & {"step", "steps", "file", "name"}
    ]
    return found[0] if len(found) == 1 else None


def _words(text: str) -> set[str]:
    return set(re.split(r"[^a-zäöüßµμδτ]+", text.casefold()))


def _values(
    path: Path, rows: list[list[str]], column: int, unit: str, scan_column: int | None
) -> tuple[list[float], tuple[int, ...] | None, tuple[str, ...]]:
    """Return delays, scans, and a note where only the column told what a number is."""
    delays, scans, faults = [], [], []
    notes: list[str] = []
    if scan_column is not None and not any(_cell(row, scan_column) for row in rows):
        scan_column = None
    decimal = mark_in([_cell(row, column) for row in rows])
    for number, row in enumerate(rows, 1):
        cell = _cell(row, column)
        try:
            delays.append(delay_in(cell, unit, decimal))
            if scan_column is not None:
                scans.append(number_in(_cell(row, scan_column)))
        except UemError as error:
            faults.append(f"row {number}: {error}")
        else:
            if not notes and is_grouped(cell, decimal):
                notes.append(
                    f"delays like {cell!r} are read as {delays[-1]:.15g} ps, as the whole column "
                    f"shows"
                )
    if faults:
        raise FaultsError(str(path), faults)
    return delays, known_scans(scans, delays) if scan_column is not None else None, tuple(notes)


def _order(numbers: list[str]) -> Sequence[int]:
    """Return the rows in the order of the frame numbers, where those are all different."""
    try:
        decimal = decimal_mark(numbers)
        values = [parse_number(number, decimal) for number in numbers]
    except UemError:
        return range(len(numbers))
    if len(set(values)) < len(values):
        return range(len(numbers))
    return sorted(range(len(values)), key=values.__getitem__)
