"""Which frames of an OME-TIFF series lie in which file.

Every file of a set holds the metadata of the whole set. Only a file's own pages are its frames:
with those of the others, each file of a set would give the same frames.
https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from uemdask.errors import UemError
from uemdask.readers.axes import axes_of
from uemdask.readers.info import Part

#: Files and frames of a set beyond which its metadata are at fault.
_MOST = 10**6


@dataclass(frozen=True)
class OmePart:
    """What OME metadata say of one file of a set.

    Attributes
    ----------
    part : Part
        Which frames of the series it holds.
    pages : tuple of int
        The page of each of them in the file.
    image : int
        Number of the series among all that the metadata tell of.
    """

    part: Part
    pages: tuple[int, ...]
    image: int


def ome_part(path: Path, xml: str, pages: int) -> OmePart | None:
    """Return which frames of a set a file holds; None where it is no part of a set.

    Parameters
    ----------
    path : Path
        The file.
    xml : str
        Its OME metadata.
    pages : int
        How many pages it has.

    Raises
    ------
    UemError
        If the frames of the set lie along more than one axis, or several series of it have frames
        in this file.
    """
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 - expat bounds what entities make of it
    except ElementTree.ParseError:
        return None
    images = [pixels for image in _children(root, "Image") for pixels in _children(image, "Pixels")]
    if not any(other for pixels in images for _, _, other in _planes(root, path, pixels, pages)):
        return None
    found = []
    for number, pixels in enumerate(images):
        planes = list(_planes(root, path, pixels, pages))
        own = sorted((page, place) for place, page, other in planes if not other and page < pages)
        if own:
            found.append((number, pixels, planes, own))
    if not found:
        raise UemError(
            f"{path}: its OME metadata tell of other files only; give it back its own name"
        )
    if len(found) > 1:
        raise UemError(f"{path}: holds frames of {len(found)} OME series; save one series")
    number, pixels, planes, own = found[0]
    sizes = _sizes(pixels)
    axes_of(
        path,
        [*sizes.values(), int(pixels.get("SizeY", 0)), int(pixels.get("SizeX", 0))],
        [*sizes, "y", "x"],
    )
    names = {place: other or path.name for place, _, other in planes}
    files = tuple(dict.fromkeys(names[place] for place in sorted(names)))
    total = 1
    for size in sizes.values():
        total *= size
    part = Part(
        series=f"{pixels.get('ID')} of {files[0]}",
        places=tuple(place for _, place in own),
        total=total,
        files=files,
    )
    return OmePart(part, tuple(page for page, _ in own), number)


def _children(element: ElementTree.Element, name: str) -> Iterator[Any]:
    return (child for child in element if child.tag.rpartition("}")[2] == name)


def _sizes(pixels: ElementTree.Element) -> dict[str, int]:
    """Return the axes of frames and their sizes, the slowest first."""
    order = pixels.get("DimensionOrder", "XYZCT")
    sizes = {axis: int(pixels.get(f"Size{axis}", 1)) for axis in reversed(order[2:])}
    channel = next(_children(pixels, "Channel"), None)
    samples = int(channel.get("SamplesPerPixel", 1)) if channel is not None else 1
    return {axis: size // samples if axis == "C" else size for axis, size in sizes.items()}


def _planes(
    root: ElementTree.Element, path: Path, pixels: ElementTree.Element, pages: int
) -> Iterator[tuple[int, int, str]]:
    """Yield place in the series, page in its file, and the file's name if it is another one."""
    sizes = _sizes(pixels)
    for data in _children(pixels, "TiffData"):
        uuid = next(_children(data, "UUID"), None)
        other = ""
        if uuid is not None and not _is_own(root, path, uuid):
            other = uuid.get("FileName") or "another file"
        place = 0
        for axis, size in sizes.items():
            place = place * size + int(data.get(f"First{axis}", 0))
        first = int(data.get("IFD", 0))
        count = int(data.get("PlaneCount", data.get("NumPlanes", 1 if "IFD" in data.attrib else 0)))
        for number in range(min(count or pages - first, _MOST)):
            yield place + number, first + number, other


def _is_own(root: ElementTree.Element, path: Path, uuid: ElementTree.Element) -> bool:
    if uuid.text is not None and uuid.text == root.get("UUID"):
        return True
    return uuid.get("FileName", "").casefold() == path.name.casefold()
