"""The stored wave, as the kernels of labels, flow and fronts take it."""

from __future__ import annotations

import numpy as np

from uemdask.cube import Run, RunLike
from uemdask.cube.blocks import Place, Window
from uemdask.cube.layout import Region
from uemdask.errors import UemError
from uemdask.stages.stage import Parameters


def check_wave(run: RunLike, parameters: Parameters) -> None:
    """Raise where `wave` has been deleted to save space."""
    if "wave" not in run:
        raise UemError(f"{run.path}: its 'wave' was deleted; make it anew with `only=['spectrum']`")


def stored_wave(run: Run, place: Place) -> Window:
    """Return the wave of a block, read where it is indexed."""
    return Window(run.array("wave"), place)


def pairs_of(run: Run, region: Region) -> np.ndarray:
    """Return the indices (pair, 2) of the frames of a region's pairs."""
    start, stop = region.span("pair", run.sizes["pair"])
    return np.stack([run.read("frame_from"), run.read("frame_to")], axis=1)[start:stop]
