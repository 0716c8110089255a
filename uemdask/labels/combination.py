"""One label out of several estimates of the same displacement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError

RELATIVE_AGREEMENT = 0.25
"""Two estimates agree within this share of the displacement: the spread of good estimators."""

FLOOR_AGREEMENT_PX = 0.25
"""Two estimates agree within this distance in px whatever the displacement."""


def combine_labels(
    labels: Sequence[np.ndarray] | np.ndarray, confidences: Sequence[np.ndarray] | np.ndarray
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Merge estimates: the weighted mean where they agree, the more confident where they do not.

    Per pixel the most confident estimate leads. The others join a confidence-weighted mean with
    weight ``1 / (1 + (d / t)^4)`` by their distance ``d`` from it,
    ``t = 0.25 |leader| + 0.25 px``. The merged confidence is the leader's, times the share of the
    total confidence that stands behind the merged value: it falls where good estimates contradict.

    Parameters
    ----------
    labels : sequence of ndarray, each (..., 2, y, x)
        Displacements in px. Not finite values count as no estimate.
    confidences : sequence of ndarray, each (..., y, x)
        0..1.

    Returns
    -------
    label : ndarray of float32, (..., 2, y, x)
        0 where there is no estimate.
    confidence : ndarray of float32, (..., y, x)

    Raises
    ------
    UemError
        If there is no estimate or numbers or shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> good, bad = np.full((2, 1, 1), 2.0), np.full((2, 1, 1), -9.0)
    >>> trust = [np.full((1, 1), 0.9), np.full((1, 1), 0.1)]
    >>> label, confidence = combine_labels([good, bad], trust)
    >>> label.ravel().round(2), confidence.ravel().round(2)
    (array([2., 2.], dtype=float32), array([0.81], dtype=float32))
    """
    if len(labels) == 0 or len(labels) != len(confidences):
        raise UemError(
            f"labels: found {len(labels)} estimates and {len(confidences)} confidences; "
            "give one confidence for each estimate, at least one"
        )
    estimates, trusts = [], []
    for label, confidence in zip(labels, confidences, strict=True):
        if label.shape != labels[0].shape or confidence.shape != (
            *label.shape[:-3],
            *label.shape[-2:],
        ):
            raise UemError(
                f"labels: found label {label.shape} with confidence {confidence.shape} beside "
                f"label {labels[0].shape}; all estimates must cover the same pixels"
            )
        trust = np.nan_to_num(np.asarray(confidence, dtype=np.float32)).clip(0, 1)
        known = np.isfinite(label).all(axis=-3)
        trusts.append(np.where(known, trust, np.float32(0)))
        estimates.append(np.nan_to_num(np.asarray(label, np.float32), posinf=0, neginf=0))

    leader, most = estimates[0].copy(), trusts[0].copy()
    for estimate, trust in zip(estimates[1:], trusts[1:], strict=True):
        better = trust > most
        leader = np.where(better[..., None, :, :], estimate, leader)
        most = np.where(better, trust, most)

    reach = RELATIVE_AGREEMENT * np.linalg.norm(leader, axis=-3) + FLOOR_AGREEMENT_PX
    total = np.zeros_like(leader)
    weight_sum, trust_sum = np.zeros_like(most), np.zeros_like(most)
    for estimate, trust in zip(estimates, trusts, strict=True):
        ratio = np.linalg.norm(estimate - leader, axis=-3) / reach
        weight = trust / (1 + ratio**4)
        total += weight[..., None, :, :] * estimate
        weight_sum += weight
        trust_sum += trust
    some = weight_sum > 0
    merged = np.divide(
        total, weight_sum[..., None, :, :], out=np.zeros_like(total), where=some[..., None, :, :]
    )
    share = np.divide(weight_sum, trust_sum, out=np.zeros_like(most), where=some)
    return merged, (most * share).astype(np.float32)
