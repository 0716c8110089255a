"""Series that are spread over several files, as OME-TIFF sets: their frames in their own order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from uemdask.errors import FaultsError, UemError
from uemdask.readers.info import ImageInfo, Part
from uemdask.readers.raw_files import RawFiles

#: Names in a note; more are counted.
_NAMED = 3


def in_series_order(
    path: Path, files: RawFiles, infos: Mapping[Path, ImageInfo], look: Callable[[Path], ImageInfo]
) -> RawFiles:
    """Return the files with the order of their frames, where the files themselves know it.

    Parameters
    ----------
    path : Path
        The raw folder, or one file.
    files : RawFiles
        Its files.
    infos : mapping
        What some of them say of themselves, the first among them.
    look : callable
        Tells it of any of them.

    Raises
    ------
    UemError, FaultsError
        If `path` is one file of a set, or several files hold the same frame of it.
    """
    first = infos[files.frames[0]].part
    if first is None or len(first.files) == 1:
        return files
    if len(files.frames) == 1:
        raise UemError(
            f"{path}: is one of {len(first.files)} files of a set; name their folder, {path.parent}"
        )
    parts = {file: (infos.get(file) or look(file)).part for file in files.frames}
    sets: dict[tuple[Path, str], dict[int, tuple[Path, int]]] = {}
    told: dict[tuple[Path, str], Part] = {}
    faults = []
    for file, part in parts.items():
        if part is None:
            faults.append(f"{file.name}: is of no set, {first.files[0]} is; leave one kind there")
            continue
        series = file.parent, part.series
        told[series] = part
        places = sets.setdefault(series, {})
        for index, place in enumerate(part.places):
            if place in places:
                faults.append(
                    f"{file.name}: holds frame {place} of the set, as {places[place][0].name} "
                    f"does; leave one of them"
                )
            places.setdefault(place, (file, index))
    if faults:
        raise FaultsError(str(path), faults)
    notes = []
    for series, part in told.items():
        places = sets[series]
        if len(places) < part.total:
            there = {file.name for file, _ in places.values()}
            gone = [name for name in part.files if name not in there][:_NAMED]
            named = f" (without {', '.join(gone)})" if gone else ""
            notes.append(
                f"{len(places)} of the {part.total} frames of the set {part.files[0]}, ... are "
                f"there{named}"
            )
    sequence = tuple(tuple(places[place] for place in sorted(places)) for places in sets.values())
    return replace(files, sequences=sequence, notes=(*files.notes, *notes))
