"""Rows and images brought together, and sources of delays compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.delays.delay_table import DECIMALS, DelayTable
from uemdask.readers.delays.names import delays_in_name
from uemdask.readers.folders import same_name


def with_images(table: DelayTable, images: Sequence[Path]) -> DelayTable:
    """Return the table with files that are named otherwise replaced by the images meant.

    A row means the image of its name, or of its path where that is needed, or else the only one
    of its stem (``.dm3`` logged, ``.tif`` there), or else the only one with its base name, scan,
    step and delay. Names that mean no image stay as they are.
    """
    if table.files is None:
        return table
    by_name, by_stem, by_place = _indices(images)
    files: list[str] = []
    other_ending: list[tuple[str, str]] = []
    other_name: list[tuple[str, str]] = []
    for file in table.files:
        wanted = PureWindowsPath(file)  # splits at / and at \
        image = _of_path(wanted, by_name.get(same_name(wanted.name), []))
        if image is None:
            image = _only(
                by_stem.get(same_name(wanted.name)) or by_stem.get(same_name(wanted.stem))
            )
            if image is not None:
                other_ending.append((wanted.name, image.name))
        if image is None:
            image = _only(by_place.get(_place(wanted.name)))
            if image is not None:
                other_name.append((wanted.name, image.name))
        files.append(file if image is None else _written(image, by_name))
    notes = list(table.notes)
    if other_ending:
        notes.append(
            f"{len(other_ending)} rows name images with another ending, as "
            f"{other_ending[0][0]} for {other_ending[0][1]}"
        )
    if other_name:
        notes.append(
            f"{len(other_name)} rows name images by another name of the same scan, step and "
            f"delay, as {other_name[0][0]} for {other_name[0][1]}"
        )
    return replace(table, files=tuple(files), notes=tuple(notes))


def _indices(
    images: Sequence[Path],
) -> tuple[dict[str, list[Path]], dict[str, list[Path]], dict[object, list[Path]]]:
    by_name: dict[str, list[Path]] = {}
    by_stem: dict[str, list[Path]] = {}
    by_place: dict[object, list[Path]] = {}
    for image in images:
        by_name.setdefault(same_name(image.name), []).append(image)
        by_stem.setdefault(same_name(image.stem), []).append(image)
        if (place := _place(image.name)) is not None:
            by_place.setdefault(place, []).append(image)
    return by_name, by_stem, by_place


def _written(image: Path, by_name: Mapping[str, Sequence[Path]]) -> str:
    """Return the name of an image, its path where others have that name."""
    return image.name if len(by_name[same_name(image.name)]) == 1 else image.as_posix()


def _of_path(wanted: PureWindowsPath, images: Sequence[Path]) -> Path | None:
    """Return the image of a name; where several have it, the one in the folders of the row."""
    exact = [image for image in images if image.name == wanted.name] or list(images)
    if len(exact) < 2:
        return _only(exact)
    parents = [same_name(part) for part in wanted.parts[:-1] if part != wanted.anchor]
    return _only(
        [
            image
            for image in exact
            if [same_name(part) for part in image.parts[:-1]][-len(parents) or None :] == parents
        ]
    )


def _only(images: Sequence[Path] | None) -> Path | None:
    return images[0] if images is not None and len(images) == 1 else None


def _place(name: str) -> tuple[str, int, int, float] | None:
    try:
        times = delays_in_name(name)
    except UemError:  # it is not clear which delay
        return None
    if not times:
        return None
    last = times[-1]
    if last.scan is None or last.step is None:
        return None
    return same_name(last.base or ""), last.scan, last.step, last.delay


def by_image(table: DelayTable, images: Sequence[Path]) -> dict[str, float]:
    """Return the delay in ps of each image name, none where rows and images cannot be paired."""
    if table.files is not None:
        return dict(zip(table.files, table.delays, strict=True))
    if len(images) == len(table.delays):
        return {i.name: delay for i, delay in zip(images, table.delays, strict=True)}
    return {}


def delay_disagreement(
    first: Mapping[str, float], second: Mapping[str, float], source: str, tolerance: float = 0.0
) -> str | None:
    """Return a sentence on how two sources differ, or None where they do not.

    Parameters
    ----------
    first, second : mapping of str to float
        Delay in ps by image; the first is the one that is used.
    source : str
        What the second is called.
    tolerance : float
        Differences up to this are none, in ps.
    """
    names = [name for name in first if name in second]
    used = np.array([first[name] for name in names])
    other = np.array([second[name] for name in names])
    apart = other - used
    differ = np.abs(apart) > tolerance + 10.0**-DECIMALS
    if not differ.any():
        return None
    largest = int(np.abs(apart).argmax())
    how = f"by up to {abs(apart[largest]):g} ps"
    factor = _factor(used[differ], other[differ])
    if factor is not None:
        how = f"by a factor of {factor:g}: check the unit"
    elif differ.sum() > 1 and np.ptp(apart[differ]) <= 10.0**-DECIMALS:
        how = f"by {apart[largest]:g} ps each"
    return (
        f"{source} state another delay for {differ.sum()} of {len(names)} images, {how} "
        f"({names[largest]}: {used[largest]:g} ps is used, not {other[largest]:g} ps)"
    )


def _factor(used: np.ndarray, other: np.ndarray) -> float | None:
    """Return the power of ten between two sources, if one holds for all delays."""
    if not (used.all() and other.all() and (np.sign(used) == np.sign(other)).all()):
        return None
    powers = np.log10(other / used)
    power = round(float(np.median(powers)))
    return 10.0**power if power and np.allclose(powers, power, atol=1e-3) else None
