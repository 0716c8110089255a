"""Drift, reference and brightness of a series in memory or of a lazy one.

What all frames tell together is one number or image each; so these are graphs of a few functions
on slabs of frames, of which each task holds one slab, or a few frames of many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from uemdask.align.detector import DETECTOR_FRAMES, Detector, find_detector_faults, spread
from uemdask.align.frames import WEIGHT, whole_frames
from uemdask.align.gains import FrameBrightness, Gains, frame_brightness, join_gains
from uemdask.align.illumination import DARK, lit_level, pixel_weight
from uemdask.align.raw_frames import RawFrames
from uemdask.align.reference_image import ChosenFrames, Reference, make_reference
from uemdask.align.sequential import OVERLAP, Piece, join_pieces
from uemdask.align.series_drift import (
    FoundDrift,
    TileContrast,
    TileFit,
    drift_tiles,
    fit_tile,
    follow_piece,
    followed_drift,
    join_tiles,
    spread_drift,
    tile_window,
)
from uemdask.align.time_zero import EARLY, EarlyFrames
from uemdask.cube.blocks import at_once, in_one, is_lazy
from uemdask.cube.contract import VARIABLES, Variable
from uemdask.cube.layout import FRAMES, Region
from uemdask.cube.required_variables import require_variables
from uemdask.errors import UemError

_LEVEL = Variable("lit_level", (), "float64", "counts", "brightness of the lit pixels", "align")
_RECOGNISED = Variable(
    "recognised", ("time",), "bool", "1", "frame whose drift was found, not interpolated", "align"
)


@dataclass(frozen=True)
class _Frames:
    """Some frames of a series, as recorded."""

    numbers: tuple[int, ...]
    counts: np.ndarray
    dark: np.ndarray | None

    def __call__(self, frame: int) -> npt.NDArray[np.float32]:
        image = self.counts[self.numbers.index(frame)].astype(np.float32)
        if self.dark is not None:
            image -= self.dark
        return image

    def take(self, chosen: Sequence[int]) -> _Frames:
        here = [place for place, number in enumerate(self.numbers) if number in set(chosen)]
        numbers = tuple(self.numbers[place] for place in here)
        return _Frames(numbers, self.counts[here], self.dark)

    @classmethod
    def joined(cls, parts: Sequence[_Frames]) -> _Frames:
        numbers = tuple(number for part in parts for number in part.numbers)
        return cls(numbers, np.concatenate([part.counts for part in parts]), parts[0].dark)


class _Series:
    """A series of frames, of which functions ask for some; at once, or by tasks of a graph."""

    def __init__(self, ds: xr.Dataset) -> None:
        require_variables(ds, "intensity", "time")
        frames = ds["intensity"].transpose("time", "y", "x")
        self.lazy = is_lazy(frames)
        self.ds = ds
        self._data = (whole_frames(frames) if self.lazy else frames).data
        self._dark = ds["dark"].transpose("y", "x").data if "dark" in ds else None
        self.sizes = {str(dim): size for dim, size in frames.sizes.items()}
        self.delays = np.asarray(ds["time"].values, np.float64)
        ok = ds.coords.get("frame_ok")
        self.ok = np.ones(len(self.delays), bool) if ok is None else at_once(ok).astype(bool)
        self.usable = np.flatnonzero(self.ok)
        if not self.usable.size:
            raise UemError("intensity: no frame can be used; see frame_flag")

    def lift(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as a task of the graph, or as it is where there is none."""
        if not self.lazy:
            return function
        import dask

        task = dask.delayed(function)
        return lambda *arguments: task(*map(in_one, arguments))

    def frames(self, numbers: Sequence[int]) -> Any:
        """Return frames, as recorded."""
        chosen = [int(number) for number in numbers]
        return self.lift(_Frames)(tuple(chosen), self._data[chosen], self._dark)

    def slabs(self) -> list[Any]:
        """Return all frames, slab by slab as a run has them."""
        count = len(self.delays)
        return [
            self.frames(range(start, min(start + FRAMES, count)))
            for start in range(0, count, FRAMES)
        ]

    def known(self, name: str) -> Any:
        """Return a variable that was found before, for a task."""
        return self.ds[name].data if self.lazy else self.ds[name].values

    def result(self, **values: tuple[Variable, Any, str | None]) -> xr.Dataset:
        """Return parts of what a task found."""
        found: dict[str, Any] = {}
        sizes = self.sizes | {"component": 2}
        for name, (about, value, part) in values.items():
            data = value if part is None else getattr(value, part)
            shape = tuple(sizes[dim] for dim in about.dims)
            if is_lazy(data):
                import dask
                import dask.array as da

                data = da.from_delayed(dask.delayed(np.asarray)(data), shape, about.dtype)
            attributes = {"units": about.units, "long_name": about.long_name}
            found[name] = (about.dims, np.asarray(data) if not self.lazy else data, attributes)
        coordinates = {dim: self.ds[dim] for dim in ("time", "y", "x") if dim in self.ds.coords}
        result = xr.Dataset(found)
        result = result.assign_coords({k: c for k, c in coordinates.items() if k in result.dims})
        return result.assign_coords(component=["x", "y"]) if "component" in result.dims else result


