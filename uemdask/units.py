"""Quantities with units, as people write them: ``3nm``, ``-5 ps``, ``2.5 Å/px``."""

from __future__ import annotations

import math
import re

from uemdask.errors import UemError

_LENGTH_NM = {"pm": 1e-3, "å": 0.1, "a": 0.1, "angstrom": 0.1, "nm": 1.0, "um": 1e3, "µm": 1e3}
_LENGTH_NM |= {"μm": 1e3, "micron": 1e3, "mm": 1e6, "m": 1e9}
_DELAY_PS = {
    "fs": 1e-3,
    "ps": 1.0,
    "ns": 1e3,
    "us": 1e6,
    "µs": 1e6,
    "μs": 1e6,
    "ms": 1e9,
    "s": 1e12,
}
_QUANTITY = re.compile(r"\s*([-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s]*)\s*")


def _parse(text: str | float, factors: dict[str, float], default: str, what: str) -> float:
    match = _QUANTITY.fullmatch(str(text).removesuffix("/px"))
    unit = (match[2] or default).casefold() if match else ""
    # A capital M is mega in SI; nobody means megametres, so case does not matter here.
    if match is None or unit not in factors:
        known = ", ".join(sorted(factors))
        raise UemError(
            f"{what} {text!r} is not a number with a unit; write it like '3{default}' ({known})"
        )
    value = float(match[1].replace("−", "-")) * factors[unit]
    if not math.isfinite(value):
        raise UemError(f"{what} {text!r} is not finite; give a finite number")
    return value


def parse_length(text: str | float, *, what: str = "length") -> float:
    """Return a length in nm; a bare number is in nm.

    Raises
    ------
    UemError
        If `text` is not a number with a known unit.

    Examples
    --------
    >>> parse_length("2.5 Å")
    0.25
    """
    return _parse(text, _LENGTH_NM, "nm", what)


def parse_delay(text: str | float, *, what: str = "delay") -> float:
    """Return a delay in ps; a bare number is in ps.

    Raises
    ------
    UemError
        If `text` is not a number with a known unit.

    Examples
    --------
    >>> parse_delay("-500 fs")
    -0.5
    """
    return _parse(text, _DELAY_PS, "ps", what)
