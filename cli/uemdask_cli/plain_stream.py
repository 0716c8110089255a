"""Standard output in plain text, with flags: nothing that a terminal would obey."""

from __future__ import annotations

from typing import TextIO

from uemdask_cli.flags import with_flags


class PlainStream:
    """A text stream that is written to in plain text only.

    Parameters
    ----------
    stream : TextIO
        Where it goes.

    Attributes
    ----------
    stream : TextIO
        The same, for what draws on a terminal by its control characters.
    """

    # Without `buffer`, so that nobody goes behind its back.
    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.encoding, self.errors = stream.encoding, stream.errors

    def write(self, text: str) -> int:
        """Write text, its control characters spelled out, parameters of the library as flags.

        Raises
        ------
        TypeError
            If it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"text is wanted, not {type(text).__name__}")
        if not text.replace("\n", "").isprintable():
            # Here, as help does not wait for the library.
            from uemdask.printable import printable

            text = printable(text)
        return self.stream.write(with_flags(text))

    def flush(self) -> None:
        """Write what waits."""
        self.stream.flush()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """Return the number of its file."""
        return self.stream.fileno()

    def writable(self) -> bool:
        """Return whether it can be written to."""
        return True
