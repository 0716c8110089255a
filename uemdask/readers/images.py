"""Image files: what is in one, and one frame of it at a time."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.folders import is_left_by_system
from uemdask.readers.formats import FORMATS
from uemdask.readers.info import ImageInfo, Reader
from uemdask.readers.plugins import plugin_endings, plugin_reader
from uemdask.regular_files import check_regular

#: Formats that are folders.
_FOLDERS = (".zarr",)
#: Pixels of a frame, and frames of a file, beyond which a header is at fault.
_MOST_PIXELS, _MOST_FRAMES = 2**30, 10**6
# Messages of libraries can be pages long.
_REASON = 200


def is_image(path: Path) -> bool:
    """Return whether the ending of `path` is one that can be read.

    An ``.emi`` file does not count beside its ``.ser`` files, which hold the frames.
    """
    ending = path.suffix.casefold()
    if is_left_by_system(path.name) or (ending not in FORMATS and ending not in plugin_endings()):
        return False
    if ending == ".emi":
        from uemdask.readers.tia import series_of

        return not series_of(path)
    return path.is_dir() if ending in _FOLDERS else True


def _reader_of(path: Path) -> tuple[str, Reader]:
    """Return what people call the format, and its reader; a user's own goes before ours."""
    ending = path.suffix.casefold()
    plugin = plugin_reader(path, ending)
    if plugin is not None:
        return f"{ending} file", plugin
    if ending not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise UemError(
            f"{path}: files ending in {path.suffix!r} cannot be read; convert to one of {known}"
        )
    name, module = FORMATS[ending]
    # Imported when needed: a user of TIFF does not wait for HDF5.
    return name, cast(Reader, importlib.import_module(f"uemdask.readers.{module}"))


def _check_there(path: Path) -> None:
    folder = path.suffix.casefold() in _FOLDERS
    check_regular(path)
    try:
        if path.is_dir():
            if folder:
                return
            raise UemError(f"{path}: is a folder, not a file; name a file in it")
        if path.stat().st_size == 0:
            raise UemError(f"{path}: is empty (0 bytes); copy it again from the instrument")
        path.open("rb").close()
    except FileNotFoundError:
        raise UemError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise UemError(
            f"{path}: cannot be read ({error.strerror}); check the permissions"
        ) from error


def describe_image(path: Path, dataset: str | None = None) -> ImageInfo:
    """Return what is in an image file, without reading a frame.

    Parameters
    ----------
    path : Path
        The file; for Zarr the folder.
    dataset : str, optional
        Which of several arrays of the file: a path as ``"/entry/data"``, a number or a title.

    Raises
    ------
    UemError
        If the file is missing, empty, damaged, not made of grey images, or holds several series
        and `dataset` does not name one of them; they are listed.
    """
    path = Path(path)
    _check_there(path)
    name, reader = _reader_of(path)
    try:
        info = reader.describe(path, dataset)
        if not isinstance(info, ImageInfo):
            raise UemError(
                f"{path}: the reader of its format gives no ImageInfo but {type(info).__name__}; "
                f"repair or uninstall it"
            )
        kind = np.dtype(info.dtype).kind
    except UemError:
        raise
    except Exception as error:  # readers raise many kinds on damaged files
        raise UemError(
            f"{path}: cannot be opened as {name} ({_reason(error)}); copy it again"
        ) from error
    _check_size(path, info)
    if min(info.frames, *info.shape) < 1:
        raise UemError(f"{path}: holds {info.frames} frames of {info.shape} px; check the file")
    if kind not in "uif":
        raise UemError(
            f"{path}: holds {info.dtype} values; only integer or real grey images can be used"
        )
    return info


def _check_size(path: Path, info: ImageInfo) -> None:
    """Refuse what no camera takes, before memory is: a header can claim any size."""
    if info.shape[0] * info.shape[1] > _MOST_PIXELS or info.frames > _MOST_FRAMES:
        raise UemError(
            f"{path}: states {info.frames} frames of {info.shape[0]} x {info.shape[1]} px, more "
            f"than any camera takes; copy it again"
        )


def read_image(
    path: Path, index: int, shape: tuple[int, int], dtype: str, dataset: str | None = None
) -> np.ndarray:
    """Return one frame of a file, see `read_images`."""
    return next(read_images(path, [index], shape, dtype, dataset))


def read_images(
    path: Path,
    indices: Sequence[int],
    shape: tuple[int, int],
    dtype: str,
    dataset: str | None = None,
) -> Iterator[np.ndarray]:
    """Yield frames of a file as (y, x), and check that they are what was announced.

    One frame is in memory at a time. Pixels that are not finite are given as they are.

    Raises
    ------
    UemError
        If a frame cannot be read, or its shape or dtype differs from `shape` and `dtype`.
    """
    path = Path(path)
    _check_there(path)
    _, reader = _reader_of(path)
    images = _frames(path, reader, indices, dataset)
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


def _frames(
    path: Path, reader: Reader, indices: Sequence[int], dataset: str | None
) -> Iterator[np.ndarray]:
    """Yield what the reader gives, its exceptions in words of a person."""
    done = 0
    try:
        for image in reader.read(path, indices, dataset):
            yield np.asarray(image)
            done += 1
        if done < len(indices):
            raise EOFError("the file has no more frames")
    except UemError:
        raise
    except Exception as error:  # readers and their codecs raise many kinds
        raise UemError(
            f"{path}: frame {[*indices, 0][done]} cannot be read ({_reason(error)}); the file may "
            f"be truncated, copy it again"
        ) from error


def _reason(error: Exception) -> str:
    """Return the first line of what a library says."""
    text = str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)
    line = next(iter(text.strip().splitlines()), "").rstrip(".;: ")
    return (line or type(error).__name__)[:_REASON]
