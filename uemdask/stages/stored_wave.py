"""The stored wave, as the kernels of labels, flow and fronts take it."""

from __future__ import annotations

import numpy as np

from uemdask.cube import Run
from uemdask.cube.blocks import Place, Window
from uemdask.cube.layout import Region
from uemdask.errors import UemError
from uemdask.spectrum.complex_wave import ComplexWave, complex_wave
from uemdask.spectrum.grid import Grid
from uemdask.stages.spectrum import band_of
from uemdask.stages.stage import Parameters


def check_wave(run: Run, parameters: Parameters) -> None:
    """Raise where `wave` has been deleted to save space."""
    if "wave" not in run:
        raise UemError(f"{run.path}: its 'wave' was deleted; make it anew with `only=['spectrum']`")


def stored_wave(run: Run, place: Place) -> Window:
    """Return the wave of a block, read where it is indexed."""
    return Window(run.array("wave"), place)


def read_complex_wave(
    run: Run, region: Region, frames: tuple[int, int], *, halo: int
) -> ComplexWave:
    """Return the complex wave of frames ``first`` to ``last`` (included) of a region."""
    place = Place.of(region, run.sizes, halo)
    wave = stored_wave(run, place)
    return complex_wave(
        wave, run.read("time"), frames, centre=band_of(run).centre, grid=Grid(place)
    )


def pairs_of(run: Run, region: Region) -> np.ndarray:
    """Return the indices (pair, 2) of the frames of a region's pairs."""
    start, stop = region.span("pair", run.sizes["pair"])
    return np.stack([run.read("frame_from"), run.read("frame_to")], axis=1)[start:stop]
