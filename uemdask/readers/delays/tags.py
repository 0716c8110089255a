"""Delays in the tags that a delay stage program leaves in DigitalMicrograph files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uemdask.errors import FaultsError, UemError
from uemdask.numbers import parse_number
from uemdask.readers.delays.cells import delay_in, is_unit
from uemdask.readers.delays.delay_table import DelayTable
from uemdask.units import parse_delay

_GROUP = "laserparameter"
#: Tags deeper than this are not looked at, in nested groups.
_DEEPEST = 12
_TENTHS = re.compile(r"(.{1,13})x10")
#: Tags of the laser that are kept as facts, in their own spelling.
_LASER = ("Wavelength", "Repitition Rate", "Repetition Rate", "Laser Power")


def read_tags(
    images: Sequence[Path], tags: Callable[[Path], Mapping[str, Any]]
) -> DelayTable | None:
    """Return the delays in the tags ``LaserParameter`` of the images, or None where there are none.

    The rows are those of the images that have the tags. All images are read only if the first,
    middle or last one has them.

    Parameters
    ----------
    images : sequence of Path
        One frame each.
    tags : callable
        Returns the tags of an image as nested dicts.

    Raises
    ------
    FaultsError
        If tags hold no finite delay, or no unit of time; all such images are listed.
    """
    probes = {images[0], images[len(images) // 2], images[-1]} if images else set()
    if not any(_laser(image, tags) for image in probes):
        return None
    files, delays, faults = [], [], []
    seen: dict[str, dict[str, None]] = {}
    for image in images:
        laser = _laser(image, tags)
        if "delay" not in laser:
            continue
        try:
            delays.append(_delay(laser))
            files.append(image.name)
        except UemError as error:
            faults.append(f"{image.name}: LaserParameter {error}")
        for key in _LASER:
            if key.casefold() in laser:
                seen.setdefault(key, {})[_word(laser[key.casefold()])] = None
    if faults:
        raise FaultsError(f"tags of {images[0].parent}", faults)
    if not files:
        return None
    notes = [
        f"{key} differs from image to image: {', '.join(list(values)[:5])}"
        for key, values in seen.items()
        if len(values) > 1
    ]
    facts = {key: next(iter(values)) for key, values in seen.items() if len(values) == 1}
    source = "LaserParameter tags"
    return DelayTable(tuple(delays), tuple(files), None, source, tuple(notes), facts, source)


def _laser(image: Path, tags: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tags of the laser, keys in lower case."""
    try:
        found = tags(image)
    except UemError:
        return {}  # a damaged image is told when its frame is read
    return _find(found, _DEEPEST)


def _find(tags: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Return the first group ``LaserParameter`` with a delay, nested or as ``Group:Tag`` keys."""
    flat = {
        str(key).casefold().partition(":")[2].strip(): value
        for key, value in tags.items()
        if str(key).casefold().startswith(f"{_GROUP}:")
    }
    if "delay" in flat:
        return flat
    for key, value in tags.items():
        if not isinstance(value, Mapping):
            continue
        if str(key).strip().casefold() == _GROUP:
            group = {str(name).strip().casefold(): inner for name, inner in value.items()}
            if "delay" in group:
                return group
        if depth and (found := _find(value, depth - 1)):
            return found
    return {}


def _word(value: Any) -> str:
    return str(value).replace("\0", "").strip()


def _delay(laser: Mapping[str, Any]) -> float:
    unit = _word(laser.get("delay units", "")) or "ps"
    if not is_unit(unit):
        raise UemError(f"Delay Units {unit!r} is no unit of time; give `delays=FILE`")
    text = _word(laser["delay"])
    tenths = _TENTHS.fullmatch(text)
    try:
        if tenths is not None:
            return parse_delay(parse_number(tenths[1]) / 10, unit=unit)
        return delay_in(text, unit)
    except UemError:
        raise UemError(f"Delay {text!r} is no delay; give `delays=FILE`") from None
