"""Image files: what is in one, and one frame of it at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.errors import UemError
from uemdask.readers import tiff


@dataclass(frozen=True)
class ImageInfo:
    """What an image file says of itself.

    Attributes
    ----------
    frames : int
        Images in the file.
    shape : (y, x)
        In px.
    dtype : str
        NumPy name, such as ``"uint16"``.
    pixel_size : (y, x) or None
        In nm, None where the file does not say.
    vendor : dict
        The file's own tags, whole.
    """

    frames: int
    shape: tuple[int, int]
    dtype: str
    pixel_size: tuple[float, float] | None = None
    vendor: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """How one family of files is read."""

    describe: Callable[[Path], ImageInfo]
    read: Callable[[Path, Sequence[int]], Iterator[np.ndarray]]


def _describe_tiff(path: Path) -> ImageInfo:
    return ImageInfo(**tiff.describe(path))


#: Formats by file ending.
FORMATS: dict[str, Format] = {
    ".tif": Format(_describe_tiff, tiff.read),
    ".tiff": Format(_describe_tiff, tiff.read),
}


def is_image(path: Path) -> bool:
    """Return whether the ending of `path` is one that can be read."""
    return path.suffix.casefold() in FORMATS and not path.name.startswith(".")


def _format_of(path: Path) -> Format:
    try:
        return FORMATS[path.suffix.casefold()]
    except KeyError:
        known = ", ".join(sorted(FORMATS))
        raise UemError(
            f"{path}: files ending in {path.suffix!r} cannot be read; convert to one of {known}"
        ) from None


def describe_image(path: Path) -> ImageInfo:
    """Return what is in an image file, without reading a frame.

    Raises
    ------
    UemError
        If the file is missing, empty, damaged, or not made of grey images.
    """
    if not path.is_file():
        raise UemError(f"{path}: no such file; check the name")
    if path.stat().st_size == 0:
        raise UemError(f"{path}: is empty (0 bytes); copy it again from the instrument")
    info = _format_of(path).describe(path)
    if np.dtype(info.dtype).kind not in "uif":
        raise UemError(
            f"{path}: holds {info.dtype} values; only integer or real grey images can be used"
        )
    return info


def read_image(path: Path, index: int, shape: tuple[int, int], dtype: str) -> np.ndarray:
    """Return one frame of a file, see `read_images`."""
    return next(read_images(path, [index], shape, dtype))


def read_images(
    path: Path, indices: Sequence[int], shape: tuple[int, int], dtype: str
) -> Iterator[np.ndarray]:
    """Yield frames of a file as (y, x), and check that they are what was announced.

    Raises
    ------
    UemError
        If a frame cannot be read, or its shape or dtype differs from `shape` and `dtype`.
    """
    images = _format_of(path).read(path, indices)
    for index, image in zip(indices, images, strict=True):
        if image.shape != shape:
            raise UemError(
                f"{path}: frame {index} is {image.shape} px, the other frames are {shape}; "
                f"move it out of the folder"
            )
        if image.dtype.newbyteorder("=") != np.dtype(dtype):
            raise UemError(
                f"{path}: frame {index} is {image.dtype}, the other frames are {dtype}; "
                f"save all frames with one dtype"
            )
        yield np.ascontiguousarray(image, dtype)
