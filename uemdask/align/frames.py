"""Frames as analysis wants them: aligned, repaired, at equal brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from uemdask.align.correct import aligned_frames, aligned_ratio, even_out, required_halo
from uemdask.align.illumination import DARK, CountingNoise, lit_level, pixel_weight
from uemdask.cube.attributes import structured
from uemdask.cube.blocks import Place, is_lazy, map_space
from uemdask.cube.contract import Variable
from uemdask.cube.required_variables import require_variables

# Whole frames are needed where drift crosses tiles; this many are held at a time.
_FRAMES = 8
# An array of a store has no more layers of a graph than this; others are made, not read.
_READ_LAYERS = 4
_NEEDED = (
    "intensity",
    "drift",
    "gain",
    "gain_slope",
    "bad_pixel",
    "shaded",
    "passed_light",
    "unlit",
    "reference",
)


def correct_frames(
    counts: np.ndarray,
    drift: np.ndarray,
    gain: np.ndarray,
    slope: np.ndarray,
    bad: npt.NDArray[np.bool_],
    shaded: npt.NDArray[np.bool_],
    passed: np.ndarray,
    unlit: npt.NDArray[np.bool_],
    reference: np.ndarray,
    dark: np.ndarray | None = None,
    *,
    place: Place,
    ratio: bool,
    level: float | None = None,
    halo: int | None = None,
) -> npt.NDArray[np.float32]:
    """Correct the frames of a part of the field.

    Parameters
    ----------
    counts : ndarray, (t, h, w)
        As recorded, of ``place.widened(halo)``: drift carries pixels in from around the part.
    drift, slope : ndarray, (t, 2)
        px; 1/px.
    gain : ndarray, (t,)
    bad, shaded : ndarray of bool, (h, w)
        Of the detector.
    passed : ndarray, (h, w)
        Share of the light that shades let pass.
    unlit, reference : ndarray, (y, x)
        Of the part itself; reference in counts.
    dark : ndarray, (h, w), optional
        Counts without the beam.
    place : Place
        The part.
    ratio : bool
        The ratio to the reference minus 1 instead of counts.
    level : float, optional
        Of the lit pixels, counts; of the part where not given.
    halo : int, optional
        `required_halo` of these drifts or more.

    Returns
    -------
    ndarray of float32, (t, y, x)
        NaN where the frame says nothing of the pixel.
    """
    halo = required_halo(drift) if halo is None else halo
    rows, columns = place.widened(halo)
    corner = rows.start - (place.rows.start - halo), columns.start - (place.columns.start - halo)
    inside = (corner[0], corner[0] + rows.stop - rows.start,
              corner[1], corner[1] + columns.stop - columns.start)  # fmt: skip
    shape = tuple(part.stop - part.start + 2 * halo for part in (place.rows, place.columns))
    window = slice(inside[0], inside[1]), slice(inside[2], inside[3])

    def padded(values: np.ndarray, around: float = 0) -> np.ndarray:
        wide = np.full((*values.shape[:-2], *shape), around, values.dtype)
        wide[..., *window] = values
        return wide

    if dark is not None:
        counts = np.subtract(counts, dark, dtype=np.float32)
    if level is None:
        level = lit_level(np.where(unlit, 0.0, reference))
    shift = drift, gain, padded(bad)
    where: dict[str, Any] = {
        "halo": halo,
        "inside": inside,
        "shaded": padded(shaded),
        "passed": None if (passed == 1).all() else padded(passed, 1.0),
        "dark_below": DARK * level,
    }
    if ratio:
        values = aligned_ratio(padded(counts), reference, *shift, unlit=unlit, **where)
    else:
        values = aligned_frames(padded(counts), *shift, **where)
    even_out(values, slope, (place.rows.start, place.columns.start), place.frame, ratio=ratio)
    return values


def aligned(ds: xr.Dataset, *, ratio: bool = True) -> xr.DataArray:
    """Return the frames without drift, hot pixels and changes of brightness.

    Parameters
    ----------
    ds : Dataset
        `intensity` (time, y, x) in counts, in slabs of whole frames where lazy; `dark` where there
        is one; and what `uemdask.estimate_drift`, `uemdask.reference` and `uemdask.gain` give.
        A run from `uemdask.open_run` has all of it.
    ratio : bool
        The ratio to the reference minus 1; else counts at the brightness of the reference.

    Returns
    -------
    DataArray, (time, y, x) float32
        1, or counts; NaN where a frame did not show the pixel, and where there is nothing to form
        a ratio of. Lazy in slabs of whole frames where `ds` is. Coordinates `frame_ok` (time) and
        `weight` (y, x), the weight of each pixel by its precision.

    Raises
    ------
    UemError
        If the dataset has no frames (an export), or is not aligned yet.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> uemdask.aligned(ds).dims
    ('time', 'y', 'x')
    """
    require_variables(ds, *_NEEDED)
    parts = [ds[name].reset_coords(drop=True) for name in _NEEDED[1:]]
    if "dark" in ds:
        parts.append(ds["dark"].reset_coords(drop=True))
    frames = ds["intensity"]
    if is_lazy(frames):
        frames = whole_frames(frames)
        maps = [part.dims == ("y", "x") and is_lazy(part) for part in parts]
        parts = [p.chunk(y=-1, x=-1) if cut else p for p, cut in zip(parts, maps, strict=True)]
    name, units = ("ratio to the reference minus 1", "1") if ratio else ("aligned", "counts")
    found = Variable("aligned", ("time", "y", "x"), "float32", units, name, "align")
    result = map_space(
        _block,
        frames,
        *parts,
        out=[found],
        whole=dict.fromkeys("yx", "drift carries pixels over the whole frame"),
        ratio=ratio,
    )["aligned"]
    return result.assign_coords(weight=pixel_weights(ds))


def _block(*blocks: np.ndarray, place: Place, ratio: bool) -> dict[str, np.ndarray]:
    return {"aligned": correct_frames(*blocks, place=place, ratio=ratio)}


def whole_frames(series: xr.DataArray) -> xr.DataArray:
    """Return a lazy series (time, y, x) in slabs of whole frames, whatever its chunks."""
    import dask

    whole = all(len(series.chunksizes[dim]) == 1 for dim in ("y", "x"))
    if whole and max(series.chunksizes["time"]) <= 2 * _FRAMES:
        return series
    if len(series.data.dask.layers) > _READ_LAYERS:
        return series.chunk(time=_FRAMES, y=-1, x=-1)
    # Cut first, then joined: a plain rechunk would read all delays of every tile for one frame.
    count = series.sizes["time"]
    slabs = [series.variable.isel(time=slice(i, i + _FRAMES)) for i in range(0, count, _FRAMES)]
    # Optimised one by one, so that each slab reads its own part of the store: slabs that share a
    # task which reads a whole column are left that way. Nothing is computed.
    slabs = [dask.optimize(slab.chunk(time=-1, y=-1, x=-1))[0] for slab in slabs]
    joined = xr.Variable.concat(slabs, "time")
    return series.chunk(time=_FRAMES, y=-1, x=-1).copy(data=joined.data)


def pixel_weights(ds: xr.Dataset) -> xr.DataArray:
    """Return the weight (y, x) of pixels by their precision.

    Where neither `uemdask.reference` nor the record of a run tells the noise of the camera, lit
    pixels count alike.
    """
    if "weight" in ds:
        return ds["weight"]
    record = structured(ds.attrs.get("uemdask", {})).get("stages", {}).get("align", {})
    noise = record.get("results", {}).get("noise")
    weight = map_space(
        _weights,
        ds["reference"].reset_coords(drop=True),
        ds["unlit"].reset_coords(drop=True),
        out=[WEIGHT],
        noise=CountingNoise(**noise) if noise else None,
        level=record["results"]["lit_level"] if noise else 0.0,
    )
    return weight["weight"]


WEIGHT = Variable("weight", ("y", "x"), "float32", "1", "weight by precision", "align")
"""What `pixel_weight` gives."""


def _weights(
    reference: np.ndarray,
    unlit: np.ndarray,
    *,
    place: Place,
    noise: CountingNoise | None,
    level: float,
) -> dict[str, np.ndarray]:
    if noise is None:
        return {"weight": (~unlit).astype(np.float32)}
    return {"weight": pixel_weight(reference, unlit, noise, level)}
