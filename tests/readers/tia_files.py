"""FEI TIA series written byte by byte, with the ``.emi`` file beside them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

_TYPES = {"uint8": 1, "uint16": 2, "uint32": 3, "int8": 4, "int16": 5, "int32": 6}
_TYPES |= {"float32": 7, "float64": 8, "complex64": 9}
IMAGES, SPECTRA = 0x4122, 0x4120


def write_ser(
    path: Path,
    stack: np.ndarray,
    *,
    pixel_size: tuple[float, float] = (1e-9, 1e-9),
    version: int = 0x0210,
    kind: int = IMAGES,
    valid: int | None = None,
    scan: tuple[int, ...] | None = None,
) -> Path:
    """Write frames, given as displayed, with a pixel size in m along y, x.

    `valid` is the number of frames that were recorded before the series was stopped, `scan` the
    sizes of a map.
    """
    pointer = "<Q" if version >= 0x0220 else "<I"
    count = len(stack) if valid is None else valid
    dimensions = b""
    for size in scan or (len(stack),):
        dimensions += struct.pack("<IddI", size, 0.0, 1.0, 0)
        dimensions += struct.pack("<I", 6) + b"Number" + struct.pack("<I", 0)
    head = struct.pack("<HHHIIII", 0x4949, 0x0197, version, kind, 0x4142, len(stack), count)
    table = len(head) + struct.calcsize(pointer) + 4 + len(dimensions)
    head += struct.pack(pointer, table) + struct.pack("<I", len(scan or (1,))) + dimensions
    elements = []
    for frame in stack[:count]:
        rows, columns = frame.shape
        element = struct.pack("<ddIddI", 0.0, pixel_size[1], 0, 0.0, pixel_size[0], 0)
        element += struct.pack("<HII", _TYPES[frame.dtype.name], columns, rows)
        elements.append(element + np.ascontiguousarray(frame[::-1]).tobytes())
    start = table + 2 * len(stack) * struct.calcsize(pointer)
    places = start + np.cumsum([0, *map(len, elements)])
    tags = struct.pack("<HHI", 0x4152, 0, 0)
    offsets = [int(place) + i * len(tags) for i, place in enumerate(places[:-1])]
    after = [offset + len(element) for offset, element in zip(offsets, elements, strict=True)]
    unused = [0] * (len(stack) - count)
    for values in (offsets, after):
        head += b"".join(struct.pack(pointer, value) for value in (*values, *unused))
    Path(path).write_bytes(head + b"".join(element + tags for element in elements))
    return Path(path)


def write_emi(path: Path, modes: list[str]) -> Path:
    """Write what is known of each series: here its mode, high tension and user."""
    objects = "".join(
        f"<ObjectInfo><ExperimentalDescription><Root>"
        f"<Data><Label>Mode</Label><Value>{mode}</Value><Unit></Unit></Data>"
        f"<Data><Label>High tension</Label><Value>200</Value><Unit>kV</Unit></Data>"
        f"<Data><Label>User</Label><Value>Jörg</Value><Unit></Unit></Data>"
        f"</Root></ExperimentalDescription>"
        f"<AcquireInfo><CameraNamePath>Orius</CameraNamePath></AcquireInfo></ObjectInfo>"
        for mode in modes
    )
    Path(path).write_bytes(b"\x01\x02binary\0" + objects.encode() + b"\0end")
    return Path(path)