def estimate_drift(
    ds: xr.Dataset,
    *,
    table: npt.ArrayLike | xr.DataArray | None = None,
    refine: bool | None = None,
    bad_pixels: bool = True,
    max_drift: float | None = None,
) -> xr.Dataset:
    """Return the drift of the sample, and what is wrong with the detector.

    Frames are followed from one to the next, and then fitted all together.

    Parameters
    ----------
    ds : Dataset
        `intensity` (time, y, x) in counts with the delays in ps, `dark` (y, x) where there is one,
        and `frame_ok` (time), if some frames are not to be used.
    table : (time, 2), optional
        Drift (x, y) px from elsewhere, ``frame(r + drift) = reference(r)``, NaN where it is not
        known; see `uemdask.readers.match_drift`.
    refine : bool, optional
        Whether that table is only a start; where not given, if it holds whole pixels only.
    bad_pixels : bool
        Look for hot and dead pixels and areas that no beam reaches.
    max_drift : float, optional
        Largest jump looked for, px; a quarter of the shorter edge where not given.

    Returns
    -------
    Dataset
        `drift` and `drift_sd` (time, component), px; `recognised` (time), whether it was found and
        not interpolated; `bad_pixel` and `shaded` (y, x), and `lit_level`, counts. Lazy where the
        frames are.

    Raises
    ------
    UemError
        If no frame can be used, or the table is not one row a frame.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> found = uemdask.estimate_drift(ds)
    >>> float(abs(found.drift - ds.drift).max()) < 1e-3
    True
    """
    series = _Series(ds)
    lift, usable, count = series.lift, series.usable, len(series.delays)
    some = spread(usable, DETECTOR_FRAMES).tolist()
    detector = lift(_detector)(series.frames(some), bad_pixels)
    if table is not None:
        given = np.asarray(table, np.float64)
        if given.shape != (count, 2):
            raise UemError(f"table: shape {given.shape}; give ({count}, 2), a row for each frame")
        known = np.isfinite(given[:, 0])
        start = FoundDrift(
            spread_drift(count, np.arange(count), given, known),
            np.full((count, 2), np.nan),
            True,
            [],
            1.0,
        )
        whole = np.nan_to_num(given)
        refine = bool((whole == np.round(whole)).all()) if refine is None else refine
    else:
        pieces = []
        for begin in range(0, count, FRAMES):
            before = usable[usable < begin]
            here = usable[(usable >= begin) & (usable < begin + FRAMES)]
            if here.size:
                numbers = [*before[-OVERLAP:].tolist(), *here.tolist()]
                pieces.append(lift(_followed)(series.frames(numbers), detector, max_drift))
        start = lift(_start)(pieces, series.ok, series.delays)
    if refine or refine is None:
        tiles = drift_tiles(series.sizes)
        slabs = [
            lift(_contrasts)(series.frames(numbers), detector, start, usable, tiles, series.sizes)
            for numbers in _in_slabs(usable)
        ]
        fits = [
            lift(_fitted)([slab[number] for slab in slabs], detector, start, usable, tile,
                          series.sizes)
            for number, tile in enumerate(tiles)
        ]  # fmt: skip
        start = lift(join_tiles)(fits, start, series.ok, series.delays)
    return series.result(
        drift=(VARIABLES["drift"], start, "drift"),
        drift_sd=(VARIABLES["drift_sd"], start, "drift_sd"),
        recognised=(_RECOGNISED, lift(_recognised)(start, count), None),
        bad_pixel=(VARIABLES["bad_pixel"], detector, "bad"),
        shaded=(VARIABLES["shaded"], detector, "shaded"),
        lit_level=(_LEVEL, detector, "level"),
    )


