"""FEI TIA series: frames in ``NAME_1.ser``, what is known of them in ``NAME.emi`` beside it.

The layout of a series is that of C. Boothroyd's notes, which RosettaSciIO and ncempy follow too;
those readers load all frames to describe a file, so a series is read here, one frame at a time.
Rows are stored from the bottom up, and so turned over on reading, as TIA shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from uemdask.errors import UemError
from uemdask.readers.array_choice import Candidate, choose
from uemdask.readers.axes import axes_of
from uemdask.readers.folders import entries
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import PixelSize, pixel_size_of
from uemdask.regular_files import check_regular, read_regular

_SERIES_ID, _LITTLE = 0x0197, 0x4949
_LONG_OFFSETS = 0x0220  # the version from which offsets have 64 bits
_IMAGES = 0x4122
_DTYPES = {
    1: "<u1",
    2: "<u2",
    3: "<u4",
    4: "<i1",
    5: "<i2",
    6: "<i4",
    7: "<f4",
    8: "<f8",
    9: "<c8",
    10: "<c16",
}
_HEAD = [
    ("ByteOrder", "<u2"),
    ("SeriesID", "<u2"),
    ("SeriesVersion", "<u2"),
    ("DataTypeID", "<u4"),
    ("TagTypeID", "<u4"),
    ("TotalNumberElements", "<u4"),
    ("ValidNumberElements", "<u4"),
]
_DIMENSION = np.dtype(
    [
        ("DimensionSize", "<u4"),
        ("CalibrationOffset", "<f8"),
        ("CalibrationDelta", "<f8"),
        ("CalibrationElement", "<u4"),
    ]
)
_ELEMENT = np.dtype(
    [
        ("CalibrationOffsetX", "<f8"),
        ("CalibrationDeltaX", "<f8"),
        ("CalibrationElementX", "<u4"),
        ("CalibrationOffsetY", "<f8"),
        ("CalibrationDeltaY", "<f8"),
        ("CalibrationElementY", "<u4"),
        ("DataType", "<u2"),
        ("ArraySizeX", "<u4"),
        ("ArraySizeY", "<u4"),
    ]
)
#: Longest ``.emi`` file that is read, bytes.
_LONGEST = 2**30
_OBJECT = re.compile(rb"<ObjectInfo>.*?</ObjectInfo>", re.DOTALL)


@dataclass(frozen=True)
class _Series:
    path: Path
    head: dict[str, Any]
    shape: tuple[int, int]
    dtype: np.dtype
    offsets: np.ndarray  # of the frames, in bytes
    steps: tuple[float, float]  # m/px along y, x; 1/m in diffraction


def series_of(path: Path) -> list[Path]:
    """Return the ``.ser`` files that belong to an ``.emi`` file, in the order of their numbers."""
    name = re.compile(re.escape(path.stem) + r"_(\d+)\.ser", re.IGNORECASE)
    found = [(int(m[1]), file) for file in entries(path.parent) if (m := name.fullmatch(file.name))]
    return [file for _, file in sorted(found)]


def _choose(path: Path, dataset: str | None) -> _Series:
    if path.suffix.casefold() != ".emi":
        if dataset is not None:
            raise UemError(
                f"{path}: a .ser file holds one series; leave out the dataset {dataset!r}"
            )
        return _open(path)
    files = series_of(path)
    if not files:
        raise UemError(f"{path}: its frames, {path.stem}_1.ser, are not beside it; copy both files")
    if len(files) == 1 and dataset is None:
        return _open(files[0])
    names = [Candidate(file.name, (0, 0, 0), np.dtype("u1")) for file in files]
    if dataset is None:
        listed = ", ".join(name.name for name in names)
        raise UemError(f"{path}: has {len(files)} series; name one with `dataset`: {listed}")
    return _open(files[choose(path, names, dataset)])


def _open(path: Path) -> _Series:
    check_regular(path)  # one that an .emi file leads to
    there = path.stat().st_size
    with path.open("rb") as file:

        def take(dtype: Any, count: int = 1) -> Any:
            dtype = np.dtype(dtype)
            # A damaged count must not take all memory.
            if file.tell() + dtype.itemsize * count > there:
                raise UemError(f"{path}: ends within its directory; copy it again")
            return np.frombuffer(file.read(dtype.itemsize * count), dtype, count)

        head = _plain(take(_HEAD)[0])
        if head["ByteOrder"] != _LITTLE or head["SeriesID"] != _SERIES_ID:
            raise UemError(f"{path}: does not begin as a TIA series; check the file")
        if head["DataTypeID"] != _IMAGES:
            raise UemError(f"{path}: holds spectra, not images; leave it out")
        pointer = "<u8" if head["SeriesVersion"] >= _LONG_OFFSETS else "<u4"
        table = int(take(pointer)[0])
        head["Dimensions"] = []
        for _ in range(int(take("<u4")[0])):
            dimension = _plain(take(_DIMENSION)[0])
            for part in ("Description", "Units"):
                length = int(take("<u4")[0])
                dimension[part] = _text(bytes(take(f"S{length}")[0])) if length else ""
            head["Dimensions"].append(dimension)
        count = head["ValidNumberElements"]
        if count == 0:
            raise UemError(f"{path}: no frame of the series was recorded; leave it out")
        file.seek(table)
        offsets = take(pointer, count).astype(np.int64)
        file.seek(int(offsets[0]))
        element = take(_ELEMENT)[0]
    if int(element["DataType"]) not in _DTYPES:
        raise UemError(f"{path}: has pixels of unknown type {element['DataType']}; copy it again")
    head["FirstElement"] = _plain(element)
    series = _Series(
        path,
        head,
        (int(element["ArraySizeY"]), int(element["ArraySizeX"])),
        np.dtype(_DTYPES[int(element["DataType"])]),
        offsets,
        (float(element["CalibrationDeltaY"]), float(element["CalibrationDeltaX"])),
    )
    pixels = series.shape[0] * series.shape[1] * series.dtype.itemsize
    needed = int(offsets.max()) + _ELEMENT.itemsize + pixels
    if there < needed:
        raise UemError(f"{path}: is truncated, {there} of {needed} bytes are there; copy it again")
    return series


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the series and the ``.emi`` file beside it say."""
    series = _choose(path, dataset)
    known = _object_of(series.path)
    pixel_size, reason = _pixel_size(series, known)
    scanned = [d["DimensionSize"] for d in series.head["Dimensions"]]
    count = len(series.offsets)
    # A map of images, as of 4D-STEM, is no series in time.
    lead = tuple(scanned) if int(np.prod(scanned, dtype=np.int64)) == count else (count,)
    return ImageInfo(
        frames=axes_of(path, (*lead, *series.shape), known=True).frames,
        shape=series.shape,
        dtype=series.dtype.newbyteorder("=").name,
        pixel_size=pixel_size,
        vendor={"ser": series.head, **known},
        no_pixel_size=reason,
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames, each read by itself."""
    series = _choose(path, dataset)
    rows, columns = series.shape
    with series.path.open("rb") as file:
        for index in indices:
            file.seek(int(series.offsets[range(len(series.offsets))[index]]))
            element = np.frombuffer(file.read(_ELEMENT.itemsize), _ELEMENT, 1)[0]
            size = int(element["ArraySizeY"]), int(element["ArraySizeX"])
            dtype = np.dtype(_DTYPES.get(int(element["DataType"]), "V1"))
            if (size, dtype) != (series.shape, series.dtype):
                raise UemError(
                    f"{path}: frame {index} is {size} {dtype}, unlike the first; leave it out"
                )
            yield np.fromfile(file, series.dtype, rows * columns).reshape(rows, columns)[::-1]


def _object_of(path: Path) -> dict[str, Any]:
    """Return what the ``.emi`` file says of a series; nothing if there is none."""
    match = re.fullmatch(r"(.+)_(\d+)", path.stem)
    if match is None:
        return {}
    # The name in any case: TIA runs on Windows.
    wanted = f"{match[1]}.emi".casefold()
    beside = [file for file in entries(path.parent) if file.name.casefold() == wanted]
    if not beside:
        return {}
    objects = _OBJECT.findall(read_regular(beside[0], _LONGEST))
    number = int(match[2]) - 1
    if number >= len(objects):
        return {}
    found = tifffile.xml2dict(objects[number].decode("utf-8", "replace"))
    info = found.get("ObjectInfo", {})
    experiment = info.get("ExperimentalDescription") if isinstance(info, dict) else None
    if isinstance(experiment, dict):
        info["ExperimentalDescription"] = _labelled(experiment)
    return {"ObjectInfo": info}


def _labelled(experiment: dict[str, Any]) -> dict[str, Any]:
    """Return a list of labels, values and units as 'label: value unit'."""
    rows = (experiment.get("Root") or {}).get("Data") or []
    rows = rows if isinstance(rows, list) else [rows]
    named = {}
    for row in rows:
        value, unit = row.get("Value", ""), row.get("Unit", "")
        named[str(row.get("Label"))] = f"{value} {unit}" if unit else value
    return named or experiment


def _pixel_size(series: _Series, known: dict[str, Any]) -> PixelSize:
    info = known.get("ObjectInfo", {})
    mode = str((info.get("ExperimentalDescription") or {}).get("Mode", ""))
    camera = "CameraNamePath" in (info.get("AcquireInfo") or {})
    # A camera behind a scanned beam records diffraction.
    if "Diffraction" in mode or ("STEM" in mode and camera):
        return pixel_size_of(series.steps, ("1/m", "1/m"))
    return pixel_size_of(series.steps, ("m", "m"))


def _plain(record: Any) -> dict[str, Any]:
    return {name: record[name].item() for name in record.dtype.names}


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")
