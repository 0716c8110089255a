"""The complex wave of a few frames of a field, from the stored real wave around them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

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
    """

    first: int
    values: np.ndarray
    inner: tuple[slice, slice]


def check_wave(run: Run, parameters: Parameters) -> None:
    """Raise where `wave` has been deleted to save space."""
    if "wave" not in run:
        raise UemError(f"{run.path}: its 'wave' was deleted; make it anew with --only spectrum")


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
    return ComplexWave(first, values, inner)


def _along_tiles(span: slice) -> list[slice]:
    """Cut a span of pixels where tiles meet."""
    inner = range(span.start - span.start % TILE + TILE, span.stop, TILE)
    edges = [span.start, *inner, span.stop]
    return [slice(low, high) for low, high in pairwise(edges)]
