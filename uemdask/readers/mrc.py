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
from uemdask.readers.axes import ImageAxes, axes_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of

_HEADER_BYTES = 1024
# IMOD marks its files, and states in bit 0 of its flags whether bytes have a sign.
# https://bio3d.colorado.edu/imod/doc/mrc_format.txt
_IMOD_STAMP = 1146047817
_IMOD_AT = slice(152 - 104, 160 - 104)  # in 'extra2', which begins at byte 104 of the header
_COMPLEX_INT16, _HALF_BYTES = 3, 101
_AXES = {1: "x", 2: "y", 3: "z"}
# What programs write that know no pixel size, in Å.
_DEFAULT_ANGSTROM = 1.0


@dataclass(frozen=True)
class _Layout:
    axes: ImageAxes
    dtype: np.dtype
    offset: int
    notes: tuple[str, ...]


def _open(path: Path, dataset: str | None) -> tuple[_Layout, Any]:
    """Return how the frames lie, and the header."""
    if dataset is not None:
        raise UemError(f"{path}: an MRC file holds one array; leave out the dataset {dataset!r}")
    header, notes = _header(path)
    mode = int(header.mode)
    if mode in (_COMPLEX_INT16, _HALF_BYTES):
        raise UemError(f"{path}: holds pixels of MRC mode {mode}; save it as integers or reals")
    dtype, note = _dtype(path, header)
    shape = mrcfile.utils.data_shape_from_header(header)
    if min(shape) < 1 or int(header.nsymbt) < 0:
        raise UemError(f"{path}: states a shape of {shape}; copy it again")
    columns = [int(header[name]) for name in ("mapc", "mapr", "maps")]
    if any(columns) and columns[:2] != [1, 2]:
        axes = ", ".join(_AXES.get(number, str(number)) for number in columns)
        raise UemError(
            f"{path}: its columns, rows and sections lie along {axes}; save it with columns along "
            f"x and rows along y"
        )
    offset = _HEADER_BYTES + int(header.nsymbt)
    needed, there = offset + prod(shape) * dtype.itemsize, path.stat().st_size
    if there < needed:
        raise UemError(f"{path}: is truncated, {there} of {needed} bytes are there; copy it again")
    notes += [note] if note else []
    return _Layout(axes_of(path, shape, known=True), dtype, offset, tuple(notes)), header


def _header(path: Path) -> tuple[Any, list[str]]:
    """Return the header in the byte order in which it makes sense, and what is wrong with it.

    Programs older than MRC2014, and some younger ones, write no ``MAP`` or other machine stamps.
    """
    with path.open("rb") as file:
        data = file.read(_HEADER_BYTES)
    if len(data) < _HEADER_BYTES:
        raise UemError(f"{path}: is truncated, its header is not whole; copy it again")
    raw = np.frombuffer(data, mrcfile.dtypes.HEADER_DTYPE).reshape(()).view(np.recarray)
    notes = []
    try:
        stated = mrcfile.utils.byte_order_from_machine_stamp(raw.machst)
    except ValueError:
        stated = ""
        stamp = mrcfile.utils.pretty_machine_stamp(raw.machst)
        notes.append(f"has no known machine stamp ({stamp})")
    if bytes(raw.map)[:3] != b"MAP":
        notes.append("has no 'MAP'")
    # A small file of the other order seems to be a huge one.
    headers = {order: _in_order(raw, order) for order in (stated or "<", "<", ">")}
    fitting = [order for order, header in headers.items() if _makes_sense(header, path)]
    if not fitting and notes:
        raise UemError(
            f"{path}: is no MRC file: its header {' and '.join(notes)}, and states no size that "
            f"can be; check the file"
        )
    order = fitting[0] if fitting else stated
    if stated and order != stated:
        notes.append("states the other byte order")
    words = {"<": "little-endian", ">": "big-endian"}[order]
    note = f"the header of {path.name} {' and '.join(notes)}; it is read as {words} MRC"
    return headers[order], [note] if notes else []


def _in_order(raw: Any, order: str) -> Any:
    header = raw.copy()
    header.dtype = header.dtype.newbyteorder(order)
    return header


def _makes_sense(header: Any, path: Path) -> bool:
    """Return whether the file is as long as the header says, in its byte order."""
    sizes = [int(header[name]) for name in ("nx", "ny", "nz")]
    try:
        item = mrcfile.utils.data_dtype_from_header(header).itemsize
    except ValueError:
        item = 1 if int(header.mode) in (_COMPLEX_INT16, _HALF_BYTES) else 0
    extended = int(header.nsymbt)
    if min(sizes) < 1 or item == 0 or extended < 0:
        return False
    return prod(sizes) * item + extended + _HEADER_BYTES <= path.stat().st_size


def _dtype(path: Path, header: Any) -> tuple[np.dtype, str]:
    """Return the dtype of the pixels, and a note where the header's own range tells it.

    MRC2014 has signed bytes and signed integers of 16 bits; many programs write unsigned ones.
    """
    dtype = mrcfile.utils.data_dtype_from_header(header)
    stamp, flags = np.frombuffer(
        header.extra2.tobytes()[_IMOD_AT], np.dtype("i4").newbyteorder(header.mode.dtype.byteorder)
    )
    if dtype.kind != "i":
        return dtype, ""
    unsigned = np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")
    if int(header.mode) == 0 and stamp == _IMOD_STAMP:
        return (dtype if flags & 1 else unsigned), ""
    low, high = float(header.dmin), float(header.dmax)
    limits = np.iinfo(dtype)
    if not low < high:  # as who does not know it writes it
        taken = f"states no range, so that its bytes are taken as {limits.min} to {limits.max}"
        return dtype, f"the header of {path.name} {taken}" if dtype.itemsize == 1 else ""
    if high <= limits.max and low >= limits.min:
        return dtype, ""
    stated = f"the header of {path.name} states values of {low:g} to {high:g}"
    if low >= 0 and high <= np.iinfo(unsigned).max:
        return unsigned, f"{stated}, so that they are taken as unsigned"
    return dtype, f"{stated}, which its pixels cannot hold; they are taken as {dtype.name}"


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the header says."""
    layout, header = _open(path, dataset)
    extended = _extended(path, header)
    pixel_size, reason = _pixel_size(header, extended)
    return ImageInfo(
        frames=layout.axes.frames,
        shape=layout.axes.shape,
        dtype=layout.dtype.newbyteorder("=").name,
        pixel_size=pixel_size,
        vendor=_vendor(header, extended),
        no_pixel_size=reason,
        notes=layout.notes,
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames, each read by itself."""
    layout, _ = _open(path, dataset)
    rows, columns = layout.axes.shape
    step = rows * columns
    for index in indices:
        place = layout.offset + range(layout.axes.frames)[index] * step * layout.dtype.itemsize
        pixels = np.fromfile(path, layout.dtype, step, offset=place)
        yield pixels.reshape(rows, columns)[::-1]


def _extended(path: Path, header: Any) -> Any:
    """Return the extended header that FEI writes, None where there is none."""
    if header.exttyp.item()[:3] != b"FEI":
        return None
    with mrcfile.open(path, header_only=True) as file:
        extended = file.indexed_extended_header
        return None if extended is None else extended.copy()


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
