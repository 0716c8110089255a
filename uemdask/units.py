"""Quantities with units, as people write them: ``3nm``, ``-5 ps``, ``2.5 Å/px``, ``5 mJ/cm2``."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from uemdask.errors import UemError
from uemdask.numbers import AmbiguousNumberError, parse_number, split_quantity

#: Units by kind of quantity, in the spelling that is written, and their size in the SI unit of the
#: kind (of energy: in eV). Decimal, so that 2.5 Å are 0.25 nm and not nearly so.
UNITS: dict[str, dict[str, Decimal]] = {
    kind: {unit: Decimal(size) for unit, size in units.items()}
    for kind, units in {
        "length": {
            "pm": "1e-12",
            "Å": "1e-10",
            "nm": "1e-9",
            "µm": "1e-6",
            "mm": "1e-3",
            "m": "1",
        },
        "time": {
            "as": "1e-18",
            "fs": "1e-15",
            "ps": "1e-12",
            "ns": "1e-9",
            "µs": "1e-6",
            "ms": "1e-3",
            "s": "1",
        },
        "energy": {"meV": "1e-3", "eV": "1", "keV": "1e3", "MeV": "1e6"},
        "fluence": {
            "µJ/cm²": "1e-2",
            "mJ/cm²": "10",
            "J/cm²": "1e4",
            "µJ/m²": "1e-6",
            "mJ/m²": "1e-3",
            "J/m²": "1",
        },
        # Megawatts and millihertz are no one's: listed so that 'MW' is not taken for 'mW'.
        "power": {"µW": "1e-6", "mW": "1e-3", "W": "1", "MW": "1e6"},
        "frequency": {"mHz": "1e-3", "Hz": "1", "kHz": "1e3", "MHz": "1e6", "GHz": "1e9"},
        "temperature": {"K": "1", "°C": "1"},
        "count": {"counts": "1"},
    }.items()
}
_TIME_STEMS = {"as": "atto a", "fs": "femto f", "ps": "pico p", "ns": "nano n", "µs": "micro µ u",
               "ms": "milli m"}  # fmt: skip
_TIME_WORDS = {
    f"{stem}{second}".casefold(): unit
    for unit, stems in _TIME_STEMS.items()
    for stem in stems.split()
    for second in ("second", "seconds", "sec")
}
#: Other spellings, in small letters. Accelerating an electron through 1 kV gives it 1 keV.
_SPELLINGS: dict[str, dict[str, str]] = {
    "length": {"a": "Å", "angstrom": "Å", "um": "µm", "micron": "µm"},
    "time": _TIME_WORDS | {"us": "µs"},
    "energy": {"v": "eV", "kv": "keV"},
    "fluence": {"uj/cm²": "µJ/cm²", "uj/m²": "µJ/m²"},
    "power": {"uw": "µW"},
    "frequency": {},
    "temperature": {"c": "°C", "degc": "°C", "celsius": "°C", "kelvin": "K"},
    "count": {"count": "counts", "adu": "counts"},
}
_ZERO_CELSIUS = Decimal("273.15")  # K
_COMMA = re.compile(r"(?<=\d)[,，](?=[\d.．])")


@dataclass(frozen=True)
class Quantity:
    """A number with a unit of `UNITS`; as text it is spelled like ``200 keV``.

    Examples
    --------
    >>> str(Quantity(0.2, "MeV").to("keV"))
    '200 keV'
    """

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{repr(self.value).removesuffix('.0')} {self.unit}"

    def to(self, unit: str) -> Quantity:
        """Return the same quantity in another unit of its kind."""
        kind = kind_of(self.unit)
        if unit == self.unit:
            return self
        number = Decimal(repr(self.value))
        if kind == "temperature":
            shift = _ZERO_CELSIUS if self.unit == "°C" else -_ZERO_CELSIUS
            return Quantity(float(number + shift), unit)
        return Quantity(float(number * UNITS[kind][self.unit] / UNITS[kind][unit]), unit)


def kind_of(unit: str) -> str:
    """Return the kind of quantity that a unit, spelled as in `UNITS`, measures."""
    return next(kind for kind, units in UNITS.items() if unit in units)


def _find_unit(text: str, kind: str) -> str | None:
    """Return the unit that is meant, or None; upper and lower case count where they must."""
    unit = unicodedata.normalize("NFC", text).replace("μ", "µ")
    unit = re.sub(r"[\s^·*]", "", unit)
    unit = re.sub(r"(?<=J)c?m(?:-2|⁻²)$", lambda found: f"/{found[0][:-2]}2", unit)
    unit = re.sub(r"(?<=m)2$", "²", unit)
    if unit in UNITS[kind]:
        return unit
    folded = unit.casefold()
    meant = {known for known in UNITS[kind] if known.casefold() == folded}
    meant |= {_SPELLINGS[kind][folded]} if folded in _SPELLINGS[kind] else set()
    return meant.pop() if len(meant) == 1 else None


def parse_quantity(
    text: str | float,
    kind: str,
    *,
    what: str,
    example: str,
    bare: str | None = None,
    decimal: str | None = None,
) -> Quantity:
    """Return a quantity as it is written: the number, and the unit in its one spelling.

    Parameters
    ----------
    text : str or float
        What was written.
    kind : str
        A key of `UNITS`.
    what, example : str
        What it is, and what might be written, for the error.
    bare : str, optional
        Unit of a number that has none; else such a number is refused.
    decimal : {".", ","}, optional
        The decimal mark, see `uemdask.numbers.parse_number`.

    Raises
    ------
    AmbiguousNumberError
        If the number has two readings, such as ``1,234``.
    UemError
        If `text` is not a finite number with a unit of this kind.

    Examples
    --------
    >>> str(parse_quantity("5mJ/cm^2", "fluence", what="fluence", example="5 mJ/cm²"))
    '5 mJ/cm²'
    """
    number, written = split_quantity(str(text)) or ("", "")
    unit = _find_unit(written or bare or "", kind) if number else None
    if unit is None:
        reason = "is not a number with a unit"
        if number and not written:
            reason = "has no unit"
        elif number and (others := [k for k in UNITS if _find_unit(written, k)]):
            reason = f"is {_a(others[0])}, not {_a(kind)}"
        raise UemError(
            f"{what} {text!r} {reason}; write it like '{example}' ({', '.join(UNITS[kind])})"
        )
    try:
        return Quantity(parse_number(number, decimal), unit)
    except AmbiguousNumberError as error:
        raise AmbiguousNumberError(f"{what} {text!r}", error.readings) from None
    except UemError as error:
        raise UemError(f"{what} {text!r}: {error}; write a number like '{example}'") from None


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _parse(
    text: str | float,
    kind: str,
    unit: str,
    what: str,
    *,
    bare: str | None = None,
    decimal: str | None = None,
) -> float:
    found = parse_quantity(
        text, kind, what=what, example=f"3{unit}", bare=bare or unit, decimal=decimal
    )
    value = found.to(unit).value
    if not math.isfinite(value):
        raise UemError(f"{what} {text!r} is not finite; give a finite number")
    return value


def parse_length(text: str | float, *, what: str = "length", decimal: str | None = None) -> float:
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
    return _parse(str(text).strip().removesuffix("/px"), "length", "nm", what, decimal=decimal)


def parse_counts(text: str | float, *, what: str = "counts") -> float:
    """Return counts of a camera; a bare number is in counts.

    Raises
    ------
    UemError
        If `text` is not a number.

    Examples
    --------
    >>> parse_counts("-400 counts")
    -400.0
    """
    return parse_quantity(text, "count", what=what, example="100", bare="counts").value


def parse_delay(
    text: str | float, *, what: str = "delay", unit: str = "ps", decimal: str | None = None
) -> float:
    """Return a delay in ps; a bare number is in `unit`.

    Parameters
    ----------
    text : str or float
        What was written.
    what : str
        What it is, for the error.
    unit : str
        Unit of a number that has none.
    decimal : {".", ","}, optional
        The decimal mark, see `uemdask.numbers.parse_number`.

    Raises
    ------
    UemError
        If `text` is not a number with a known unit.

    Examples
    --------
    >>> parse_delay("−500 fs"), parse_delay("1,5", unit="ns")
    (-0.5, 1500.0)
    """
    return _parse(text, "time", "ps", what, bare=unit, decimal=decimal)


def split_lengths(text: str, *, what: str = "length") -> list[str]:
    """Return the lengths of a list, such as the pixel sizes along y and x in ``3nm,2.5nm``.

    Lengths stand apart at a semicolon, or a comma that is not between two digits; such a comma
    may be a decimal mark.

    Raises
    ------
    UemError
        If a comma may be either.

    Examples
    --------
    >>> split_lengths("3nm,2.5nm"), split_lengths("3,2.5"), split_lengths("2,5 nm; 3 nm")
    (['3nm', '2.5nm'], ['3', '2.5'], ['2,5 nm', '3 nm'])
    """
    parts = [part.strip() for part in re.split(r"[;；]|(?<!\d)[,，]|[,，](?!\d)", text)]
    if len(parts) > 1 or not _COMMA.search(text):
        return parts
    alone = [part.strip() for part in _COMMA.split(text)]
    number = split_quantity(text)
    try:
        parse_number(number[0] if number else "")
    except AmbiguousNumberError:
        pass
    except UemError:
        return alone
    raise UemError(
        f"{what} {text!r} may be one length or several ({' and '.join(alone)}); write a point in "
        f"decimals, or ';' between lengths"
    )


def parse_pixel_size(text: Any) -> tuple[float, float]:
    """Return a pixel size (y, x) in nm; bare numbers are in nm.

    Parameters
    ----------
    text : str, float or sequence
        One length, or two, see `split_lengths`.

    Raises
    ------
    UemError
        If it is not one or two positive lengths.

    Examples
    --------
    >>> parse_pixel_size("3nm,25Å")
    (3.0, 2.5)
    """
    whole = not isinstance(text, list | tuple)
    parts = split_lengths(str(text), what="pixel size") if whole else [str(part) for part in text]
    lengths = [parse_length(part, what="pixel size") for part in parts]
    if len(lengths) not in (1, 2) or any(length <= 0 for length in lengths):
        raise UemError(
            f"pixel size {text!r} is not one or two positive lengths; write 3nm, or '3nm,2.5nm' "
            f"for y and x"
        )
    return lengths[0], lengths[-1]
