"""What the log of a job says of how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Lines that are shown.
_TAIL = 15
_BETWEEN = ("The above exception was", "During handling of the above")


def end_of_log(job: str, logs: Path) -> tuple[Path | None, list[str]]:
    """Return the log of a job and its last lines that tell something."""
    number = re.escape(job)
    files = [
        path
        for path in logs.glob(f"*{job}*")
        if re.search(rf"(?<!\d){number}(?!\d)", path.name) and path.stat().st_size
    ]
    # Errors go to a file of their own; a job that said nothing there may have said it here.
    files.sort(key=lambda path: (".e" not in path.name.lower(), path.name))
    for path in files:
        lines = last_words(path.read_text(encoding="utf-8", errors="replace"))
        if lines:
            return path, lines
    return None, []


def last_words(text: str) -> list[str]:
    r"""Return the last lines of a log, without the frames of tracebacks and what Dask does always.

    Examples
    --------
    >>> last_words("Traceback (most recent call last):\n  File ...\nImportError: no a\n")
    ['ImportError: no a']
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return (list(_telling(lines)) or lines)[-_TAIL:]


def _telling(lines: Iterable[str]) -> Iterator[str]:
    in_frames = False
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            in_frames = True
        elif in_frames and (line.startswith(" ") or not line.strip("^~")):
            continue
        elif not line.startswith(_BETWEEN) and " - INFO - " not in line:
            in_frames = False
            yield line
