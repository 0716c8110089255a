"""Feature vectors of regions of interest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, as_variables, at_once, is_lazy, map_space, of_few
from uemdask.cube.contract import Variable
from uemdask.cube.required_variables import require_variables
from uemdask.errors import UemError
from uemdask.motion.kinematics import speed_and_angle, speed_and_angle_sd
from uemdask.regions.features import CORRELATION_PX, FEATURES, finalise
from uemdask.regions.rasterising import rasterise, to_nm
from uemdask.regions.roi import Roi, parse_rois
from uemdask.regions.roi_sums import QUANTITIES, SPEED_BINS, RoiSums
from uemdask.spectrum.usable_series import pixel_size_from_centres

SUMS = (
    Variable("sums", ("quantity", "roi", "pair"), "float64", "1", "sums over pixels", "feature"),
    Variable("histogram", ("roi", "pair", "bin"), "int64", "1", "pixels by speed", "feature"),
)


def sum_block(
    flow: np.ndarray,
    flow_sd: np.ndarray,
    valid: np.ndarray,
    steps: np.ndarray,
    rois: np.ndarray,
    *,
    place: Place,
    pixel_size: tuple[float, float],
) -> dict[str, np.ndarray]:
    """Return the sums of a block over regions, see `uemdask.regions.RoiSums`.

    Parameters
    ----------
    flow, flow_sd : ndarray, (pair, 2, y, x)
        px.
    valid : ndarray of bool, (pair, y, x)
    steps : ndarray, (pair,)
        ps.
    rois : ndarray of bool, (roi, y, x)
    """
    origin = place.rows.start, place.columns.start
    found = []
    # One pair at a time: speed, angle and their errors take several times the memory of the flow.
    for i in range(len(steps)):
        one = slice(i, i + 1)
        about = pixel_size, steps[one], valid[one]
        speed, angle = speed_and_angle(flow[one], *about)
        speed_sd, angle_sd = speed_and_angle_sd(flow[one], flow_sd[one], *about)
        found.append(
            RoiSums.of_tile(
                flow[one],
                flow_sd[one],
                speed,
                angle,
                valid[one],
                rois,
                speed_sd=speed_sd,
                angle_sd=angle_sd,
                origin=origin,
            )
        )
    sums = RoiSums.concatenate(found)
    return {"sums": sums.sums, "histogram": sums.histogram}


def _sum_block(
    flow: np.ndarray,
    flow_sd: np.ndarray,
    valid: np.ndarray,
    steps: np.ndarray,
    *masks: np.ndarray,
    place: Place,
    pixel_size: tuple[float, float],
    rois: Sequence[Roi],
    y: np.ndarray,
    x: np.ndarray,
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    pixels = pixels_of(rois, y[place.rows], x[place.columns], dict(zip(names, masks, strict=True)))
    return sum_block(flow, flow_sd, valid, steps, pixels, place=place, pixel_size=pixel_size)


def pixels_of(
    rois: Sequence[Roi], y: np.ndarray, x: np.ndarray, masks: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return the pixels of each region, (roi, y, x)."""
    return np.stack([rasterise(roi, y, x, masks) for roi in rois])


def rois_and_masks(
    rois: Sequence[Any], array: xr.Dataset | xr.DataArray, masks: Mapping[str, xr.DataArray]
) -> tuple[list[Roi], dict[str, xr.DataArray]]:
    """Return regions in nm, and the masks that they need."""
    y, x = array["y"].values, array["x"].values
    shapes = [roi if isinstance(roi, Roi) else None for roi in rois]
    parsed = (
        [shape for shape in shapes if shape is not None]
        if shapes and all(shapes)
        else parse_rois([dict(roi) for roi in rois])
    )
    found = [to_nm(roi, y, x) for roi in parsed]
    named = dict.fromkeys(roi.mask for roi in found if roi.mask is not None)
    missing = [name for name in named if name not in masks]
    if missing:
        raise UemError(f"mask {', '.join(missing)}: not given; give masks={{name: DataArray}}")
    return found, {name: masks[name] for name in named}


