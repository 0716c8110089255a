"""Logs that a delay stage program leaves beside its images (``.ulg``)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays.cells import delay_in, is_number, number_in, unit_in
from uemdask.readers.delays.delay_table import DelayTable, known_scans
from uemdask.readers.delays.names import NamedDelay, delays_in_name
from uemdask.readers.text import read_text
from uemdask.units import parse_delay

_COLUMNS = ("step", "delay", "scan", "scan step", "file name", "time")
_HEADER = re.compile(r"\s*\[\s*([^\]]*?)\s*\]\s*:?\s*(.*?)\s*")
# One writer leaves no line end before this key.
_GLUED = re.compile(r"(?<=.)(?=\[\s*Number of)")
_ROW = re.compile(r"\s*[0-9]+\s*,")
_WHOLE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class _Row:
    """A row: its place for messages, and its cells by column."""

    place: str
    cells: dict[str, str]

    def named(self) -> NamedDelay | None:
        """Return the delay that the row's file name states."""
        times = delays_in_name(self.cells["file name"])
        return times[-1] if times else None


def read_log(path: Path) -> DelayTable:
    """Read the log of an acquisition, in its new or old form, also one that was cut off.

    Lines ``[Base Name ] Ge`` come first, then rows of ``Step,Delay,Scan,Scan Step,File Name,Time``
    or what ``[Column Descriptions ]`` names; in old logs each row begins with one more number.
    Delays are in the unit that the head or the column states, or else the rows' own file names,
    or else in ps. Scans may be counted from 0.

    Raises
    ------
    UemError
        If the file cannot be read or holds no rows.
    FaultsError
        If rows are damaged; all of them are listed. A last row that is cut off is left out and
        told in the notes.
    """
    head, lines = _split(read_text(path, "a log", replace=True))
    columns = _columns(head)
    rows, faults, notes = _rows(lines, columns)
    if not rows and not faults:
        raise UemError(
            f"{path}: holds no rows 'step,delay,scan,scan step,file name,time'; "
            f"move it away or give --delays FILE"
        )
    try:
        unit = _unit(head, rows, notes)
    except UemError as error:
        raise UemError(f"{path}: {error}") from None
    delays, numbers = _values(rows, unit, faults)
    if faults:
        raise FaultsError(str(path), faults)
    delays = _without_tenfold(rows, delays, unit, notes)
    files = tuple(row.cells["file name"] for row in rows)
    scans = _scans(rows, numbers, delays)
    facts = _facts(head)
    notes += _counts(facts, scans)
    return DelayTable(
        tuple(delays), files if any(files) else None, scans, str(path), tuple(notes), facts
    )


