"""Speed and angle of the fronts, as a run has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, is_lazy, map_space
from uemdask.cube.required_variables import require_variables
from uemdask.cube.rounding import round_flow, round_mantissa
from uemdask.motion.fusion import LabelError, fuse
from uemdask.motion.kinematics import speed_and_angle
from uemdask.spectrum.usable_series import pixel_size_from_centres

# Bits that are kept of a speed, 0.2 %, and of a standard deviation, 3 %: finer is noise to store.
_SPEED_BITS = 8
_SD_BITS = 4
_ANGLE_STEP = 1 / 4  # degree


def fuse_block(
    flow: np.ndarray,
    flow_sd: np.ndarray,
    label: np.ndarray,
    confidence: np.ndarray,
    *,
    place: Place | None = None,
    label_error: Sequence[float] | None,
    network_factor: Sequence[float],
    deviation_factor: Sequence[float],
) -> dict[str, np.ndarray]:
    """Give the labels of a block their say, and make the deviations true; rounded.

    Parameters
    ----------
    flow, flow_sd : ndarray, (pair, 2, y, x)
        Of the network, px.
    label, confidence : ndarray, (pair, 2, y, x), (pair, y, x)
        px, 0..1.
    label_error, network_factor, deviation_factor
        As of `uemdask.fuse_flow`.
    """
    if label_error is not None:
        error, network = LabelError(*label_error), np.array(network_factor)
        fused = [
            fuse(one, sd * network[:, None, None], other, error.deviation(other, sure))
            for one, sd, other, sure in zip(flow, flow_sd, label, confidence, strict=True)
        ]
        flow, flow_sd = (np.stack(part) for part in zip(*fused, strict=True))
    factor = np.array(deviation_factor, np.float32)[:, None, None]
    return {"flow": round_flow(flow), "flow_sd": round_mantissa(flow_sd * factor, _SD_BITS)}


def motion_block(
    flow: np.ndarray,
    valid: np.ndarray,
    steps: np.ndarray,
    *,
    place: Place | None = None,
    pixel_size: tuple[float, float],
) -> dict[str, np.ndarray]:
    """Return speed and angle (pair, y, x) of a block, rounded to what they tell."""
    speed, angle = speed_and_angle(flow, pixel_size, steps, valid)
    rounded = round_flow(angle, _ANGLE_STEP)
    angle = np.where(rounded <= -180, rounded + 360, rounded).astype(np.float32)
    return {"speed": round_mantissa(speed, _SPEED_BITS), "angle": angle}


def fuse_flow(
    flow: xr.Dataset,
    labels: xr.Dataset,
    *,
    label_error: tuple[float, float] | None = None,
    network_factor: tuple[float, float] = (1.0, 1.0),
    deviation_factor: tuple[float, float] = (1.0, 1.0),
) -> xr.Dataset:
    """Return the mean of the network's displacement and the label, weighted by their variances.

    A run finds all numbers on a simulated twin of itself; they are in its record. Without
    `label_error` the displacement is the network's alone.

    Parameters
    ----------
    flow : Dataset
        From `uemdask.predict_flow`: `flow` and `flow_sd` (pair, component, y, x), px.
    labels : Dataset
        From `uemdask.estimate_labels`: `label`, px, and `label_confidence`.
    label_error : (floor, slope), optional
        Relative error of a label of confidence c: ``floor + slope (1 - c)``.
    network_factor, deviation_factor : (float, float)
        In x and y: by which the network misjudges its errors, and by which the mean then does.

    Returns
    -------
    Dataset
        `flow` and `flow_sd` (pair, component, y, x), px, rounded as a run stores them. Lazy where
        an input is.

    Raises
    ------
    UemError
        If the components are cut into chunks, or labels are missing.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> found = uemdask.fuse_flow(ds, ds, label_error=(0.01, 0.2))
    >>> found.flow.dims
    ('pair', 'component', 'y', 'x')
    """
    require_variables(flow, "flow", "flow_sd")
    require_variables(labels, "label", "label_confidence")
    parts = flow["flow"], flow["flow_sd"], labels["label"], labels["label_confidence"]
    found = map_space(
        fuse_block,
        *(part.reset_coords(drop=True).drop_vars("pair_time", errors="ignore") for part in parts),
        out=["flow", "flow_sd"],
        whole={"component": "a displacement has two"},
        label_error=label_error,
        network_factor=network_factor,
        deviation_factor=deviation_factor,
    )
    return found.assign_coords(flow.coords)


def speed_angle(flow: xr.Dataset, valid: xr.DataArray | None = None) -> xr.Dataset:
    """Return speed and direction of the fronts from their displacement.

    Parameters
    ----------
    flow : Dataset
        From `uemdask.fuse_flow`: `flow` (pair, component, y, x), px, its pairs with their
        delays in ps, and pixel centres in nm. A run has it.
    valid : DataArray, (pair, y, x) bool, optional
        From `uemdask.valid`; elsewhere the results are NaN.

    Returns
    -------
    Dataset
        `speed` (pair, y, x), nm/ps, and `angle`, degree anticlockwise from +x as displayed, with
        `flow`, `flow_sd` and `valid` beside them. Lazy where an input is.

    Raises
    ------
    UemError
        If pixel centres are missing, or a delay step is not positive.

    Examples
    --------
    >>> ds = uemdask.open_run("run.zarr")
    >>> found = uemdask.speed_angle(ds, ds.valid)
    >>> bool((abs(found.speed - ds.speed) == 0).where(ds.valid, True).all())
    True
    """
    moved = flow["flow"].transpose("pair", "component", "y", "x")
    if valid is None:
        valid = xr.ones_like(moved.isel(component=0, drop=True), bool)
    steps = (flow["time_to"] - flow["time_from"]).reset_coords(drop=True)
    if is_lazy(moved):
        steps = steps.chunk(pair=moved.chunksizes["pair"])
    found = map_space(
        motion_block,
        moved,
        valid.reset_coords(drop=True).transpose("pair", "y", "x"),
        steps.drop_vars("pair_time", errors="ignore"),
        out=["speed", "angle"],
        whole={"component": "a displacement has two"},
        pixel_size=pixel_size_from_centres(flow),
    )
    beside = {name: flow[name] for name in ("flow", "flow_sd") if name in flow}
    return found.assign(beside | {"valid": valid})
