"""The order in which a person would sort file names: by the numbers in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uemdask.numbers import MINUS, PLUS

_NUMBER = re.compile(
    rf"(?P<sign>[{MINUS}{PLUS}])?(?P<whole>[0-9]+)(?:[.,](?P<part>[0-9]+)(?![.,]?[0-9]))?"
)
#: Texts of a name before a number, itself included: numbers at one place of alike names.
_Place = tuple[str, ...]


@dataclass(frozen=True)
class NumberColumn:
    """Numbers at one place of several names.

    Attributes
    ----------
    before : str
        The text before them.
    after : tuple of str
        The text behind each.
    names : tuple of str
        Names that have one.
    texts : tuple of str
        As written, without the sign where that is a dash.
    signed, decimal : bool
        Whether signs count, and whether a mark parts decimals from the whole; else such numbers
        are two counters.
    """

    before: str
    after: tuple[str, ...]
    names: tuple[str, ...]
    texts: tuple[str, ...]
    signed: bool
    decimal: bool

    def values(self) -> list[float]:
        """Return the numbers, decimals taken as such."""
        return [_value(text, self.signed) for text in self.texts]


def number_columns(names: Iterable[str]) -> dict[_Place, NumberColumn]:
    """Return the numbers in names by their place."""
    found: dict[_Place, list[tuple[str, re.Match[str], str]]] = {}
    for name in dict.fromkeys(names):
        texts, matches = _cut(name)
        for i, match in enumerate(matches):
            found.setdefault(texts[: i + 1], []).append((name, match, texts[i + 1]))
    return {place: _column(place[-1], rows) for place, rows in found.items()}


def natural_sorted(paths: Iterable[Path]) -> list[Path]:
    """Return paths by their names, ``frame_2`` before ``frame_10`` and ``-1.5`` before ``+1``.

    The names together tell whether ``-`` is a minus or a dash (in all of ``run-1``, ``run-2``),
    and whether ``2.5`` is a decimal number or two counters (beside ``2.10``).

    Examples
    --------
    >>> from pathlib import Path
    >>> names = ("frame_10.tif", "frame_2.tif", "frame_-1.tif", "frame_2.5.tif")
    >>> [path.name for path in natural_sorted(map(Path, names))]
    ['frame_-1.tif', 'frame_2.tif', 'frame_2.5.tif', 'frame_10.tif']
    """
    paths = list(paths)
    columns = number_columns(path.name for path in paths)

    def key(path: Path) -> list[tuple[bool, float, int, str]]:
        texts, matches = _cut(path.name)
        parts = [(False, 0.0, 0, texts[0])]
        for i, match in enumerate(matches):
            parts.append((True, *_numbers(match, columns[texts[: i + 1]]), match[0]))
            parts.append((False, 0.0, 0, texts[i + 1]))
        return parts

    return sorted(paths, key=key)


def _cut(name: str) -> tuple[_Place, list[re.Match[str]]]:
    """Return the texts around the numbers of a name, and the numbers."""
    matches = list(_NUMBER.finditer(name))
    starts = [0, *(match.end() for match in matches)]
    ends = [*(match.start() for match in matches), len(name)]
    return tuple(name[start:end] for start, end in zip(starts, ends, strict=True)), matches


def _column(before: str, rows: Sequence[tuple[str, re.Match[str], str]]) -> NumberColumn:
    matches = [match for _, match, _ in rows]
    signs = {match["sign"] or "" for match in matches}
    # One dash in all names, behind a letter or digit, is none.
    behind = [match.string[: match.start()][-1:] for match in matches]
    signed = signs != {""} and (
        len(signs) > 1 or signs <= set(PLUS) or not any(map(str.isalnum, behind))
    )
    parts = [match["part"] or "" for match in matches]
    widths = {len(part) for part in parts} - {0}
    decimal = bool(widths) and (len(widths) == 1 or not any(part.endswith("0") for part in parts))
    return NumberColumn(
        before,
        tuple(after for _, _, after in rows),
        tuple(name for name, _, _ in rows),
        tuple(match[0] if signed else match[0].lstrip(MINUS + PLUS) for match in matches),
        signed,
        decimal,
    )


def _numbers(match: re.Match[str], column: NumberColumn) -> tuple[float, int]:
    """Return by what a number is sorted."""
    if column.decimal or column.signed:
        return _value(match[0], column.signed), 0
    return float(match["whole"]), int(match["part"] or 0)


def _value(text: str, signed: bool) -> float:
    number = float(text.lstrip(MINUS + PLUS).replace(",", "."))
    return -number if signed and text[0] in MINUS else number
