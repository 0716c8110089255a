"""The reference of a series, what its camera counts, and which pixels it lights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.align.detector import spread
from uemdask.align.drifting import reference_frames
from uemdask.align.lit import Noise, find_unlit, lit_level, measure_noise
from uemdask.align.recorded import RecordedFrames
from uemdask.align.reference import average_frames
from uemdask.align.shift import sample_nearest, sample_shifted

# Frames that tell which pixels are seen, and pairs of successive ones that tell the noise.
_SEEN_FRAMES = 16
_NOISE_PAIRS = 6
# The reference takes all its frames where they hold no more pixels than this, else a share.
_REFERENCE_PIXELS = 2**30
_REFERENCE_FRAMES = 64


@dataclass(frozen=True)
class Reference:
    """The reference of a series.

    Attributes
    ----------
    image : ndarray of float32, shape (y, x)
        Counts.
    unlit : ndarray of bool, shape (y, x)
        Pixels whose counts say nothing.
    noise : Noise
        Of the camera.
    level : float
        Of the lit pixels, counts.
    """

    image: npt.NDArray[np.float32]
    unlit: npt.NDArray[np.bool_]
    noise: Noise
    level: float


@dataclass(frozen=True)
class ChosenFrames:
    """Frames that make the reference, and those that tell the noise and what is seen."""

    average: npt.NDArray[np.intp]
    pairs: tuple[tuple[int, int], ...]
    seen: npt.NDArray[np.intp]

    @classmethod
    def of(
        cls, frame_ok: np.ndarray, delays: np.ndarray, lost: Sequence[int], pixels: int
    ) -> ChosenFrames:
        """Choose frames of a series whose frames have so many pixels; not those that are lost."""
        frames = reference_frames(frame_ok, delays)
        known = np.setdiff1d(frames, lost)
        frames = known if known.size else frames
        if len(frames) * pixels > _REFERENCE_PIXELS:
            frames = spread(frames, _REFERENCE_FRAMES)
        usable = np.setdiff1d(np.flatnonzero(frame_ok), lost)
        numbers = spread(np.arange(len(usable) - 1), _NOISE_PAIRS)
        pairs = tuple((int(usable[i]), int(usable[i + 1])) for i in numbers)
        return cls(frames, pairs, spread(usable, _SEEN_FRAMES))

    @property
    def all(self) -> list[int]:
        """All of them, rising."""
        ends = [frame for pair in self.pairs for frame in pair]
        return sorted({*self.average.tolist(), *ends, *self.seen.tolist()})


def make_reference(
    recorded: RecordedFrames, chosen: ChosenFrames, drift: np.ndarray, bad: np.ndarray
) -> Reference:
    """Average frames, and find out which pixels of the mean say something.

    Parameters
    ----------
    recorded : RecordedFrames
        The series, repaired.
    chosen : ChosenFrames
        Its frames.
    drift : ndarray, shape (time, 2)
        (x, y) px.
    bad : ndarray of bool, shape (y, x)
        Bad pixels of the detector.
    """
    frames = chosen.average
    image = average_frames(lambda i: recorded.with_hidden(frames[i]), drift[frames])
    noise = measure_noise(_noise_pairs(recorded, chosen.pairs, drift), lit_level(image))
    unlit = find_unlit(image, _seen_share(recorded, chosen.seen, drift, bad), noise)
    return Reference(image, unlit, noise, lit_level(np.where(unlit, 0.0, image)))


def _noise_pairs(
    recorded: RecordedFrames, pairs: Sequence[tuple[int, int]], drift: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield pairs of successive usable frames on common ground, and where both show something."""
    for pair in pairs:
        moved, known = [], np.array(True)
        for frame in pair:
            image, hidden = recorded.with_hidden(frame)
            image, covered = sample_shifted(image, drift[frame])
            moved.append(image)
            known = known & covered & ~sample_nearest(hidden, drift[frame], (0, 0), image.shape)
        yield moved[0], moved[1], known


def _seen_share(
    recorded: RecordedFrames, frames: np.ndarray, drift: np.ndarray, bad: np.ndarray
) -> np.ndarray:
    """Return the share of some frames that show each pixel of the reference."""
    share = np.zeros(bad.shape, np.float32)
    for frame in frames:
        image, hidden = recorded.with_hidden(frame)
        _, covered = sample_shifted(image, drift[frame])
        lost = sample_nearest(bad | hidden, drift[frame], (0, 0), bad.shape)
        share += (covered & ~lost) / np.float32(len(frames))
    return share
