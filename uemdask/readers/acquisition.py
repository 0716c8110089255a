"""A raw acquisition: which frame lies in which file, at which delay, and what is known of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays import DelayTable, parse_plan, read_table
from uemdask.readers.images import ImageInfo, describe_image, is_image
from uemdask.readers.yaml_text import read_yaml
from uemdask.units import parse_delay, parse_length

_TABLE_NAMES = ("delays.csv", "delays.tsv", "delays.txt")
_METADATA_NAME = "metadata.yaml"


@dataclass(frozen=True)
class RawAcquisition:
    """A raw acquisition as it will be ingested, frames sorted by delay.

    Attributes
    ----------
    path : Path
        Folder or stack it was found in.
    files, indices : one per frame
        File, and which image of that file.
    delays : (time,) float64
        In ps from time zero, rising.
    shape, dtype
        Frame shape (y, x) in px and the camera's dtype.
    pixel_size : (y, x)
        In nm.
    metadata, vendor : dict
        Acquisition metadata in the documented spelling; the vendor's own tags, whole.
    notes : list of str
        What a person should know, one sentence each.
    """

    path: Path
    files: tuple[Path, ...]
    indices: tuple[int, ...]
    delays: np.ndarray
    shape: tuple[int, int]
    dtype: str
    pixel_size: tuple[float, float]
    metadata: dict[str, Any] = field(default_factory=dict)
    vendor: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def inspect_raw(
    path: Path,
    *,
    delays: str | None = None,
    pixel_size: str | None = None,
    time_zero: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> RawAcquisition:
    """Find out what a raw folder or stack holds, without reading a frame.

    Parameters
    ----------
    path : Path
        A folder of single-frame images, or one multi-page stack.
    delays : str, optional
        A table of delays, or a plan like ``"-30:500:5 ps"``. Else ``delays.csv`` in the folder,
        or beside the stack.
    pixel_size, time_zero : str, optional
        Such as ``"3nm"`` (or ``"3nm,2.5nm"`` for y, x) and ``"12ps"``; both win over metadata.
    metadata : dict, optional
        Acquisition metadata; wins over ``metadata.yaml`` in the folder.

    Raises
    ------
    UemError, FaultsError
        If something is missing, damaged or does not fit; all faults found are listed.
    """
    path = Path(path)
    images = _images_in(path)
    info = describe_image(images[0])
    if len(images) > 1 and info.frames > 1:
        raise UemError(
            f"{path}: holds {len(images)} files, and {images[0].name} alone has {info.frames} "
            f"frames; name one stack, or save one frame per file"
        )
    known = _read_metadata(path) | (metadata or {})
    table, source = _find_delays(path, delays)
    files, indices, values = _match(path, images, info, table, source)
    zero = parse_delay(time_zero or known.get("time_zero", 0.0), what="time zero")
    known["time_zero"] = f"{zero:g} ps"
    values = values - zero
    order = np.argsort(values, kind="stable")
    values = values[order]
    repeated = np.unique(values[1:][np.diff(values) == 0])
    if repeated.size:
        raise UemError(
            f"{source}: delay {', '.join(f'{d:g}' for d in repeated[:5])} ps stands more than "
            f"once; give each frame its own delay"
        )
    notes = []
    if len(values) < 3:
        raise UemError(f"{path}: {len(values)} frames are too few for a series; at least 3 needed")
    if not (values < 0).any():
        notes.append(
            "no frame before time zero; the mean of all frames will serve as the reference"
        )
    if not (values > 0).any():
        notes.append("no frame after time zero; check the sign of the delays and the time zero")
    return RawAcquisition(
        path=path,
        files=tuple(files[i] for i in order),
        indices=tuple(indices[i] for i in order),
        delays=values,
        shape=info.shape,
        dtype=info.dtype,
        pixel_size=_pixel_size(path, pixel_size, known, info),
        metadata={k: v for k, v in known.items() if k != "pixel_size"},
        vendor=info.vendor,
        notes=notes,
    )


def _images_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UemError(f"{path}: no such folder or file; check the name")
    images = [file for file in path.iterdir() if file.is_file() and is_image(file)]
    if not images:
        raise UemError(f"{path}: holds no image files that can be read; name the raw folder")
    return sorted(images, key=_natural)


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Sort ``frame_2`` before ``frame_10``."""
    parts = re.split(r"(\d+)", path.name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _read_metadata(path: Path) -> dict[str, Any]:
    file = (path if path.is_dir() else path.parent) / _METADATA_NAME
    if not file.is_file():
        return {}
    found = read_yaml(file)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UemError(f"{file}: holds no 'key: value' lines; write e.g. 'pixel_size: 3 nm'")
    return {str(key): value for key, value in found.items()}


def _find_delays(path: Path, given: str | None) -> tuple[DelayTable, str]:
    if given is not None:
        if _is_file(given):
            return read_table(Path(given)), given
        if ":" in given:
            return parse_plan(given), f"--delays {given!r}"
        raise UemError(f"--delays {given}: no such file, and not a plan like '-30:500:5 ps'")
    if path.is_dir():
        candidates = [path / name for name in _TABLE_NAMES]
    else:
        candidates = [path.with_suffix(suffix) for suffix in (".csv", ".tsv", ".txt")]
        candidates += [path.parent / name for name in _TABLE_NAMES]
    for file in candidates:
        if file.is_file():
            return read_table(file), str(file)
    raise UemError(
        f"{path}: no delays found; write delays.csv with the columns file,delay_ps beside the "
        f"frames, or give --delays FILE or --delays '-30:500:5 ps'"
    )


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a long plan is no file name
        return False


def _match(
    path: Path, images: list[Path], info: ImageInfo, table: DelayTable, source: str
) -> tuple[list[Path], list[int], np.ndarray]:
    """Pair frames with delays: by file name where the table names files, else in order."""
    faults = []
    by_name = {file.name: file for file in images}
    single = len(images) > 1 or info.frames == 1
    if single and table.files is not None:
        files = []
        names = [PureWindowsPath(name).name for name in table.files]  # splits at / and at \
        for name in names:
            file = by_name.get(name)
            if file is None:
                faults.append(f"{name!r}: named in the table but not in {path}; copy it there")
            else:
                files.append(file)
        faults += [
            f"{name}: stands {count} times in the table; keep one row"
            for name, count in sorted(Counter(names).items())
            if count > 1
        ]
        found = set(files)
        missing = [file.name for file in images if file not in found]
        faults += [f"{name}: has no delay in the table; add a row" for name in missing]
        if faults:
            raise FaultsError(source, faults)
        return files, [0] * len(files), np.array(table.delays)
    files, indices = (images, [0] * len(images)) if single else ([], [])
    if not single:
        files, indices = [images[0]] * info.frames, list(range(info.frames))
    if len(table.delays) != len(files):
        raise UemError(
            f"{source}: {len(table.delays)} delays for {len(files)} frames in {path}; "
            f"give one delay per frame"
        )
    return files, indices, np.array(table.delays)


def _pixel_size(
    path: Path, given: str | None, known: dict[str, Any], info: ImageInfo
) -> tuple[float, float]:
    text = given if given is not None else known.get("pixel_size")
    if text is not None:
        parts = text if isinstance(text, list | tuple) else str(text).split(",")
        lengths = [parse_length(part, what="pixel size") for part in parts]
    elif info.pixel_size is not None:
        lengths = list(info.pixel_size)
    else:
        raise UemError(f"{path}: no pixel size in the files; give --pixel-size 3nm")
    if len(lengths) not in (1, 2) or any(length <= 0 for length in lengths):
        raise UemError(f"{path}: pixel size {text!r} is not one or two positive lengths (y, x)")
    return lengths[0], lengths[-1]
