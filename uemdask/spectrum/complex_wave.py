"""The complex wave of a few frames, from the real wave around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from uemdask.cube.blocks import Place
from uemdask.cube.layout import along_tiles
from uemdask.spectrum.wave import analytic_wave, band_pass_operator

#: Sigma of the temporal window, in periods. The stored wave is band-passed already; this only adds
#: its quadrature, so the window can be short.
COMPLEX_WINDOW = 0.6
#: Side in px of the squares in which local means are taken: they are wider.
COARSE = 4
# Frames this many sigma away have weights below 4e-4.
_REACH = 4.0


@dataclass(frozen=True)
class ComplexWave:
    """Complex wave of successive frames of a block with a halo.

    Attributes
    ----------
    first : int
        Index of the first frame.
    values : (frame, y, x) complex64
        The real part is the given wave, the phase advances with time.
    inner : (slice, slice)
        The block without its halo.
    around : slice
        The frames that were read: those of the windows too.
    power : (frame, y, x) float32
        Mean square of the given wave in squares of `COARSE` px, of the frames read.
    """

    first: int
    values: np.ndarray
    inner: tuple[slice, slice]
    around: slice
    power: np.ndarray


def complex_wave(
    wave: Any, delays: np.ndarray, frames: tuple[int, int], *, centre: float, place: Place
) -> ComplexWave:
    """Return the complex wave of frames ``first`` to ``last`` (included) of a block.

    Parameters
    ----------
    wave : array, (time, y, x) float32
        Real wave of the block at all delays; read only where it is indexed.
    delays : (time,) float
        ps.
    frames : (first, last)
        Indices.
    centre : float
        Frequency of the band-pass, GHz.
    place : Place
        Where the block lies.
    """
    sigma = COMPLEX_WINDOW * 1e3 / centre
    first, last = frames
    start = int(np.searchsorted(delays, delays[first] - _REACH * sigma))
    stop = int(np.searchsorted(delays, delays[last] + _REACH * sigma, side="right"))
    # Enough delays for the local fit, also where steps are coarse.
    start, stop = min(start, max(first - 5, 0)), max(stop, min(last + 6, len(delays)))
    operator = band_pass_operator(
        delays[start:stop], centre, window=sigma, at=delays[first : last + 1]
    )
    spans = place.rows, place.columns
    values = np.empty((len(operator), *(span.stop - span.start for span in spans)), np.complex64)
    grid = [_squares(span) for span in spans]
    power = np.empty((stop - start, *(len(squares) for squares in grid)), np.float32)
    # Tile by tile, as the chunks lie: where periods are long, the window holds hundreds of frames.
    for part_y in along_tiles(place.rows):
        for part_x in along_tiles(place.columns):
            parts = part_y, part_x
            within = tuple(
                slice(part.start - span.start, part.stop - span.start)
                for part, span in zip(parts, spans, strict=True)
            )
            window = wave[start:stop, *within]
            values[:, *within] = analytic_wave(window, operator)
            into = tuple(
                slice(_squares(part)[0] - squares[0], _squares(part)[-1] + 1 - squares[0])
                for part, squares in zip(parts, grid, strict=True)
            )
            for squares, frame in zip(power[:, *into], window, strict=True):
                squares[...] = cv2.resize(
                    np.square(frame), squares.shape[::-1], interpolation=cv2.INTER_AREA
                )
    return ComplexWave(first, values, place.inner, slice(start, stop), power)


def _squares(span: slice) -> range:
    """Return the numbers of the squares that a span of pixels touches; tiles hold whole ones."""
    return range(span.start // COARSE, -(-span.stop // COARSE))


def fine(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a coarse image (y, x) on the pixels again."""
    return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR)