def _split(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Return the header as keys and values, and the numbered lines that are not blank below it."""
    head: dict[str, str] = {}
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        found = [_HEADER.fullmatch(part) for part in _GLUED.split(line)]
        if not lines and found[0]:
            for match in found:
                if match:
                    head.setdefault(match[1].casefold(), match[2])
        elif line.strip(" \t\r,") and (lines or _ROW.match(line)):
            lines.append((number, line.rstrip("\r")))
    return head, lines


def _columns(head: dict[str, str]) -> tuple[str, ...]:
    """Return the names of the columns, a unit after ``delay`` taken off."""
    stated = [name.strip().casefold() for name in head.get("column descriptions", "").split(",")]
    columns = tuple("delay" if name.startswith("delay") else name for name in stated)
    fitting = {"delay", "file name"} <= set(columns) and len(set(columns)) == len(columns)
    return columns if fitting else _COLUMNS


def _rows(
    lines: Sequence[tuple[int, str]], columns: Sequence[str]
) -> tuple[list[_Row], list[str], list[str]]:
    """Return the whole rows, what is wrong with others, and a note on one that was cut off."""
    rows: list[_Row] = []
    faults: list[str] = []
    notes: list[str] = []
    index: bool | None = None  # whether rows begin with a number of their own, as in old logs
    for count, (number, line) in enumerate(lines, 1):
        cells = line.split(",") if _ROW.match(line) else []
        if index is None and len(cells) >= len(columns):
            index = _has_index(cells, columns)
        cells = cells[bool(index) :]
        place = f"row {count} (line {number})"
        if len(cells) >= len(columns):
            rows.append(_Row(place, _by_column(cells, columns)))
        elif count == len(lines):
            notes.append(f"the log ends in the middle of row {count}, which is left out")
        else:
            faults.append(f"{place}: {line.strip()!r} is not a row; mend it or take it out")
    return rows, faults, notes


def _has_index(cells: Sequence[str], columns: Sequence[str]) -> bool:
    """Return whether a number stands where the file name should, and the name one further."""
    file = columns.index("file name")
    return len(cells) > len(columns) and _WHOLE.fullmatch(cells[file].strip()) is not None


def _by_column(cells: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Return the cells by column; commas too many belong to the file name."""
    file, extra = columns.index("file name"), len(cells) - len(columns)
    name = ",".join(cells[file : file + extra + 1])
    merged = [*cells[:file], name, *cells[file + extra + 1 :]]
    return {column: cell.strip() for column, cell in zip(columns, merged, strict=True)}


def _unit(head: dict[str, str], rows: Sequence[_Row], notes: list[str]) -> str:
    """Return the unit of the delays: stated, or that of the file names beside equal numbers."""
    for name in head.get("column descriptions", "").split(","):
        if name.strip().casefold().startswith("delay") and (unit := unit_in(name.strip())):
            return unit
    for key in ("delay units", "delay unit", "units"):
        if head.get(key):
            return unit_in(f"delay ({head[key]})")
    named = [(row.cells["delay"], time) for row in rows if (time := row.named()) is not None]
    units = {time.unit for _, time in named}
    if len(named) < len(rows) or len(units) != 1 or units == {"ps"}:
        return "ps"
    unit = units.pop()
    # A decimal place may be lost in a name.
    equal = all(is_number(cell) and abs(float(cell) - time.number) < 0.1 for cell, time in named)
    if not equal or not any(time.number for _, time in named):
        return "ps"
    notes.append(f"delays are taken in {unit}, as the file names in the log state it")
    return unit


def _values(rows: Sequence[_Row], unit: str, faults: list[str]) -> tuple[list[float], list[int]]:
    delays, numbers = [], []
    for row in rows:
        try:
            delays.append(delay_in(row.cells["delay"], unit))
            if "scan" in row.cells:
                numbers.append(number_in(row.cells["scan"]))
        except UemError as error:
            faults.append(f"{row.place}: {error}")
    return delays, numbers


def _without_tenfold(
    rows: Sequence[_Row], delays: list[float], unit: str, notes: list[str]
) -> list[float]:
    """Return the delays; where a name is in tenths, the program logs ten times the delay."""
    tenfold = []
    for i, row in enumerate(rows):
        name = row.named()
        if name is not None and name.tenths:
            stated = parse_delay(f"{10 * name.number!r}{unit}")
            if delays[i] and abs(delays[i] - stated) < 1e-6 * abs(stated):
                tenfold.append(i)
                delays[i] = parse_delay(f"{name.number!r}{unit}")
    if tenfold:
        notes.append(
            f"{len(tenfold)} delays are logged tenfold, as file names such as "
            f"{rows[tenfold[0]].cells['file name']} show; they are divided by 10"
        )
    return delays


def _scans(
    rows: Sequence[_Row], numbers: Sequence[int], delays: Sequence[float]
) -> tuple[int, ...] | None:
    """Return the scans from their column, or from the file names where it says nothing."""
    scans = known_scans(numbers, delays) if len(numbers) == len(rows) else None
    if scans is None:
        named = [name.scan for row in rows if (name := row.named()) and name.scan is not None]
        scans = known_scans(named, delays) if len(named) == len(rows) else None
    return scans


def _facts(head: dict[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key in ("base name", "date", "info directory"):
        if head.get(key):
            facts[key.replace(" ", "_")] = head[key]
    for key in ("number of steps", "number of scans"):
        if _WHOLE.fullmatch(head.get(key, "")):
            facts[key.replace(" ", "_")] = int(head[key])
    return facts


def _counts(facts: dict[str, Any], scans: Sequence[int] | None) -> list[str]:
    """Return notes where the header counts other steps or scans than there are rows."""
    if scans is None:
        return []
    notes = []
    counts, steps = Counter(scans), facts.get("number_of_steps")
    if steps:
        wrong = {scan: count for scan, count in sorted(counts.items()) if count != steps}
        if wrong:
            which = ", ".join(f"scan {scan} holds {count}" for scan, count in wrong.items())
            notes.append(f"the header counts {steps} steps a scan; {which}")
    stated = facts.get("number_of_scans")
    # Programs count all scans, or the repeats after the first, or always write 0.
    if stated and len(counts) not in (stated, stated + 1):
        notes.append(f"the header counts {stated} scans; the rows hold {len(counts)}")
    return notes
