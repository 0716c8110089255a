"""Pixel sizes in nm from steps and units as instruments write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from uemdask.errors import UemError
from uemdask.units import parse_delay, parse_length

#: (y, x) in nm or None, and why it is None.
PixelSize = tuple[tuple[float, float] | None, str]

_SYMBOLS = {
    "second": "s",
    "sec": "s",
    "millisecond": "ms",
    "microsecond": "us",
    "nanosecond": "ns",
    "picosecond": "ps",
    "femtosecond": "fs",
    "meter": "m",
    "metre": "m",
    "millimeter": "mm",
    "millimetre": "mm",
    "micrometer": "um",
    "micrometre": "um",
    "micron": "um",
    "nanometer": "nm",
    "nanometre": "nm",
    "picometer": "pm",
    "picometre": "pm",
    "ångström": "Å",
    "angstrom": "Å",
}
#: Units of time in which no delay is given.
_SLOW = ("min", "minute", "h", "hour")
# Coordinates rounded to single precision still rise by equal steps.
_EVEN = 1e-3


def pixel_size_of(steps: Sequence[Any], units: Sequence[str | None]) -> PixelSize:
    """Return the pixel size of the axes y, x, and why there is none.

    Parameters
    ----------
    steps, units : (y, x)
        Step from pixel to pixel, and its unit, such as ``"nm"``, ``"µm"`` or ``"1/nm"``.

    Examples
    --------
    >>> pixel_size_of((2.0, 1.0), ("A", "nm"))
    ((0.2, 1.0), '')
    >>> pixel_size_of((0.2, 0.2), ("1/nm", "1/nm"))
    (None, 'its axes are in 1/nm, which is no length')
    """
    sizes = []
    for step, unit in zip(steps, units, strict=True):
        name = _plain(unit)
        if not name or name.casefold() in ("px", "pixel", "pixels"):
            return None, "its axes have no unit of length"
        try:
            if not name[0].isalpha():
                raise UemError(name)
            scale = parse_length(f"1{name}")
        except UemError:
            return None, f"its axes are in {name}, which is no length"
        if math.isnan(float(step)):
            return None, "its axes have no even step"
        size = abs(float(step)) * scale
        if not (math.isfinite(size) and size > 0):
            return None, f"it states a pixel size of {float(step):g} {name}"
        sizes.append(size)
    return (sizes[0], sizes[1]), ""


def is_time_unit(unit: str | bytes | None) -> bool:
    """Return whether a unit is one of time, so that its axis cannot be one of space.

    Examples
    --------
    >>> is_time_unit("[p_s]"), is_time_unit("1/s"), is_time_unit("nm")
    (True, False, False)
    """
    name = _plain(unit)
    if name.casefold().removesuffix("s") in _SLOW:
        return True
    try:
        return name[:1].isalpha() and math.isfinite(parse_delay(f"1{name}"))
    except UemError:
        return False


def _plain(unit: str | bytes | None) -> str:
    text = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit or "")
    text = text.replace("\\u00B5", "µ").strip().strip("[]").replace("_", "").strip()
    word = text.casefold()
    return _SYMBOLS.get(word, _SYMBOLS.get(word.removesuffix("s"), text))


def step_of(positions: np.ndarray) -> float:
    """Return the step of an axis given by its pixel positions; NaN where it has no even step."""
    values = np.asarray(positions, np.float64).ravel()
    if len(values) < 2:
        return math.nan
    steps = np.diff(values)
    mean = float(steps.mean())
    return mean if np.allclose(steps, mean, rtol=_EVEN, atol=0) else math.nan