def _in_slabs(usable: np.ndarray) -> list[list[int]]:
    slabs = usable // FRAMES
    return [usable[slabs == slab].tolist() for slab in np.unique(slabs)]


def _detector(frames: _Frames, look: bool) -> Detector:
    shape = frames.counts.shape[1:]
    return find_detector_faults(RawFrames(frames, shape), frames.numbers, shape, look=look)


def _recorded(frames: _Frames, bad: Any, shaded: Any, level: Any) -> RawFrames:
    return RawFrames(frames, frames.counts.shape[1:], bad, shaded, float(level))


def _followed(frames: _Frames, detector: Detector, max_drift: float | None) -> Piece:
    recorded = _recorded(frames, detector.bad, detector.shaded, detector.level)
    return follow_piece(recorded, list(frames.numbers), detector.shaded, max_drift)


def _start(pieces: list[Piece], ok: np.ndarray, delays: np.ndarray) -> FoundDrift:
    return followed_drift(join_pieces(pieces), ok, delays)


def _contrasts(
    frames: _Frames,
    detector: Detector,
    start: FoundDrift,
    usable: np.ndarray,
    tiles: list[Region],
    sizes: dict[str, int],
) -> list[np.ndarray]:
    """Return the contrast of some frames in every tile."""
    found = []
    for tile in tiles:
        window = tile_window(tile, sizes, start.drift[usable])
        of = TileContrast(detector.bad[window], detector.shaded[window], DARK * detector.level)
        found.append(np.stack([of(frames(i)[window]) for i in frames.numbers]))
    return found


def _fitted(
    parts: list[np.ndarray],
    detector: Detector,
    start: FoundDrift,
    usable: np.ndarray,
    tile: Region,
    sizes: dict[str, int],
) -> TileFit:
    drift = start.drift[usable]
    shaded = detector.shaded[tile_window(tile, sizes, drift)]
    return fit_tile(np.concatenate(parts), drift, shaded)


def _recognised(found: FoundDrift, count: int) -> np.ndarray:
    return ~np.isin(np.arange(count), found.lost)


def reference(ds: xr.Dataset) -> xr.Dataset:
    """Return the mean of the aligned frames before time zero, and which pixels say something.

    Where there are no frames before time zero, it is the mean of all.

    Parameters
    ----------
    ds : Dataset
        Frames as for `estimate_drift`, with what that gave:
        ``ds.assign(uemdask.estimate_drift(ds))``.

    Returns
    -------
    Dataset
        `reference` (y, x), counts; `unlit` (y, x), pixels whose counts say nothing; `weight`
        (y, x), the weight of the others by their precision; `passed_light` (y, x), the share that
        shades of the detector let pass. Lazy where the frames are.

    Raises
    ------
    UemError
        If the drift is not there.

    Notes
    -----
    The noise of the camera is that of a photon transfer curve: J. R. Janesick (2007),
    doi:10.1117/3.725073.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> found = uemdask.reference(ds.assign(uemdask.estimate_drift(ds)))
    >>> found.reference.dims, float(abs(found.reference / ds.reference - 1).max()) < 1e-3
    (('y', 'x'), True)
    """
    series = _Series(ds)
    require_variables(ds, "drift", "bad_pixel", "shaded", "lit_level", "recognised")
    lift, pixels = series.lift, series.sizes["y"] * series.sizes["x"]
    chosen = lift(_choose)(series.ok, series.delays, series.known("recognised"), pixels)
    parts = [lift(_taken)(slab, chosen) for slab in series.slabs()]
    detector = [series.known(name) for name in ("bad_pixel", "shaded", "lit_level")]
    found = lift(_averaged)(parts, chosen, series.known("drift"), *detector)
    weight = lift(_weight)(found)
    return series.result(
        reference=(VARIABLES["reference"], found, "image"),
        unlit=(VARIABLES["unlit"], found, "unlit"),
        passed_light=(VARIABLES["passed_light"], found, "passed"),
        weight=(WEIGHT, weight, None),
    )


