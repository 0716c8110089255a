"""Gatan DM3 and DM4 files: tags through RosettaSciIO, pixels one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.errors import UemError
from uemdask.readers.array_choice import Candidate, choose
from uemdask.readers.axes import axes_of
from uemdask.readers.info import ImageInfo
from uemdask.readers.pixel_size import pixel_size_of


def _signals(path: Path) -> list[dict[str, Any]]:
    try:
        from rsciio.digitalmicrograph import file_reader
    except ImportError as error:
        raise UemError(
            f"{path}: Gatan files are read through RosettaSciIO, which is not installed; run "
            f"pip install 'uemdask[formats]'"
        ) from error
    try:
        # Lazy: only the tags are read here, no pixel.
        return list(file_reader(str(path), lazy=True))
    except ValueError as error:
        if "RGB" in str(error):
            raise UemError(f"{path}: holds a colour image; save it as grey values") from error
        raise


def _image(signal: dict[str, Any]) -> dict[str, Any]:
    return dict(signal["original_metadata"]["ImageList"]["TagGroup0"])


def _what(signal: dict[str, Any]) -> str:
    """Return what a signal is if it is no series of images."""
    meta = _image(signal)["ImageTags"].get("Meta Data", {})
    kind = str(meta.get("Format", "")) if isinstance(meta, dict) else ""
    if "Spectrum" in kind or signal["data"].ndim < 2:
        return "a spectrum image" if kind == "Spectrum image" else "a spectrum"
    return ""


def _choose(path: Path, dataset: str | None) -> dict[str, Any]:
    signals = _signals(path)
    candidates = [
        Candidate(
            str(number),
            signal["data"].shape,
            signal["data"].dtype,
            _what(signal),
            str(_image(signal).get("Name") or ""),
        )
        for number, signal in enumerate(signals)
    ]
    if not candidates:
        raise UemError(f"{path}: holds no image; check the file")
    if len(candidates) == 1 and dataset is None and candidates[0].what:
        raise UemError(f"{path}: holds {candidates[0].what}, not images; leave it out")
    number = choose(path, candidates, dataset)
    signal, shape = signals[number], candidates[number].shape
    place = _image(signal)["ImageData"]["Data"]
    item = candidates[number].dtype.itemsize
    needed, there = place["offset"] + prod(shape) * item, path.stat().st_size
    if prod(shape) * item > place["size_bytes"]:
        raise UemError(
            f"{path}: states {shape} px but has {place['size_bytes']} bytes of pixels; "
            f"copy it again"
        )
    if there < needed:
        raise UemError(f"{path}: is truncated, {there} of {needed} bytes are there; copy it again")
    return signal


def describe(path: Path, dataset: str | None) -> ImageInfo:
    """Return what the tags say."""
    signal = _choose(path, dataset)
    data, steps = signal["data"], signal["axes"]
    units = [str(axis["units"] or "") for axis in steps]
    # Numbers run along x first whatever its unit.
    names = [*["frame"] * (data.ndim - 2), "y", "x"]
    axes = axes_of(path, data.shape, names, units)
    pixel_size, reason = pixel_size_of(
        axes.of_space([axis["scale"] for axis in steps]), axes.of_space(units)
    )
    return ImageInfo(
        frames=axes.frames,
        shape=axes.shape,
        dtype=data.dtype.name,
        pixel_size=pixel_size,
        vendor=signal["original_metadata"],
        no_pixel_size=reason,
    )


def read(path: Path, indices: Sequence[int], dataset: str | None) -> Iterator[np.ndarray]:
    """Yield frames, each read by itself.

    RosettaSciIO's lazy arrays have blocks of up to 128 MiB and the machine's byte order; from the
    place it names, a frame is read as it is.
    """
    signal = _choose(path, dataset)
    data, place = signal["data"], _image(signal)["ImageData"]["Data"]
    dtype = data.dtype.newbyteorder("<" if place["endian"] == "little" else ">")
    rows, columns = data.shape[-2:]
    step = rows * columns
    for index in indices:
        frame = range(prod(data.shape[:-2]))[index]
        offset = place["offset"] + frame * step * dtype.itemsize
        yield np.fromfile(path, dtype, step, offset=offset).reshape(rows, columns)
