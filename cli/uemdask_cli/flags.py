"""Messages of the library in the words of the command.

The library names its parameters between back quotes, as Python has them; whoever uses the command
gives them as flags.
"""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any

#: Parameters of the library that the command has as flags of the same name.
_PARAMETER = re.compile(
    r"`(overwrite|retrain|only|delays|pixel_size|time_zero|offset|dark|pump_off|dataset)"
    r"(?:=([^`\n]*))?`"
)


def with_flags(text: str) -> str:
    """Return a text in which parameters of the library are flags of the command.

    Examples
    --------
    >>> print(with_flags("add `only=['align']`, or leave `only` out"))
    add --only align, or leave --only out
    >>> print(with_flags("give `delays=FILE`, `delays='-30:500:5 ps'` or `overwrite=True`"))
    give --delays FILE, --delays '-30:500:5 ps' or --overwrite
    """
    return _PARAMETER.sub(_flag, text) if "`" in text else text


def _flag(match: re.Match[str]) -> str:
    flag, text = f"--{match[1].replace('_', '-')}", match[2]
    if text is None or text == "True":
        return flag
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # a word that stands for a value, such as FILE
        return f"{flag} {text}"
    values = value if isinstance(value, list | tuple) else [value]
    return " ".join(f"{flag} {shlex.quote(str(each))}" for each in values)
