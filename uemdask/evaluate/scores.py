"""Errors of a displacement field against a known truth.

All scores are over the pairs where the wave is present and over the truth mask. A displacement that
is not finite counts as zero flow, so leaving hard pixels out does not help. Zero flow scores
relative EPE 1, angle error 90 degrees and region speed error 100 %. Where the true displacement is
zero everywhere (standing and breathing waves) all scores relative to it are NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from uemdask.errors import UemError
from uemdask.labels.remapping import leaves_image, remap

LARGE_ERROR = 0.1
"""Share of the true displacement from which a pixel's error counts as large."""

FIFTHS = 5
COVERAGE_SAMPLES = 1_000_000
"""About how many errors the coverage looks at: its own error is then 0.05 %."""

ONE_SIGMA, TWO_SIGMA = (float(2 * ndtr(k) - 1) for k in (1.0, 2.0))
"""Coverage of a normal distribution: 0.683 and 0.954."""


@dataclass(frozen=True)
class Coverage:
    """How often the truth lies within the stated uncertainty of one component.

    Parameters
    ----------
    one_sigma, two_sigma : float
        Share of errors within one and two standard deviations; 0.683 and 0.954 if right.
    fifth_sd : tuple of float
        Root mean square of the stated standard deviation in each fifth of the pixels, px, from the
        most to the least certain.
    fifth_error : tuple of float
        Root mean square error in each fifth, px; equals `fifth_sd` if right.
    fifth_one_sigma : tuple of float
        Share within one standard deviation in each fifth.
    """

    one_sigma: float
    two_sigma: float
    fifth_sd: tuple[float, ...]
    fifth_error: tuple[float, ...]
    fifth_one_sigma: tuple[float, ...]


@dataclass(frozen=True)
class FlowScores:
    """Errors of a displacement field.

    Parameters
    ----------
    pairs : int
        Pairs scored.
    epe_px : float
        Mean endpoint error, px.
    epe_relative : float
        The same over the mean true displacement; zero flow is 1.
    angle_error_degree : float
        Mean over pixels of the absolute angle between found and true displacement; 90 where the
        found one is zero, as a guess would give.
    roi_speed_error_percent : float
        Mean over pairs of ``|mean(flow . n) - mean(|truth|)| / mean(|truth|)``, means over the
        truth mask, n the true direction: the error of the region's phase velocity.
    share_over_10_percent : float
        Share of pixels with an endpoint error above 10 % of their true displacement.
    missing_share : float
        Share of pixels without a finite displacement.
    coverage_x, coverage_y : Coverage or None
        Of the stated standard deviation, if one was given.
    """

    pairs: int
    epe_px: float
    epe_relative: float
    angle_error_degree: float
    roi_speed_error_percent: float
    share_over_10_percent: float
    missing_share: float
    coverage_x: Coverage | None = None
    coverage_y: Coverage | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give plain numbers, lists and dicts, for JSON."""
        return asdict(self)


def score_flow(
    flow: Any,
    truth: Any,
    mask: np.ndarray,
    present: np.ndarray,
    *,
    flow_sd: Any | None = None,
) -> FlowScores:
    """Score a displacement field, one pair in memory at a time.

    Parameters
    ----------
    flow : array or iterable of arrays, (pair, 2, y, x)
        Found displacement in px, components ``[x, y]``; anything that gives one pair after the
        other, such as a numpy or Zarr array or `zero_flows`.
    truth : array or iterable of arrays, (pair, 2, y, x)
        True displacement in px.
    mask : ndarray of bool, (y, x) or (pair, y, x)
        Pixels with a true displacement, in all pairs or in each.
    present : ndarray of bool, (pair,)
        Pairs in which the wave is there.
    flow_sd : array or iterable of arrays, (pair, 2, y, x), optional
        Stated standard deviation in px.

    Returns
    -------
    FlowScores

    Raises
    ------
    UemError
        If numbers of pairs or image sizes differ, or nothing is left to score.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.ones((2, 2, 4, 4))
    >>> scores = score_flow(0 * truth, truth, np.ones((4, 4), bool), np.ones(2, bool))
    >>> scores.epe_relative, scores.angle_error_degree, scores.roi_speed_error_percent
    (1.0, 90.0, 100.0)
    """
    mask = np.asarray(mask, dtype=bool)
    present = np.asarray(present, dtype=bool)
    masks = np.broadcast_to(mask, (len(present), *mask.shape[-2:]))
    total = int(np.count_nonzero(masks[present]))
    if total == 0:
        raise UemError(
            f"truth: {int(present.sum())} pairs with a wave and {int(mask.sum())} pixels in the "
            "mask were found; there is nothing to score"
        )
    # A shared odd stride keeps errors and deviations of the same pixels.
    keep = max(1, total // COVERAGE_SAMPLES) | 1
    epe_sum = true_sum = angle_sum = 0.0
    large = missing = moving = 0
    roi_errors: list[float] = []
    samples: list[tuple[np.ndarray, np.ndarray]] = []
    stated = [None] * len(present) if flow_sd is None else flow_sd
    for there, here, found_pair, true_pair, sd_pair in _together(
        present, masks, flow, truth, stated
    ):
        if not there:
            continue
        found, true = (_pixels(a, here) for a in (found_pair, true_pair))
        if not np.isfinite(true).all():
            raise UemError("truth: flow holds values that are not finite inside its mask")
        gone = ~np.isfinite(found).all(axis=0)
        if sd_pair is not None:
            sd = _pixels(sd_pair, here)
            usable = ~gone & (sd > 0).all(axis=0)
            samples.append(((found - true)[:, usable][:, ::keep], sd[:, usable][:, ::keep]))
        found = np.where(gone, 0.0, found)
        error = np.hypot(*(found - true))
        size = np.hypot(*true)
        some = size > 0
        epe_sum += float(error.sum())
        true_sum += float(size.sum())
        large += int(np.count_nonzero(error > LARGE_ERROR * size))
        missing += int(np.count_nonzero(gone))
        moving += int(np.count_nonzero(some))
        angle_sum += float(_angles(found[:, some], true[:, some]).sum())
        if some.any():
            along = np.sum(found * true, axis=0)[some] / size[some]
            roi_errors.append(abs(float(along.sum()) - float(size.sum())) / float(size.sum()))
    # Standing and breathing waves have no true displacement: nothing is relative to it.
    travels = true_sum > 0
    nan = float("nan")
    coverage_x, coverage_y = (
        (_coverage(*(np.concatenate([s[k][c] for s in samples]) for k in (0, 1))) for c in (0, 1))
        if samples
        else (None, None)
    )
    return FlowScores(
        pairs=int(present.sum()),
        epe_px=epe_sum / total,
        epe_relative=epe_sum / true_sum if travels else nan,
        angle_error_degree=angle_sum / moving if travels else nan,
        roi_speed_error_percent=100 * float(np.mean(roi_errors)) if travels else nan,
        share_over_10_percent=large / total if travels else nan,
        missing_share=missing / total,
        coverage_x=coverage_x,
        coverage_y=coverage_y,
    )


def _together(*series: Iterable[Any]) -> Iterable[tuple[Any, ...]]:
    try:
        yield from zip(*series, strict=True)
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise UemError(
            "flow: the number of pairs differs from the truth's; "
            "evaluate against the truth of the same run"
        ) from error


def _pixels(field: Any, mask: np.ndarray) -> np.ndarray:
    values = np.asarray(field)
    if values.shape != (2, *mask.shape):
        raise UemError(
            f"flow: found a pair of shape {values.shape}, the truth mask has {mask.shape}; "
            "evaluate against the truth of the same run"
        )
    return values[:, mask].astype(np.float64)


def _angles(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Absolute angle between vectors (2, n), degree; 90 for a zero vector found."""
    cross = true[0] * found[1] - true[1] * found[0]
    dot = true[0] * found[0] + true[1] * found[1]
    angle = np.degrees(np.abs(np.arctan2(cross, dot)))
    return np.where((found == 0).all(axis=0), 90.0, angle)


