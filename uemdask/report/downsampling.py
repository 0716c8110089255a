"""Read pictures of a run at the size of a page, a band of rows at a time.

A frame of 4096 x 4096 px is 64 MiB in single precision; a page shows a few hundred pixels of it.
Rows are read in bands and averaged over square blocks, so that memory does not grow with a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.cube import Run
from uemdask.cube.layout import TILE
from uemdask.motion import speed_and_angle, speed_and_angle_sd
from uemdask.motion.kinematics import angle_of, physical_displacement

Float32 = npt.NDArray[np.float32]


def block_edge(shape: tuple[int, int], longest: int) -> int:
    """Return the edge in px of the square blocks that bring `shape` to at most `longest` px.

    Examples
    --------
    >>> block_edge((4096, 3000), 512), block_edge((64, 64), 512)
    (8, 1)
    """
    return max(1, -(-max(shape) // longest))


def area_mean(data: np.ndarray, edge: int) -> Float32:
    """Mean over blocks of ``edge`` x ``edge`` px, without the values that are not finite.

    Parameters
    ----------
    data : ndarray, (..., y, x)
    edge : int
        In px. The last blocks of a row or column may be smaller.

    Returns
    -------
    ndarray of float32, (..., ceil(y / edge), ceil(x / edge))
        NaN where a block holds no finite value.

    Examples
    --------
    >>> area_mean(np.array([[1.0, 3.0, np.nan], [1.0, 3.0, 5.0]]), 2)
    array([[2., 5.]], dtype=float32)
    """
    values = np.asarray(data, np.float32)
    known = np.isfinite(values)
    values = np.where(known, values, np.float32(0))
    rows, columns = (np.arange(0, size, edge) for size in values.shape[-2:])
    total = np.add.reduceat(np.add.reduceat(values, rows, axis=-2), columns, axis=-1)
    count = np.add.reduceat(
        np.add.reduceat(known, rows, axis=-2, dtype=np.int32), columns, axis=-1, dtype=np.int32
    )
    nan = np.full(total.shape, np.nan, np.float32)
    return np.divide(total, count, out=nan, where=count > 0)


def bands(height: int, edge: int) -> Iterator[slice]:
    """Yield bands of about one tile of rows, each a whole number of blocks high."""
    step = edge * max(1, TILE // edge)
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def read_small(run: Run, name: str, longest: int, leading: tuple[int | slice, ...] = ()) -> Float32:
    """Read one image, or a few, of a variable and average it to at most `longest` px.

    Parameters
    ----------
    run : Run
    name : str
        A variable whose last dims are y and x.
    longest : int
        Longest edge of the result in px.
    leading : tuple of int or slice
        Index on the dims before y and x.

    Returns
    -------
    ndarray of float32, (..., y, x)
        A mask comes back as the share of its pixels.
    """
    array = run.array(name)
    height, width = array.shape[-2:]
    edge = block_edge((height, width), longest)
    parts = [area_mean(array[(*leading, rows, slice(None))], edge) for rows in bands(height, edge)]
    return np.concatenate(parts, axis=-2)


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a small picture lie, in nm.

    Attributes
    ----------
    y, x : (y,), (x,) float
        Block centres, y downwards.
    extent : (left, right, bottom, top)
        Of the blocks, as matplotlib's ``imshow`` takes it with the first row at the top.
    field : (left, right, bottom, top)
        Of the frame; the last blocks may reach beyond it.
    """

    y: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    extent: tuple[float, float, float, float]
    field: tuple[float, float, float, float]


def grid_of(run: Run, longest: int) -> Grid:
    """Return the grid of the pictures that `read_small` gives for the same `longest`."""
    sizes, (step_y, step_x) = run.sizes, run.pixel_size
    edge = block_edge((sizes["y"], sizes["x"]), longest)
    rows, columns = -(-sizes["y"] // edge), -(-sizes["x"] // edge)
    top = float(run.read("y")[0]) - step_y / 2
    left = float(run.read("x")[0]) - step_x / 2
    return Grid(
        y=np.asarray(top + (np.arange(rows) + 0.5) * edge * step_y, np.float64),
        x=np.asarray(left + (np.arange(columns) + 0.5) * edge * step_x, np.float64),
        extent=(left, left + columns * edge * step_x, top + rows * edge * step_y, top),
        field=(left, left + sizes["x"] * step_x, top + sizes["y"] * step_y, top),
    )


@dataclass(frozen=True)
class Motion:
    """Motion of the fronts between two frames, at the size of a page.

    Attributes
    ----------
    velocity : (2, y, x) float32
        Mean over the valid pixels of each block, nm/ps, components ``[x, y]``, y downwards.
    speed, speed_sd : (y, x) float32
        Means over the valid pixels, nm/ps.
    angle : (y, x) float32
        Of `velocity`, degree, anticlockwise from +x as displayed.
    valid : (y, x) float32
        Share of the block's pixels that are valid.
    """

    velocity: Float32
    speed: Float32
    speed_sd: Float32
    angle: Float32
    valid: Float32


def read_motion(run: Run, pair: int, longest: int) -> Motion:
    """Read the motion of one pair from `flow`, so that derived fields need not be stored."""
    sizes = run.sizes
    step = float(run.read("time_to")[pair] - run.read("time_from")[pair])
    edge = block_edge((sizes["y"], sizes["x"]), longest)
    parts = []
    for rows in bands(sizes["y"], edge):
        flow, flow_sd = (
            np.asarray(run.group[name][pair, :, rows, :], np.float32)
            for name in ("flow", "flow_sd")
        )
        valid = np.asarray(run.group["valid"][pair, rows, :])
        velocity = np.where(valid, physical_displacement(flow, run.pixel_size) / step, np.nan)
        speed, _ = speed_and_angle(flow, run.pixel_size, step, valid)
        speed_sd, _ = speed_and_angle_sd(flow, flow_sd, run.pixel_size, step, valid)
        stack = np.stack([*velocity, speed, speed_sd, valid.astype(np.float32)])
        parts.append(area_mean(stack, edge))
    u, v, speed, speed_sd, valid = np.concatenate(parts, axis=-2)
    angle = np.where(np.isfinite(u), angle_of(np.nan_to_num(u), np.nan_to_num(v)), np.nan)
    return Motion(np.stack([u, v]), speed, speed_sd, angle.astype(np.float32), valid)
