"""Making the stated standard deviation true."""

from __future__ import annotations

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


def deviation_factor(
    model: UNet,
    series: Series,
    *,
    device: torch.device | str = "cpu",
    samples: int = 0,
) -> float:
    """Return the factor by which the stated standard deviation must be multiplied.

    With it, 68.3 % of the errors of a component lie within one standard deviation.

    Parameters
    ----------
    model : UNet
        Trained network with a variance head, or `samples` above 0.
    series : Series
        With exact labels, such as a simulated twin of the run; pixels of confidence 0 do not
        count.
    device : torch.device or str
        Where to compute.
    samples : int
        Monte-Carlo dropout samples, as will be used for the run.

    Returns
    -------
    float
        Above 0; 1 where the stated deviation is right already.

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
        samples=samples,
    )
    if not np.isfinite(sd).all():
        raise UemError("the network states no deviation; train one with 'log_variance'")
    error = np.abs(flow - series.label[pairs])
    seen = np.broadcast_to(series.confidence[pairs][:, None] > 0, error.shape)
    ratio = error[seen] / np.maximum(sd[seen], np.finfo(np.float32).tiny)
    return max(float(np.quantile(ratio, ONE_SIGMA)), 1e-3)
