"""How much light passes at the soft edge of a shade that stands still while the sample drifts.

A place of the sample that drifts along such an edge brightens and dims by the slope of the shade
times the drift, as a wave would. What depends on the place on the detector can be told from what
depends on the place in the sample, as drift moves one over the other [1]_.

References
----------
.. [1] J. R. Kuhn, H. Lin and D. Loranz, "Gain calibrating nonuniform image-array data using only
   the image data", PASP 103, 1097 (1991), doi:10.1086/132932.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from scipy.optimize import nnls

from uemdask.align.shift import sample_nearest, sample_shifted

_FARTHEST = 0.35
"""How far light is told from the dark, of the smaller side of the frame."""

_BORDER_SIGMA = 4.0
"""Gaussian, px, of the distance from the dark, whose border follows the contours of the sample."""

_KNOT_GROWTH = 0.15
"""Of the steps between knots, per px away from the dark; the first ones are of 1 px."""

_PIXELS = 6000
"""Pixels looked at, at most, of a shade."""

_FEWEST = 200
"""Below, a shade is too small to tell."""

_SHADES = 16
"""Shades looked at, the largest ones."""

_LEAST_SLOPE = 0.004
"""Slope of the logarithm, 1/px, from which there is a penumbra: times a drift within a period of a
few tenths of a px that is a fiftieth of a weak wave. Less is found where contours move."""

_SIGNIFICANT = 10.0
"""Slope over its standard error of independent pixels; waves and contours are not independent."""

_DARKENED = 0.7
"""Share of the light at the border of the dark from which there is no penumbra: less slope is what
waves and contours beside a hard edge, or one that moves with the sample, look like."""

_BATCH = 500
"""Places worked on together."""


class Penumbra:
    """Finds the light past shades from frames of a drifting sample, given one after the other.

    The logarithm of the light falls towards the dark along a broken line over the distance, alike
    all around a shade. It is fitted to the logarithm of the counts of places in the sample, each
    with a level and a trend of its own, so that what changes slowly in the sample is left out.

    Parameters
    ----------
    shaded : ndarray of bool, shape (y, x)
        Areas of the detector that no beam reaches, from `find_shaded`.
    reference : ndarray, shape (y, x)
        Counts of the aligned sample.
    unlit : ndarray of bool, shape (y, x)
        Pixels of it that say nothing.
    """

    def __init__(
        self,
        shaded: npt.NDArray[np.bool_],
        reference: npt.NDArray[np.float32],
        unlit: npt.NDArray[np.bool_],
    ) -> None:
        away, nearest = distance_transform_edt(~shaded, return_indices=True)
        inwards = distance_transform_edt(shaded)
        self._away = gaussian_filter((away - inwards).astype(np.float32), _BORDER_SIGMA)
        names, count = label(shaded)
        self._shade = names[tuple(nearest)]
        self._knots = _knots(_FARTHEST * min(shaded.shape))
        near = (self._away < self._knots[-1]) & ~unlit & (reference > 0)
        sizes = np.bincount(self._shade[near], minlength=count + 1)
        order = np.argsort(sizes)[::-1][:_SHADES]
        rng = np.random.default_rng(0)
        self._places: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for name in order[sizes[order] >= _FEWEST]:
            rows, columns = np.nonzero(near & (self._shade == name))
            chosen = rng.permutation(len(rows))[:_PIXELS]
            self._places[int(name)] = rows[chosen], columns[chosen]
        self._reference = reference
        self._seen: dict[int, list[np.ndarray]] = {name: [] for name in self._places}

    def add(
        self,
        image: npt.NDArray[np.float32],
        hidden: npt.NDArray[np.bool_],
        drift: npt.NDArray[np.float64],
        gain: float,
    ) -> None:
        """Look at a frame as recorded.

        Parameters
        ----------
        image : ndarray of float32, shape (y, x)
            Counts.
        hidden : ndarray of bool, shape (y, x)
            Pixels that the frame does not show.
        drift : ndarray, shape (2,)
            (x, y), px.
        gain : float
            Brightness factor.
        """
        # The logarithm of few counts is too small; what is hidden must not bleed.
        known = cv2.GaussianBlur((~hidden).astype(np.float32), (0, 0), 1.0)
        calm = cv2.GaussianBlur(np.where(hidden, np.float32(0), image), (0, 0), 1.0)
        calm /= np.maximum(known, np.float32(1e-6))
        moved, covered = sample_shifted(calm, drift)
        covered &= ~sample_nearest(hidden, drift, (0, 0), hidden.shape)
        covered &= moved > 0
        away, _ = sample_shifted(self._away, drift)
        for name, places in self._places.items():
            reference = self._reference[places]
            counts = np.where(covered[places], moved[places] / reference / gain, 1.0)
            weight = np.where(covered[places], reference, 0.0)
            self._seen[name].append(np.stack([np.log(counts), away[places], weight]))

    def light(self) -> npt.NDArray[np.float32]:
        """Share of the light that passes, (y, x), 0..1, on the detector."""
        share = np.ones(self._away.shape, np.float32)
        for name, seen in self._seen.items():
            change, away, weight = np.stack(seen, axis=1)
            slopes = fitted_slopes(change, away, weight, self._knots)
            if slopes.any():
                there = self._shade == name
                share[there] = np.exp(-_missing(self._away[there], self._knots) @ slopes)
        return share


def _knots(farthest: float) -> npt.NDArray[np.float64]:
    """Distances, px, between which the logarithm of the light is a straight line."""
    knots = [-3.0]
    while knots[-1] < farthest:
        knots.append(knots[-1] + max(1.0, _KNOT_GROWTH * knots[-1]))
    return np.array(knots)


def _missing(away: np.ndarray, knots: np.ndarray) -> npt.NDArray[np.float64]:
    """Length (..., step) of each step between knots that lies beyond a distance, px."""
    return np.clip(knots[1:] - np.asarray(away, np.float64)[..., None], 0, np.diff(knots))


def fitted_slopes(
    change: np.ndarray, away: np.ndarray, weight: np.ndarray, knots: Sequence[float] | np.ndarray
) -> npt.NDArray[np.float64]:
    """Slopes of the logarithm of the light over the distance from the dark.

    Parameters
    ----------
    change : ndarray, shape (time, place)
        Logarithm of the counts of places in the sample, up to a constant and a trend for each.
    away : ndarray, shape (time, place)
        Distance from the dark of where they are seen on the detector, px.
    weight : ndarray, shape (time, place)
        Inverse variance up to a factor; 0 where a place is not seen.
    knots : sequence of float
        Distances at which the slope may change, px, rising.

    Returns
    -------
    ndarray, shape (steps,)
        Between knots, 1/px; 0 or more, 0 beyond the penumbra, and 0 where there is none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> place, drift = rng.uniform(0, 8, 300), rng.normal(0, 1, (20, 1))
    >>> away = place + drift
    >>> change = -0.1 * np.clip(4 - away, 0, None)
    >>> fitted_slopes(change, away, np.ones(away.shape), [-4, 0, 4, 8]).round(3) + 0
    array([0.1, 0.1, 0. ])
    """
    knots = np.asarray(knots, np.float64)
    steps = len(knots) - 1
    time = np.linspace(-1, 1, len(change))
    own = np.stack([np.ones_like(time), time], axis=1)
    gram = np.zeros((steps + 1, steps + 1))
    seen = 0
    for start in range(0, change.shape[1], _BATCH):
        part = slice(start, start + _BATCH)
        w = np.sqrt(weight[:, part].T)[..., None]
        design = np.concatenate(
            [-_missing(away[:, part].T, knots), change[:, part].T[..., None]], axis=2
        )
        base, design = w * own, w * design
        normal = base.transpose(0, 2, 1) @ base
        size = np.trace(normal, axis1=1, axis2=2)[:, None, None]
        normal += (1e-9 * size + 1e-30) * np.eye(2)
        design -= base @ np.linalg.solve(normal, base.transpose(0, 2, 1) @ design)
        flat = design.reshape(-1, steps + 1)
        gram += flat.T @ flat
        seen += int(np.count_nonzero(w)) - 2 * len(w)
    A, b = gram[:-1, :-1], gram[:-1, -1]
    scale = float(np.trace(A)) / steps
    if scale <= 0 or seen <= steps:
        return np.zeros(steps)
    # What is not seen goes on as beside it.
    change_of_slope = np.diff(np.eye(steps), axis=0)
    A = A + scale * (1e-4 * change_of_slope.T @ change_of_slope + 1e-9 * np.eye(steps))
    root = np.linalg.cholesky(A)
    slopes, _ = nnls(root.T, np.linalg.solve(root, b))
    variance = max(gram[-1, -1] - 2 * slopes @ b + slopes @ A @ slopes, 0.0) / seen
    error = np.sqrt(variance * np.diag(np.linalg.inv(A)))
    # From the dark outwards to where there is no slope any more.
    steep = slopes > np.maximum(_LEAST_SLOPE, _SIGNIFICANT * error)
    first = int(np.argmax(steep))
    end = first + int(np.argmin(np.append(steep[first:], False)))
    slopes[end:] = 0
    dark = slopes @ _missing(np.min(away, where=weight > 0, initial=knots[-1]), knots)
    return slopes if np.exp(-dark) < _DARKENED else np.zeros(steps)
