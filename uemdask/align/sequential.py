"""Sequential registration: the sample is followed over jumps of many pixels.

Each frame is registered against the mean of the few before it, which show nearly the same bend
contours and the same wave. That is safe, also where the brightness falls and contours move, but
where contours are stronger than the texture it goes with them.
:mod:`uemdask.align.groupwise` mends it.

The mean is kept as spectra of patches, so that a frame is transformed once or twice: at the drift
of the frame before, where most are found, and where it lies. Only frames that are not found so are
looked for over the whole field.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.align.correlation import Correlator
from uemdask.align.patch_spectra import PatchSpectra, local_contrast
from uemdask.align.patches import SMALLEST, Fit, PatchFit, Template
from uemdask.align.registration import (
    LEAST_PEAK,
    average_down,
    best_fit,
    featureless,
    is_recognised,
)
from uemdask.align.shift import sample_shifted

OVERLAP = 2
"""Frames that two pieces of a series share, to be put together."""

_MEMORY = 6
"""Frames in the running mean: more blur the contours, fewer leave noise."""

_LARGEST = (256, 512)
"""Longest edge, px, on which frames are followed; larger ones are averaged down. The second where
too few are recognised at the first."""

_TOLERANCE = (0.5, 0.3, 0.15, 0.1)
"""Course of the fit's tolerance; the narrow end only matters for what comes after."""

_LEFT = 0.6
"""Share of the patches that the frame must hold; else others are cut."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Successive frames of a series on common ground.

    Attributes
    ----------
    frames : list of int
        Their numbers.
    position : ndarray, shape (n, 2)
        (x, y) px, up to a constant of the piece; ``frame(r + position)`` is at rest.
    found : ndarray of bool, shape (n,)
        Whether the frame was recognised; else its position is that of the one before.
    """

    frames: list[int]
    position: npt.NDArray[np.float64]
    found: npt.NDArray[np.bool_]


def register_sequentially(
    load: Callable[[int], np.ndarray],
    frames: Sequence[int],
    *,
    shaded: npt.NDArray[np.bool_] | None = None,
    max_drift: float | None = None,
) -> Piece:
    """Follow the sample through successive frames.

    Parameters
    ----------
    load : callable
        ``load(i)`` returns frame `i`, (y, x), counts, bad pixels repaired.
    frames : sequence of int
        In order; one at least.
    shaded : ndarray of bool, shape (y, x), optional
        Areas of the detector that show nothing; they stand still.
    max_drift : float, optional
        Largest distance looked for, px; a quarter of the shorter edge when not given.

    Returns
    -------
    Piece

    Examples
    --------
    >>> import cv2
    >>> random = np.random.default_rng(0)
    >>> scene = cv2.GaussianBlur(random.random((80, 90), np.float32), (0, 0), 2) * 1000
    >>> piece = register_sequentially(lambda i: scene[8:72, 9 - 3 * i : 73 - 3 * i], [0, 1, 2])
    >>> piece.position[:, 0].round().tolist()
    [0.0, 3.0, 6.0]
    """
    best: Piece | None = None
    for largest in _LARGEST:
        follower = _Follower(max_drift, largest, shaded)
        piece = follower.follow(load, frames)
        if best is None or piece.found.mean() > best.found.mean():
            best = piece
        if best.found.mean() > 0.5 or follower.binning == 1:
            break
    assert best is not None
    return best


def join_pieces(pieces: Sequence[Piece]) -> Piece:
    """Put pieces together by the frames they share.

    Parameters
    ----------
    pieces : sequence of Piece
        In order; each begins with frames of the one before.
    """
    frames = list(pieces[0].frames)
    position, found = pieces[0].position, pieces[0].found
    for piece in pieces[1:]:
        shared = [(frames.index(f), i) for i, f in enumerate(piece.frames) if f in frames]
        both = [(a, b) for a, b in shared if found[a] and piece.found[b]] or shared
        offset = np.zeros(2)
        if both:
            before, here = (list(each) for each in zip(*both, strict=True))
            offset = np.median(position[before] - piece.position[here], axis=0)
        new = slice(len(shared), None)
        frames += piece.frames[new]
        position = np.concatenate([position, piece.position[new] + offset])
        found = np.concatenate([found, piece.found[new]])
    return Piece(frames, position, found)


