"""A stated plan of delays, ``start:stop:step`` segments."""

from __future__ import annotations

import numpy as np

from uemdask.errors import UemError
from uemdask.numbers import AmbiguousNumberError, decimal_mark, split_quantity
from uemdask.readers.delays.cells import is_unit
from uemdask.readers.delays.delay_table import DelayTable
from uemdask.units import parse_delay

#: More delays than this in a plan are a slip of the pen.
_MOST_DELAYS = 100_000


def parse_plan(text: str) -> DelayTable:
    """Return the delays of a stated plan, ``start:stop:step`` segments with one unit at the end.

    The stop of a segment is included; a segment that begins where the last one ended counts the
    shared delay once. Segments stand apart at semicolons or commas; where there is but one, or
    semicolons part them, decimals may have a comma. A unit may also stand at the end of each
    segment, or behind each number.

    Raises
    ------
    UemError
        If the text is not such a plan.

    Examples
    --------
    >>> parse_plan("-10:0:5, 0:20:10 ps").delays
    (-10.0, -5.0, 0.0, 10.0, 20.0)
    """
    by = ";" if ";" in text or text.count(":") < 3 else ","
    segments = [[part.strip() for part in segment.split(":")] for segment in text.split(by)]
    for segment in segments:
        if len(segment) != 3 or not all(map(_is_part, segment)):
            raise UemError(
                f"delays {text!r}: {':'.join(segment)!r} is not start:stop:step; "
                f"write a plan like '-30:500:5,500:990:10 ps' or name a file"
            )
    units = _units(text, segments)
    quantities = [split_quantity(part) for segment in segments for part in segment]
    decimal = decimal_mark([quantity[0] for quantity in quantities if quantity])
    delays: list[float] = []
    for segment, inside in zip(segments, units, strict=True):
        try:
            start, stop, step = (
                parse_delay(part, unit=unit, decimal=decimal)
                for part, unit in zip(segment, inside, strict=True)
            )
        except AmbiguousNumberError as error:
            raise AmbiguousNumberError(
                f"delays {text!r}: {error.subject}", error.readings
            ) from None
        except UemError as error:
            raise UemError(f"delays {text!r}: {error}") from None
        if step <= 0 or stop < start:
            raise UemError(
                f"delays {text!r}: {':'.join(segment)!r} does not rise; write start:stop:step with "
                f"a stop after the start and a step above 0"
            )
        steps = (stop - start) / step + 1e-9
        if not steps < _MOST_DELAYS:
            raise UemError(
                f"delays {text!r}: {':'.join(segment)!r} has more than {_MOST_DELAYS} delays; "
                f"take a longer step"
            )
        values = (start + step * np.arange(int(steps) + 1)).tolist()
        if delays and abs(values[0] - delays[-1]) < 1e-9 * max(1.0, abs(values[0])):
            values = values[1:]
        delays += values
    source, origin = f"`delays={text!r}`", f"the plan {text!r}"
    return DelayTable(tuple(delays), source=source, origin=origin, plan=True)


def _is_part(text: str) -> bool:
    parts = split_quantity(text)
    return parts is not None and is_unit(parts[1])


def _units(text: str, segments: list[list[str]]) -> list[list[str]]:
    """Return the unit of each number: its own, that of its segment, or that of the plan."""
    stated = [[(split_quantity(part) or ("", ""))[1] for part in segment] for segment in segments]
    if not any(unit for inside in stated for unit in inside[:2]):
        ends = [inside[2] for inside in stated]
        if not any(ends[:-1]) or all(ends):
            return [[end or ends[-1] or "ps"] * 3 for end in ends]
    elif all(unit for inside in stated for unit in inside):
        return stated
    raise UemError(
        f"delays {text!r}: some numbers have a unit and others none; write one unit at the end, "
        f"such as '-30:500:5,500:990:10 ps'"
    )
