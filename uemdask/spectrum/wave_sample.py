"""How strong and how long a wave is, from a sample of its tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.blocks import in_one, is_lazy
from uemdask.cube.layout import TILE, Region, tiles
from uemdask.cube.required_variables import require_variables
from uemdask.spectrum.harmonics import Float32
from uemdask.spectrum.usable_series import pixel_size_from_centres

_TILES = 32  # tiles looked at: 2 million pixels
_VALUES = 1_000_000


@dataclass(frozen=True)
class WaveSample:
    """Some values of a wave at its relevant pixels.

    Attributes
    ----------
    values : (1, 1, n) float32
        Unit 1.
    wavelength_px : float
        Median wavelength, at most the longer edge of the field.
    """

    values: Float32
    wavelength_px: float


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
        self, tile: Region, wave: Callable[[], np.ndarray], wavelength: Callable[[], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return values of a wave and its lengths in a tile, None where it is not looked at."""
        if tile not in self.tiles:
            return None
        mask = self.mask[slice(*tile.span("y", 0)), slice(*tile.span("x", 0))]
        values = wave()[:, mask].reshape(-1)
        share = _VALUES // len(self.tiles)
        return values[:: max(1, values.size // share) | 1], wavelength()[mask]


def join_samples(
    parts: Iterable[tuple[np.ndarray, np.ndarray] | None],
    pixel_size: tuple[float, float],
    frame: tuple[int, int],
) -> WaveSample:
    """Join the samples of tiles; lengths are in nm."""
    there = [part for part in parts if part is not None]
    pixel = float(np.sqrt(np.prod(pixel_size)))
    length = float(np.median(np.concatenate([lengths for _, lengths in there]))) / pixel
    values = np.concatenate([values for values, _ in there]).reshape(1, 1, -1)
    return WaveSample(values, min(length, float(max(frame))))


def wave_sample(wave: xr.DataArray, peaks: xr.Dataset) -> Any:
    """Return a sample of a wave (time, y, x) at the relevant pixels; delayed where it is lazy."""
    require_variables(peaks, "mask", "wavelength")
    mask, wavelength = peaks["mask"], peaks["wavelength"]
    wave = wave.transpose("time", "y", "x")
    frame = wave.sizes["y"], wave.sizes["x"]
    pixel_size = pixel_size_from_centres(wave)
    sizes = {"y": frame[0], "x": frame[1]}
    if not is_lazy(wave, mask, wavelength):
        chosen = SampledTiles.of(mask.values)
        places = [tile.slices(("y", "x"), sizes) for tile in chosen.tiles]
        parts = [
            _take(chosen, tile, wave.values[:, *at], wavelength.values[at])
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
        dask.delayed(_take)(chosen, tile, one, other)
        for tile, one, other in zip(tiles(sizes), waves, lengths, strict=True)
    ]
    return dask.delayed(join_samples)(parts, pixel_size, frame)


def _take(chosen: SampledTiles, tile: Region, wave: np.ndarray, lengths: np.ndarray) -> Any:
    return chosen.take(tile, lambda: wave, lambda: lengths)
