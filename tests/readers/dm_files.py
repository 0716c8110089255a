"""Gatan DM3 and DM4 files written byte by byte, with the tags that tests need.

The layout is that which RosettaSciIO's and ncempy's readers document. Numbers of the directory are
big-endian, values are in the byte order that the header states. DM4 has 64-bit directory numbers
and a size in front of each entry.

Other tests write files with ``from dm_files import write_dm``; this folder is on their path.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: DigitalMicrograph's number of a pixel type.
DATA_TYPES = {
    "int16": 1,
    "float32": 2,
    "complex64": 3,
    "uint8": 6,
    "int32": 7,
    "int8": 9,
    "uint16": 10,
    "uint32": 11,
    "float64": 12,
    "bool": 14,
}
_RGB = 23

# Numbers of the encoded types in a tag directory.
_ENCODED = {"i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "b1": 8, "i1": 9, "u1": 10}
_ENCODED |= {"i8": 11, "u8": 12}
_STRUCT, _ARRAY = 15, 20
_GROUP, _VALUE = 20, 21


@dataclass(frozen=True)
class DmImage:
    """One image, stack or spectrum of a file.

    Attributes
    ----------
    array : (y, x), (frame, y, x) or (channel,)
        A structured array with the fields R, G, B is written as a colour image.
    pixel_size : number or (y, x)
        In `unit`.
    unit : str or (y, x) of str
        As DigitalMicrograph shows it.
    tags : nested mapping
        ``ImageTags``; ints, floats, bools, text, tuples of numbers (a struct), numeric arrays.
    name : str
        Title of the image.
    calibrated : int, optional
        Axes with a calibration, from x on; StackBuilder leaves out that of the frames.
    """

    array: np.ndarray
    pixel_size: float | tuple[float, float] = 1.0
    unit: str | tuple[str, str] = "nm"
    tags: Mapping[str, Any] = field(default_factory=dict)
    name: str = "image"
    calibrated: int | None = None


def write_dm(
    path: Path,
    array: np.ndarray,
    *,
    version: int = 3,
    pixel_size: float | tuple[float, float] = 1.0,
    unit: str | tuple[str, str] = "nm",
    tags: Mapping[str, Any] | None = None,
    thumbnail: bool = True,
) -> Path:
    """Write one image or stack, as ``ImageList.TagGroup1`` behind a thumbnail.

    ``tags={"LaserParameter": {"Delay": -5.0, "Delay Units": "ps"}}`` becomes the tags that
    DigitalMicrograph calls ``LaserParameter:Delay`` and ``LaserParameter:Delay Units``.
    """
    image = DmImage(np.asarray(array), pixel_size, unit, tags or {})
    return write_dm_images(path, [image], version=version, thumbnail=thumbnail)


def write_dm_images(
    path: Path,
    images: Sequence[DmImage],
    *,
    version: int = 3,
    thumbnail: bool = True,
    byteorder: str = "<",
) -> Path:
    """Write a file of several images."""
    content: dict[str, Any] = {}
    shown = [_image_group(image, byteorder) for image in images]
    if thumbnail:
        small = np.zeros((4, 4), [(name, "u1") for name in "BGRA"])
        shown.insert(0, _image_group(DmImage(small), byteorder))
        content["Thumbnails"] = [{"ImageIndex": 0, "SourceImage_ID": 1}]
    content = {"ImageList": shown, **content, "InImageMode": True}
    body = _directory(content, version, byteorder)
    order = int(byteorder == "<")
    head = struct.pack(">III" if version == 3 else ">IQI", version, len(body), order)
    Path(path).write_bytes(head + body + bytes(8))
    return Path(path)


def _image_group(image: DmImage, byteorder: str) -> dict[str, Any]:
    array = image.array
    if array.dtype.names:
        order = [name for name in "BGRA" if name in array.dtype.names]
        packed = np.zeros(array.shape, [(name, "u1") for name in "BGRA"])
        for name in order:
            packed[name] = array[name]
        data_type, depth = _RGB, 4
        data = np.frombuffer(packed.tobytes(), "<u4")
    else:
        data_type, depth = DATA_TYPES[array.dtype.name], array.dtype.itemsize
        data = array.astype(array.dtype.newbyteorder(byteorder)).ravel()
    sizes = image.pixel_size if isinstance(image.pixel_size, tuple) else (image.pixel_size,) * 2
    units = image.unit if isinstance(image.unit, tuple) else (image.unit,) * 2
    steps = [*reversed(sizes), *[1.0] * array.ndim][: array.ndim]
    names = [*reversed(units), *[""] * array.ndim][: array.ndim]
    calibrated = array.ndim if image.calibrated is None else image.calibrated
    return {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": "counts"},
                "Dimension": [
                    {"Origin": 0.0, "Scale": np.float32(step), "Units": name}
                    for step, name in list(zip(steps, names, strict=True))[:calibrated]
                ],
            },
            "Data": data,
            "DataType": data_type,
            "Dimensions": [np.uint32(size) for size in reversed(array.shape)],
            "PixelDepth": depth,
        },
        "ImageTags": image.tags,
        "Name": image.name,
    }


def _directory(content: Mapping[str, Any] | Sequence[Any], version: int, order: str) -> bytes:
    items = content.items() if isinstance(content, Mapping) else [("", part) for part in content]
    number = ">I" if version == 3 else ">Q"
    entries = [_entry(name, value, version, order) for name, value in items]
    return bytes([1, 0]) + struct.pack(number, len(entries)) + b"".join(entries)


def _entry(name: str, value: Any, version: int, order: str) -> bytes:
    label = name.encode("latin-1")
    inner: Mapping[str, Any] | Sequence[Any] | None = None
    if isinstance(value, Mapping | list):
        inner = value
        kind, body = _GROUP, _directory(inner, version, order)
    else:
        kind, body = _VALUE, _value(value, version, order)
    head = struct.pack(">BH", kind, len(label)) + label
    return head + (struct.pack(">Q", len(body)) if version == 4 else b"") + body


def _value(value: Any, version: int, order: str) -> bytes:
    number = "I" if version == 3 else "Q"

    def encoded(info: Sequence[int], data: bytes) -> bytes:
        return b"%%%%" + struct.pack(f">{len(info) + 1}{number}", len(info), *info) + data

    if isinstance(value, tuple):
        fields = [_scalar(part) for part in value]
        info = [_STRUCT, 0, len(fields)]
        for part in fields:
            info += [0, _code(part)]
        return encoded(info, b"".join(_bytes(part, order) for part in fields))
    if isinstance(value, str):
        # DigitalMicrograph's text is an array of UTF-16 units.
        units = np.frombuffer(value.encode("utf-16-le"), "<u2")
        return encoded([_ARRAY, 4, len(units)], _bytes(units, order))
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "c":  # no encoded type of its own: pairs of numbers
            part = value.real.dtype.newbyteorder(order)
            pairs = np.stack([value.real, value.imag], -1).astype(part)
            code = _code(pairs)
            return encoded([_ARRAY, _STRUCT, 0, 2, 0, code, 0, code, len(value)], pairs.tobytes())
        return encoded([_ARRAY, _code(value), len(value)], _bytes(value, order))
    scalar = _scalar(value)
    return encoded([_code(scalar)], _bytes(scalar, order))


def _scalar(value: Any) -> np.generic:
    if isinstance(value, np.generic):
        return value
    if isinstance(value, bool):
        return np.bool_(value)
    return np.int32(value) if isinstance(value, int) else np.float64(value)


def _code(value: np.generic | np.ndarray) -> int:
    return _ENCODED[value.dtype.str[1:]]


def _bytes(value: np.generic | np.ndarray, order: str) -> bytes:
    return np.asarray(value).astype(value.dtype.newbyteorder(order)).tobytes()
