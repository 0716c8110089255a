"""A drift table that the user or another program made."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt

from uemdask.errors import FaultsError, UemError
from uemdask.numbers import AmbiguousNumberError, decimal_mark, parse_number
from uemdask.readers.delays.cells import mark_in
from uemdask.readers.text_table import read_rows
from uemdask.units import parse_delay, parse_length

Key = Literal["frame", "slice", "file", "delay"]

_KEYS: dict[str, Key] = {
    "frame": "frame",
    "index": "frame",
    "slice": "slice",
    "file": "file",
    "image": "file",
    "name": "file",
    "delay": "delay",
    "time": "delay",
}
_AXES = {"x": 0, "dx": 0, "xshift": 0, "shiftx": 0, "driftx": 0}
_AXES |= {name.replace("x", "y"): 1 for name in _AXES}
_SAME_DELAY = 1e-3  # ps
# Repeats in one frame were brought onto each other; whole pixels of one drift differ by as much.
_ONE_DRIFT = 1.0  # px
_MOST_FAULTS = 20


@dataclass(frozen=True)
class DriftTable:
    """Rows of a drift table.

    Attributes
    ----------
    path : Path
        Where it is from.
    key : str
        What names the frames: ``frame`` (from 0), ``slice`` (from 1), ``file`` or ``delay``.
    keys : tuple of str or float
        Name of the frame of each row; delays in ps.
    shift : ndarray, shape (row, 2)
        (x, y), y downwards, in `unit`.
    unit : str
        ``px`` or ``nm``.
    """

    path: Path
    key: Key
    keys: tuple[str | float, ...]
    shift: npt.NDArray[np.float64]
    unit: Literal["px", "nm"]


def read_drift_table(path: Path) -> DriftTable:
    """Read a table with a row for each frame.

    The separator is a comma, semicolon or tab. The first line names the columns, in any order: one
    of ``frame`` (numbers from 0), ``slice`` (from 1, as ImageJ counts), ``file`` or ``delay``
    (ps, or with a unit as ``delay_fs``), and ``x`` and ``y`` (also ``dx``, ``dy``), in pixels, or
    in a length with a unit as ``x_nm`` or ``x (nm)``. Other columns and lines that begin with ``#``
    are passed over.

    Raises
    ------
    UemError
        If the file cannot be read.
    FaultsError
        If columns are missing or unclear or values are no numbers; all faults are listed.
    """
    rows = read_rows(path, "a drift table")
    if len(rows) < 2:
        raise UemError(f"{path}: holds no rows; write the columns frame,x,y and a row per frame")
    head = rows[0]
    faults: list[str] = []
    key_column, key, key_unit = _key_column(head, faults)
    columns = [_axis_column(head, axis, faults) for axis in (0, 1)]
    units = {unit for _, unit in columns}
    if not faults and len(units) > 1:
        faults.append(f"head: x is in {columns[0][1]} and y in {columns[1][1]}; give both in one")
    if faults:
        raise FaultsError(str(path), faults)
    unit = units.pop()
    keys: list[str | float] = []
    shift = np.zeros((len(rows) - 1, 2))
    rows = [[*row, *[""] * (len(head) - len(row))] for row in rows]
    decimal = decimal_mark([row[column] for row in rows[1:] for column, _ in columns])
    key_decimal = mark_in([row[key_column] for row in rows[1:]])
    for number, row in enumerate(rows[1:], 2):
        if any(row[len(head) :]):
            faults.append(
                f"row {number}: holds {len(row)} cells, the head {len(head)}; separate the cells "
                f"by semicolons where decimals have a comma"
            )
        keys.append(_key(row[key_column], key, key_unit, key_decimal, number, faults))
        for axis, (column, _) in enumerate(columns):
            shift[number - 2, axis] = _number(row[column], head[column], decimal, number, faults)
    seen: dict[str | float, int] = {}
    for number, name in enumerate(keys, 2):
        if name in seen and name != "":
            faults.append(f"row {number}: {key} {name} is in row {seen[name]} too; leave one")
        seen.setdefault(name, number)
    _raise(path, faults)
    if unit != "px":
        shift *= parse_length(f"1{unit}")
    return DriftTable(path, key, tuple(keys), shift, "px" if unit == "px" else "nm")


def match_drift(
    table: DriftTable,
    *,
    files: Sequence[str],
    delays: npt.NDArray[np.float64],
    wanted: npt.NDArray[np.bool_],
    pixel_size: tuple[float, float],
) -> npt.NDArray[np.float64]:
    """Give the frames of a run their drift.

    Parameters
    ----------
    table : DriftTable
        As read.
    files : sequence of str
        File that each frame came from, or those of its repeats as ``a.tif + b.tif``; rows of any
        of them are the frame's, of several their mean.
    delays : ndarray, shape (time,)
        ps, time zero taken off.
    wanted : ndarray of bool, shape (time,)
        Frames that must have a row.
    pixel_size : tuple of float
        (y, x), nm.

    Returns
    -------
    ndarray, shape (time, 2)
        (x, y) px; NaN where there is no row.

    Raises
    ------
    FaultsError
        If frames have no row, rows name no frame (files of other runs may stand there), or a frame
        has rows more than a pixel apart; all are listed.
    """
    drift = np.full((len(delays), 2), np.nan)
    scale = np.array(pixel_size[::-1]) if table.unit == "nm" else np.ones(2)
    faults: list[str] = []
    strange: list[str] = []
    names = _names(files)
    rows: dict[int, list[int]] = {}
    for number, name in enumerate(table.keys):
        found: int | None
        if isinstance(name, str):
            path = _path(name)
            found = names.get(path.as_posix(), names.get(path.name))
        elif table.key == "delay":
            nearest = int(np.argmin(np.abs(delays - name)))
            found = nearest if abs(delays[nearest] - name) < _SAME_DELAY else None
        else:
            found = int(name) - (table.key == "slice")
            found = found if 0 <= found < len(delays) and name == int(name) else None
        if found is None:
            unit = " ps" if table.key == "delay" else ""
            strange.append(f"row {number + 2}: no frame of the run is {table.key} {name}{unit}")
            continue
        rows.setdefault(found, []).append(number)
    for frame, numbers in rows.items():
        if table.key == "file":
            # Repeats were brought onto the first of them, so its drift is that of the frame.
            numbers = _of_first(numbers, [str(key) for key in table.keys], files[frame])
        shifts = table.shift[numbers] / scale
        drift[frame] = shifts.mean(axis=0)
        apart = float(np.ptp(shifts, axis=0).max())
        if apart > _ONE_DRIFT:
            faults.append(
                f"rows {', '.join(str(number + 2) for number in numbers)}: are of one frame, and "
                f"{apart:.2g} px apart; keep one of them"
            )
    missing = np.flatnonzero(wanted & ~np.isfinite(drift[:, 0]))
    # A table of files may be that of several scans or runs.
    if missing.size or table.key != "file":
        faults = [*strange, *faults]
    if missing.size:
        shown = ", ".join(map(str, missing[:10])) + (" ..." if missing.size > 10 else "")
        faults.append(f"{missing.size} frames have no row (from 0: {shown}); add them")
    _raise(table.path, faults)
    return drift


def _of_first(numbers: list[int], keys: list[str], joined: str) -> list[int]:
    """Return the rows of the first repeat that has any, in the order of the average."""
    for file in joined.split(" + "):
        known = (_path(joined).as_posix(), *_spellings(file))
        if own := [n for n in numbers if _path(keys[n]).as_posix() in known]:
            return own
    return numbers


def _path(name: str) -> PurePosixPath:
    """Return a file's name in one spelling, whatever system wrote it."""
    return PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/"))


