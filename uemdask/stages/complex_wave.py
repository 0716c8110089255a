"""The complex wave of a few frames of a field, from the stored real wave around them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from uemdask.cube import Run
from uemdask.cube.layout import TILE, Region
from uemdask.errors import UemError
from uemdask.spectrum import Band, analytic_wave, band_pass_operator
from uemdask.stages.frames import widened
from uemdask.stages.stage import Parameters

#: Sigma of the temporal window, in periods. The stored wave is band-passed already; this only adds
#: its quadrature, so the window can be short.
COMPLEX_WINDOW = 0.6
#: Side in px of the squares in which local means are taken: they are wider.
COARSE = 4
# Frames this many sigma away have weights below 4e-4.
_REACH = 4.0


@dataclass(frozen=True)
class ComplexWave:
    """Complex wave of successive frames of a field with a halo.

    Attributes
    ----------
    first : int
        Index of the first frame.
    values : (frame, y, x) complex64
        The real part is the stored wave, the phase advances with time.
    inner : (slice, slice)
        The field without its halo.
    around : slice
        The frames that were read: those of the windows too.
    power : (frame, y, x) float32
        Mean square of the stored wave in squares of `COARSE` px, of the frames read.
    """

    first: int
    values: np.ndarray
    inner: tuple[slice, slice]
    around: slice
    power: np.ndarray


def check_wave(run: Run, parameters: Parameters) -> None:
    """Raise where `wave` has been deleted to save space."""
    if "wave" not in run:
        raise UemError(f"{run.path}: its 'wave' was deleted; make it anew with `only=['spectrum']`")


def read_complex_wave(
    run: Run, region: Region, frames: tuple[int, int], *, band: Band, halo: int
) -> ComplexWave:
    """Return the complex wave of frames ``first`` to ``last`` (included) of a region.

    Parameters
    ----------
    run : Run
        With the stage ``spectrum`` done.
    region : Region
        Field in y and x; its bounds in time or pairs do not matter.
    frames : (first, last)
        Indices.
    band : Band
        Its centre sets the window.
    halo : int
        In px, cut off at the edge of the image.
    """
    delays = run.read("time")
    sigma = COMPLEX_WINDOW * 1e3 / band.centre
    first, last = frames
    start = int(np.searchsorted(delays, delays[first] - _REACH * sigma))
    stop = int(np.searchsorted(delays, delays[last] + _REACH * sigma, side="right"))
    # Enough delays for the local fit, also where steps are coarse.
    start, stop = min(start, max(first - 5, 0)), max(stop, min(last + 6, len(delays)))
    rows, columns, inner = widened(region, run.sizes, halo)
    operator = band_pass_operator(
        delays[start:stop], band.centre, window=sigma, at=delays[first : last + 1]
    )
    shape = rows.stop - rows.start, columns.stop - columns.start
    values = np.empty((len(operator), *shape), np.complex64)
    grid = _squares(rows), _squares(columns)
    power = np.empty((stop - start, *(len(squares) for squares in grid)), np.float32)
    stored = run.array("wave")
    # Tile by tile, as the chunks lie: where periods are long, the window holds hundreds of frames.
    for part_y in _along_tiles(rows):
        for part_x in _along_tiles(columns):
            wave = stored[start:stop, part_y, part_x]
            at_y, at_x = (
                slice(part.start - whole.start, part.stop - whole.start)
                for part, whole in ((part_y, rows), (part_x, columns))
            )
            values[:, at_y, at_x] = analytic_wave(wave, operator)
            into = tuple(
                slice(_squares(part)[0] - whole[0], _squares(part)[-1] + 1 - whole[0])
                for part, whole in zip((part_y, part_x), grid, strict=True)
            )
            for squares, frame in zip(power[:, *into], wave, strict=True):
                squares[...] = cv2.resize(
                    np.square(frame), squares.shape[::-1], interpolation=cv2.INTER_AREA
                )
    return ComplexWave(first, values, inner, slice(start, stop), power)


def _squares(span: slice) -> range:
    """Return the numbers of the squares that a span of pixels touches; tiles hold whole ones."""
    return range(span.start // COARSE, -(-span.stop // COARSE))


def fine(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a coarse image (y, x) on the pixels again."""
    return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _along_tiles(span: slice) -> list[slice]:
    """Cut a span of pixels where tiles meet."""
    inner = range(span.start - span.start % TILE + TILE, span.stop, TILE)
    edges = [span.start, *inner, span.stop]
    return [slice(low, high) for low, high in pairwise(edges)]
