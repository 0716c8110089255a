"""Text files from any machine: UTF-8, or what older Windows programs write."""

from __future__ import annotations

from pathlib import Path

from uemdask.errors import UemError


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
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UemError(f"{path}: cannot be read as {what} ({reason})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252", errors="replace" if replace else "strict")
    except UnicodeDecodeError:
        raise UemError(f"{path}: cannot be read as {what} (it is no text)") from None
