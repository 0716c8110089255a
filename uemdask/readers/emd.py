"""EMD files: Velox's and NCEM's kinds of HDF5, each with its own order of axes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from uemdask.errors import UemError
from uemdask.readers.array_choice import Candidate, choose
from uemdask.readers.axes import ImageAxes, axes_of
from uemdask.readers.decoding import Decoding, decoding_of
from uemdask.readers.hdf5_file import (
    check_readable,
    item_at,
    lies_outside,
    open_hdf5,
    tags_of,
    text_of,
    values_of,
)
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of, step_of


@dataclass(frozen=True)
class _Signal:
    """An array of the file, and what is said of its axes as they lie: none, or one of each."""

    data: h5py.Dataset
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    steps: tuple[float, ...] = ()
    label: str = ""
    vendor: dict[str, Any] = field(default_factory=dict)

    def axes(self, path: Path) -> ImageAxes:
        return axes_of(path, self.data.shape, self.names, self.units)

    def decoding(self, path: Path) -> Decoding:
        return decoding_of(path, self.data.attrs, self.data.dtype)

    def pixel_size(self, axes: ImageAxes) -> PixelSize:
        if not self.steps:
            return None, "it names no axes with units"
        return pixel_size_of(axes.of_space(self.steps), axes.of_space(self.units))


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the file says of the chosen signal."""
    with open_hdf5(path) as file:
        signal = _choose(path, file, dataset)
        axes = signal.axes(path)
        pixel_size, reason = signal.pixel_size(axes)
        return ImageInfo(
            frames=axes.frames,
            shape=axes.shape,
            dtype=signal.decoding(path).dtype.name,
            pixel_size=pixel_size,
            vendor=signal.vendor or tags_of(path, file),
            no_pixel_size=reason,
            notes=(axes.note,) if axes.note else (),
        )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames, each read by itself."""
    with open_hdf5(path) as file:
        signal = _choose(path, file, dataset)
        yield from map(signal.decoding(path), signal.axes(path).read(signal.data, indices))


def _choose(path: Path, file: h5py.File, dataset: str | None) -> _Signal:
    signals = list(_velox(path, file) if _is_velox(path, file) else _ncem(path, file))
    if not signals:
        raise UemError(f"{path}: is neither Velox's nor NCEM's kind of EMD; check the file")
    candidates = [
        Candidate(s.data.name, s.data.shape, s.data.dtype, _what(s), s.label) for s in signals
    ]
    signal = signals[choose(path, candidates, dataset)]
    check_readable(path, signal.data)
    return signal


def _what(signal: _Signal) -> str:
    # Velox keeps Fourier transforms as pairs of real and imaginary parts.
    return "of complex values" if signal.data.dtype.names else ""


def _array(path: Path, item: Any) -> h5py.Dataset | None:
    """Return a dataset of at least two axes, None for anything else."""
    if not isinstance(item, h5py.Dataset):
        return None
    reason = lies_outside(path, item)
    if reason:
        raise UemError(reason)
    return item if item.ndim >= 2 else None


# ---- Velox: /Data/Image/ID/Data (y, x, frame), and JSON for each frame beside it


def _is_velox(path: Path, file: h5py.File) -> bool:
    version = item_at(path, file, "Version")
    if not isinstance(version, h5py.Dataset) or lies_outside(path, version):
        return False
    return version.size is not None and version.size <= 1 and "Velox" in text_of(version[()])


def _velox(path: Path, file: h5py.File) -> Iterator[_Signal]:
    images = item_at(path, file, "Data/Image")
    for name in images if isinstance(images, h5py.Group) else ():
        group = item_at(path, images, name)
        if not isinstance(group, h5py.Group):
            continue
        data = _array(path, item_at(path, group, "Data"))
        if data is None or data.ndim != 3:
            continue
        text = _array(path, item_at(path, group, "Metadata"))
        tags = {}
        if text is not None and text.ndim == 2 and text.shape[1]:
            tags = json.loads(bytes(text[:, 0]).rstrip(b"\0").decode("utf-8", "replace") or "{}")
        result = tags.get("BinaryResult", {})
        size = result.get("PixelSize") or {"height": "nan", "width": "nan"}
        yield _Signal(
            data,
            ("y", "x", "frame"),
            (str(result.get("PixelUnitY") or ""), str(result.get("PixelUnitX") or ""), ""),
            (float(size["height"]), float(size["width"]), math.nan),
            str(result.get("Detector", "")),
            tags,
        )


# ---- NCEM: groups with the attribute emd_group_type, 'data' and 'dim1', 'dim2', ...


def _ncem(path: Path, file: h5py.File) -> Iterator[_Signal]:
    groups: list[h5py.Group] = []

    def visit(_: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "emd_group_type" in item.attrs:
            groups.append(item)

    file.visititems(visit)
    for group in groups:
        for name in group:
            data = _array(path, item_at(path, group, name))
            if data is not None and data.dtype.kind in "uifcb":
                yield _ncem_signal(path, group, data)


def _ncem_signal(path: Path, group: h5py.Group, data: h5py.Dataset) -> _Signal:
    first = 0 if "dim0" in group else 1  # as version 1.0 counts
    dims = [item_at(path, group, f"dim{axis + first}") for axis in range(data.ndim)]
    if not all(isinstance(dim, h5py.Dataset) for dim in dims):
        return _Signal(data)
    found = [values_of(path, dim) for dim in dims]
    return _Signal(
        data,
        # HyperSpy writes x first, ncempy y and x last; the names of the axes tell.
        tuple(text_of(dim.attrs.get("name")) for dim in dims),
        tuple(text_of(dim.attrs.get("units")) for dim in dims),
        tuple(1.0 if values is None else step_of(values) for values in found),
        group.name.rpartition("/")[2],
    )
