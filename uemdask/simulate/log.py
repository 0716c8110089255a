"""The log that a microscope's delay stage program leaves beside its images (``.ulg``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from uemdask.errors import UemError


@dataclass(frozen=True)
class LogRow:
    """One image as the log has it.

    Attributes
    ----------
    delay : float
        In ps.
    scan, step : int
        Which scan, and which step of it; both counted from 1.
    file : str
        Name of the image, with its ending.
    taken : datetime
        When it was taken, in local time.
    """

    delay: float
    scan: int
    step: int
    file: str
    taken: datetime


def image_name(base: str, scan: int, step: int, delay: float, ending: str = ".dm4") -> str:
    """Return the name of an image as the program writes it, ``Ge_0_1_-30ps.dm4``.

    Scans are counted from 0 in names. Tenths of a ps are written as ``105x10ps`` for 10.5 ps,
    finer delays with a point.

    Examples
    --------
    >>> image_name("Ge", scan=1, step=3, delay=10.5)
    'Ge_0_3_105x10ps.dm4'
    """
    text = np.format_float_positional(delay, trim="-")
    if delay != int(delay) and round(10 * delay) / 10 == delay:
        text = f"{round(10 * delay)}x10"
    return f"{base}_{scan - 1}_{step}_{text}ps{ending}"


def write_log(
    path: Path, rows: Sequence[LogRow], form: Literal["new", "old"] = "new", *, base: str = ""
) -> None:
    """Write the log of an acquisition, in the order in which the images were taken.

    Parameters
    ----------
    path : Path
        The file, ending in ``.ulg``.
    rows : sequence of LogRow
        One per image.
    form : "new" or "old"
        The new form ends each row with the text of C's ``ctime()``, which has a line end of its
        own, and so a blank line follows; the old one counts the rows in a first column, and
        names files without their ending.
    base : str
        Base name of the images; the stem of `path` unless given.

    Raises
    ------
    UemError
        If the file cannot be written.
    """
    old = form == "old"
    began = rows[0].taken if rows else datetime(2000, 1, 1)
    lines = [
        f"[Info Directory\t]\t{path.parent}",
        f"[Base Name ]\t{base or path.stem}",
        f"[Date\t]\t{began.ctime()}",
        f"[Number of Steps\t]\t{max((row.step for row in rows), default=0)}",
        # The program counts the repeats after the first scan.
        f"[Number of Scans\t]\t{max((row.scan for row in rows), default=1) - 1}",
        "\t",
        "[Column Descriptions\t]:\tStep,Delay,Scan,Scan Step,File Name,Time",
        "",
        "\t",
        ",,,,,",
    ]
    for index, row in enumerate(rows):
        cells = [index + 1, _decimal(row.delay), row.scan - 1, row.step]
        if old:
            cells = [index, *cells, Path(row.file).stem, f"{row.taken:%H:%M:%S}"]
        else:
            cells += [row.file, f"{row.taken.ctime()}\n"]
        lines.append(",".join(map(str, cells)))
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise UemError(f"{path}: cannot be written ({error}); free space or rights") from error


def _decimal(delay: float) -> str:
    """Six decimals as C++ writes a double, more where those would change it."""
    text = f"{delay:.6f}"
    return text if float(text) == delay else np.format_float_positional(delay)
