"""Logs that a delay stage program leaves beside its images (``.ulg``)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uemdask.errors import FaultsError, UemError
from uemdask.numbers import parse_number
from uemdask.readers.delays.cells import delay_in, is_delay, mark_in, number_in, unit_in
from uemdask.readers.delays.delay_table import DelayTable, known_scans
from uemdask.readers.delays.names import NamedDelay, delays_in_names
from uemdask.readers.text import read_text
from uemdask.units import parse_delay

_COLUMNS = ("step", "delay", "scan", "scan step", "file name", "time")
_HEADER = re.compile(r"\s*\[\s*([^\]]*?)\s*\]\s*:?\s*(.*?)\s*")
# One writer leaves no line end before this key.
_GLUED = re.compile(r"(?<=.)(?=\[\s*Number of)")
_ROW = re.compile(r"\s*[0-9]+\s*,")
_WHOLE = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True)
class _Row:
    """A row: its place for messages, and its cells by column."""

    place: str
    cells: dict[str, str]


@dataclass(frozen=True)
class _Layout:
    """How rows are written: with a number of their own before, with a comma in their decimals."""

    index: bool
    comma: bool


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
    rows, faults, notes = _rows(path, lines, columns)
    if not rows and not faults:
        raise UemError(
            f"{path}: holds no rows 'step,delay,scan,scan step,file name,time'; "
            f"move it away or give `delays=FILE`"
        )
    named = _named(rows)
    try:
        unit = _unit(head, rows, named, notes)
    except UemError as error:
        raise UemError(f"{path}: {error}") from None
    delays, numbers = _values(rows, unit, faults)
    if faults:
        raise FaultsError(str(path), faults)
    files = tuple(row.cells["file name"] for row in rows)
    delays = _without_tenfold(files, named, delays, unit, notes)
    scans = _scans(rows, named, numbers, delays)
    facts = _facts(head)
    notes += _counts(facts, scans)
    named_files = files if any(files) else None
    origin = f"the log {path.name}, in {unit}"
    return DelayTable(tuple(delays), named_files, scans, str(path), tuple(notes), facts, origin)


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
    path: Path, lines: Sequence[tuple[int, str]], columns: Sequence[str]
) -> tuple[list[_Row], list[str], list[str]]:
    """Return the whole rows, what is wrong with others, and a note on one that was cut off."""
    rows: list[_Row] = []
    faults: list[str] = []
    notes: list[str] = []
    cut = [line.split(",") if _ROW.match(line) else [] for _, line in lines]
    layout = _layout(path, cut, columns)
    for count, ((number, line), cells) in enumerate(zip(lines, cut, strict=True), 1):
        place = f"row {count} (line {number})"
        found = _by_column(cells, columns, layout)
        if found is not None:
            rows.append(_Row(place, found))
        elif count == len(lines):
            notes.append(f"the log ends in the middle of row {count}, which is left out")
        else:
            faults.append(f"{place}: {line.strip()!r} is not a row; mend it or take it out")
    return rows, faults, notes


def _layout(path: Path, rows: Sequence[Sequence[str]], columns: Sequence[str]) -> _Layout:
    """Return the layout that most rows have.

    Raises
    ------
    UemError
        If a number may be a delay, or the decimals of the one before it.
    """
    fitting = {
        layout: [row for row in rows if _fits(_by_column(row, columns, layout))]
        for layout in (_Layout(index, comma) for comma in (False, True) for index in (False, True))
    }
    most = max(map(len, fitting.values()))
    best = [layout for layout, fit in fitting.items() if len(fit) == most]
    if best[0].comma == best[-1].comma or not most:
        return best[0]
    # Steps are counted through all scans, so that in the first both counts are the same.
    row = fitting[best[0]][0]
    found = {layout: _by_column(row, columns, layout) or {} for layout in (best[0], best[-1])}
    same = [layout for layout, of in found.items() if of.get("step") == of.get("scan step", "")]
    if len(same) == 1:
        return same[0]
    first, second = (of.get("delay", "no number") for of in found.values())
    raise UemError(
        f"{path}: the delay in {','.join(row[:5])!r} ... may be {first} or {second}; "
        f"write its decimals with a point, or give `delays=FILE`"
    )


def _fits(cells: Mapping[str, str] | None) -> bool:
    """Return whether numbers stand where numbers should, and none where the file name should."""
    return (
        cells is not None
        and is_delay(cells["delay"])
        and all(_WHOLE.fullmatch(cells.get(name, "0")) for name in ("step", "scan", "scan step"))
        and not _WHOLE.fullmatch(cells["file name"].partition(",")[0].strip())
    )


def _by_column(
    cells: Sequence[str], columns: Sequence[str], layout: _Layout
) -> dict[str, str] | None:
    """Return the cells by column, None if there are too few.

    Commas too many belong to the file name.
    """
    cells, delay = list(cells[layout.index :]), columns.index("delay")
    if layout.comma:
        if len(cells) <= len(columns) or not _WHOLE.fullmatch(cells[delay + 1].strip()):
            return None
        cells[delay : delay + 2] = [f"{cells[delay].strip()},{cells[delay + 1].strip()}"]
    if len(cells) < len(columns):
        return None
    file, extra = columns.index("file name"), len(cells) - len(columns)
    name = ",".join(cells[file : file + extra + 1])
    merged = [*cells[:file], name, *cells[file + extra + 1 :]]
    return {column: cell.strip() for column, cell in zip(columns, merged, strict=True)}


def _named(rows: Sequence[_Row]) -> list[NamedDelay | None]:
    """Return the delays that the rows' file names state, by the mark that makes them the logged."""
    names = [row.cells["file name"] for row in rows]
    for decimal in (None, ".", ","):
        try:
            found = [times[-1] if times else None for times in delays_in_names(names, decimal)]
        except UemError:  # the log tells the delays, its names only the unit and the scan
            continue
        if decimal is None or _are_logged(rows, found):
            return found
    return [None] * len(rows)


