"""MRC files, as cameras and tomography programs write them, through mrcfile's header.

Rows are stored from the bottom up (MRC2014), and so turned over on reading, as ImageJ shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from uemdask.errors import UemError
from uemdask.readers.choice import frames_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of

_HEADER_BYTES = 1024
# IMOD marks its files, and states in bit 0 of its flags whether bytes have a sign.
# https://bio3d.colorado.edu/imod/doc/mrc_format.txt
_IMOD_STAMP = 1146047817
_IMOD_AT = slice(152 - 104, 160 - 104)  # in 'extra2', which begins at byte 104 of the header
_COMPLEX_INT16, _HALF_BYTES = 3, 101
# What programs write that know no pixel size, in Å.
_DEFAULT_ANGSTROM = 1.0


@dataclass(frozen=True)
class _Layout:
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int


def _open(path: Path, dataset: str | None) -> tuple[_Layout, PixelSize, dict[str, Any]]:
    if dataset is not None:
        raise UemError(f"{path}: an MRC file holds one array; leave out the dataset {dataset!r}")
    with mrcfile.open(path, header_only=True) as file:
        header = file.header.copy()
        extended = file.indexed_extended_header if header.exttyp.item()[:3] == b"FEI" else None
        extended = None if extended is None else extended.copy()
    mode = int(header.mode)
    if mode in (_COMPLEX_INT16, _HALF_BYTES):
        raise UemError(f"{path}: holds pixels of MRC mode {mode}; save it as integers or reals")
    dtype = mrcfile.utils.data_dtype_from_header(header)
    stamp, flags = np.frombuffer(
        header.extra2.tobytes()[_IMOD_AT], np.dtype("i4").newbyteorder(header.mode.dtype.byteorder)
    )
    if mode == 0 and stamp == _IMOD_STAMP and not flags & 1:
        dtype = np.dtype("u1")
    shape = mrcfile.utils.data_shape_from_header(header)
    if min(shape) < 1:
        raise UemError(f"{path}: states a shape of {shape}; copy it again")
    layout = _Layout(shape, dtype, _HEADER_BYTES + int(header.nsymbt))
    needed, there = layout.offset + prod(shape) * dtype.itemsize, path.stat().st_size
    if there < needed:
        raise UemError(f"{path}: is truncated, {there} of {needed} bytes are there; copy it again")
    return layout, _pixel_size(header, extended), _vendor(header, extended)


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the header says."""
    layout, (pixel_size, reason), vendor = _open(path, dataset)
    return ImageInfo(
        frames=frames_of(path, layout.shape),
        shape=(layout.shape[-2], layout.shape[-1]),
        dtype=layout.dtype.newbyteorder("=").name,
        pixel_size=pixel_size,
        vendor=vendor,
        no_pixel_size=reason,
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames, each read by itself."""
    layout, _, _ = _open(path, dataset)
    frames, (rows, columns) = prod(layout.shape[:-2]), layout.shape[-2:]
    step = rows * columns
    for index in indices:
        place = layout.offset + range(frames)[index] * step * layout.dtype.itemsize
        pixels = np.fromfile(path, layout.dtype, step, offset=place)
        yield pixels.reshape(rows, columns)[::-1]


def _pixel_size(header: Any, extended: Any) -> PixelSize:
    if extended is not None:
        # FEI states the pixel size here, in m.
        first = extended[0]
        return pixel_size_of([first[f"Pixel size {axis}"] for axis in "YX"], ("m", "m"))
    steps = [
        float(header.cella[axis]) / int(header[f"m{axis}"]) if header[f"m{axis}"] > 0 else 0.0
        for axis in "yx"
    ]
    if steps == [_DEFAULT_ANGSTROM] * 2:
        return None, "its header has the default pixel size of 1 Å"
    return pixel_size_of(steps, ("Å", "Å"))


def _vendor(header: Any, extended: Any) -> dict[str, Any]:
    tags: dict[str, Any] = {
        name: _plain(header[name])
        for name in header.dtype.names
        if name not in ("extra1", "extra2", "label", "map", "machst")
    }
    tags["labels"] = [_plain(label) for label in header.label[: max(int(header.nlabl), 0)]]
    if extended is not None:
        tags["extended"] = [
            {name: _plain(frame[name]) for name in frame.dtype.names if "reserved" not in name}
            for frame in extended
        ]
    return tags


def _plain(value: Any) -> Any:
    value = np.asarray(value)
    if value.dtype.names:
        return {name: _plain(value[name]) for name in value.dtype.names}
    plain = value.item()
    return plain.decode("latin-1").rstrip("\0 ") if isinstance(plain, bytes) else plain
