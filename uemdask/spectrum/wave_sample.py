"""How strong and how long a wave is, from a sample of its tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, in_one, is_lazy, of_few
from uemdask.cube.layout import TILE, Region, tiles
from uemdask.cube.required_variables import require_variables
from uemdask.errors import UemError
from uemdask.spectrum.binning import Crests, natural_binning, shortest_wavelength
from uemdask.spectrum.grid import halo_on_grid
from uemdask.spectrum.harmonics import Float32
from uemdask.spectrum.usable_series import pixel_size_from_centres

#: Coordinates of a wave that tell how it was made, see `uemdask.spectrum.filtering.with_facts`.
FACTS = ("wave_centre", "wave_noise", "wave_smoothing", "wave_window")

_TILES = 32  # tiles looked at: 2 million pixels
_VALUES = 1_000_000
#: Edges that squares may have, px.
BINNINGS = (1, 2, 4, 8, 16)
_FORESEEN = 4  # squares for which the halo of lazy blocks suffices


@dataclass(frozen=True)
class WaveSample:
    """Some values of a wave at its relevant pixels.

    Attributes
    ----------
    values : (1, 1, n) float32
        Unit 1.
    wavelength_px : float
        Median wavelength, at most the longer edge of the field.
    shortest_px : float
        Wavelength below which hardly any of its power is; NaN where it is all noise.
    """

    values: Float32
    wavelength_px: float
    shortest_px: float


TileSample = tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class SampledTiles:
    """Which pixels of which tiles are looked at."""

    mask: np.ndarray
    tiles: tuple[Region, ...]

    @classmethod
    def of(cls, mask: np.ndarray) -> SampledTiles:
        """Choose tiles by the relevant pixels (y, x); all where there are none."""
        sizes = dict(zip(("y", "x"), mask.shape, strict=True))
        mask = mask if mask.any() else np.ones_like(mask)
        # Only tiles with relevant pixels can say how strong the wave is.
        told = [tile for tile in tiles(sizes) if mask[tile.slices(("y", "x"), sizes)].any()]
        return cls(mask, tuple(told[:: max(1, len(told) // _TILES)]))

    def take(
        self,
        tile: Region,
        wave: Callable[[], np.ndarray],
        wavelength: Callable[[], np.ndarray],
        crests: Crests,
    ) -> TileSample | None:
        """Return values of a wave, its lengths and wave numbers in a tile.

        None where it is not looked at.
        """
        if tile not in self.tiles:
            return None
        mask = self.mask[slice(*tile.span("y", 0)), slice(*tile.span("x", 0))]
        frames = wave()
        pixels = np.flatnonzero(mask)
        count = len(frames) * pixels.size
        chosen = np.arange(0, count, max(1, count * len(self.tiles) // _VALUES) | 1)
        frame, pixel = np.divmod(chosen, max(pixels.size, 1))
        some = frames.reshape(len(frames), -1)[frame, pixels[pixel]]
        return some, wavelength()[mask], crests.measure(frames, mask)


def join_samples(
    parts: Iterable[TileSample | None],
    pixel_size: tuple[float, float],
    frame: tuple[int, int],
) -> WaveSample:
    """Join the samples of tiles; lengths are in nm."""
    there = [part for part in parts if part is not None]
    pixel = float(np.sqrt(np.prod(pixel_size)))
    values, lengths = (np.concatenate([part[i] for part in there]) for i in (0, 1))
    square, power = (np.concatenate([part[2][i] for part in there]) for i in (0, 1))
    length = min(float(np.median(lengths)) / pixel, float(max(frame)))
    return WaveSample(values.reshape(1, 1, -1), length, shortest_wavelength(square, power))


def wave_sample(wave: xr.DataArray, peaks: xr.Dataset) -> Any:
    """Return a sample of a wave (time, y, x) at the relevant pixels; delayed where it is lazy."""
    require_variables(peaks, "mask", "wavelength")
    missing = [name for name in FACTS if name not in wave.coords]
    if missing:
        raise UemError(
            f"wave: does not tell how it was made ({', '.join(missing)}); take `ds.uem.wave` of a "
            f"run, or what `uemdask.band_pass` returns"
        )
    mask, wavelength = peaks["mask"], peaks["wavelength"]
    wave = wave.transpose("time", "y", "x")
    frame = wave.sizes["y"], wave.sizes["x"]
    pixel_size = pixel_size_from_centres(wave)
    sizes = {"y": frame[0], "x": frame[1]}
    delays = np.asarray(wave["time"].values, np.float64)
    crests = of_few(_crests, delays, *(wave[name] for name in FACTS))
    if not is_lazy(wave, mask, wavelength, crests):
        chosen = SampledTiles.of(mask.values)
        places = [tile.slices(("y", "x"), sizes) for tile in chosen.tiles]
        parts = [
            _take(chosen, tile, wave.values[:, *at], wavelength.values[at], crests)
            for tile, at in zip(chosen.tiles, places, strict=True)
        ]
        return join_samples(parts, pixel_size, frame)
    import dask
    import dask.array as da

    chosen = dask.delayed(SampledTiles.of)(in_one(da.asarray(mask.data)))
    waves, lengths = (
        da.asarray(array.data).rechunk(cut).to_delayed(optimize_graph=False).ravel()
        for array, cut in ((wave, (-1, TILE, TILE)), (wavelength, (TILE, TILE)))
    )
    parts = [
        dask.delayed(_take)(chosen, tile, one, other, crests)
        for tile, one, other in zip(tiles(sizes), waves, lengths, strict=True)
    ]
    return dask.delayed(join_samples)(parts, pixel_size, frame)


def length_of(sample: WaveSample) -> float:
    """Return the wavelength of a wave, px."""
    return sample.wavelength_px


def natural_grid(
    wave: xr.DataArray, binning: int | None, halo: int, sample: Callable[[], Any]
) -> tuple[Any, int]:
    """Return the binning for a wave, perhaps delayed, and the halo of its blocks in px.

    The wave of a run tells its own; of another one a sample decides, which is taken only then.

    What is delayed tells too late how wide the halo must be: then it serves waves of up to 128 px,
    and `check_reach` refuses longer ones.
    """
    if binning is None and "wave_binning" in wave.coords:
        binning = int(wave["wave_binning"])
    if binning is None:
        frame = wave.sizes["y"], wave.sizes["x"]
        binning = of_few(binning_of_sample, sample(), frame)
    elif binning not in BINNINGS:
        raise UemError(f"binning: found {binning!r}; take one of {', '.join(map(str, BINNINGS))}")
    known = not is_lazy(binning)
    return binning, halo_on_grid(halo, int(binning) if known else _FORESEEN)


def binning_of_sample(sample: WaveSample, frame: tuple[int, int]) -> int:
    """Return the natural binning of a wave in a frame (y, x)."""
    # Noise that is overrated makes the shortest wavelength too long; the mean one has no such trap.
    return natural_binning(float(np.minimum(sample.shortest_px, sample.wavelength_px)), frame)


def check_reach(place: Place, binning: int, halo: int, reach: int) -> None:
    """Refuse a part of a frame that knows less around it than its grid needs.

    Raises
    ------
    UemError
        With the remedy.
    """
    needed = halo_on_grid(halo, binning)
    block = place.rows.stop - place.rows.start, place.columns.stop - place.columns.start
    if needed > reach and block != place.frame:
        raise UemError(
            f"wave: its natural grid has squares of {binning} px, which need {needed} px around a "
            f"chunk that has {reach}; give binning={binning}, or join the frames with "
            f".chunk(y=-1, x=-1)"
        )


def _take(
    chosen: SampledTiles, tile: Region, wave: np.ndarray, lengths: np.ndarray, crests: Crests
) -> Any:
    return chosen.take(tile, lambda: wave, lambda: lengths, crests)


def _crests(delays: np.ndarray, centre: Any, noise: Any, smoothing: Any, window: Any) -> Crests:
    known = (float(value) for value in (noise, smoothing, window))
    noise, smoothing, window = known
    return Crests.of(delays, float(centre), noise=noise, smoothing=smoothing, window=window)
