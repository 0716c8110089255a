"""Copies of images, told by their content: a backup is no repeated measurement."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from uemdask.readers.delays.delay_table import DECIMALS
from uemdask.readers.fingerprint import copies_among
from uemdask.readers.frame_matching import RawImage
from uemdask.readers.natural_order import natural_sorted
from uemdask.readers.raw_files import RawFiles

_DIGITS = re.compile(r"[0-9]+")


def without_copied_folders(files: RawFiles) -> RawFiles:
    """Leave out folders of scans which hold nothing that others do not; notes say so.

    The copy is that whose name is less like the others', or longer: ``scan 3 - Copy``, ``backup``.
    """
    if len(files.scan_folders) < 2:
        return files
    forms = Counter(_DIGITS.sub("0", folder.name) for folder in files.scan_folders)
    folders = sorted(
        natural_sorted(files.scan_folders),
        key=lambda f: (-forms[_DIGITS.sub("0", f.name)], len(f.name)),
    )
    inside = {folder: [f for f in files.frames if f.parent == folder] for folder in folders}
    found = copies_among([file for folder in folders for file in inside[folder]])
    originals = {
        folder: {found[file].parent for file in inside[folder] if file in found}
        for folder in folders
    }
    copied = {
        folder
        for folder in folders
        if all(file in found for file in inside[folder]) and folder not in originals[folder]
    }
    notes = [
        f"{folder.name} holds the same images as {_names(originals[folder])}, so it is no scan of "
        f"its own and is left out"
        for folder in natural_sorted(copied)
    ]
    return replace(
        files,
        frames=tuple(file for file in files.frames if file.parent not in copied),
        scan_folders=tuple(folder for folder in files.scan_folders if folder not in copied),
        notes=(*files.notes, *notes),
    )


def _names(folders: set[Path]) -> str:
    return " and ".join(folder.name for folder in natural_sorted(folders))


def without_copies(
    images: Sequence[RawImage], blank: Callable[[RawImage], bool]
) -> tuple[list[RawImage], list[str]]:
    """Leave out images that another image of the same delay holds already.

    Parameters
    ----------
    images : sequence of RawImage
        Of all scans.
    blank : callable
        Whether all pixels of an image are equal: two of those may be alike and no copies.

    Returns
    -------
    images : list of RawImage
        Each once; of copies that with the shorter name, as of the first scan that has it.
    notes : list of str
        Which were left out.
    """
    by_delay: dict[float, set[Path]] = {}
    for image in images:
        by_delay.setdefault(round(image.delay, DECIMALS), set()).add(image.file)
    ordered = sorted(
        (image for image in images if len(by_delay[round(image.delay, DECIMALS)]) > 1),
        key=lambda image: (len(image.file.name), image.scan),
    )
    found = copies_among(list(dict.fromkeys(image.file for image in ordered)))
    same: dict[tuple[Path, int], list[RawImage]] = {}
    for image in ordered:
        same.setdefault((found.get(image.file, image.file), image.index), []).append(image)
    kept: dict[RawImage, RawImage] = {}
    left_out: dict[RawImage, RawImage] = {}
    for first, *others in same.values():
        # One content at several delays is no backup of a frame.
        delays = {round(image.delay, DECIMALS) for image in (first, *others)}
        if others and len(delays) == 1 and not blank(first):
            kept[first] = replace(first, scan=min(image.scan for image in (first, *others)))
            left_out |= dict.fromkeys(others, first)
    if not left_out:
        return list(images), []
    copy, original = next(iter(left_out.items()))
    more = ", ..." if len(left_out) > 1 else ""
    note = (
        f"{len(left_out)} images hold the same as others of their delay and are left out "
        f"({copy.file.name} is {original.file.name}{more})"
    )
    return [kept.get(image, image) for image in images if image not in left_out], [note]
