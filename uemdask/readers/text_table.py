"""Tables in text files as spreadsheets and people leave them, cut into cells."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from uemdask.errors import UemError
from uemdask.readers.text import read_text

#: The line with which Excel names its separator.
_SEPARATOR = re.compile(r'"?sep=(.)"?[;,\t]*', re.IGNORECASE)


def read_rows(path: Path, what: str) -> list[list[str]]:
    """Return the rows of a table as cells without blanks around them.

    The separator is a tab, semicolon or comma, or what a first line ``sep=;`` names. Lines that
    begin with ``#`` are comments. Rows and last columns without any content, as spreadsheets leave
    them, are left out.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should hold, for messages.

    Raises
    ------
    UemError
        If it cannot be read.
    """
    text = read_text(path, what)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    named = _SEPARATOR.fullmatch(lines[0].strip(" \r")) if lines else None
    if named:
        lines = lines[1:]
    known = [*([named[1]] if named else []), "\t", ";", ","]
    mark = next((s for s in known if 2 * sum(s in line for line in lines) > len(lines)), ",")
    try:
        table = csv.reader(lines, delimiter=mark, skipinitialspace=True)
        rows = [[cell.strip() for cell in row] for row in table]
    except csv.Error as error:
        raise UemError(f"{path}: cannot be read as {what} ({error})") from error
    width = max((i + 1 for row in rows for i, cell in enumerate(row) if cell), default=0)
    return [row[:width] for row in rows if any(row)]
