"""Where what is known of an acquisition was found, or what was taken where nothing was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uemdask.readers.delays import DelayTable
from uemdask.readers.formats import format_name
from uemdask.readers.frame_matching import RawImage
from uemdask.readers.info import ImageInfo
from uemdask.readers.raw_files import RawFiles


def origin_of(
    given: str | None, key: str, metadata: Mapping[str, Any] | None, known: Mapping[str, Any]
) -> str:
    """Return which word of the user a value is from, empty where there is none."""
    if given is not None:
        return "given"
    if key in (metadata or {}):
        return "metadata that were given"
    return "metadata.yaml" if key in known else ""


def origins_of(
    path: Path,
    files: RawFiles,
    info: ImageInfo,
    table: DelayTable,
    images: Sequence[RawImage],
    given: Mapping[str, Any],
) -> dict[str, str]:
    """Return what was guessed of an acquisition, each with where it was found.

    Parameters
    ----------
    path : Path
        Raw folder or stack.
    files, info, table, images
        What was found in it.
    given : mapping
        Where the user told pixel size, time zero, offset, dark and pump-off images; empty if not.

    Returns
    -------
    dict of str to str
        Such as ``"delays": "from names, 48 of 48"``, one line each.
    """
    count = len(files.frames) * info.frames
    order = ""
    if table.files is None:
        order = f" in the order of {'names' if len(files.frames) > 1 else 'the stack'}"
    return {
        "delays": f"from {table.origin}, {len(images)} of {count}{order}",
        "pixel": given["pixel size"] or _pixel_origin(files.frames[0], info),
        "time zero": given["time zero"] or "not given, 0 ps",
        "scans": _scan_origin(path, files, info, table, images),
        "offset": given["offset"] or "none",
        "dark": _special(files.dark, given["dark"]),
        "pump off": _special(files.pump_off, given["pump off"]),
    }


def _pixel_origin(file: Path, info: ImageInfo) -> str:
    """Return which tags of a file state its pixel size."""
    name = format_name(file)
    if name != "TIFF":
        return f"the {name} file{'' if file.suffix.casefold() == '.zarr' else 's'}"
    imagej = info.vendor.get("ImageJ", {})
    for key, tags in (("OME", "OME metadata"), ("TVIPS", "TVIPS tags"), ("FEI", "FEI tags")):
        if key in info.vendor:
            return tags
    if isinstance(imagej, Mapping) and imagej.get("unit"):
        return "ImageJ tags"
    return "resolution tags of the TIFF files"


def _scan_origin(
    path: Path, files: RawFiles, info: ImageInfo, table: DelayTable, images: Sequence[RawImage]
) -> str:
    scans = sorted({image.scan for image in images})
    if len(scans) == 1:
        return "one"
    if table.scans is not None:
        return f"{len(scans)}, numbered in {Path(table.source).name}"
    if len(files.scan_folders) == len(scans):
        return f"{len(scans)}, a folder each ({files.scan_folders[0].name}, ...)"
    if info.frames > 1 and len(files.frames) == len(scans):
        return f"{len(scans)}, a stack each ({files.frames[0].name}, ...)"
    return f"{len(scans)}, as delays repeat"


def _special(images: Sequence[Path], given: Any) -> str:
    if not images:
        return "none"
    return f"{len(images)}, {'given' if given else 'by the names of files or folders'}"
