"""What TIFF files say of pixel size and instrument, in the ways of their makers."""

from __future__ import annotations

from typing import Any

import tifffile

from uemdask.readers.pixel_size import PixelSize, pixel_size_of

# TIFF's own resolution units.
_TIFF_UNIT = {2: ("in", 25.4e6), 3: ("cm", 1e7)}  # name, nm
# 72 dpi and the like are a printer's default, not a microscope's pixel size.
_LARGEST_NM = 1e4
# DigitalMicrograph's tags of an exported TIFF: units and steps of x, y.
_DM_UNITS, _DM_STEPS = (65004, 65003), (65010, 65009)


def pixel_size(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, number: int) -> PixelSize:
    """Return the pixel size of a series; what its maker states wins over TIFF's resolution."""
    page = series.keyframe
    if file.is_ome:
        pixels = _ome_pixels(file, number)
        if "PhysicalSizeX" in pixels and "PhysicalSizeY" in pixels:
            # The unit is µm unless another is stated.
            return pixel_size_of(
                [pixels[f"PhysicalSize{axis}"] for axis in "YX"],
                [str(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX"],
            )
        return None, "its OME metadata have no PhysicalSizeX and PhysicalSizeY"
    if all(code in page.tags for code in (*_DM_UNITS, *_DM_STEPS)):
        return pixel_size_of(
            [page.tags[code].value for code in _DM_STEPS],
            [page.tags[code].value for code in _DM_UNITS],
        )
    tvips = file.tvips_metadata or {}
    if "PixelSizeX" in tvips and "PixelSizeY" in tvips:
        return pixel_size_of([tvips[f"PixelSize{axis}"] for axis in "YX"], ("nm", "nm"))
    scan = (file.fei_metadata or {}).get("Scan", {})
    if "PixelWidth" in scan and "PixelHeight" in scan:
        return pixel_size_of((scan["PixelHeight"], scan["PixelWidth"]), ("m", "m"))
    return _resolution(file, page)


def _ome_pixels(file: tifffile.TiffFile, number: int) -> dict[str, Any]:
    found = tifffile.xml2dict(file.ome_metadata or "<OME/>").get("OME")
    images = found.get("Image", []) if isinstance(found, dict) else []
    images = images if isinstance(images, list) else [images]
    return images[number].get("Pixels", {}) if number < len(images) else {}


def _resolution(file: tifffile.TiffFile, page: tifffile.TiffPage) -> PixelSize:
    try:
        numbers = [page.tags[f"{axis}Resolution"].value for axis in "YX"]
    except KeyError:
        return None, "it has no resolution"
    if any(a <= 0 or b <= 0 for a, b in numbers):
        return None, "its resolution is not above 0"
    steps = [b / a for a, b in numbers]
    unit = str((file.imagej_metadata or {}).get("unit", ""))
    if unit:
        return pixel_size_of(steps, (unit, unit))
    tag = page.tags.get("ResolutionUnit")
    name, scale = _TIFF_UNIT.get(int(tag.value) if tag else 1, ("", 0.0))
    if not name:
        return None, "its resolution has no unit"
    if scale * steps[0] > _LARGEST_NM:
        return (
            None,
            f"its resolution of {1 / steps[0]:g} px per {name} is a printer's, not a camera's",
        )
    return pixel_size_of([scale * step for step in steps], ("nm", "nm"))


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
