"""One displacement out of the network's and the labels', each with the weight of its variance."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

#: Sigma in px of the means over which the two estimates are compared.
_NEARBY = 8.0
_BINS = 12
_LEAST = 1e-4  # relative: no estimate is surer than that


class LabelError(NamedTuple):
    """Relative error of a label by its confidence c: ``floor + slope (1 - c)``, rms."""

    floor: float
    slope: float

    def deviation(self, label: np.ndarray, confidence: np.ndarray) -> npt.NDArray[np.float32]:
        """Return the standard deviation of each component (..., y, x), px; inf without trust.

        Parameters
        ----------
        label : ndarray, (..., 2, y, x)
            px.
        confidence : ndarray, (..., y, x)
            0..1.

        Examples
        --------
        >>> import numpy as np
        >>> label, sure = np.array([[[3.0]], [[4.0]]]), np.array([[0.9]])
        >>> LabelError(0.01, 0.2).deviation(label, sure).round(3)
        array([[0.106]], dtype=float32)
        """
        share = (self.floor + self.slope * (1 - confidence)) / np.sqrt(2)
        moved = np.hypot(label[..., 0, :, :], label[..., 1, :, :])
        known = (confidence > 0) & (moved > 0)
        return np.where(known, share * moved, np.inf).astype(np.float32)


def label_error(
    label: np.ndarray, confidence: np.ndarray, truth: np.ndarray, inside: np.ndarray
) -> LabelError:
    """Find how the error of labels follows from their confidence, where the truth is known.

    Parameters
    ----------
    label, truth : ndarray, (pair, 2, y, x)
        px.
    confidence : ndarray, (pair, y, x)
        0..1.
    inside : ndarray of bool, (pair, y, x)
        Where they count.

    Returns
    -------
    LabelError
        Of a line through the rms errors of pixels of equal confidence; it does not fall towards
        less confidence.

    Raises
    ------
    UemError
        If no pixel has a label.

    Examples
    --------
    >>> import numpy as np
    >>> truth, sure = np.ones((1, 2, 64, 64)), np.full((1, 64, 64), 0.8)
    >>> label = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape)
    >>> found = label_error(label, sure, truth, sure > 0)
    >>> round(found.floor, 2), found.slope
    (0.1, 0.0)
    """
    size = np.linalg.norm(truth, axis=1)
    used = inside & (confidence > 0) & (size > 0)
    if not used.any():
        raise UemError("labels: no pixel has any confidence, so their error cannot be told")
    doubt = 1 - confidence[used].astype(np.float64)
    square = np.square(np.linalg.norm(label - truth, axis=1)[used] / size[used])
    order = np.argsort(doubt)
    # Bins of as many pixels each, of which the bulk decides: labels have wild ones.
    parts = [part for part in np.array_split(order, _BINS) if part.size]
    at = np.array([doubt[part].mean() for part in parts])
    rms = np.array([_robust_rms(square[part]) for part in parts])
    slope = 0.0
    if np.ptp(at) > 1e-6:
        slope = max(float(np.polyfit(at, rms, 1)[0]), 0.0)
    floor = float(np.median(rms - slope * at))
    if floor < 0:
        floor, slope = 0.0, float((rms @ at) / max(at @ at, 1e-12))
    return LabelError(round(max(floor, _LEAST), 6), round(slope, 6))


def _robust_rms(square: np.ndarray) -> float:
    """Rms of two equal normal components whose squares sum to this, from the median."""
    return float(np.sqrt(np.median(square) / np.log(2)))


def fuse(
    flow: np.ndarray,
    flow_sd: np.ndarray,
    label: np.ndarray,
    label_sd: np.ndarray,
    *,
    binning: int = 1,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean of the network's displacement and the label, weighted by their variances.

    Where the two differ by more than both errors explain, the network is taken to be off: it has
    learnt other waves, while the label follows from the phase in these frames alone. So the
    difference beyond what was expected, in a mean over the neighbourhood, adds to the network's
    variance. What the two contradict each other by also adds to the deviation of the result.

    Parameters
    ----------
    flow, flow_sd : ndarray, (2, y, x)
        The network's displacement and its standard deviation, px.
    label : ndarray, (2, y, x)
        px.
    label_sd : ndarray, (y, x)
        Of each component, px; inf where there is no label.
    binning : int
        Edge of the squares, px, that all of them lie on.

    Returns
    -------
    flow, flow_sd : ndarray of float32, (2, y, x)
        px.

    Examples
    --------
    Equal variances: the middle, and a deviation less by the root of two.

    >>> import numpy as np
    >>> ones = np.ones((2, 8, 8), np.float32)
    >>> flow, sd = fuse(2.0 * ones, 0.2 * ones, 2.1 * ones, 0.2 * ones[0])
    >>> flow[0, 4, 4].round(3), sd[0, 4, 4].round(3)
    (np.float32(2.05), np.float32(0.141))
    """
    known = np.isfinite(label_sd)
    label_variance = np.where(known, np.square(np.where(known, label_sd, 0)), np.float32(0))
    variance = np.square(flow_sd, dtype=np.float32)
    apart = np.square(label - flow).sum(axis=0) - variance.sum(axis=0) - 2 * label_variance
    excess = np.maximum(_nearby(np.where(known, apart, 0), known, _NEARBY / binning), 0) / 2
    doubted = variance + excess
    total = doubted + label_variance
    share = np.divide(doubted, total, out=np.zeros_like(variance), where=known & (total > 0))
    fused = flow + share * (label - flow)
    contradiction = share * (1 - share) * excess
    sd = np.sqrt(
        np.square(1 - share) * variance + np.square(share) * label_variance + contradiction
    )
    return fused.astype(np.float32), sd.astype(np.float32)


def _nearby(image: np.ndarray, known: np.ndarray, sigma: float) -> npt.NDArray[np.float32]:
    """Return the mean of the known pixels around each one; 0 where there is none."""
    total, weight = (
        cv2.GaussianBlur(
            np.ascontiguousarray(part, np.float32), (0, 0), sigma,
            borderType=cv2.BORDER_REFLECT_101,
        )
        for part in (image, known)
    )  # fmt: skip
    out = np.zeros(image.shape, np.float32)
    return np.divide(total, weight, out=out, where=weight > 1e-3)
