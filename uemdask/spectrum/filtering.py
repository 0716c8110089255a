"""The recipe of the wave: smoothed frames, band-passed, without what runs against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, as_number, is_lazy, map_space, of_few
from uemdask.cube.contract import VARIABLES, Variable
from uemdask.cube.packing import Packing
from uemdask.cube.required_variables import require_variables
from uemdask.errors import UemError
from uemdask.spectrum.band import Band
from uemdask.spectrum.direction import DIRECTION_SIGMA, directional_filter
from uemdask.spectrum.harmonics import Complex64, Float32
from uemdask.spectrum.squares import Cells, Reduction, ToPixels, grid_halo, kept_noise
from uemdask.spectrum.usable_series import used_series
from uemdask.spectrum.wave import (
    aliased_harmonic,
    analytic_wave,
    band_pass_operator,
    band_passed,
    wave_step,
)

#: In which frames what runs against the wave is taken out.
Directional = Literal["none", "aliased", "all"]

# A second harmonic has a third of the wave's amplitude or less: of a share below this, which also
# the one-sided windows at the ends let pass, the speed is 3 % off at most.
_ALIASED = 0.35
_DIRECTION_HALO = 48  # px at least: three sigma of the local direction
_ROWS = 64  # px of a tile, band-passed at once: copies of a part, never of the tile
# Travel index over the whole series from which single frames are asked, where frames were made
# directional. Of a single pixel, which ripples: half the power of the wave may come back, and the
# index is low where the wavelength changes. Standing waves are below 0.12.
_TRAVELS_HERE: dict[Directional, float] = {"none": 0.0, "aliased": 0.15, "all": 0.35}


@dataclass(frozen=True)
class Direction:
    """In which frames what runs against the wave is taken out.

    Attributes
    ----------
    frames : {"none", "aliased", "all"}
        In none; in those whose delay steps are so coarse that a second harmonic looks like that; in
        all, for a reflected wave.
    wave_number : float, optional
        Mean of the wave, rad/px; found frame by frame where not given.
    """

    frames: Directional = "none"
    wave_number: float | None = None

    @property
    def halo(self) -> int:
        """Pixels around a block that the filter needs."""
        if self.frames == "none" or not self.wave_number:
            return 0
        return max(_DIRECTION_HALO, int(np.ceil(2 * np.pi / self.wave_number)))

    def directed(self, operator: Complex64, delays: np.ndarray, centre: float) -> np.ndarray:
        """Return for each row of a band-pass operator whether its frame is made directional."""
        if self.frames == "aliased":
            return aliased_harmonic(operator, delays, centre) >= _ALIASED
        return np.full(len(operator), self.frames == "all")


def wave_operator(
    delays: np.ndarray, centre: float, *, window: float, at: np.ndarray | None = None
) -> Complex64:
    """Return the band-pass operator for a window in periods, see `band_pass_operator`."""
    return band_pass_operator(delays, centre, window=window * 1e3 / centre, at=at)


def filter_series(
    series: Float32,
    operator: Complex64,
    cells: Cells,
    *,
    directed: np.ndarray | None = None,
    wave_number: float | None = None,
    inner: tuple[slice, slice] | None = None,
    packing: Packing | None = None,
) -> tuple[np.ndarray, int]:
    """Take a smoothed series to its wave.

    Parameters
    ----------
    series : ndarray, (T, h, w) float32
        From `uemdask.spectrum.grid.Reduction`.
    operator : ndarray, (R, T) complex64
        From `wave_operator`.
    cells : Cells
        The squares of the series.
    directed : ndarray of bool, (R,), optional
        Frames from which what runs against the wave is taken out.
    wave_number : float, optional
        Mean of the wave, rad/px.
    inner : two slices, optional
        The pixels (y, x) of the block that are wanted; all where not given.
    packing : Packing, optional
        To return it as it is stored.

    Returns
    -------
    wave : ndarray, (R, y, x)
        float32, or packed.
    beyond : int
        Values that are beyond what can be packed.
    """
    inner = inner or (slice(0, cells.lit.shape[0]), slice(0, cells.lit.shape[1]))
    dtype: Any = np.float32 if packing is None else packing.dtype
    shape = tuple(part.stop - part.start for part in inner)
    wave, beyond = np.empty((len(operator), *shape), dtype), 0
    made = np.zeros(len(operator), bool) if directed is None else directed

    def keep(part: Float32, target: ToPixels, index: int, rows: slice) -> int:
        values = target.of(part)
        if packing is None:
            wave[index, rows] = values
            return 0
        if max(float(part.max()), -float(part.min())) < packing.limits[1]:
            values *= np.float32(1 / packing.step)
            wave[index, rows] = np.rint(values, out=values)
            return 0
        wave[index, rows] = packing.pack(values)
        return packing.beyond(values)

    plain = np.flatnonzero(~made)
    for top in range(0, shape[0], _ROWS) if plain.size else ():
        rows = slice(top, min(top + _ROWS, shape[0]))
        part = slice(inner[0].start + rows.start, inner[0].start + rows.stop)
        target = cells.to_pixels((part, inner[1]))
        passed = band_passed(series[:, *target.squares], operator[plain])
        for index, frame in zip(plain, passed, strict=True):
            beyond += keep(frame, target, int(index), rows)
    target = cells.to_pixels(inner)
    for index in np.flatnonzero(made):
        Z = analytic_wave(series, operator[index : index + 1])[0]
        kept = directional_filter(
            Z,
            wave_number=None if wave_number is None else wave_number * cells.edge,
            sigma=DIRECTION_SIGMA / cells.edge,
        )
        beyond += keep(kept.real[target.squares], target, int(index), slice(None))
    return wave, beyond


def wave_noise(
    noise_level: float, delays: np.ndarray, centre: float, *, smoothing: float, window: float
) -> float:
    """Return the noise of the wave: white noise through smoothing and band-pass, mean of frames."""
    operator = wave_operator(delays, centre, window=window, at=delays)
    kept = kept_noise(smoothing) * np.mean(np.sum(operator.real**2, axis=1))
    return noise_level * float(np.sqrt(kept))


def band_pass(
    ratio: xr.DataArray,
    band: Band,
    *,
    window: float = 0.5,
    smoothing: float = 2.0,
    spectrum: xr.Dataset | None = None,
    peaks: xr.Dataset | None = None,
    direction: Direction | None = None,
    analytic: bool = False,
) -> xr.DataArray:
    """Return the wave: the frames smoothed and band-passed.

    Parameters
    ----------
    ratio : DataArray, (time, y, x) float32
        From `uemdask.aligned`; delays in ps. Where lazy, the frames of a pixel must be in one
        chunk, and chunks of about 256 x 256 px keep memory small.
    band : uemdask.Band
        GHz; from `uemdask.choose_band`, perhaps delayed.
    window : float
        Sigma of the temporal window in periods: short for a wave that changes its wavelength, up
        to 2 for a dim and steady one.
    smoothing : float
        Sigma of the spatial Gaussian, px.
    spectrum : Dataset, optional
        From `uemdask.mean_spectrum`: tells the noise of the wave. Values are then rounded to a
        sixteenth of it, as a run stores them.
    peaks : Dataset, optional
        From `uemdask.peaks`: tells where the wave travels, and with that in which frames what runs
        against it is taken out.
    direction : Direction, optional
        That choice; wins over the one that `peaks` tell.
    analytic : bool
        The complex wave, of which the phase advances with time; neither rounded nor directional.

    Returns
    -------
    DataArray, (time, y, x) float32 or complex64
        Unit 1, for all frames: flagged ones get what their neighbours agree on. Lazy where an
        input is. The coordinates without dims `wave_centre` (GHz), `wave_smoothing` (px),
        `wave_window` (periods), `wave_noise` (1), and `wave_travels` (y, x) tell later functions
        how it was made.

    Raises
    ------
    UemError
        If the delays are cut into chunks, or chunks of pixels are too small for the wavelength.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> ratio = uemdask.aligned(ds).chunk(time=-1)
    >>> wave = uemdask.band_pass(ratio, uemdask.choose_band(ds))
    >>> wave.dims, wave.dtype.name
    (('time', 'y', 'x'), 'float32')
    """
    series, weight, whole = used_series(ratio)
    delays, at = series["time"].values, ratio["time"].values
    noise = step = np.float64(np.nan)
    if spectrum is not None:
        require_variables(spectrum, "frequency", "spectrum", "noise_level")
        noise = of_few(_noise, spectrum["noise_level"], delays, band, smoothing, window)
        step = of_few(_step, spectrum["frequency"], spectrum["spectrum"], band, noise)
    if direction is None and peaks is not None:
        require_variables(peaks, "opposed_share", "mean_travel_index", "wave_number_px")
        shares = (peaks[n] for n in ("opposed_share", "mean_travel_index", "wave_number_px"))
        frame = ratio.sizes["y"], ratio.sizes["x"]
        direction = of_few(choose_direction, *shares, frame, delays, at, band, window)
    direction = Direction() if direction is None else direction
    reach = _DIRECTION_HALO if is_lazy(direction) else direction.halo
    kind = "complex64" if analytic else "float32"
    made = Variable("wave", ("time", "y", "x"), kind, "1", VARIABLES["wave"].long_name, "spectrum")
    result = map_space(
        _wave_block,
        series.reset_coords(drop=True),
        weight,
        out=[made],
        halo=reach + grid_halo(smoothing),
        whole=whole,
        sizes={"time": len(at)},
        delays=delays,
        at=at,
        band=band,
        smoothing=smoothing,
        window=window,
        direction=direction,
        reach=reach,
        step=step,
        analytic=analytic,
    )["wave"]
    result = result.assign_coords({name: c for name, c in ratio.coords.items() if name != "weight"})
    return with_facts(
        result,
        centre=of_few(_centre, band),
        noise=noise,
        smoothing=smoothing,
        window=window,
        peaks=peaks,
        direction=direction,
    )


def with_facts(
    wave: xr.DataArray,
    *,
    centre: Any,
    noise: Any,
    smoothing: float,
    window: float,
    peaks: xr.Dataset | None,
    direction: Any,
    binning: int | None = None,
) -> xr.DataArray:
    """Return a wave with coordinates that tell how it was made, see `band_pass`."""
    facts = {
        "wave_centre": (centre, "GHz", "frequency of the band-pass"),
        "wave_noise": (noise, "1", "noise of the wave"),
        "wave_smoothing": (smoothing, "px", "sigma of the spatial Gaussian"),
        "wave_window": (window, "1", "sigma of the temporal window in periods"),
    }
    coordinates: dict[str, Any] = {
        name: as_number(value, units=units, long_name=meaning)
        for name, (value, units, meaning) in facts.items()
    }
    if binning is not None:
        coordinates["wave_binning"] = as_number(
            binning, units="px", long_name="edge of the squares of its natural grid"
        )
    if peaks is not None:
        require_variables(peaks, "travel_index")
        coordinates["wave_travels"] = travels_over_all(peaks["travel_index"], direction)
    return wave.assign_coords(coordinates)


def travels_over_all(travel_index: Any, direction: Direction) -> Any:
    """Return where (y, x) the series as a whole travels, if frames were made directional.

    There a standing wave looks like one that travels, and only the map made before still knows.
    Elsewhere True: single frames tell better. Of a DataArray or an array; lazy where an input is.
    """
    least = of_few(_least_travel, direction)
    if is_lazy(least):
        least = as_number(least, units="1", long_name="least travel index").astype(np.float32)
    return travel_index >= least


def _least_travel(direction: Direction) -> np.float32:
    return np.float32(_TRAVELS_HERE[direction.frames])


def _centre(band: Band) -> float:
    return band.centre


def _noise(
    level: Any, delays: np.ndarray, band: Band, smoothing: float, window: float
) -> np.float64:
    noise = wave_noise(float(level), delays, band.centre, smoothing=smoothing, window=window)
    return np.float64(noise)


def _step(frequency: Any, power: Any, band: Band, noise: Any) -> np.float64:
    return np.float64(wave_step(frequency, power, band, noise=float(noise)))


def _wave_block(
    series: Float32,
    weight: Float32,
    *,
    place: Place,
    delays: np.ndarray,
    at: np.ndarray,
    band: Band,
    smoothing: float,
    window: float,
    direction: Direction,
    reach: int,
    step: float,
    analytic: bool,
) -> dict[str, np.ndarray]:
    block = place.rows.stop - place.rows.start, place.columns.stop - place.columns.start
    if direction.halo > reach and block != place.frame:
        raise UemError(
            f"band_pass: what runs against a wave of this length is taken out over "
            f"{direction.halo} px, the chunks know {reach} px around them; give "
            f"direction=direction.compute(), or join the frames with .chunk(y=-1, x=-1)"
        )
    operator = wave_operator(delays, band.centre, window=window, at=at)
    reduction = Reduction(weight, place, smoothing)
    series, cells = reduction.series(series), reduction.cells
    if analytic:
        return {"wave": _analytic(series, operator, cells, place.inner)}
    packing = Packing.of_variable("wave", float(step)) if np.isfinite(step) else None
    wave, _ = filter_series(
        series,
        operator,
        cells,
        directed=direction.directed(operator, delays, band.centre),
        wave_number=direction.wave_number,
        inner=place.inner,
        packing=packing,
    )
    return {"wave": wave if packing is None else packing.unpack(wave)}


def _analytic(
    series: Float32, operator: Complex64, cells: Cells, inner: tuple[slice, slice]
) -> Complex64:
    target = cells.to_pixels(inner)
    passed = analytic_wave(series[:, *target.squares], operator)
    wave = np.empty((len(operator), *target.shape), np.complex64)
    for frame, part in zip(wave, passed, strict=True):
        frame.real, frame.imag = target.of(part.real), target.of(part.imag)
    return wave


# ---- whether to take out what runs against the wave

# From this share of its power against the wave, a reflected wave is taken out: 10 % amplitude.
_REFLECTED_SHARE = 0.01
# A wave that travels less has no direction to keep; standing and breathing ones are below 0.12.
_LEAST_TRAVEL = 0.5
# Longer waves lose more at the edges of the field than they gain.
_LONGEST_OF_FIELD = 1 / 2
_LEAST_ALIASED = 0.1  # of the frames: fewer are at the ends, and not worth another pass


def choose_direction(
    opposed_share: float,
    travel_index: float,
    wave_number: float,
    frame: tuple[int, int],
    delays: np.ndarray,
    at: np.ndarray,
    band: Band,
    window: float,
    directional: Literal["auto"] | bool = "auto",
) -> Direction:
    """Decide in which frames what runs against the wave is taken out.

    Parameters
    ----------
    opposed_share, travel_index, wave_number : float
        Means over the relevant pixels: share of the power that runs against the wave, travel
        index, and rad/px.
    frame : (int, int)
        Size (y, x) of the field, px.
    delays, at : ndarray, (T,), (R,)
        Of the usable frames and of all, ps.
    band : Band
    window : float
        Of the band-pass, periods.
    directional : "auto" or bool
        Always, never, or where it helps.
    """
    if wave_number <= 0 or directional is False:
        return Direction("none", wave_number)
    if directional is True:
        return Direction("all", wave_number)
    long = 2 * np.pi / wave_number > _LONGEST_OF_FIELD * min(frame)
    if travel_index < _LEAST_TRAVEL or long:
        return Direction("none", wave_number)
    if opposed_share >= _REFLECTED_SHARE:
        return Direction("all", wave_number)
    operator = wave_operator(delays, band.centre, window=window, at=at)
    aliased = Direction("aliased", wave_number)
    if aliased.directed(operator, delays, band.centre).mean() > _LEAST_ALIASED:
        return aliased
    return Direction("none", wave_number)
