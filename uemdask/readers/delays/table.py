"""Delays from a text table, in many hands' writing."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays.cells import delay_in, is_number, number_in, unit_in
from uemdask.readers.delays.delay_table import DelayTable, known_scans
from uemdask.readers.text import read_text
from uemdask.units import parse_delay

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
_DECIMAL_COMMA = re.compile(r"[-+−]?\d+,\d+")
_THOUSANDS = re.compile(r"[-+−]?[1-9]\d{0,2},\d{3}")


def read_table(path: Path) -> DelayTable:
    """Read delays from a text table, one row per frame.

    The separator is a comma, semicolon or tab; beside the last two, decimals may have a comma.
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
    rows = _read_cells(path)
    head, unit = rows[0], "ps"
    delay_column, file_columns = len(head) - 1, [0] if len(head) > 1 else []
    scan_column: int | None = None
    headed = not any(_is_delay(cell) for cell in head)
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
    delays, scans = _values(path, rows, delay_column, unit, scan_column)
    columns = [[_cell(row, i) for row in rows] for i in file_columns]
    for names in columns:
        if any(names) and not all(map(is_number, names)):
            return DelayTable(tuple(delays), tuple(names), scans, source=str(path))
    if headed and columns:
        order = _order(columns[0])
        delays = [delays[i] for i in order]
        scans = tuple(scans[i] for i in order) if scans is not None else None
    return DelayTable(tuple(delays), None, scans, source=str(path))


def _read_cells(path: Path) -> list[list[str]]:
    text = read_text(path, "a table of delays")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise UemError(f"{path}: holds no rows; write the columns file,delay_ps")
    separator = next((s for s in "\t;," if 2 * sum(s in line for line in lines) > len(lines)), ",")
    try:
        table = csv.reader(lines, delimiter=separator)
        rows = [[cell.strip() for cell in row] for row in table]
    except csv.Error as error:
        raise UemError(f"{path}: cannot be read as a table of delays ({error})") from error
    return rows if separator == "," else [[_with_point(cell) for cell in row] for row in rows]


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
) -> tuple[list[float], tuple[int, ...] | None]:
    delays, scans, faults = [], [], []
    if scan_column is not None and not any(_cell(row, scan_column) for row in rows):
        scan_column = None
    for number, row in enumerate(rows, 1):
        try:
            delays.append(delay_in(_cell(row, column), unit))
            if scan_column is not None:
                scans.append(number_in(_cell(row, scan_column)))
        except UemError as error:
            faults.append(f"row {number}: {error}")
    if faults:
        raise FaultsError(str(path), faults)
    return delays, known_scans(scans, delays) if scan_column is not None else None


def _order(numbers: list[str]) -> Sequence[int]:
    """Return the rows in the order of the frame numbers, where those are all different."""
    if not all(map(is_number, numbers)) or len(set(map(float, numbers))) < len(numbers):
        return range(len(numbers))
    return sorted(range(len(numbers)), key=lambda i: float(numbers[i]))


def _with_point(cell: str) -> str:
    # '1,000' may be one or a thousand: left as it is, it is refused as a delay.
    if _DECIMAL_COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell):
        return cell.replace(",", ".")
    return cell


def _is_delay(text: str) -> bool:
    try:
        parse_delay(text)
    except UemError:
        return is_number(text)
    return True
