"""The complex wave of a few frames, from the real wave around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from uemdask.cube.layout import along_tiles
from uemdask.spectrum.grid import Grid, over_squares
from uemdask.spectrum.wave import analytic_wave, band_pass_operator

#: Sigma of the temporal window, in periods. The stored wave is band-passed already; this only adds
#: its quadrature, so the window can be short.
COMPLEX_WINDOW = 0.6
# Side in px of the squares in which local means are taken: they are wider.
_COARSE = 4
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
        On the grid; the real part is the given wave, the phase advances with time, 0 is missing.
    grid : Grid
        The squares that the values lie on.
    around : slice
        The frames that were read: those of the windows too.
    power : (frame, y, x) float32
        Mean square of the given wave in the squares of `rougher`, of the frames read.
    rougher : Grid
        Squares of 4 px, or those of `grid` where they are larger.
    """

    first: int
    values: np.ndarray
    grid: Grid
    around: slice
    power: np.ndarray
    rougher: Grid

    def lit(self) -> np.ndarray:
        """Return 1 where there is a wave, (y, x) float32, else 0."""
        return np.any(self.values[[0, -1]] != 0, axis=0).astype(np.float32)


def complex_wave(
    wave: Any, delays: np.ndarray, frames: tuple[int, int], *, centre: float, grid: Grid
) -> ComplexWave:
    """Return the complex wave of frames ``first`` to ``last`` (included) of a block.

    Parameters
    ----------
    wave : array, (time, y, x) float32
        Real wave of the block at all delays, on pixels; read only where it is indexed.
    delays : (time,) float
        ps.
    frames : (first, last)
        Indices.
    centre : float
        Frequency of the band-pass, GHz.
    grid : Grid
        Where the block lies, and the squares over which the wave is averaged first.
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
    place = grid.place
    values = np.empty((len(operator), *grid.shape), np.complex64)
    factor = max(_COARSE // grid.binning, 1)
    rougher = Grid(place, factor * grid.binning)
    power = np.empty((stop - start, *rougher.shape), np.float32)
    # Tile by tile, as the chunks lie: where periods are long, the window holds hundreds of frames.
    for rows in along_tiles(place.rows):
        for columns in along_tiles(place.columns):
            within = (
                slice(rows.start - place.rows.start, rows.stop - place.rows.start),
                slice(columns.start - place.columns.start, columns.stop - place.columns.start),
            )
            window = grid.bin(wave[start:stop, *within], rows, columns)
            values[:, *grid.squares(rows, columns)] = analytic_wave(window, operator)
            origin = rows.start // grid.binning, columns.start // grid.binning
            at = rougher.squares(rows, columns)
            for squares, frame in zip(power[:, *at], window, strict=True):
                squares[...] = over_squares(np.square(frame), origin, factor)
    return ComplexWave(first, values, grid, slice(start, stop), power, rougher)
