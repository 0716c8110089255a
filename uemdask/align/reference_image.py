"""The reference of a series, what its camera counts, and which pixels it lights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.align.brightness import brightness
from uemdask.align.detector import spread
from uemdask.align.frame_average import average_frames
from uemdask.align.illumination import CountingNoise, find_unlit, lit_level, measure_counting_noise
from uemdask.align.penumbra import Penumbra
from uemdask.align.raw_frames import RawFrames
from uemdask.align.series_drift import reference_frames
from uemdask.align.shift import sample_nearest, sample_shifted

# Frames that tell which pixels are seen, and pairs of successive ones that tell the noise.
_SEEN_FRAMES = 16
_NOISE_PAIRS = 6
# Frames that tell how much light passes at the edge of a shade.
_PENUMBRA_FRAMES = 48
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
    noise : CountingNoise
        Of the camera.
    level : float
        Of the lit pixels, counts.
    passed : ndarray of float32, shape (y, x)
        Share of the light that shades of the detector let pass.
    """

    image: npt.NDArray[np.float32]
    unlit: npt.NDArray[np.bool_]
    noise: CountingNoise
    level: float
    passed: npt.NDArray[np.float32]


@dataclass(frozen=True)
class ChosenFrames:
    """Frames that make the reference; that tell the noise, what is seen, and what shades pass."""

    average: npt.NDArray[np.intp]
    pairs: tuple[tuple[int, int], ...]
    seen: npt.NDArray[np.intp]
    light: npt.NDArray[np.intp]

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
        return cls(frames, pairs, spread(usable, _SEEN_FRAMES), spread(usable, _PENUMBRA_FRAMES))

    @property
    def all(self) -> list[int]:
        """All of them, rising."""
        ends = [frame for pair in self.pairs for frame in pair]
        return sorted({*self.average.tolist(), *ends, *self.seen.tolist(), *self.light.tolist()})


def make_reference(
    recorded: RawFrames, chosen: ChosenFrames, drift: np.ndarray, shaded: np.ndarray
) -> Reference:
    """Average frames, and find out which pixels of the mean say something.

    Parameters
    ----------
    recorded : RawFrames
        The series, repaired.
    chosen : ChosenFrames
        Its frames.
    drift : ndarray, shape (time, 2)
        (x, y) px.
    shaded : ndarray of bool, shape (y, x)
        Areas of the detector that no beam reaches.
    """
    frames = chosen.average
    image = average_frames(lambda i: recorded.with_hidden(frames[i]), drift[frames])
    noise = measure_counting_noise(_noise_pairs(recorded, chosen.pairs, drift), lit_level(image))
    unlit = find_unlit(image, _seen_share(recorded, chosen.seen, drift), noise)
    passed = _passed_light(recorded, chosen.light, drift, shaded, image, unlit)
    return Reference(image, unlit, noise, lit_level(np.where(unlit, 0.0, image)), passed)


def _passed_light(
    recorded: RawFrames,
    frames: np.ndarray,
    drift: np.ndarray,
    shaded: np.ndarray,
    reference: np.ndarray,
    unlit: np.ndarray,
) -> npt.NDArray[np.float32]:
    """Return the share of the light that shades of the detector let pass."""
    if not shaded.any():
        return np.ones(shaded.shape, np.float32)
    penumbra = Penumbra(shaded, reference, unlit)
    for frame in frames:
        image, hidden = recorded.with_hidden(frame)
        moved, covered = sample_shifted(image, drift[frame])
        covered &= ~unlit & ~sample_nearest(hidden, drift[frame], (0, 0), hidden.shape)
        penumbra.add(image, hidden, drift[frame], brightness(moved, reference, covered))
    return penumbra.light()


def _noise_pairs(
    recorded: RawFrames, pairs: Sequence[tuple[int, int]], drift: np.ndarray
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


def _seen_share(recorded: RawFrames, frames: np.ndarray, drift: np.ndarray) -> np.ndarray:
    """Return the share of some frames that show each pixel of the reference."""
    seen = []
    for frame in frames:
        image, hidden = recorded.with_hidden(frame)
        _, covered = sample_shifted(image, drift[frame])
        seen.append(covered & ~sample_nearest(hidden, drift[frame], (0, 0), hidden.shape))
    return np.asarray(np.mean(seen, axis=0, dtype=np.float32))
