"""Recorded images into the cube: read, averaged where there are repeats, judged, written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from uemdask.align import average_repeats
from uemdask.cube import Run
from uemdask.cube.layout import Region, fields
from uemdask.errors import UemError
from uemdask.readers import describe_image, raw_folder, read_images
from uemdask.stages.stage import Receipt

#: Share of pixels at the camera's limit, or not finite, from which a frame cannot be used. Fewer
#: pixels that are not finite are mended on reading, as bad pixels are.
_SHARE = 0.01
#: Below this many counts, pixels that share the highest value are no sign of a limit.
_LEAST_LIMIT = 200
#: Edge in px of the blocks over which the contrast of a frame is taken, above most of its noise.
_BLOCK = 8
#: Pixels beyond which only some are looked at for saturation, brightness and contrast.
_MANY = 2**20


@dataclass
class _Frame:
    """The images of one delay as they are read."""

    images: list[np.ndarray] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def write_slab(run: Run, region: Region, dataset: str | None, raw: Path) -> Receipt:
    """Read the images of some delays, average repeats, and write the frames.

    Files that cannot be read are listed in the receipt under ``faults``, so that all of them
    become known at once.
    """
    sizes = run.sizes
    start, stop = region.span("time", sizes["time"])
    array = run.group["intensity"]
    slab = np.zeros((stop - start, sizes["y"], sizes["x"]), array.dtype)
    record = run.stage("ingest")
    sources = record["sources"][start:stop]
    dark = run.dark
    receipt: Receipt = {"flags": [], "level": [], "contrast": [], "used": [], "faults": []}
    receipt |= {"left_out": [], "moved": 0, "largest_move": 0.0, "unregistered": 0, "outliers": 0}
    level = 0.0 if dark is None else float(dark.mean())
    frames = _frames(sources, raw, (sizes["y"], sizes["x"]), record["dtype"], dataset)
    for row, frame in enumerate(frames):
        receipt["faults"] += frame.faults
        if not frame.images:
            continue
        flag, used = _fill(slab[row], frame, dark, sources[row], receipt)
        brightness, contrast = _statistics(slab[row])
        receipt["flags"].append(flag)
        receipt["used"].append(used)
        receipt["level"].append(brightness - level)
        receipt["contrast"].append(contrast)
    if receipt["faults"]:
        return {"faults": receipt["faults"]}
    # Shard by shard: the encoded frames of a whole slab would be as much again.
    for part in fields(sizes):
        values = slab[:, *part.slices(("y", "x"), sizes)]
        run.write("intensity", values, Region(region.bounds + part.bounds))
    return receipt


def _fill(
    out: np.ndarray, frame: _Frame, dark: np.ndarray | None, source: list[Any], receipt: Receipt
) -> tuple[str, list[int]]:
    """Write one frame into `out`; return why it cannot be used, and which images are in it."""
    reasons = [fault_of(image) for image in frame.images]
    if len(frame.images) == 1:
        out[:] = frame.images[0]
        return reasons[0], frame.kept
    good = [i for i, reason in enumerate(reasons) if not reason]
    if not good:
        out[:] = average_repeats(frame.images, register=False).image
        return f"all {len(reasons)} repeats: {reasons[0]}", frame.kept
    average = average_repeats([frame.images[i] for i in good], dark=dark)
    out[:] = average.image
    for i, reason in zip(good, average.left_out, strict=True):
        reasons[i] = reason
    distance = np.abs(average.shift).max(axis=1)
    receipt["moved"] += int(np.count_nonzero(distance))
    receipt["largest_move"] = max(receipt["largest_move"], round(float(distance.max()), 3))
    receipt["unregistered"] += average.unregistered
    receipt["outliers"] += average.outliers
    receipt["left_out"] += [
        f"{source[frame.kept[i]][0]}: {reason}" for i, reason in enumerate(reasons) if reason
    ]
    return "", [kept for kept, reason in zip(frame.kept, reasons, strict=True) if not reason]


def write_dark(
    run: Run, files: Sequence[str], raw: Path, dataset: str | None, most: int = 16
) -> Receipt:
    """Average the dark images, at most `most` of them spread over all, and write the result."""
    sizes = run.sizes
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, most).astype(int))]
    sources = [[[name, 0, 1]] for name in chosen]
    images: list[np.ndarray] = []
    faults: list[str] = []
    for frame in _frames(sources, raw, (sizes["y"], sizes["x"]), None, dataset):
        images += frame.images
        faults += frame.faults
    if not faults:
        kinds = {image.dtype for image in images}
        if len(kinds) > 1:
            images = [image.astype(np.float64) for image in images]
        dark = average_repeats(images, register=False).image
        if not np.isfinite(dark).all():
            faults.append(f"{chosen[0]}: dark image with NaN or infinite pixels; take another")
        run.write("dark", np.nan_to_num(dark))
    return {"faults": faults, "images": len(images)}


def _frames(
    sources: Sequence[Sequence[Sequence[Any]]],
    raw: Path,
    shape: tuple[int, int],
    dtype: str | None,
    dataset: str | None,
) -> Iterator[_Frame]:
    """Yield the images of each delay; successive ones of a file are read with it opened once."""
    folder = raw_folder(raw)
    listed = [
        (folder / name, index, row, place)
        for row, images in enumerate(sources)
        for place, (name, index, _) in enumerate(images)
    ]
    frame, current = _Frame(), 0
    for file, group in groupby(listed, key=itemgetter(0)):
        places = list(group)
        try:
            kind = dtype or describe_image(file, dataset).dtype
            images = read_images(file, [index for _, index, _, _ in places], shape, kind, dataset)
            for (_, _, row, place), image in zip(places, images, strict=True):
                while current < row:
                    yield frame
                    frame, current = _Frame(), current + 1
                frame.images.append(image)
                frame.kept.append(place)
        except UemError as error:
            frame.faults.append(str(error))
    while current < len(sources):
        yield frame
        frame, current = _Frame(), current + 1


def fault_of(image: np.ndarray) -> str:
    """Return why an image cannot be used, or an empty string."""
    if image.dtype.kind == "f":
        lost = 1.0 - np.count_nonzero(np.isfinite(image)) / image.size
        if lost > _SHARE:
            return f"NaN or infinite: {lost:.0%} of the pixels"
        if np.nanmin(image) == np.nanmax(image):
            return "blank: all pixels are equal"
        return ""
    top = image.max()
    if top == image.flat[0] and top == image.min():
        return "blank: all pixels are equal"
    if top >= _LEAST_LIMIT:
        some = image[::4, ::4] if image.size > _MANY else image
        saturated = np.count_nonzero(some == top) / some.size
        if saturated > _SHARE:
            return f"saturated: {saturated:.0%} of the pixels at {top} counts"
    return ""


def _statistics(frame: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of a frame over blocks; of large ones over some bands."""
    height, width = frame.shape
    if height >= _BLOCK:
        bands = frame[: height // _BLOCK * _BLOCK].reshape(-1, _BLOCK, width)
        frame = bands[:: max(1, frame.size // _MANY)].reshape(-1, width)
    real = frame.dtype.kind == "f"
    frame = frame.astype(np.float32)
    if real:
        frame = np.nan_to_num(frame, posinf=0.0, neginf=0.0)
    height, width = (max(1, edge // _BLOCK) for edge in frame.shape)
    blocks = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return float(blocks.mean()), float(blocks.std(dtype=np.float64))
