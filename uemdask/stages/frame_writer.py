"""Recorded images into the cube: read, averaged where there are repeats, judged, written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.align import average_repeats
from uemdask.cube import Run
from uemdask.cube.layout import Region, fields
from uemdask.errors import UemError
from uemdask.readers import describe_image, raw_folder, read_images
from uemdask.stages.counts import (
    brightness_of,
    fault_of,
    is_equal,
    mean_counts,
    missing_share,
    three_of,
)
from uemdask.stages.stage import Receipt


@dataclass
class _Frame:
    """The images of one delay as they are read."""

    images: list[np.ndarray] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RawSlab:
    """Which images of raw data make the frames of a slab, and how to read them.

    Attributes
    ----------
    raw : Path
        Folder or stack.
    sources : list of lists of (file, index, scan)
        Images of each delay.
    shape : (int, int)
        Of a frame.
    dtype : str
        Of the frames: float32 where repeats are averaged.
    facts : mapping
        ``dtype`` of all images and ``images_in_file``, where that is known.
    dataset : str, optional
        Which of several arrays of the files.
    """

    raw: Path
    sources: Sequence[Sequence[Sequence[Any]]]
    shape: tuple[int, int]
    dtype: Any
    facts: Mapping[str, Any]
    dataset: str | None = None

    def read(self, dark: np.ndarray | None) -> tuple[np.ndarray, Receipt]:
        """Return the frames (time, y, x), and what was found.

        Files that cannot be read are listed under ``faults``, so that all of them become known at
        once.
        """
        slab = np.zeros((len(self.sources), *self.shape), self.dtype)
        receipt: Receipt = {"flags": [], "brightness": [], "missing": [], "used": [], "faults": []}
        receipt |= {"left_out": [], "moved": 0, "largest_move": 0.0, "unregistered": 0}
        receipt |= {"outliers": 0}
        frames = _frames(self.sources, self.raw, self.shape, self.facts, self.dataset)
        for row, frame in enumerate(frames):
            receipt["faults"] += frame.faults
            if not frame.images:
                continue
            flag, used = _fill(slab[row], frame, dark, self.sources[row], receipt)
            receipt["flags"].append(flag)
            receipt["used"].append(used)
            receipt["brightness"].append(astuple(brightness_of(slab[row], dark)))
            receipt["missing"].append(round(missing_share(slab[row]), 6))
        return slab, receipt


def write_slab(run: Run, region: Region, dataset: str | None, raw: Path) -> Receipt:
    """Read the images of some delays, average repeats, and write the frames."""
    sizes = run.sizes
    start, stop = region.span("time", sizes["time"])
    record, dtype = run.stage("ingest"), run.group["intensity"].dtype
    sources, shape = record["sources"][start:stop], (sizes["y"], sizes["x"])
    slab, receipt = RawSlab(raw, sources, shape, dtype, record, dataset).read(run.dark)
    if receipt["faults"]:
        return {"faults": receipt["faults"]}
    receipt["means"] = {
        str(number): mean_counts(slab[number - start])
        for number in three_of(sizes["time"])
        if start <= number < stop
    }
    receipt["equal"] = [
        start + row
        for row in range(1, len(slab))
        if not receipt["flags"][row] and is_equal(slab[row - 1], slab[row])
    ]
    # The next slab, of another task, may begin with the same frame.
    receipt["ends"] = [hashlib.sha256(slab[row].tobytes()).hexdigest()[:16] for row in (0, -1)]
    # Shard by shard: the encoded frames of a whole slab would be as much again.
    for part in fields(sizes):
        values = slab[:, *part.slices(("y", "x"), sizes)]
        run.write("intensity", values, Region(region.bounds + part.bounds))
    return receipt


def _fill(
    out: np.ndarray,
    frame: _Frame,
    dark: np.ndarray | None,
    source: Sequence[Any],
    receipt: Receipt,
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


def write_dark(run: Run, files: Sequence[str], raw: Path, dataset: str | None) -> Receipt:
    """Average the dark images and write the result."""
    dark, images, faults = mean_dark(files, raw, (run.sizes["y"], run.sizes["x"]), dataset)
    if not faults:
        run.write("dark", dark)
    return {"faults": faults, "images": images}


def mean_dark(
    files: Sequence[str], raw: Path, shape: tuple[int, int], dataset: str | None, most: int = 16
) -> tuple[np.ndarray, int, list[str]]:
    """Return the mean of at most `most` dark images spread over all, how many, and faults."""
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, most).astype(int))]
    sources = [[[name, 0, 1]] for name in chosen]
    images: list[np.ndarray] = []
    faults: list[str] = []
    for frame in _frames(sources, raw, shape, {}, dataset):
        images += frame.images
        faults += frame.faults
    dark = np.zeros(shape, np.float32)
    if not faults:
        kinds = {image.dtype for image in images}
        if len(kinds) > 1:
            images = [image.astype(np.float64) for image in images]
        dark = average_repeats(images, register=False).image
        if not np.isfinite(dark).all():
            faults.append(f"{chosen[0]}: dark image with NaN or infinite pixels; take another")
    return np.nan_to_num(dark), len(images), faults


def _frames(
    sources: Sequence[Sequence[Sequence[Any]]],
    raw: Path,
    shape: tuple[int, int],
    record: Mapping[str, Any],
    dataset: str | None,
) -> Iterator[_Frame]:
    """Yield the images of each delay; successive ones of a file are read with it opened once.

    `record` tells the dtype of all, and how many images a file has, where that is known.
    """
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
            kind = record.get("dtype") or describe_image(file, dataset).dtype
            _check_count(file, record.get("images_in_file"), dataset)
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


def _check_count(file: Path, expected: int | None, dataset: str | None) -> None:
    """Refuse a file of more or fewer images than the others: some would be passed over."""
    if expected is None:
        return
    count = describe_image(file, dataset).frames
    if count != expected:
        raise UemError(
            f"{file}: holds {count} frames, the other files {expected}; save as many in each"
        )