def _spellings(file: str) -> tuple[str, str, str]:
    path = _path(file)
    return path.as_posix(), path.name, path.stem


def _names(files: Sequence[str]) -> dict[str, int]:
    """Return the frame of each name that a table may use for a file, if it is one frame's alone."""
    frames: dict[str, set[int]] = {}
    for frame, joined in enumerate(files):
        for file in {joined, *joined.split(" + ")}:
            for name in _spellings(file):
                frames.setdefault(name, set()).add(frame)
    return {name: found.pop() for name, found in frames.items() if len(found) == 1}


def _words(head: str) -> list[str]:
    return [word for word in re.split(r"[^a-zåµμ]+", head.casefold()) if word]


def _key_column(head: list[str], faults: list[str]) -> tuple[int, Key, str]:
    found = [
        (column, _KEYS[words[0]], words[-1])
        for column, words in enumerate(map(_words, head))
        if words and words[0] in _KEYS
    ]
    if len(found) == 1:
        column, key, last = found[0]
        return column, key, last if last not in _KEYS else "ps"
    # The surest name wins: a file over a number.
    for wanted in ("file", "slice", "frame", "delay"):
        chosen = [entry for entry in found if entry[1] == wanted]
        if len(chosen) == 1:
            column, key, last = chosen[0]
            return column, key, last if last not in _KEYS else "ps"
    faults.append(
        f"head: no one column of frames among {', '.join(head)}; name one 'frame' (from 0), "
        f"'slice' (from 1), 'file' or 'delay_ps'"
    )
    return 0, "frame", "ps"


def _axis_column(head: list[str], axis: int, faults: list[str]) -> tuple[int, str]:
    letter = "xy"[axis]
    found = []
    for column, words in enumerate(map(_words, head)):
        name = next((n for n in (words[0], "".join(words[:2])) if n in _AXES), "") if words else ""
        if name and _AXES[name] == axis:
            rest = words[1:] if words[0] == name else words[2:]
            found.append((column, rest[-1] if rest else "px"))
    if len(found) != 1:
        what = "no column" if not found else f"{len(found)} columns"
        faults.append(f"head: {what} of {letter} among {', '.join(head)}; name one '{letter}_px'")
        return 0, "px"
    column, unit = found[0]
    unit = {"pixel": "px", "pixels": "px"}.get(unit, unit)
    if unit != "px":
        try:
            parse_length(f"1{unit}")
        except UemError:
            faults.append(
                f"head: {head[column]!r} is in {unit!r}; write px, or a length such as nm"
            )
    return column, unit


def _key(
    cell: str, key: Key, unit: str, decimal: str, number: int, faults: list[str]
) -> str | float:
    if key == "file":
        if not cell:
            faults.append(f"row {number}: names no file")
        return cell
    try:
        if key == "delay":
            return parse_delay(cell, unit=unit, decimal=decimal)
        return parse_number(cell, decimal)
    except AmbiguousNumberError as error:
        faults.append(f"row {number}: {error}")
    except UemError:
        faults.append(f"row {number}: {cell!r} is no {key}; write a number")
    return ""


def _number(cell: str, head: str, decimal: str, number: int, faults: list[str]) -> float:
    try:
        return parse_number(cell, decimal)
    except AmbiguousNumberError as error:
        faults.append(f"row {number}: {head} {error}")
    except UemError:
        faults.append(f"row {number}: {head} is {cell!r}; write a finite number")
    return np.nan


def _raise(path: Path, faults: list[str]) -> None:
    if faults:
        more = [f"{len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        raise FaultsError(str(path), faults[:_MOST_FAULTS] + more)
