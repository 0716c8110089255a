r"""The feature vector of a region: a few numbers with their uncertainty, for every pair.

Mean speed. Noise makes the length of a vector too long, by about
:math:`\sigma_\perp^2 / (2 |v|)`: 4.5 % where the noise is 30 % of the speed. So velocities are
first averaged over blocks of 16 px and the lengths of these means are averaged, weighted by their
valid pixels. That is each pixel's velocity projected on its block's mean direction: the bias
falls by the number of independent pixels in a block (about five at a correlation of 2 px). Where
velocities in a block point every way it tends to zero, as a mean front speed should.

Standard error. Neighbouring pixels are not independent: the wave is smoothed and a network looks
at surroundings. Noise smoothed by a Gaussian of sigma :math:`s` has the autocorrelation
:math:`\exp(-r^2 / 4 s^2)`, whose integral :math:`4 \pi s^2` is the area of one independent pixel.
The effective number is the valid pixels over this area, at least one. The pixel variance is the
stated one where there is a stated one, otherwise the spread in the region. An error that all pixels
share, such as a wrong pixel size, is not in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from uemdask.motion.kinematics import NO_DIRECTION_SD
from uemdask.regions.roi_sums import SPEED_EDGES, RoiSums


class Feature(NamedTuple):
    """Name, unit and meaning of one entry of a feature vector."""

    name: str
    unit: str
    meaning: str


FEATURES: tuple[Feature, ...] = (
    Feature("mean_speed", "nm/ps", "mean speed of the fronts, from means over blocks of 16 px"),
    Feature("mean_angle", "degree", "circular mean direction, anticlockwise from +x as displayed"),
    Feature("mean_flow_x", "px", "mean displacement to the right"),
    Feature("mean_flow_y", "px", "mean displacement downwards"),
    Feature("coherence", "1", "length of the mean unit vector: 1 all one way, 0 every way"),
    Feature("valid_fraction", "1", "share of the region's pixels where a speed means something"),
    Feature("median_speed", "nm/ps", "median of the pixels' speeds"),
    Feature("speed_spread", "nm/ps", "standard deviation of the pixels' speeds"),
    Feature("angle_spread", "degree", "circular standard deviation of the pixels' directions"),
)

CORRELATION_PX = 8.0
"""Sigma of the correlation of errors between pixels, px: that of the narrowest means over phases
that make a label. One independent pixel then covers 804 px."""

_NORMAL_MEDIAN = 1.2533
"""Standard error of a median over that of a mean, for a normal distribution: sqrt(pi / 2)."""

_MEDIAN_SHARE = float((SPEED_EDGES[1] / SPEED_EDGES[0] - 1) / np.sqrt(12))
"""Standard deviation of an even distribution over a bin of the histogram, of the speed."""


def finalise(
    sums: RoiSums,
    *,
    correlation_px: float = CORRELATION_PX,
    systematic: float = 0.0,
    systematic_degree: float = 0.0,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Turn sums over all tiles into feature vectors.

    Parameters
    ----------
    sums : RoiSums
        Added up over all tiles.
    correlation_px : float
        Sigma of the correlation of errors, px; 0 for independent pixels.
    systematic : float
        Error of a speed that all pixels have in common, as a share of it.
    systematic_degree : float
        The same of a direction, degree.

    Returns
    -------
    features, sd : ndarray of float32, (roi, feature, pair)
        In the order of `FEATURES`.

    Examples
    --------
    >>> from uemdask.regions.roi_sums import RoiSums
    >>> import numpy as np
    >>> ones = np.ones((1, 16, 16))
    >>> flow = np.stack([ones, 0 * ones], axis=1)
    >>> sums = RoiSums.of_tile(flow, None, ones, 0 * ones, ones > 0, ones > 0)
    >>> finalise(sums + sums)[0][0, 0, 0]
    np.float32(1.0)
    """
    area = max(1.0, 4 * np.pi * correlation_px**2)
    count = sums["valid"]
    known = count > 0
    n = np.where(known, count, np.nan)
    effective = np.maximum(n / area, 1.0)

    def mean(quantity: str) -> np.ndarray:
        return np.asarray(sums[quantity] / n)

    def spread(first: str, second: str) -> np.ndarray:
        return np.asarray(np.maximum(mean(second) - mean(first) ** 2, 0.0))

    # Trigonometric moments (Fisher, Statistical Analysis of Circular Data, 1993, section 2.3).
    length = np.minimum(np.hypot(mean("cos"), mean("sin")), 1.0)
    direction = np.arctan2(mean("sin"), mean("cos"))
    second = mean("cos2") * np.cos(2 * direction) + mean("sin2") * np.sin(2 * direction)
    across = np.maximum((1 - second) / 2, 0.0)
    along = np.maximum((1 + second) / 2 - length**2, 0.0)

    speed_spread = np.sqrt(spread("speed", "speed2"))
    if sums.stated:
        flow_var = mean("flow_x_var"), mean("flow_y_var")
        speed_var, across_var = mean("speed_var"), mean("angle_var")
    else:
        flow_var = spread("flow_x", "flow_x2"), spread("flow_y", "flow_y2")
        speed_var, across_var = speed_spread**2, across
    speed_se = np.sqrt(speed_var / effective)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle_se = np.degrees(np.sqrt(across_var / effective) / length)
        angle_spread = np.degrees(np.sqrt(-2 * np.log(length)))
    # A direction common to all pixels errs by as much for all; one of rings by ever more.
    turned = np.hypot(angle_se, systematic_degree / np.maximum(length, 1e-6))
    angle_se = np.where(known, np.fmin(turned, NO_DIRECTION_SD), np.nan)

    pixels = sums["pixels"]
    share = np.divide(count, pixels, out=np.zeros_like(count), where=pixels > 0)
    regions = np.maximum(pixels / area, 1.0)
    degrees = np.degrees(direction)
    table: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "mean_speed": (mean("block_speed"), speed_se),
        "mean_angle": (np.where(degrees <= -180, 180.0, degrees), angle_se),
        "mean_flow_x": (mean("flow_x"), np.sqrt(flow_var[0] / effective)),
        "mean_flow_y": (mean("flow_y"), np.sqrt(flow_var[1] / effective)),
        "coherence": (length, np.sqrt(along / effective)),
        "valid_fraction": (share, np.sqrt(share * (1 - share) / regions)),
        "median_speed": (_median(sums.histogram), _NORMAL_MEDIAN * speed_se),
        "speed_spread": (speed_spread, speed_spread / np.sqrt(2 * effective)),
        "angle_spread": (angle_spread, angle_spread / np.sqrt(2 * effective)),
    }
    # Speeds that differ by less than a bin can lie anywhere in it.
    table["median_speed"] = _with(table["median_speed"], _MEDIAN_SHARE)
    for name in ("mean_speed", "median_speed", "mean_flow_x", "mean_flow_y"):
        table[name] = _with(table[name], systematic)
    values = np.stack([table[feature.name][0] for feature in FEATURES], axis=1)
    errors = np.stack([table[feature.name][1] for feature in FEATURES], axis=1)
    return values.astype(np.float32), errors.astype(np.float32)


def _with(feature: tuple[np.ndarray, np.ndarray], share: float) -> tuple[np.ndarray, np.ndarray]:
    """Add an error that is a share of the value to a feature's own."""
    value, error = feature
    return value, np.hypot(error, share * np.abs(value))


def _median(histogram: np.ndarray) -> np.ndarray:
    """Median speed (roi, pair) from a histogram, read within its bin; NaN if it is empty."""
    below = np.cumsum(histogram, axis=-1)
    half = below[..., -1:] / 2
    bin_ = np.argmax(below >= half, axis=-1)[..., None]
    inside = np.take_along_axis(histogram, bin_, axis=-1)
    before = np.take_along_axis(below, bin_, axis=-1) - inside
    share = np.divide(half - before, inside, out=np.zeros(half.shape), where=inside > 0)
    median = SPEED_EDGES[bin_] * (SPEED_EDGES[bin_ + 1] / SPEED_EDGES[bin_]) ** share
    return np.asarray(np.where(half > 0, median, np.nan)[..., 0])
