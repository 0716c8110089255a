"""Arrows that show where the fronts go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from uemdask.report.downsampling import Grid, Motion, area_mean


class Arrows(NamedTuple):
    """Positions and velocities of arrows.

    Attributes
    ----------
    x, y : (n,) float
        nm, y downwards.
    u, v : (n,) float
        Velocity in nm/ps, to the right and downwards.
    spacing : float
        Distance between neighbours, nm.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    u: npt.NDArray[np.float64]
    v: npt.NDArray[np.float64]
    spacing: float


def arrow_grid(motion: Motion, grid: Grid, *, across: int = 16, least: float = 0.3) -> Arrows:
    """Average the motion over blocks, one arrow each.

    Parameters
    ----------
    motion : Motion
    grid : Grid
        Of the same picture.
    across : int
        Arrows along the longer edge of the frame: enough to see a bend, few enough to see each.
    least : float
        Share of valid pixels that a block needs for an arrow.

    Returns
    -------
    Arrows
        None at all where nothing is valid.
    """
    edge = max(1, -(-max(motion.speed.shape) // across))
    weight = np.nan_to_num(motion.valid)
    share = area_mean(weight, edge)
    safe = np.where(share > 0, share, np.nan)
    # Blocks of the small picture count by their valid pixels.
    u, v = area_mean(np.nan_to_num(motion.velocity) * weight, edge) / safe
    y, x = (
        np.add.reduceat(axis, np.arange(0, len(axis), edge))
        / np.diff(np.append(np.arange(0, len(axis), edge), len(axis)))
        for axis in (grid.y, grid.x)
    )
    keep = (share >= least) & np.isfinite(u) & np.isfinite(v)
    rows, columns = np.nonzero(keep)
    spacing = edge * abs(float(grid.x[1] - grid.x[0])) if len(grid.x) > 1 else 1.0
    return Arrows(x[columns], y[rows], u[keep].astype(float), v[keep].astype(float), spacing)
