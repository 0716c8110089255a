"""TIFF files: single images, multi-page stacks, ImageJ hyperstacks, OME-TIFF, through tifffile."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile

from uemdask.errors import UemError
from uemdask.readers.choice import Candidate, choose, frames_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.tiff_tags import pixel_size, vendor_tags

# What tifffile has to say of a damaged file is in the error; without a handler of its own it would
# go to the terminal as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_COLOUR = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.PALETTE)


def _choose(path: Path, file: tifffile.TiffFile, dataset: str | None) -> int:
    """Return the number of the series of images that is meant."""
    series = file.series
    if not series:
        raise UemError(f"{path}: holds no images; check the file")
    candidates = [
        Candidate(str(i), s.shape, np.dtype(s.dtype), _what(s), s.name if s.name else "")
        for i, s in enumerate(series)
    ]
    if dataset is None and len(series) == 1:
        if candidates[0].what == "colour images":
            raise UemError(
                f"{path}: holds colour images ({series[0].axes} {series[0].shape}); save it as "
                f"grey values"
            )
        return 0
    return choose(path, candidates, dataset)


def _what(series: tifffile.TiffPageSeries) -> str:
    if "S" in series.axes or series.keyframe.photometric in _COLOUR:
        return "colour images"
    # Previews of other images.
    return "a preview" if series.keyframe.is_reduced else ""


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the tags say."""
    with tifffile.TiffFile(path) as file:
        number = _choose(path, file, dataset)
        series = file.series[number]
        size, reason = pixel_size(file, series, number)
        return ImageInfo(
            frames=frames_of(path, series.shape, series.axes),
            shape=(int(series.shape[-2]), int(series.shape[-1])),
            dtype=np.dtype(series.dtype).newbyteorder("=").name,
            pixel_size=size,
            vendor=vendor_tags(file, series.keyframe),
            no_pixel_size=reason,
        )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield images of the series; the file is opened once."""
    with tifffile.TiffFile(path) as file:
        series = file.series[_choose(path, file, dataset)]
        for index in indices:
            yield _image(series, index)


def _image(series: tifffile.TiffPageSeries, index: int) -> np.ndarray:
    if len(series) == 1 and series.size > series.keyframe.size:
        # One directory for a contiguous stack, as ImageJ writes it.
        shape = (-1, *series.shape[-2:])
        return np.asarray(series.asarray(out="memmap").reshape(shape)[index])
    page = series.pages[index]
    if page is None:
        raise ValueError("its pages are not in the file")
    return np.asarray(page.asarray())