def _coverage(error: np.ndarray, sd: np.ndarray) -> Coverage | None:
    if error.size < FIFTHS:
        return None
    order = np.argsort(sd, kind="stable")
    error, sd = np.abs(error[order]), sd[order]
    fifths = list(zip(np.array_split(error, FIFTHS), np.array_split(sd, FIFTHS), strict=True))
    return Coverage(
        one_sigma=float(np.mean(error <= sd)),
        two_sigma=float(np.mean(error <= 2 * sd)),
        fifth_sd=tuple(float(np.sqrt(np.mean(s * s))) for _, s in fifths),
        fifth_error=tuple(float(np.sqrt(np.mean(e * e))) for e, _ in fifths),
        fifth_one_sigma=tuple(float(np.mean(e <= s)) for e, s in fifths),
    )


def forward_backward_error(forward: np.ndarray, backward: np.ndarray, mask: np.ndarray) -> float:
    """Mean distance by which going forward and back misses the start.

    Parameters
    ----------
    forward, backward : ndarray, (2, y, x)
        Displacement in px from first to second frame and back, finite.
    mask : ndarray of bool, (y, x)
        Pixels that count; those that leave the image do not.

    Returns
    -------
    float
        ``mean |forward(r) + backward(r + forward(r))|``, px; NaN if no pixel counts. Zero for zero
        flow, so read it beside the endpoint error only.

    Examples
    --------
    >>> import numpy as np
    >>> flow = np.ones((2, 8, 8))
    >>> forward_backward_error(flow, -flow, np.ones((8, 8), bool))
    0.0
    """
    use = mask & ~leaves_image(forward)
    if not use.any():
        return float("nan")
    gap = forward + remap(backward, forward)
    return float(np.hypot(gap[0][use], gap[1][use]).mean())


def warp_error(first: np.ndarray, second: np.ndarray, flow: np.ndarray, mask: np.ndarray) -> float:
    """Measure what is left of a wave frame after taking off the second one, carried back.

    Parameters
    ----------
    first, second : ndarray, (y, x)
        Band-passed wave, unit 1.
    flow : ndarray, (2, y, x)
        Displacement in px: ``first(r) = second(r + flow(r))``.
    mask : ndarray of bool, (y, x)
        Pixels that count; those that leave the image do not.

    Returns
    -------
    float
        Root mean square of ``first(r) - second(r + flow(r))`` over that of ``first``; NaN if no
        pixel counts. It falls when a flow follows noise: read it beside the endpoint error.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.sin(np.arange(64.0) / 5)[None].repeat(8, 0)
    >>> warp_error(wave, wave, np.zeros((2, 8, 64)), np.ones((8, 64), bool)) < 1e-6
    True
    """
    use = mask & ~leaves_image(flow) & np.isfinite(first) & np.isfinite(second)
    if not use.any():
        return float("nan")
    left = (first - remap(second, flow, cubic=True))[use]
    strength = float(np.sqrt(np.mean(np.square(first[use], dtype=np.float64))))
    return float(np.sqrt(np.mean(np.square(left, dtype=np.float64)))) / strength
