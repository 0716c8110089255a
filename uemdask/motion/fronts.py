"""Speed and angle of the fronts, as a run has them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from uemdask.cube.blocks import Place, is_lazy, map_space
from uemdask.cube.rounding import round_flow, round_mantissa
from uemdask.motion.kinematics import speed_and_angle
from uemdask.spectrum.series import pixel_size_of

# Bits that are kept of a speed, 0.2 %: finer is noise to store.
_SPEED_BITS = 8
_ANGLE_STEP = 1 / 4  # degree


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


def speed_angle(flow: xr.Dataset, valid: xr.DataArray | None = None) -> xr.Dataset:
    """Return speed and direction of the fronts from their displacement.

    Parameters
    ----------
    flow : Dataset
        From `uemdask.predict_flow`: `flow` (pair, component, y, x), px, its pairs with their
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
        pixel_size=pixel_size_of(flow),
    )
    beside = {name: flow[name] for name in ("flow", "flow_sd") if name in flow}
    return found.assign(beside | {"valid": valid})