def _choose(
    ok: np.ndarray, delays: np.ndarray, recognised: np.ndarray, pixels: int
) -> ChosenFrames:
    return ChosenFrames.of(ok, delays, np.flatnonzero(~recognised).tolist(), pixels)


def _taken(frames: _Frames, chosen: ChosenFrames) -> _Frames:
    return frames.take(chosen.all)


def _averaged(
    parts: list[_Frames],
    chosen: ChosenFrames,
    drift: np.ndarray,
    bad: np.ndarray,
    shaded: np.ndarray,
    level: Any,
) -> Reference:
    recorded = _recorded(_Frames.joined(parts), bad, shaded, level)
    return make_reference(recorded, chosen, drift, shaded)


def _weight(found: Reference) -> np.ndarray:
    return pixel_weight(found.image, found.unlit, found.noise, found.level)


def gain(ds: xr.Dataset) -> xr.Dataset:
    """Return how bright every frame is, beside the reference.

    Parameters
    ----------
    ds : Dataset
        Frames as for `estimate_drift`, with what that and `reference` gave.

    Returns
    -------
    Dataset
        `gain` (time), 1; `gain_slope` (time, component), 1/px, of a beam that wanders. Lazy where
        the frames are.

    Raises
    ------
    UemError
        If drift or reference are not there.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> found = uemdask.gain(ds)
    >>> float(abs(found.gain - ds.gain).max()) < 1e-3
    True
    """
    series = _Series(ds)
    require_variables(ds, "drift", "bad_pixel", "shaded", "reference", "unlit", "passed_light")
    names = ("drift", "bad_pixel", "shaded", "reference", "unlit")
    known = [series.known(name) for name in names]
    lift, first = series.lift, series.usable[:EARLY].tolist()
    early = lift(_early)(series.frames(first), first, *known)
    passed = series.known("passed_light")
    slabs = [lift(_brightness)(slab, early, series.ok, passed, *known) for slab in series.slabs()]
    found = lift(_gains)(slabs, series.ok, series.delays)
    return series.result(
        gain=(VARIABLES["gain"], found, "gain"),
        gain_slope=(VARIABLES["gain_slope"], found, "slope"),
    )


def _repaired(
    frames: _Frames, bad: np.ndarray, shaded: np.ndarray, image: np.ndarray, unlit: np.ndarray
) -> RawFrames:
    return _recorded(frames, bad, shaded, lit_level(np.where(unlit, 0.0, image)))


def _early(
    frames: _Frames,
    first: list[int],
    drift: np.ndarray,
    bad: np.ndarray,
    shaded: np.ndarray,
    image: np.ndarray,
    unlit: np.ndarray,
) -> EarlyFrames:
    return EarlyFrames(_repaired(frames, bad, shaded, image, unlit), first, drift[first])


def _brightness(
    frames: _Frames,
    early: EarlyFrames,
    ok: np.ndarray,
    passed: np.ndarray,
    drift: np.ndarray,
    bad: np.ndarray,
    shaded: np.ndarray,
    image: np.ndarray,
    unlit: np.ndarray,
) -> FrameBrightness:
    recorded = _repaired(frames, bad, shaded, image, unlit)
    return frame_brightness(recorded, frames.numbers, ok, drift, image, unlit, passed, early)


def _gains(slabs: list[FrameBrightness], ok: np.ndarray, delays: np.ndarray) -> Gains:
    gain, slope, change = (
        np.concatenate([np.asarray(getattr(slab, name), np.float64) for slab in slabs])
        for name in ("gain", "slope", "change")
    )
    return join_gains(gain, slope, change, ok, delays)
