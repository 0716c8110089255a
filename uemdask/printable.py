"""Text that came from a file, a name or a log, made fit for a terminal or a page.

Such text may hold control characters, which a terminal obeys: it changes colours and titles, hides
what was said, or answers as if the user had typed. It travels to the scheduler with its page.
"""

from __future__ import annotations

import re
from typing import TypeVar

#: Control characters but for the end of a line and the tabulator; such as turn the direction of
#: writing, which show other text than there is; and halves of characters, which are no text.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

_Any = TypeVar("_Any")


def printable(text: _Any) -> _Any:
    r"""Return a text with its control characters spelled out; other values as they are.

    The spelling is that of JSON, so that JSON keeps its meaning. Text that is marked as safe for
    HTML stays marked.

    Examples
    --------
    >>> print(printable("run\x1b[2J\u202egnp.exe"))
    run\u001b[2J\u202egnp.exe
    """
    if not isinstance(text, str):
        return text
    return type(text)(_UNFIT.sub(_spelled, text)) if _UNFIT.search(text) else text


def one_line(text: str) -> str:
    r"""Return a name as `printable` does, also where it goes over several lines.

    Examples
    --------
    >>> print(one_line("a\nuemdask: all done"))
    a\u000auemdask: all done
    """
    return re.sub("[\n\t]", _spelled, printable(text))


def _spelled(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