def roi_features(
    motion: xr.Dataset,
    rois: Sequence[Roi | Mapping[str, Any]] = (),
    *,
    masks: Mapping[str, xr.DataArray] | None = None,
    correlation_px: float = CORRELATION_PX,
    systematic: float = 0.0,
    systematic_degree: float = 0.0,
) -> xr.Dataset:
    """Return the feature vector of each region of interest in every pair.

    Parameters
    ----------
    motion : Dataset
        From `uemdask.speed_angle`, or a run: `flow` and `flow_sd` (pair, component, y, x), px,
        `valid` (pair, y, x), the delays of the pairs in ps, pixel centres in nm. Where lazy, chunks
        begin at multiples of 16 px.
    rois : sequence of `uemdask.Roi` or mapping
        Regions in nm, as in a campaign: ``{"name": "left", "rectangle": {"x": [0, 500], ...}}``;
        all relevant pixels where there are none.
    masks : mapping of name to DataArray, (y, x) bool
        What regions name as ``mask``; `mask` of `motion`, the relevant pixels, is known.
    correlation_px : float
        Sigma of the correlation of errors between pixels, px: an eighth of a wavelength, where that
        is more than 8 px.
    systematic, systematic_degree : float
        Error that all pixels have in common, as a share of a speed, and of a direction in degree;
        found by a run on simulated twins.

    Returns
    -------
    Dataset
        `roi_feature` and `roi_feature_sd` (roi, feature, pair) in the units of the coordinate
        `feature_unit`. Lazy where an input is.

    Raises
    ------
    UemError, FaultsError
        If a mask is missing, a region is not one, or chunks cut blocks of 16 px.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> left = {"name": "left", "rectangle": {"x": [0, 400], "y": [0, 768]}}
    >>> found = uemdask.roi_features(ds, [left])
    >>> found.roi_feature.sel(feature="mean_speed").dims
    ('roi', 'pair')
    """
    require_variables(motion, "flow", "flow_sd", "valid", "time_from", "time_to")
    known = ({"mask": motion["mask"]} if "mask" in motion else {}) | dict(masks or {})
    regions, wanted = rois_and_masks(rois, motion, known)
    flow = motion["flow"].transpose("pair", "component", "y", "x")
    steps = xr.DataArray(at_once(motion["time_to"]) - at_once(motion["time_from"]), dims="pair")
    if is_lazy(flow):
        steps = steps.chunk(pair=flow.chunksizes["pair"])
    maps = (flow, motion["flow_sd"].transpose(*flow.dims), motion["valid"])
    sums = map_space(
        _sum_block,
        *(each.reset_coords(drop=True).drop_vars("pair_time", errors="ignore") for each in maps),
        steps,
        *(each.reset_coords(drop=True).astype(bool) for each in wanted.values()),
        out=SUMS,
        whole={"component": "a displacement has two"},
        sizes={"roi": len(regions), "quantity": len(QUANTITIES), "bin": SPEED_BINS},
        pixel_size=pixel_size_from_centres(motion),
        rois=regions,
        y=motion["y"].values,
        x=motion["x"].values,
        names=tuple(wanted),
    )
    both = of_few(
        _finalised,
        sums["sums"],
        sums["histogram"],
        correlation_px,
        systematic,
        systematic_degree,
    )
    shape = {"roi": len(regions), "feature": len(FEATURES), "pair": motion.sizes["pair"]}
    found = as_variables(both, ("roi_feature", "roi_feature_sd"), shape)
    pairs = {str(key): c for key, c in motion.coords.items() if c.dims == ("pair",)}
    return xr.Dataset(found, coords=pairs).assign_coords(
        roi=[roi.name for roi in regions],
        feature=[feature.name for feature in FEATURES],
        feature_unit=("feature", [feature.unit for feature in FEATURES]),
    )


def _finalised(
    sums: np.ndarray,
    histogram: np.ndarray,
    correlation_px: float,
    systematic: float,
    systematic_degree: float,
) -> tuple[np.ndarray, np.ndarray]:
    values, sd = finalise(
        RoiSums(sums, histogram, True),
        correlation_px=correlation_px,
        systematic=systematic,
        systematic_degree=systematic_degree,
    )
    return values.astype(np.float64), sd.astype(np.float64)
