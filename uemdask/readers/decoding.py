"""Counts from packed values, as CF and NetCDF conventions pack them.

https://cfconventions.org/cf-conventions/cf-conventions.html#packed-data
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.errors import UemError

#: Attributes that say how values are packed, and which are missing.
_MISSING = ("_FillValue", "missing_value")


@dataclass(frozen=True)
class Decoding:
    """How the stored values of an array become counts.

    Attributes
    ----------
    stored : dtype
        Of the values as they are meant: bytes may have a sign or none whatever the file's type.
    scale, offset : float
        ``counts = scale * stored + offset``.
    missing : tuple of float
        Stored values that stand for no value.
    lowest, highest : float
        Smallest and largest stored value that is valid.
    """

    stored: np.dtype[Any]
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()
    lowest: float = -math.inf
    highest: float = math.inf

    @property
    def is_plain(self) -> bool:
        """Whether counts are the stored values."""
        return (
            (self.scale, self.offset) == (1.0, 0.0)
            and not self.missing
            and (self.lowest, self.highest) == (-math.inf, math.inf)
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the counts; real where they are scaled or can be missing, NaN then."""
        if self.is_plain:
            return self.stored.newbyteorder("=")
        if self.stored.kind == "f":
            return np.result_type(self.stored, np.float32)
        # float32 holds every integer of 16 bits.
        return np.dtype(np.float32 if self.stored.itemsize <= 2 else np.float64)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return counts of stored values."""
        values = values.view(self.stored.newbyteorder(values.dtype.byteorder))
        if self.is_plain:
            return values
        gone = (values < self.lowest) | (values > self.highest)
        for value in self.missing:
            gone |= values == value
        counts = (values * np.float64(self.scale) + self.offset).astype(self.dtype)
        counts[gone] = np.nan
        return counts


def decoding_of(path: Path, attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> Decoding:
    """Return how values are packed, by the attributes of their array.

    ``scale_factor``, ``add_offset``, ``_FillValue``, ``missing_value``, ``valid_min``,
    ``valid_max``, ``valid_range`` and ``_Unsigned`` are understood.

    Raises
    ------
    UemError
        If one of them is not a number, or leaves no value.

    Examples
    --------
    >>> from pathlib import Path
    >>> packed = decoding_of(Path("a.nc"), {"scale_factor": 0.5, "_FillValue": -1},
    ...                      np.dtype("int16"))
    >>> packed(np.array([8, -1], np.int16)).tolist()
    [4.0, nan]
    """
    stored = _as_meant(dtype, attributes.get("_Unsigned"))
    if stored.kind not in "iuf":
        return Decoding(stored)

    def numbers(name: str) -> list[float]:
        return _numbers(path, name, attributes[name], stored) if name in attributes else []

    def number(name: str, default: float) -> float:
        found = numbers(name)
        if len(found) > 1:
            raise UemError(f"{path}: {name} is {found}; it must be one number, write it anew")
        return found[0] if found else default

    scale, offset = number("scale_factor", 1.0), number("add_offset", 0.0)
    if scale == 0 or not (math.isfinite(scale) and math.isfinite(offset)):
        raise UemError(
            f"{path}: scale_factor {scale:g} and add_offset {offset:g} leave no counts; write the "
            f"file anew"
        )

    def as_stored(name: str, found: list[float]) -> list[float]:
        # Limits of the type of the counts are counts; the others are stored values.
        real = any(isinstance(part, float) for part in _parts(attributes.get(name, ())))
        if stored.kind != "f" and real:
            return sorted((value - offset) / scale for value in found)
        if stored != dtype:  # written as the signed numbers of the same bytes
            return [value % 2.0 ** (8 * stored.itemsize) for value in found]
        return found

    low, high = as_stored("valid_range", numbers("valid_range")) or (-math.inf, math.inf)
    low = max([low, *as_stored("valid_min", numbers("valid_min"))])
    high = min([high, *as_stored("valid_max", numbers("valid_max"))])
    least, most = _limits(stored)
    if low > most or high < least or low > high:
        raise UemError(
            f"{path}: its valid range, {low:g} to {high:g}, holds no value of {stored.name}; "
            f"write the file anew"
        )
    missing = {
        value % 2.0 ** (8 * stored.itemsize) if stored != dtype else value
        for name in _MISSING
        for value in numbers(name)
    }
    return Decoding(
        stored,
        scale,
        offset,
        tuple(sorted(value for value in missing if least <= value <= most)),
        low if low > least else -math.inf,
        high if high < most else math.inf,
    )


def _as_meant(dtype: np.dtype[Any], unsigned: Any) -> np.dtype[Any]:
    """Return the dtype with the sign that ``_Unsigned`` says: NetCDF 3 has no other bytes."""
    said = {"true": "u", "false": "i"}.get(str(_plain(unsigned)).casefold())
    if said is None or dtype.kind not in "iu":
        return dtype
    return np.dtype(f"{dtype.byteorder}{said}{dtype.itemsize}")


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind == "f":
        return -math.inf, math.inf
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _numbers(path: Path, name: str, value: Any, stored: np.dtype[Any]) -> list[float]:
    found = []
    for part in _parts(value):
        if isinstance(part, str) and stored.kind == "f" and name in _MISSING:
            part = _from_base64(part)
        if isinstance(part, bool | str) or not isinstance(part, int | float):
            raise UemError(f"{path}: {name} is {value!r}; it must be a number, write it anew")
        found.append(float(part))
    if name == "valid_range" and len(found) != 2:
        raise UemError(f"{path}: valid_range is {value!r}; it must be two numbers, write it anew")
    return found


def _parts(value: Any) -> list[Any]:
    return [_plain(part) for part in np.atleast_1d(np.asarray(value, dtype=object)).ravel()]


def _from_base64(text: str) -> float | str:
    """Return a number as xarray writes it into attributes of Zarr 3; other text as it is."""
    try:
        return float(struct.unpack("<d", base64.b64decode(text, validate=True))[0])
    except (ValueError, struct.error):
        try:
            return float(text)  # 'NaN', '-9999'
        except ValueError:
            return text


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
