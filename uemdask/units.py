"""Quantities with units, as people write them: ``3nm``, ``-5 ps``, ``2.5 Å/px``, ``5 mJ/cm2``."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from uemdask.errors import UemError

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
        "time": {"fs": "1e-15", "ps": "1e-12", "ns": "1e-9", "µs": "1e-6", "ms": "1e-3", "s": "1"},
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
#: Other spellings, in small letters. Accelerating an electron through 1 kV gives it 1 keV.
_SPELLINGS: dict[str, dict[str, str]] = {
    "length": {"a": "Å", "angstrom": "Å", "um": "µm", "micron": "µm"},
    "time": {"us": "µs"},
    "energy": {"v": "eV", "kv": "keV"},
    "fluence": {"uj/cm²": "µJ/cm²", "uj/m²": "µJ/m²"},
    "power": {"uw": "µW"},
    "frequency": {},
    "temperature": {"c": "°C", "degc": "°C", "celsius": "°C", "kelvin": "K"},
    "count": {"count": "counts", "adu": "counts"},
}
_ZERO_CELSIUS = Decimal("273.15")  # K
_QUANTITY = re.compile(r"\s*([-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(|[^\d\s].*?)\s*")


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
    text: str | float, kind: str, *, what: str, example: str, bare: str | None = None
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

    Raises
    ------
    UemError
        If `text` is not a finite number with a unit of this kind.

    Examples
    --------
    >>> str(parse_quantity("5mJ/cm^2", "fluence", what="fluence", example="5 mJ/cm²"))
    '5 mJ/cm²'
    """
    match = _QUANTITY.fullmatch(str(text))
    unit = _find_unit(match[2] or bare or "", kind) if match else None
    if match is None or unit is None:
        reason = "is not a number with a unit"
        if match and not match[2]:
            reason = "has no unit"
        elif match and (others := [k for k in UNITS if _find_unit(match[2], k)]):
            reason = f"is {_a(others[0])}, not {_a(kind)}"
        raise UemError(
            f"{what} {text!r} {reason}; write it like '{example}' ({', '.join(UNITS[kind])})"
        )
    value = float(match[1].replace("−", "-"))
    if not math.isfinite(value):
        raise UemError(f"{what} {text!r} is not finite; give a finite number")
    return Quantity(value, unit)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _parse(text: str | float, kind: str, unit: str, what: str) -> float:
    found = parse_quantity(text, kind, what=what, example=f"3{unit}", bare=unit)
    value = found.to(unit).value
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
    return _parse(str(text).strip().removesuffix("/px"), "length", "nm", what)


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
    return _parse(text, "time", "ps", what)
