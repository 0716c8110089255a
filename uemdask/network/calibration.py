"""Making the stated standard deviation true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from uemdask.errors import UemError
from uemdask.network.inference import predict
from uemdask.network.samples import Series
from uemdask.network.unet import UNet

#: Share of a normal distribution within one standard deviation.
ONE_SIGMA = 0.683

#: Pairs looked at, evenly spread: of 192 x 192 px they hold 400,000 errors.
_PAIRS = 12


@dataclass(frozen=True)
class Calibration:
    """What a network's errors are on a series with exact truth.

    Attributes
    ----------
    deviation_factor : (x, y)
        By which the stated standard deviations must be multiplied: with it, 68.3 % of the errors
        of each component lie within one standard deviation. Above 0.
    region_error : float
        Root mean square over pairs of the error of the mean displacement, as a share of it: what
        all pixels have in common, and no averaging takes away.
    region_turn : float
        The same of the mean direction, degree: of the angles between found and true displacements.
    """

    deviation_factor: tuple[float, float]
    region_error: float
    region_turn: float


def calibrate(
    model: UNet,
    series: Series,
    *,
    device: torch.device | str = "cpu",
    views: int = 1,
    samples: int = 0,
) -> Calibration:
    """Find the errors of a network where the truth is known.

    Parameters
    ----------
    model : UNet
        Trained network with a variance head, or `samples` above 0.
    series : Series
        With exact labels, such as a simulated twin of the run; pixels of confidence 0 do not
        count.
    device : torch.device or str
        Where to compute.
    views : int
        As will be used for the run, see `predict`.
    samples : int
        Monte-Carlo dropout samples, as will be used for the run.

    Returns
    -------
    Calibration

    Raises
    ------
    UemError
        If no pixel has any confidence, or the network states no deviation.
    """
    known = np.flatnonzero(series.confidence.any(axis=(1, 2)))
    if known.size == 0:
        raise UemError(f"{series.name}: no pixel has any confidence, so nothing can be calibrated")
    pairs = known[np.unique(np.linspace(0, known.size - 1, _PAIRS).astype(int))]
    flow, sd = predict(
        model,
        series.wave[series.frame_from[pairs]],
        series.wave[series.frame_to[pairs]],
        scale=series.scale,
        device=device,
        views=views,
        samples=samples,
    )
    if not np.isfinite(sd).all():
        raise UemError("the network states no deviation; train one with 'log_variance'")
    truth, inside = series.label[pairs].astype(np.float32), series.confidence[pairs] > 0
    ratio = np.abs(flow - truth) / np.maximum(sd, np.finfo(np.float32).tiny)
    x, y = (max(float(np.quantile(ratio[:, i][inside], ONE_SIGMA)), 1e-3) for i in (0, 1))
    size = np.linalg.norm(truth, axis=1)
    along = (flow * truth).sum(axis=1) / np.maximum(size, np.finfo(np.float32).tiny)
    total = (size * inside).sum(axis=(1, 2), dtype=np.float64)
    found = (along * inside).sum(axis=(1, 2), dtype=np.float64)
    across = flow[:, 1] * truth[:, 0] - flow[:, 0] * truth[:, 1]
    turn = (np.arctan2(across, (flow * truth).sum(axis=1)) * inside).sum(axis=(1, 2))
    moving = total > 0
    errors = found[moving] / total[moving] - 1
    turns = np.degrees(turn[moving] / inside.sum(axis=(1, 2))[moving])
    return Calibration(
        deviation_factor=(x, y),
        region_error=float(np.sqrt(np.mean(errors**2))) if moving.any() else 0.0,
        region_turn=float(np.sqrt(np.mean(turns**2))) if moving.any() else 0.0,
    )
