"""Delays with the image file and the scan of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Delays nearer than this are one delay, in decimals of a ps.
DECIMALS = 6


@dataclass(frozen=True)
class DelayTable:
    """Delays in ps, one row per frame, in the order of their source.

    Attributes
    ----------
    delays : tuple of float
        In ps, as stated: time zero is not taken off.
    files : tuple of str, optional
        The image of each row where the source names them, otherwise the rows go with the images
        in their order.
    scans : tuple of int, optional
        Scan of each row, counted from 1, where the source says so.
    source : str
        What messages call it, a file or the option.
    origin : str
        Where the delays and their unit were found, in words.
    plan : bool
        Whether it was stated, so that its length is meant.
    notes : tuple of str
        What a person should know, one sentence each.
    facts : mapping
        What else the source says of the acquisition: ``base_name``, ``number_of_steps``,
        ``number_of_scans``, ``date`` of a log, or the laser's tags in their own spelling.
    """

    delays: tuple[float, ...]
    files: tuple[str, ...] | None = None
    scans: tuple[int, ...] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    plan: bool = False


def number_scans(
    delays: Sequence[float],
    scans: Sequence[int | None] | None,
    order: Sequence[float] | None = None,
) -> tuple[int, ...]:
    """Return the scan of each row, counted from 1; repeats of a delay are scans where none is told.

    Parameters
    ----------
    delays : sequence of float
        In ps.
    scans : sequence of int or None, optional
        Known scans are kept; the others take the lowest numbers that are free for their delay.
    order : sequence of float, optional
        When each row was taken, such as its step; the order of the rows unless given.

    Examples
    --------
    >>> number_scans([0.0, 5.0, 5.0, 0.0], None)
    (1, 1, 2, 2)
    """
    known: list[int | None] = [None] * len(delays) if scans is None else list(scans)
    keys = [round(delay, DECIMALS) + 0.0 for delay in delays]
    taken: dict[float, set[int]] = {}
    for key, scan in zip(keys, known, strict=True):
        if scan is not None:
            taken.setdefault(key, set()).add(scan)
    times = order if order is not None else range(len(keys))
    nexts: dict[float, int] = {}
    for row in sorted(range(len(keys)), key=times.__getitem__):
        if known[row] is None:
            key = keys[row]
            number = nexts.get(key, 1)
            while number in taken.get(key, ()):
                number += 1
            known[row], nexts[key] = number, number + 1
    return tuple(scan for scan in known if scan is not None)


def scans_from_one(numbers: Sequence[int]) -> tuple[int, ...]:
    """Return scan numbers counted from 1, whether their source began at 0 or at 1."""
    first = 1 if 0 in numbers else 0
    return tuple(number + first for number in numbers)


def known_scans(numbers: Sequence[int], delays: Sequence[float]) -> tuple[int, ...] | None:
    """Return scan numbers counted from 1, or None where they do not tell repeats apart.

    One number throughout is scan 1 if no delay repeats, and says nothing if some do.
    """
    if len(set(numbers)) > 1:
        return scans_from_one(numbers)
    repeats = len({round(delay, DECIMALS) for delay in delays}) < len(delays)
    return None if repeats else (1,) * len(numbers)
