"""A stated plan of delays, ``start:stop:step`` segments."""

from __future__ import annotations

import re

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.delays.cells import is_number
from uemdask.readers.delays.delay_table import DelayTable
from uemdask.units import parse_delay

_SEGMENT = re.compile(r"\s*(\S+?)\s*:\s*(\S+?)\s*:\s*(\S+?)\s*")
#: More delays than this in a plan are a slip of the pen.
_MOST_DELAYS = 100_000


def parse_plan(text: str) -> DelayTable:
    """Return the delays of a stated plan, ``start:stop:step`` segments with one unit at the end.

    The stop of a segment is included; a segment that begins where the last one ended counts the
    shared delay once.

    Raises
    ------
    UemError
        If the text is not such a plan.

    Examples
    --------
    >>> parse_plan("-10:0:5, 0:20:10 ps").delays
    (-10.0, -5.0, 0.0, 10.0, 20.0)
    """
    match = re.fullmatch(r"(.*?)\s*(fs|ps|ns|us|µs|μs|ms|s)?\s*", text, re.DOTALL)
    body, unit = (match[1], match[2] or "ps") if match else (text, "ps")
    delays: list[float] = []
    for segment in body.split(","):
        parts = _SEGMENT.fullmatch(segment)
        if parts is None or not all(map(is_number, parts.groups())):
            raise UemError(
                f"delays {text!r}: {segment.strip()!r} is not start:stop:step; "
                f"write a plan like '-30:500:5,500:990:10 ps' or name a file"
            )
        start, stop, step = (parse_delay(f"{part}{unit}") for part in parts.groups())
        if step <= 0 or stop < start:
            raise UemError(
                f"delays {text!r}: {segment.strip()!r} does not rise; write start:stop:step with "
                f"a stop after the start and a step above 0"
            )
        steps = (stop - start) / step + 1e-9
        if not steps < _MOST_DELAYS:
            raise UemError(
                f"delays {text!r}: {segment.strip()!r} has more than {_MOST_DELAYS} delays; "
                f"take a longer step"
            )
        values = (start + step * np.arange(int(steps) + 1)).tolist()
        if delays and abs(values[0] - delays[-1]) < 1e-9 * max(1.0, abs(values[0])):
            values = values[1:]
        delays += values
    return DelayTable(tuple(delays), source=f"--delays {text!r}")
