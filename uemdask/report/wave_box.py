"""The wave in a small box for all delays: what shows its strength, and its fronts at work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from uemdask.cube import Run
from uemdask.cube.layout import FRAMES, TILE
from uemdask.report.downsampling import Float32, Grid, area_mean, block_edge

#: Longest edge of the box in px, and of its pictures: 300 frames of them are 30 MB.
_LONGEST = 4 * TILE
_KEPT = 160
#: A plane needs a few wavelengths to show its slope, a ring must not turn much within the box.
_WAVELENGTHS = 5.0


@dataclass(frozen=True)
class WaveBox:
    """The wave in a box of the frame, at all delays.

    Attributes
    ----------
    wave : (time, y, x) float32
        Relative modulation, averaged over blocks; NaN outside the relevant pixels, if any.
    y, x : (y,), (x,) float
        Block centres, nm.
    rows, columns : slice
        The box in px.
    """

    wave: Float32
    y: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    rows: slice
    columns: slice

    @property
    def strength(self) -> npt.NDArray[np.float64]:
        """Root mean square of the wave in each frame, (time,); 0 where nothing is known."""
        known = np.isfinite(self.wave)
        power = np.square(np.where(known, self.wave, 0), dtype=np.float64).sum(axis=(1, 2))
        return np.asarray(np.sqrt(power / np.maximum(known.sum(axis=(1, 2)), 1)))


def best_place(weight: np.ndarray, edge: int) -> tuple[int, int]:
    """Return the (row, column) around which a box of `edge` px holds the most weight.

    Examples
    --------
    >>> weight = np.zeros((9, 9))
    >>> weight[5:8, 2:5] = 1
    >>> best_place(weight, 3)
    (6, 3)
    """
    total = uniform_filter(np.nan_to_num(weight), min(edge, *weight.shape), mode="constant")
    row, column = np.unravel_index(int(np.argmax(total)), total.shape)
    return int(row), int(column)


def read_wave_box(run: Run, weight: np.ndarray, grid: Grid, wavelength_nm: float | None) -> WaveBox:
    """Read the wave where it is best seen.

    Parameters
    ----------
    run : Run
        With the stage ``spectrum`` done.
    weight : (y, x) float
        How well the wave is seen, on the small `grid`.
    grid : Grid
    wavelength_nm : float, optional
        Sets the size of the box.
    """
    sizes, (step_y, step_x) = run.sizes, run.pixel_size
    edges = []
    for size, step in ((sizes["y"], step_y), (sizes["x"], step_x)):
        wanted = _WAVELENGTHS * wavelength_nm / step if wavelength_nm else TILE
        edges.append(int(min(np.clip(wanted, 32, _LONGEST), size)))
    scale = round(float(grid.x[1] - grid.x[0]) / step_x) if len(grid.x) > 1 else 1
    row, column = best_place(weight, max(1, max(edges) // scale))
    start = []
    for centre, edge, size in zip((row, column), edges, (sizes["y"], sizes["x"]), strict=True):
        start.append(int(np.clip(round((centre + 0.5) * scale - edge / 2), 0, size - edge)))
    rows, columns = (slice(a, a + edge) for a, edge in zip(start, edges, strict=True))
    block = block_edge((edges[0], edges[1]), _KEPT)
    relevant = run.array("mask")[rows, columns]
    if not relevant.any():
        relevant = np.ones_like(relevant)  # then the box shows that there is noise only
    slabs, stored = [], run.array("wave")
    for first in range(0, sizes["time"], FRAMES):
        wave = stored[first : first + FRAMES, rows, columns]
        slabs.append(area_mean(np.where(relevant, wave, np.nan), block))
    axes = [
        run.read(name)[part][0] - step / 2 + (np.arange(-(-edge // block)) + 0.5) * block * step
        for name, part, edge, step in zip(
            ("y", "x"), (rows, columns), edges, (step_y, step_x), strict=True
        )
    ]
    return WaveBox(np.concatenate(slabs), axes[0], axes[1], rows, columns)
