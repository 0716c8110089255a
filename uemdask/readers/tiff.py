"""TIFF files: single images, multi-page stacks and ImageJ hyperstacks, through tifffile."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from uemdask.errors import UemError
from uemdask.units import parse_length

# What tifffile has to say of a damaged file is in the error; without a handler of its own it would
# go to the terminal as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# TIFF's own resolution units, in nm.
_TIFF_UNIT_NM = {2: 25.4e6, 3: 1e7}


def _open(path: Path) -> tifffile.TiffFile:
    try:
        return tifffile.TiffFile(path)
    except Exception as error:  # tifffile raises many kinds on damaged files
        raise UemError(f"{path}: cannot be opened as TIFF ({error}); copy it again") from error


def describe(path: Path) -> dict[str, Any]:
    """Return frames, shape, dtype, pixel_size (nm) and vendor tags of a TIFF file.

    Raises
    ------
    UemError
        If the file is damaged, or holds colour images.
    """
    with _open(path) as file:
        try:
            series = file.series[0]
            page = series.keyframe
            shape, axes, dtype = series.shape, series.axes, series.dtype
            pixel_size, vendor = _pixel_size(file, page), _vendor(file, page)
        except Exception as error:  # tifffile raises many kinds on damaged files
            raise UemError(f"{path}: damaged TIFF ({error}); copy it again") from error
        if "S" in axes or page.photometric in (
            tifffile.PHOTOMETRIC.RGB,
            tifffile.PHOTOMETRIC.PALETTE,
        ):
            raise UemError(f"{path}: holds colour images ({axes} {shape}); save it as grey values")
        if len(shape) < 2:
            raise UemError(f"{path}: holds no images (axes {axes}, shape {shape}); check the file")
        return {
            "frames": int(np.prod(shape[:-2], dtype=np.int64)),
            "shape": (int(shape[-2]), int(shape[-1])),
            "dtype": np.dtype(dtype).newbyteorder("=").name,
            "pixel_size": pixel_size,
            "vendor": vendor,
        }


def read(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield images of the file's first series as (y, x); the file is opened once.

    Raises
    ------
    UemError
        If an image cannot be read, as in a truncated file.
    """
    with _open(path) as file:
        for index in indices:
            try:
                yield _image(file.series[0], index)
            except Exception as error:  # tifffile and its codecs raise many kinds
                raise UemError(
                    f"{path}: frame {index} cannot be read ({error}); the file may be truncated, "
                    f"copy it again"
                ) from error


def _image(series: tifffile.TiffPageSeries, index: int) -> np.ndarray:
    if len(series) == 1 and series.size > series.keyframe.size:
        # One directory for a contiguous stack, as ImageJ writes it.
        shape = (-1, *series.shape[-2:])
        return np.asarray(series.asarray(out="memmap").reshape(shape)[index])
    return np.asarray(series.pages[index].asarray())


def _pixel_size(file: tifffile.TiffFile, page: Any) -> tuple[float, float] | None:
    try:
        steps = [page.tags[f"{axis}Resolution"].value for axis in "YX"]
    except KeyError:
        return None
    imagej = file.imagej_metadata or {}
    unit = str(imagej.get("unit", "")).replace("\\u00B5", "µ")
    if unit:
        try:
            scale = parse_length(f"1{unit}")
        except UemError:
            return None
    else:
        tag = page.tags.get("ResolutionUnit")
        scale = _TIFF_UNIT_NM.get(int(tag.value) if tag else 1, 0.0)
        # 72 dpi and the like are a printer's default, not a microscope's pixel size.
        if scale == 0.0 or scale * steps[0][1] / max(steps[0][0], 1) > 1e4:
            return None
    if any(a <= 0 or b <= 0 for a, b in steps):
        return None
    y, x = (scale * b / a for a, b in steps)
    return y, x


def _vendor(file: tifffile.TiffFile, page: Any) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for name in ("Software", "DateTime", "Make", "Model", "Artist"):
        tag = page.tags.get(name)
        if tag is not None:
            tags[name] = str(tag.value)
    if file.imagej_metadata:
        tags["ImageJ"] = {
            str(k): v
            for k, v in file.imagej_metadata.items()
            if isinstance(v, str | int | float | bool)
        }
    elif page.description:
        tags["ImageDescription"] = page.description
    return tags
