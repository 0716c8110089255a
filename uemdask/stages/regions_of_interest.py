"""Regions of interest of a run: where they are asked for, and which pixels belong to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from uemdask.cube import RunLike
from uemdask.cube.layout import Region
from uemdask.errors import UemError
from uemdask.readers import describe_image, read_image
from uemdask.regions import Roi, parse_rois, rasterise, to_nm
from uemdask.stages.stage import Parameters


class FeatureParameters(Parameters):
    """Settings of the feature vectors.

    Attributes
    ----------
    rois : list of dict
        Regions of interest, see `uemdask.regions.Roi`; all relevant pixels where there are none.
    masks : dict of str to str
        Image files with named masks, of the frames' size; a pixel above 0 belongs to the mask.
        ``mask`` names the run's relevant pixels.
    """

    rois: list[dict[str, Any]] = Field(default_factory=list)
    masks: dict[str, str] = Field(default_factory=dict)


def rois_of(run: RunLike, parameters: FeatureParameters) -> list[Roi]:
    """Return the regions of interest of a run, all in nm."""
    y, x = run.read("y"), run.read("x")
    return [to_nm(roi, y, x) for roi in parse_rois(parameters.rois)]


def named_masks(
    run: RunLike, parameters: FeatureParameters, region: Region | None = None
) -> dict[str, np.ndarray]:
    """Return the named masks of a run, cut to a region."""
    sizes = run.sizes
    index = (region or Region()).slices(("y", "x"), sizes)
    masks = {"mask": run.read("mask")[index]}
    for name, file in parameters.masks.items():
        info = describe_image(Path(file))
        if info.shape != (sizes["y"], sizes["x"]):
            raise UemError(
                f"{file}: mask {name!r} is {info.shape} px, the frames are "
                f"{(sizes['y'], sizes['x'])}; draw it on a frame of this run"
            )
        masks[name] = read_image(Path(file), 0, info.shape, info.dtype)[index] > 0
    return masks


def rasterise_rois(
    run: RunLike, parameters: FeatureParameters, region: Region | None = None
) -> np.ndarray:
    """Return the pixels of each region of interest, (roi, y, x), cut to a region of the run."""
    rows, columns = (region or Region()).slices(("y", "x"), run.sizes)
    y, x = run.read("y")[rows], run.read("x")[columns]
    masks = named_masks(run, parameters, region)
    return np.stack([rasterise(roi, y, x, masks) for roi in rois_of(run, parameters)])
