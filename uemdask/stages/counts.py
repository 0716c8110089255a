"""What the counts of frames tell: whether they can be used, and whether a ratio describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from uemdask.errors import UemError
from uemdask.readers import RawAcquisition, RawImage, describe_image, read_image

#: Share of finite pixels below which a frame cannot be used. Where a few are missing they are
#: mended on reading, as bad pixels are; where many are, they lie at the margin of a frame that was
#: moved elsewhere, and are unlit there.
_LEAST_FINITE = 0.25
#: Share of pixels at the camera's limit from which a frame cannot be used.
_SATURATED = 0.01
#: Below this many counts, pixels that share the highest value are no sign of a limit.
_LEAST_LIMIT = 200
#: Edge in px of the blocks over which brightness is taken, above most of its noise.
_BLOCK = 8
#: Pixels beyond which only some are looked at for saturation, brightness and contrast.
_MANY = 2**20
#: Repeats of a delay that a first look reads.
_REPEATS = 16
#: Share of the brightness that may lie below zero: noise of unlit parts does, half of the
#: brightness of a difference does.
_MOST_BELOW = 1 / 3


@dataclass(frozen=True)
class Brightness:
    """Brightness of a frame over blocks, counts without the dark image.

    Attributes
    ----------
    level, contrast : float
        Mean and standard deviation.
    above, below : float
        Mean of what lies above zero, and of what lies below (as a positive number).
    """

    level: float
    contrast: float
    above: float
    below: float


def fault_of(image: np.ndarray) -> str:
    """Return why an image cannot be used, or an empty string."""
    if image.dtype.kind == "f":
        finite = np.isfinite(image)
        share = np.count_nonzero(finite) / image.size
        if share < _LEAST_FINITE:
            return f"NaN or infinite: {1 - share:.0%} of the pixels"
        values = image if share == 1 else image[finite]
        return "blank: all pixels are equal" if values.min() == values.max() else ""
    top = image.max()
    if top == image.flat[0] and top == image.min():
        return "blank: all pixels are equal"
    if top >= _LEAST_LIMIT:
        some = image[::4, ::4] if image.size > _MANY else image
        saturated = np.count_nonzero(some == top) / some.size
        if saturated > _SATURATED:
            return f"saturated: {saturated:.0%} of the pixels at {top} counts"
    return ""


def missing_share(image: np.ndarray) -> float:
    """Return the share of pixels without a finite value."""
    if image.dtype.kind != "f":
        return 0.0
    return 1.0 - np.count_nonzero(np.isfinite(image)) / image.size


def mean_counts(image: np.ndarray) -> float | None:
    """Return the mean of a frame as recorded, None where it has no finite pixel."""
    values = image if image.dtype.kind != "f" else image[np.isfinite(image)]
    return float(values.mean(dtype=np.float64)) if values.size else None


def brightness_of(frame: np.ndarray, dark: np.ndarray | None) -> Brightness:
    """Return the brightness of a frame over blocks; of large ones over some bands of rows."""
    rows: slice | np.ndarray = slice(None)
    height, width = frame.shape
    if height >= _BLOCK:
        # Whole bands of rows, so that a block is one of neighbours.
        bands = np.arange(height // _BLOCK)[:: max(1, frame.size // _MANY)]
        rows = (bands[:, np.newaxis] * _BLOCK + np.arange(_BLOCK)).ravel()
    counts = frame[rows].astype(np.float32)
    if dark is not None:
        counts -= dark[rows]
    finite = np.isfinite(counts) if frame.dtype.kind == "f" else None
    if finite is not None and finite.all():
        finite = None
    if finite is not None:
        counts = np.where(finite, counts, np.float32(0))
    size = max(1, width // _BLOCK), max(1, len(counts) // _BLOCK)
    blocks = cv2.resize(counts, size, interpolation=cv2.INTER_AREA)
    if finite is not None:
        share = cv2.resize(finite.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        known = share > 0.5 if (share > 0.5).any() else share > 0
        blocks = blocks[known] / share[known] if known.any() else np.zeros(1, np.float32)
    blocks = blocks.astype(np.float64)
    return Brightness(
        level=float(blocks.mean()),
        contrast=float(blocks.std()),
        above=float(np.maximum(blocks, 0).mean()),
        below=float(np.maximum(-blocks, 0).mean()),
    )


def check_describable(raw: str, frames: Sequence[Brightness]) -> None:
    """Refuse frames whose change relative to a reference means nothing: around zero, or below.

    Raises
    ------
    UemError
        With what to give instead.
    """
    above, below = (sum(getattr(f, name) for f in frames) for name in ("above", "below"))
    if not below > _MOST_BELOW * above:
        return
    level = float(np.mean([frame.level for frame in frames]))
    found = (
        "lie below zero" if above < _MOST_BELOW * below else "lie around zero, as differences do"
    )
    raise UemError(
        f"{raw}: the frames {found} (mean {round(level, 1) + 0.0:g} counts), and a change relative "
        f"to that means nothing; give the frames as recorded, or with `offset` the counts to take "
        f"off (-400 where 400 were taken off before)"
    )


def is_equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two frames are equal to the last count; quick where they are not."""
    middle = len(one) // 2
    return np.array_equal(one[middle], other[middle], equal_nan=one.dtype.kind == "f") and (
        np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    )


# ---- a first look


@dataclass(frozen=True)
class FirstLook:
    """First, middle and last frame of raw data.

    Attributes
    ----------
    means : tuple of float or None
        Mean counts of each, as recorded; of repeats the mean of all.
    notes : tuple of str
        What a person should know.
    """

    means: tuple[float | None, ...]
    notes: tuple[str, ...]


def three_of(frames: int) -> tuple[int, int, int]:
    """Return the numbers of first, middle and last frame."""
    return 0, frames // 2, frames - 1


def first_look(raw: RawAcquisition) -> FirstLook:
    """Read images of the first, middle and last delay, and refuse what ingest would.

    Raises
    ------
    UemError
        If one cannot be read, or a ratio does not describe them.
    """
    images, means = [], []
    for number in three_of(len(raw.repeats)):
        repeats = [_image(raw, image) for image in raw.repeats[number][:_REPEATS]]
        known = [mean for mean in map(mean_counts, repeats) if mean is not None]
        images.append(repeats[0])
        means.append(sum(known) / len(known) if known else None)
    dark = np.full(raw.shape, raw.offset, np.float32) if raw.offset else _dark(raw)
    usable = [image for image in images if not fault_of(image)]
    if usable:
        check_describable(str(raw.path), [brightness_of(image, dark) for image in usable])
    notes = []
    if len(usable) == len(images) and all(is_equal(images[0], image) for image in images[1:]):
        notes.append("first, middle and last frame are equal to the last count; check the files")
    return FirstLook(tuple(means), tuple(notes))


def _image(raw: RawAcquisition, image: RawImage) -> np.ndarray:
    return read_image(image.file, image.index, raw.shape, raw.dtype, raw.dataset)


def _dark(raw: RawAcquisition) -> np.ndarray | None:
    if not raw.dark:
        return None
    dtype = describe_image(raw.dark[0], raw.dataset).dtype
    return read_image(raw.dark[0], 0, raw.shape, dtype, raw.dataset).astype(np.float32)
