"""NumPy's own files, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.axes import axes_of
from uemdask.readers.info import ImageInfo


def _open(path: Path, dataset: str | None) -> np.ndarray:
    if dataset is not None:
        raise UemError(f"{path}: a .npy file holds one array; leave out the dataset {dataset!r}")
    # Never a pickle: that could run anything.
    return np.load(path, mmap_mode="r", allow_pickle=False)


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return shape and dtype; such a file says no more."""
    array = _open(path, dataset)
    axes = axes_of(path, array.shape)
    return ImageInfo(
        frames=axes.frames,
        shape=axes.shape,
        dtype=array.dtype.newbyteorder("=").name,
        no_pixel_size="a .npy file has no units",
        notes=(axes.note,) if axes.note else (),
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames; only their pages of the file are read."""
    array = _open(path, dataset)
    yield from axes_of(path, array.shape).read(array, indices)
