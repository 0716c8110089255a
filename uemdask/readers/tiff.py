"""TIFF files: single images, multi-page stacks, ImageJ hyperstacks, OME-TIFF, through tifffile."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from uemdask.errors import UemError
from uemdask.readers.array_choice import Candidate, choose
from uemdask.readers.axes import ImageAxes, axes_of
from uemdask.readers.decoding import Decoding
from uemdask.readers.info import ImageInfo, Part
from uemdask.readers.ome import ome_part
from uemdask.readers.pixel_size import pixel_size_of
from uemdask.readers.tiff_tags import Steps, steps_of, vendor_tags
from uemdask.regular_files import check_regular

# What tifffile has to say of a damaged file is in the error; without a handler of its own it would
# go to the terminal as well.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_COLOUR = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.PALETTE)
#: ImageJ's numbers of its calibration functions: a straight line, and none.
_LINE, _NO_LINES = 0, (20,)


@dataclass(frozen=True)
class _Frames:
    """The frames of a series that lie in a file itself.

    Attributes
    ----------
    series, keyframe
        As tifffile has them.
    pages : list
        One of each frame, or of as many as `depth` says; None where all lie in one piece.
    """

    series: tifffile.TiffPageSeries
    keyframe: tifffile.TiffPage
    pages: list[Any] | None
    axes: ImageAxes
    steps: Steps
    decoding: Decoding
    part: Part | None = None
    depth: int = 1


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the tags say."""
    with _open(path) as file:
        frames = _frames(path, file, dataset)
        size, reason = None, frames.steps.reason
        if frames.steps.steps:
            size, reason = pixel_size_of(frames.steps.steps, frames.steps.units)
        count = len(frames.part.places) if frames.part else frames.axes.frames
        missing = frames.part.total - count if frames.part and len(frames.part.files) == 1 else 0
        note = f"{path.name} holds {count} of the {count + missing} frames that it tells of"
        return ImageInfo(
            frames=count,
            shape=frames.axes.shape,
            dtype=frames.decoding.dtype.name,
            pixel_size=size,
            vendor=vendor_tags(file, frames.keyframe),
            no_pixel_size=reason,
            notes=(note,) if missing else (),
            part=frames.part,
        )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield images of the series; the file is opened once."""
    with _open(path) as file:
        frames = _frames(path, file, dataset)
        if frames.pages is None:
            # One directory for a contiguous stack, as ImageJ writes it.
            stack = frames.series.asarray(out="memmap").reshape(-1, *frames.axes.shape)
            yield from (frames.decoding(np.asarray(stack[index])) for index in indices)
            return
        decoded, volume = -1, np.empty(0)
        for index in indices:
            number, plane = divmod(index, frames.depth)
            page = frames.pages[number]
            if frames.depth == 1:
                volume = np.asarray(page.asarray())[np.newaxis]
            elif number != decoded:
                decoded, volume = number, np.asarray(page.asarray())
            yield frames.decoding(volume[plane])


def _open(path: Path) -> tifffile.TiffFile:
    # The other files of a set are frames of their own.
    return tifffile.TiffFile(path, _multifile=False)


def _frames(path: Path, file: tifffile.TiffFile, dataset: str | None) -> _Frames:
    if file.is_mmstack or file.is_ndtiff:  # tifffile looks into the other files of these sets
        for other in path.parent.iterdir():
            check_regular(other)
    found = ome_part(path, file.ome_metadata, len(file.pages)) if file.is_ome else None
    number = _choose(path, file, dataset if found is None else None)
    series = file.series[number]
    keyframe = series.keyframe
    decoding = _decoding(path, file, keyframe)
    image = number if found is None else found.image
    steps = steps_of(file, keyframe, image)
    units = ["", *steps.units] if steps.units else []
    if found is not None:
        pages = [file.pages[page] for page in found.pages]
        shape = (len(pages), *_image_shape(path, keyframe))
        axes = axes_of(path, shape, ("frame", "y", "x"), units)
        return _Frames(series, keyframe, pages, axes, steps, decoding, found.part)
    lead = [""] * (len(series.shape) - 2)
    axes = axes_of(path, series.shape, list(series.axes), [*lead, *steps.units])
    if axes.order != tuple(range(len(series.shape))):
        raise UemError(
            f"{path}: its axes lie as {series.axes} {series.shape}, so that a page is no image; "
            f"save it as TYX"
        )
    if len(series) == 1 and series.size > keyframe.size:
        return _Frames(series, keyframe, None, axes, steps, decoding)
    depth = keyframe.imagedepth
    own = [(i, page) for i, page in enumerate(series.pages) if page and page.parent is file]
    part = None
    if len(own) * depth < axes.frames:
        others = {page.parent.filename for page in series.pages if page}
        files = tuple(sorted(others | {path.name}))
        part = Part(f"{series.name} of {files[0]}", tuple(i for i, _ in own), axes.frames, files)
    return _Frames(series, keyframe, [page for _, page in own], axes, steps, decoding, part, depth)


def _image_shape(path: Path, page: tifffile.TiffPage) -> tuple[int, int]:
    if len(page.shape) != 2:
        raise UemError(f"{path}: holds pages of shape {page.shape}; save them as grey images")
    return int(page.shape[0]), int(page.shape[1])


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


def _decoding(path: Path, file: tifffile.TiffFile, page: tifffile.TiffPage) -> Decoding:
    """Return how values become counts: as they are, or by ImageJ's straight line.

    ImageJ keeps images of signed 16-bit integers as unsigned ones and such a line.
    """
    stored = np.dtype(page.dtype)
    if stored.kind not in "uif":
        return Decoding(stored)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        raise UemError(
            f"{path}: stores white as 0, so that its values may be counts or their opposite; save "
            f"it with black as 0"
        )
    imagej = file.imagej_metadata or {}
    function = imagej.get("cf")
    if function is None or function in _NO_LINES:
        return Decoding(stored)
    offset, scale = imagej.get("c0"), imagej.get("c1")
    if (
        function != _LINE
        or not isinstance(offset, int | float)
        or not isinstance(scale, int | float)
    ):
        raise UemError(
            f"{path}: its values are calibrated by a curve of ImageJ's (cf={function}); save it "
            f"without a calibration of values"
        )
    return Decoding(stored, scale, offset)
