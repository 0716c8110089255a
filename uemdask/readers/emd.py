"""EMD files: Velox's and NCEM's kinds of HDF5, each with its own order of axes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from uemdask.errors import UemError
from uemdask.readers.choice import Candidate, choose, frames_of
from uemdask.readers.hdf5 import check_readable, open_hdf5, tags_of, text_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of, step_of


@dataclass(frozen=True)
class _Signal:
    """An array of the file, and how its axes lie: `order` brings them to (..., y, x)."""

    data: h5py.Dataset
    order: tuple[int, ...]
    pixel_size: PixelSize
    vendor: dict[str, Any]
    label: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape[axis] for axis in self.order)

    def frame(self, index: int) -> np.ndarray:
        """Return one frame as (y, x), read by itself."""
        place: list[Any] = [slice(None)] * self.data.ndim
        where = np.unravel_index(index, self.shape[:-2])
        for axis, position in zip(self.order[:-2], where, strict=True):
            place[axis] = int(position)
        image = self.data[tuple(place)]
        return image if self.order[-2] < self.order[-1] else image.T


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the file says of the chosen signal."""
    with open_hdf5(path) as file:
        signal = _choose(path, file, dataset)
        pixel_size, reason = signal.pixel_size
        shape = signal.shape
        return ImageInfo(
            frames=frames_of(path, shape),
            shape=(shape[-2], shape[-1]),
            dtype=signal.data.dtype.newbyteorder("=").name,
            pixel_size=pixel_size,
            vendor=signal.vendor,
            no_pixel_size=reason,
        )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames, each read by itself."""
    with open_hdf5(path) as file:
        signal = _choose(path, file, dataset)
        frames = frames_of(path, signal.shape)
        for index in indices:
            yield signal.frame(range(frames)[index])


def _choose(path: Path, file: h5py.File, dataset: str | None) -> _Signal:
    signals = list(_velox(file) if _is_velox(file) else _ncem(file))
    if not signals:
        raise UemError(f"{path}: is neither Velox's nor NCEM's kind of EMD; check the file")
    candidates = [Candidate(s.data.name, s.shape, s.data.dtype, _what(s), s.label) for s in signals]
    signal = signals[choose(path, candidates, dataset)]
    check_readable(path, signal.data)
    return signal


def _what(signal: _Signal) -> str:
    # Velox keeps Fourier transforms as pairs of real and imaginary parts.
    return "of complex values" if signal.data.dtype.names else ""


# ---- Velox: /Data/Image/ID/Data (y, x, frame), and JSON for each frame beside it


def _is_velox(file: h5py.File) -> bool:
    version = file.get("Version")
    if not isinstance(version, h5py.Dataset):
        return False
    return text_of(version[()]).find("Velox") >= 0


def _velox(file: h5py.File) -> Iterator[_Signal]:
    for group in (file.get("Data/Image") or {}).values():
        data, text = group.get("Data"), group.get("Metadata")
        if not isinstance(data, h5py.Dataset) or data.ndim != 3:
            continue
        tags = {}
        if isinstance(text, h5py.Dataset) and text.ndim == 2 and text.shape[1]:
            tags = json.loads(bytes(text[:, 0]).rstrip(b"\0").decode("utf-8", "replace") or "{}")
        result = tags.get("BinaryResult", {})
        size = result.get("PixelSize") or {"height": "nan", "width": "nan"}
        yield _Signal(
            data,
            (2, 0, 1),
            pixel_size_of(
                (float(size["height"]), float(size["width"])),
                (result.get("PixelUnitY"), result.get("PixelUnitX")),
            ),
            tags,
            str(result.get("Detector", "")),
        )


# ---- NCEM: groups with the attribute emd_group_type, 'data' and 'dim1', 'dim2', ...


def _ncem(file: h5py.File) -> Iterator[_Signal]:
    groups: list[h5py.Group] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "emd_group_type" in item.attrs:
            groups.append(item)

    file.visititems(visit)
    for group in groups:
        for data in group.values():
            if isinstance(data, h5py.Dataset) and data.ndim >= 2 and data.dtype.kind in "uifcb":
                yield _ncem_signal(file, group, data)


def _ncem_signal(file: h5py.File, group: h5py.Group, data: h5py.Dataset) -> _Signal:
    first = 0 if "dim0" in group else 1  # as version 1.0 counts
    dims = [group.get(f"dim{axis + first}") for axis in range(data.ndim)]
    if not all(isinstance(dim, h5py.Dataset) for dim in dims):
        return _Signal(
            data, tuple(range(data.ndim)), (None, "it names no axes with units"), tags_of(file)
        )
    names = [text_of(dim.attrs.get("name")).casefold() for dim in dims]
    order = list(range(data.ndim))
    if {"x", "y"} <= set(names):
        # HyperSpy writes x first, ncempy y and x last; the names of the axes tell.
        order = [i for i in order if names[i] not in ("x", "y")]
        order += [names.index("y"), names.index("x")]
    dims = [dims[axis] for axis in order[-2:]]
    if all(dim.dtype.kind in "uif" for dim in dims):
        steps = [step_of(dim[()]) for dim in dims]
    else:
        steps = [1.0, 1.0]
    size = pixel_size_of(steps, [text_of(dim.attrs.get("units")) for dim in dims])
    return _Signal(data, tuple(order), size, tags_of(file), group.name.rpartition("/")[2])
