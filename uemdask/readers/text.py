"""Text files from any machine: UTF-8, UTF-16 as Excel and LabVIEW, or as older Windows programs."""

from __future__ import annotations

import codecs
from pathlib import Path

from uemdask.errors import UemError
from uemdask.regular_files import read_regular


def read_text(path: Path, what: str, *, replace: bool = False) -> str:
    """Return a file's text.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should hold, for messages.
    replace : bool
        Whether bytes that mean nothing are replaced; otherwise they are an error.

    Raises
    ------
    UemError
        If it cannot be read, or is no text.
    """
    try:
        data = read_regular(path)
    except UemError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UemError(f"{path}: cannot be read as {what} ({reason})") from error
    # The mark at the beginning is there in every such file; without it bytes may mean anything.
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lenient = "replace" if replace else "strict"
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding, "strict" if encoding == "utf-8-sig" else lenient)
        except UnicodeDecodeError:
            continue
    raise UemError(f"{path}: cannot be read as {what} (it is no text)")