def _are_logged(rows: Sequence[_Row], named: Sequence[NamedDelay | None]) -> bool:
    """Return whether names state the numbers that are logged; a decimal place may be lost."""
    try:
        cells = [parse_number(row.cells["delay"]) for row in rows]
    except UemError:
        return False
    pairs = zip(cells, named, strict=True)
    return all(time is not None and abs(cell - time.number) < 0.1 for cell, time in pairs)


def _unit(
    head: dict[str, str],
    rows: Sequence[_Row],
    named: Sequence[NamedDelay | None],
    notes: list[str],
) -> str:
    """Return the unit of the delays: stated, or that of the file names beside equal numbers."""
    for name in head.get("column descriptions", "").split(","):
        if name.strip().casefold().startswith("delay") and (unit := unit_in(name.strip())):
            return unit
    for key in ("delay units", "delay unit", "units"):
        if head.get(key):
            return unit_in(f"delay ({head[key]})")
    units = {time.unit for time in named if time is not None}
    if len(units) != 1 or units == {"ps"} or not _are_logged(rows, named):
        return "ps"
    if not any(time.number for time in named if time is not None):
        return "ps"
    unit = units.pop()
    notes.append(f"delays are taken in {unit}, as the file names in the log state it")
    return unit


def _values(rows: Sequence[_Row], unit: str, faults: list[str]) -> tuple[list[float], list[int]]:
    delays, numbers = [], []
    decimal = mark_in([row.cells["delay"] for row in rows])
    for row in rows:
        try:
            delays.append(delay_in(row.cells["delay"], unit, decimal))
            if "scan" in row.cells:
                numbers.append(number_in(row.cells["scan"]))
        except UemError as error:
            faults.append(f"{row.place}: {error}")
    return delays, numbers


def _without_tenfold(
    files: Sequence[str],
    named: Sequence[NamedDelay | None],
    delays: list[float],
    unit: str,
    notes: list[str],
) -> list[float]:
    """Return the delays; where a name is in tenths, the program logs ten times the delay."""
    tenfold = []
    for i, name in enumerate(named):
        if name is not None and name.tenths:
            stated = parse_delay(10 * name.number, unit=unit)
            if delays[i] and abs(delays[i] - stated) < 1e-6 * abs(stated):
                tenfold.append(i)
                delays[i] = parse_delay(name.number, unit=unit)
    if tenfold:
        notes.append(
            f"{len(tenfold)} delays are logged tenfold, as file names such as "
            f"{files[tenfold[0]]} show; they are divided by 10"
        )
    return delays


def _scans(
    rows: Sequence[_Row],
    named: Sequence[NamedDelay | None],
    numbers: Sequence[int],
    delays: Sequence[float],
) -> tuple[int, ...] | None:
    """Return the scans from their column, or from the file names where it says nothing."""
    scans = known_scans(numbers, delays) if len(numbers) == len(rows) else None
    if scans is None:
        counted = [name.scan for name in named if name is not None and name.scan is not None]
        scans = known_scans(counted, delays) if len(counted) == len(rows) else None
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
