"""Sequential registration: the sample is followed over jumps of many pixels.

Each frame is registered against the mean of the few before it, which show nearly the same bend
contours and the same wave. That is safe, also where the brightness falls and contours move, but
where contours are stronger than the texture it goes with them.
:mod:`uemdask.align.groupwise` mends it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.align.registration import Drift, Registrar
from uemdask.align.shift import sample_shifted

OVERLAP = 4
"""Frames that two pieces of a series share, to be put together."""

_MEMORY = 6
"""Frames in the running mean: more blur the contours, fewer leave noise."""

_LARGEST = 512
"""Longest edge, px, on which frames are followed; larger ones are averaged down."""

_TOLERANCE = (0.5, 0.3, 0.15, 0.1)
"""Course of the fit's tolerance; the narrow end only matters for what comes after."""


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
    load: Callable[[int], np.ndarray], frames: Sequence[int], *, max_drift: float | None = None
) -> Piece:
    """Follow the sample through successive frames.

    Parameters
    ----------
    load : callable
        ``load(i)`` returns frame `i`, (y, x), counts, bad pixels repaired.
    frames : sequence of int
        In order; one at least.
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
    position = np.zeros((len(frames), 2))
    found = np.ones(len(frames), bool)
    mean = np.empty(0, np.float32)
    binning, weight = 1, 0
    for number, frame in enumerate(frames):
        image = np.asarray(load(frame), np.float32)
        binning = max(1, -(-max(image.shape) // _LARGEST))
        image = _average_down(image, binning)
        if weight == 0:
            mean, weight = image, 1
            continue
        reach = None if max_drift is None else max_drift / binning
        drift = Registrar(mean, max_drift=reach, tolerance=_TOLERANCE).drift(image)
        found[number] = not drift.failed
        position[number] = position[number - 1] if drift.failed else (drift.x, drift.y)
        if not drift.failed:
            mean, weight = _merged(mean, weight, image, drift)
        elif weight == 1:
            # Either of the two may be at fault, and nothing builds on the first yet.
            found[:number] = False
            mean = image
            position[number] = 0.0
            found[number] = True
    if weight == 1 and len(frames) > 1:
        found[:] = False
    return Piece(list(frames), position * binning, found)


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


def _merged(
    mean: np.ndarray, weight: int, image: np.ndarray, drift: Drift
) -> tuple[npt.NDArray[np.float32], int]:
    """Mix one more frame into the running mean, at the frame's brightness."""
    moved, covered = sample_shifted(image, (drift.x, drift.y))
    level, before = float(moved[covered].mean()), float(mean[covered].mean())
    if level <= 0 or before <= 0:
        return mean, weight
    share = 1.0 / min(weight + 1, _MEMORY)
    brighter = mean * np.float32((1.0 - share) * level / before)
    blend = brighter + moved * np.float32(share)
    return np.where(covered, blend, mean * np.float32(level / before)), weight + 1


def _average_down(image: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.float32]:
    if factor == 1:
        return image
    height, width = (edge // factor for edge in image.shape)
    cropped = image[: height * factor, : width * factor]
    return cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA)
