"""Which files of a raw folder are frames, and which are dark images or taken without the pump."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uemdask.errors import UemError
from uemdask.readers.delays import capture_images
from uemdask.readers.folders import entries, matching, on_disk
from uemdask.readers.formats import as_recorded, check_one_format
from uemdask.readers.images import is_image
from uemdask.readers.natural_order import natural_sorted

# Words stand alone between digits, signs and the ends: 'darkfield' is no dark image, nor is
# 'dark field'.
_DARK = re.compile(
    r"(?<![^\W\d_])(?:darks?|darkframes?|backgrounds?|bkg|bgd)(?![^\W\d_])(?![\W_]*field)",
    re.IGNORECASE,
)
_PUMP_OFF = re.compile(
    r"(?<![^\W\d_])(?:(?:pump|laser)[\W_]?off|no[\W_]?pump|unpumped|probe[\W_]?only)(?![^\W\d_])",
    re.IGNORECASE,
)
# The light of the pump may be on them, so that they are no dark images unless someone says so.
_PROBE_OFF = re.compile(
    r"(?<![^\W\d_])(?:(?:probe|beam|electrons?)[\W_]?off|no[\W_]?(?:probe|beam)|pump[\W_]?only)"
    r"(?![^\W\d_])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RawFiles:
    """The image files of an acquisition, each in the natural order of names.

    Attributes
    ----------
    frames, dark, pump_off : tuple of Path
        Those with a delay; those without the beam; those without the pump.
    scan_folders : tuple of Path
        Folders that hold the frames of one scan each, in order; empty where the raw folder holds
        the frames itself.
    notes : tuple of str
        What a person should know, one sentence each.
    sequences : tuple of tuples of (Path, int)
        Where files tell the order of their frames themselves: file and number in it of each frame,
        one sequence for each series.
    """

    frames: tuple[Path, ...]
    dark: tuple[Path, ...] = ()
    pump_off: tuple[Path, ...] = ()
    scan_folders: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    sequences: tuple[tuple[tuple[Path, int], ...], ...] = ()


def raw_files(path: Path, *, dark: str | None = None, pump_off: str | None = None) -> RawFiles:
    """Find the images of a raw folder, or of a stack.

    A folder holds its frames itself, as an in-situ capture (``Hour_00 ...``), or in folders inside
    it, one for each scan. Files and folders
    are dark images or taken without the pump if their names say so (``dark``, ``background``;
    ``pump_off``, ``laser off``, ``no pump``), unless that holds for most of them; those without the
    probe (``probe_off``, ``beam off``) are set aside with the latter. A frame that lies
    there in several formats counts once, see `uemdask.readers.formats.as_recorded`.

    Parameters
    ----------
    path : Path
        The folder or stack.
    dark, pump_off : str, optional
        A file or folder, or a pattern such as ``"off_*.tif"``, in the raw folder or elsewhere; wins
        over names.

    Raises
    ------
    UemError
        If there are no images, none where `dark` or `pump_off` says, or frames of several formats.
    """
    if path.is_file() or is_image(path):
        return RawFiles((path,), _named(path.parent, dark, "dark"))
    if not path.is_dir():
        raise UemError(f"{path}: no such folder or file; check the name")
    found = images_in(path) or capture_images(path)
    inner = [folder for folder in entries(path) if folder.is_dir() and not is_image(folder)]
    special = [
        image
        for folder in inner
        if any(word.search(folder.name) for word in (_DARK, _PUMP_OFF, _PROBE_OFF))
        for image in images_in(folder)
    ]
    scans = found or [image for folder in inner for image in images_in(folder)]
    everything, notes = as_recorded(list(dict.fromkeys([*scans, *special])))
    darks = _named(path, dark, "dark") or _told(path, everything, _DARK)
    without_pump = _named(path, pump_off, "pump-off") or tuple(
        image
        for word in (_PUMP_OFF, _PROBE_OFF)
        for image in _told(path, everything, word)
        if image not in darks
    )
    # Without its ending: a dark image that is named may lie there in another format too.
    aside = {file.resolve().with_suffix("") for file in (*darks, *without_pump)}
    frames = tuple(i for i in everything if i.resolve().with_suffix("") not in aside)
    if not frames and everything:
        given = " and ".join(
            f"`{option}={text!r}`"
            for option, text in (("dark", dark), ("pump_off", pump_off))
            if text is not None
        )
        raise UemError(
            f"{path}: {given} names all {len(everything)} images, so that no frame is left; name "
            f"fewer"
        )
    if not frames:
        raise UemError(f"{path}: holds no image files that can be read; name the raw folder")
    check_one_format(path, frames)
    folders = () if found else tuple(dict.fromkeys(file.parent for file in frames))
    return RawFiles(frames, darks, without_pump, folders, tuple(notes))


def is_without_probe(image: Path) -> bool:
    """Return whether the name of an image or its folder says that there was no probe."""
    return bool(_PROBE_OFF.search(image.stem) or _PROBE_OFF.search(image.parent.name))


def images_in(folder: Path) -> list[Path]:
    """Return the images that lie in a folder, in the natural order of names."""
    return [file for file in entries(folder) if is_image(file)]


def _told(path: Path, images: Sequence[Path], word: re.Pattern[str]) -> tuple[Path, ...]:
    """Return the images whose own name or folder holds a word, unless most do."""
    told = [
        image
        for image in images
        if word.search(image.stem) or (image.parent != path and word.search(image.parent.name))
    ]
    return tuple(told) if 2 * len(told) < len(images) else ()


def _named(folder: Path, given: str | None, what: str) -> tuple[Path, ...]:
    """Return the images that a file, a folder or a pattern names."""
    if given is None:
        return ()
    place = on_disk(folder / given)  # an absolute path stays as it is
    if place.exists() and (place.is_file() or is_image(place)):
        return (place,)
    if place.is_dir():
        found = images_in(place)
    else:
        found = natural_sorted(f for f in matching(folder, given, recursive=True) if is_image(f))
    if not found:
        raise UemError(f"{given}: names no {what} images in {folder}; check the path")
    return tuple(found)
