"""NumPy's own files, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.choice import frames_of
from uemdask.readers.info import ImageInfo


def _open(path: Path, dataset: str | None) -> np.ndarray:
    if dataset is not None:
        raise UemError(f"{path}: a .npy file holds one array; leave out the dataset {dataset!r}")
    # Never a pickle: that could run anything.
    return np.load(path, mmap_mode="r", allow_pickle=False)


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return shape and dtype; such a file says no more."""
    array = _open(path, dataset)
    return ImageInfo(
        frames=frames_of(path, array.shape),
        shape=(array.shape[-2], array.shape[-1]),
        dtype=array.dtype.newbyteorder("=").name,
        no_pixel_size="a .npy file has no units",
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames; only their pages of the file are read."""
    array = _open(path, dataset)
    frames = array.reshape(-1, *array.shape[-2:])
    for index in indices:
        yield frames[index]