class _Follower:
    """The mean of the last few frames, and where it lies."""

    def __init__(
        self, max_drift: float | None, largest: int, shaded: npt.NDArray[np.bool_] | None
    ) -> None:
        self.binning = 1
        self._max_drift, self._largest = max_drift, largest
        self._shaded = None if shaded is None or not shaded.any() else shaded
        self._base = np.zeros(2)
        self._fit: PatchFit | None = None
        self._recent: deque[tuple[npt.NDArray[np.float32], np.ndarray]] = deque(maxlen=_MEMORY)

    def follow(self, load: Callable[[int], np.ndarray], frames: Sequence[int]) -> Piece:
        position = np.zeros((len(frames), 2))
        found = np.ones(len(frames), bool)
        recognised = 0
        for number, frame in enumerate(frames):
            image = np.asarray(load(frame), np.float32)
            if number == 0:
                self._choose_binning(image.shape)
            image = average_down(image, self.binning)
            shows = not featureless(image)
            contrast = local_contrast(image, self._shaded) if shows else image
            before = position[number - 1] if number else np.zeros(2)
            here = self._recognise(contrast, before) if self._fit is not None and shows else None
            if here is not None:
                position[number] = here
                recognised += 1
            elif recognised or not shows:
                position[number], found[number] = before, False
            else:
                # Nothing builds on the first frame yet: it may be the one at fault.
                found[:number] = False
                position[number] = before
                self._begin(contrast, before)
        if not recognised and len(frames) > 1:
            found[:] = False
        position[: int(np.argmax(found))] = position[int(np.argmax(found))]
        return Piece(list(frames), position * self.binning, found)

    def _choose_binning(self, shape: tuple[int, ...]) -> None:
        self.binning = max(1, -(-max(shape) // self._largest))
        if self._shaded is not None:
            self._shaded = average_down(self._shaded.astype(np.float32), self.binning) > 0

    def _begin(self, contrast: npt.NDArray[np.float32], position: np.ndarray) -> None:
        """Take one frame for the mean."""
        height, width = contrast.shape
        patches = PatchSpectra((0, height, 0, width), least=SMALLEST)
        self._base = position
        self._fit = PatchFit(patches, self._shaded)
        cut = self._fit.cut(contrast, np.zeros(2))
        self._image, self._noise = cut.spectrum * cut.within[:, None], cut.noise
        self._template = Template(patches, self._image, self._noise)
        self._weight = cut.within.astype(np.float32)
        self._recent.clear()
        self._recent.append((contrast, position))

    def _recognise(
        self, contrast: npt.NDArray[np.float32], before: np.ndarray
    ) -> npt.NDArray[np.float64] | None:
        """Return where a frame lies, (x, y) px; None where it is not recognised."""
        assert self._fit is not None
        fit = self._fit
        found = best_fit(
            self._starts(contrast, before),
            lambda start: fit.fit(self._template, contrast, start, tolerance=_TOLERANCE),
        )
        if found is None or not is_recognised(found, contrast.shape):
            return None
        position = self._base + found.position
        if found.cut.within.mean() < _LEFT:
            self._begin(contrast, position)
        else:
            self._merge(found)
            self._recent.append((contrast, position))
        return position

    def _starts(
        self, contrast: npt.NDArray[np.float32], before: np.ndarray
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Where a frame may lie against the mean: near the one before, else anywhere."""
        assert self._fit is not None
        patches = self._fit.patches
        near = before - self._base
        cut = self._fit.cut(contrast, near)
        if cut.within.any():
            reach = int(0.35 * patches.size)
            if self._max_drift is not None:
                reach = max(1, min(reach, int(self._max_drift / self.binning)))
            expected = cut.noise[:, None] + self._template.noise
            expected = expected + np.float32(_TOLERANCE[0] ** 2) * self._template.signal
            weight = self._template.share * cut.within[:, None] / np.maximum(expected, 1e-30)
            product = weight * np.conj(self._template.image) * cut.spectrum
            surface = patches.correlation(product.sum(axis=0), reach)
            row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
            yield cut.drift + np.array([column - reach, row - reach], np.float64)
        moved = [sample_shifted(image, place - before)[0] for image, place in self._recent]
        far = min(contrast.shape) / 4
        if self._max_drift is not None:
            far = self._max_drift / self.binning
        for peak in Correlator(np.mean(moved, axis=0), far).peaks(contrast):
            if peak.height >= LEAST_PEAK:
                yield near + peak.position

    def _merge(self, found: Fit) -> None:
        """Mix one more frame into the mean."""
        assert self._fit is not None
        patches, cut = self._fit.patches, found.cut
        share = (cut.within / np.minimum(self._weight + 1, _MEMORY)).astype(np.float32)
        moved = cut.spectrum * patches.turned(found.position - cut.drift)
        self._image = self._image + share[:, None] * (moved - self._image)
        self._noise = (1 - share) ** 2 * self._noise + share**2 * cut.noise
        self._weight += cut.within.astype(np.float32)
        self._template = Template(patches, self._image, self._noise)
