"""What TIFF files say of pixel size and instrument, in the ways of their makers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import tifffile

# TIFF's own resolution units.
_TIFF_UNIT = {2: ("in", 25.4e6), 3: ("cm", 1e7)}  # name, nm
# 72 dpi and the like are a printer's default, not a microscope's pixel size.
_LARGEST_NM = 1e4
# DigitalMicrograph's tags of an exported TIFF: units and steps of x, y.
_DM_UNITS, _DM_STEPS = (65004, 65003), (65010, 65009)


@dataclass(frozen=True)
class Steps:
    """Steps from pixel to pixel along y and x and their units; `reason` where there are none."""

    steps: list[Any] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    reason: str = ""


def steps_of(file: tifffile.TiffFile, page: tifffile.TiffPage, image: int) -> Steps:
    """Return steps and units along y and x; what its maker states wins over TIFF's resolution.

    Parameters
    ----------
    file, page
        The file and a page of the series.
    image : int
        Number of the series among the images of OME metadata.
    """
    if file.is_ome:
        pixels = _ome_pixels(file, image)
        if "PhysicalSizeX" in pixels and "PhysicalSizeY" in pixels:
            # The unit is µm unless another is stated.
            return Steps(
                [pixels[f"PhysicalSize{axis}"] for axis in "YX"],
                [str(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX"],
            )
        return Steps(reason="its OME metadata have no PhysicalSizeX and PhysicalSizeY")
    if all(code in page.tags for code in (*_DM_UNITS, *_DM_STEPS)):
        return Steps(
            [page.tags[code].value for code in _DM_STEPS],
            [page.tags[code].value for code in _DM_UNITS],
        )
    tvips = file.tvips_metadata or {}
    if "PixelSizeX" in tvips and "PixelSizeY" in tvips:
        return Steps([tvips[f"PixelSize{axis}"] for axis in "YX"], ["nm", "nm"])
    scan = (file.fei_metadata or {}).get("Scan", {})
    if "PixelWidth" in scan and "PixelHeight" in scan:
        return Steps([scan["PixelHeight"], scan["PixelWidth"]], ["m", "m"])
    return _resolution(file, page)


def _ome_pixels(file: tifffile.TiffFile, number: int) -> dict[str, Any]:
    found = tifffile.xml2dict(file.ome_metadata or "<OME/>").get("OME")
    images = found.get("Image", []) if isinstance(found, dict) else []
    images = images if isinstance(images, list) else [images]
    return images[number].get("Pixels", {}) if number < len(images) else {}


def _resolution(file: tifffile.TiffFile, page: tifffile.TiffPage) -> Steps:
    try:
        numbers = [page.tags[f"{axis}Resolution"].value for axis in "YX"]
    except KeyError:
        return Steps(reason="it has no resolution")
    if any(a <= 0 or b <= 0 for a, b in numbers):
        return Steps(reason="its resolution is not above 0")
    steps = [b / a for a, b in numbers]
    imagej = file.imagej_metadata or {}
    unit = str(imagej.get("unit", ""))
    if unit:
        # ImageJ names the unit of y where it is not that of x.
        return Steps(steps, [str(imagej.get("yunit") or unit), unit])
    tag = page.tags.get("ResolutionUnit")
    name, scale = _TIFF_UNIT.get(int(tag.value) if tag else 1, ("", 0.0))
    if not name:
        return Steps(reason="its resolution has no unit")
    if scale * steps[0] > _LARGEST_NM:
        return Steps(
            reason=f"its resolution of {1 / steps[0]:g} px per {name} is a printer's, not a "
            f"camera's"
        )
    return Steps([scale * step for step in steps], ["nm", "nm"])


def vendor_tags(file: tifffile.TiffFile, page: tifffile.TiffPage) -> dict[str, Any]:
    """Return the tags of the program or instrument that wrote the file."""
    tags: dict[str, Any] = {}
    for name in ("Software", "DateTime", "Make", "Model", "Artist"):
        tag = page.tags.get(name)
        if tag is not None:
            tags[name] = str(tag.value)
    if file.is_ome:
        tags["OME"] = file.ome_metadata
    elif file.imagej_metadata:
        tags["ImageJ"] = _plain(file.imagej_metadata)
    elif page.description:
        tags["ImageDescription"] = page.description
    for name, found in (("TVIPS", file.tvips_metadata), ("FEI", file.fei_metadata)):
        if found:
            tags[name] = _plain(found)
    # Private tags of small size, by number, as DigitalMicrograph's.
    private = {
        str(tag.code): tag.value
        for tag in page.tags.values()
        if tag.code >= 65000 and isinstance(tag.value, str | int | float)
    }
    if private:
        tags["private"] = private
    return tags


def _plain(found: dict[Any, Any]) -> dict[str, Any]:
    """Leave out tables of colours and bytes."""
    return {
        str(key): _plain(value) if isinstance(value, dict) else value
        for key, value in found.items()
        if isinstance(value, dict | str | int | float | bool)
    }
