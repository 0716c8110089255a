"""Groupwise registration: drift of all frames at once, from what holds still in the sample.

After a first alignment the spectrum of a patch of frame t is

    F(t) = mean + e(t) . slope + change(t) + noise(t)

with an error e(t) of the drift that all patches and frequencies share, the slope of the mean image,
and what changes in the sample: bend contours move slowly, a wave swings in its band. Where and how
fast a (patch, frequency) changes is not known beforehand, but a series shows it. So the course in
time is expanded in cosines (DCT), and for each of their orders the power of what is left is pooled
over neighbouring orders and spatial frequencies: an estimate S of change and noise there. Fits of
e weigh by ``noise / S**2``, and e and S are found in turn.

Patches are transformed once, see :mod:`uemdask.align.patch_spectra`; a round turns their phases,
sums over blocks of neighbouring frequencies, and finds weights and errors from those sums.

So texture and contours both fix the quick part of the drift, where contours stand still; of the
slow part, contours have no say; and a wave loses its vote in its band only. This is the
maximum-likelihood fit of a scale mixture (Student's t with pooled degrees of freedom [1]_), with
weights that fall faster.

A fringe that is far stronger than the texture would decide alone wherever it changes little, so no
frequency has more say than is usual at its spatial frequency (bounded leverage).

References
----------
.. [1] K. L. Lange, R. J. A. Little and J. M. G. Taylor, "Robust statistical modeling using the t
   distribution", J. Am. Stat. Assoc. 84, 881-896 (1989), doi:10.1080/01621459.1989.10478852.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from uemdask.align.drift_search import reach_of, search_path
from uemdask.align.patch_spectra import power_of, real_product
from uemdask.align.series_spectra import SeriesSpectra

_ROUNDS = 8
"""Alignments at most; 3 are usual."""

_TURNS = 3
"""Weights and errors found in turn in each stage of a round."""

_CONVERGED = 0.03
"""Largest change in px that ends the rounds; the next would be a tenth of it."""

_RELOCATIONS = 4
"""Searches for frames that were lost, each followed by a fit."""

_MARGIN = 5.0
"""Standard deviations by which another place must be better for a frame to go there."""

_SURE = 16.0
"""Usual votes from which a fit is taken without a look from elsewhere. At the right place frames
of 192 px have some 25 and those of 128 px 16 to 21; where all went with the contours, 6 to 13."""

_SLOW = 4.0
"""Frames, sigma, over which contours move: what a start from elsewhere leaves out."""

_COARSE = 0.1
"""Largest change in px below which weights fall faster."""

LEAST_VOTES = 7.0
"""Votes below which a frame does not show the sample: one frame of noise has 4 to 5 at its best
place, one with 30 % noise on a texture of 3 % has 19 in 192 x 192 px."""

_SHARE_OF_USUAL = 0.45
"""Share of the usual votes below which a frame does not show what the others do."""

_NEIGHBOURS = 0.25
"""Neighbouring orders pooled to either side, of the order; one at least."""


@dataclass(frozen=True, slots=True)
class RefinedDrift:
    """Drift of a series.

    Attributes
    ----------
    drift : ndarray, shape (t, 2)
        (x, y) px, up to a constant.
    error : ndarray, shape (t, 2)
        Standard error from noise and from what changes in the sample, px; infinite where nothing
        could be fitted and `drift` is the start.
    votes : ndarray, shape (t,)
        Correlation of each frame with what holds still in all others, in standard deviations of
        the same at wrong places; 0 where nothing could be fitted.
    """

    drift: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    votes: npt.NDArray[np.float64]


def refine_drift(
    contrast: np.ndarray,
    start: npt.NDArray[np.float64],
    *,
    search: bool = True,
    shaded: npt.NDArray[np.bool_] | None = None,
) -> RefinedDrift:
    """Refine the drift of a series.

    Parameters
    ----------
    contrast : ndarray of float32, shape (t, y, x)
        Frames as recorded, by :func:`uemdask.align.patch_spectra.local_contrast`.
    start : ndarray, shape (t, 2)
        (x, y) px.
    search : bool
        First look for the texture over some 20 px, where the start may have followed contours.
    shaded : ndarray of bool, shape (y, x), optional
        Areas of the frames that show nothing.

    Returns
    -------
    RefinedDrift

    Examples
    --------
    >>> import cv2
    >>> random = np.random.default_rng(0)
    >>> scene = cv2.GaussianBlur(random.random((80, 90), np.float32), (0, 0), 2) - np.float32(0.5)
    >>> frames = np.stack([scene[8:72, 8 - s : 72 - s] for s in (0, 1, 2, 3)])
    >>> refine_drift(frames, np.zeros((4, 2))).drift[:, 0].round(1).tolist()
    [-1.5, -0.5, 0.5, 1.5]
    """
    start = np.asarray(start, np.float64)
    found = _refine(contrast, start, shaded, search=search)
    if search and np.isfinite(found.error).any():
        # Without what may be the contours' own motion, and without the start.
        slow = scipy.ndimage.gaussian_filter1d(start, _SLOW, axis=0, mode="nearest")
        for other in (start - slow, np.zeros_like(start)):
            if np.median(found.votes) < _SURE:
                also = _refine(contrast, other, shaded, search=True)
                found = max(found, also, key=lambda fit: float(np.median(fit.votes)))
    kept = found.votes >= max(LEAST_VOTES, _SHARE_OF_USUAL * float(np.median(found.votes)))
    if kept.all() or kept.sum() < max(2, len(kept) / 2):
        return found
    # Frames that do not belong would count as change of the sample in all the others.
    error, votes, drift = np.full_like(found.error, np.inf), found.votes, found.drift
    votes = np.where(kept, votes, 0.0)
    again = _refine(contrast[kept], found.drift[kept], shaded, search=False)
    drift[kept], error[kept], votes[kept] = again.drift, again.error, again.votes
    return RefinedDrift(drift, error, votes)


def _refine(
    contrast: np.ndarray,
    start: npt.NDArray[np.float64],
    shaded: npt.NDArray[np.bool_] | None,
    *,
    search: bool,
) -> RefinedDrift:
    count = len(contrast)
    nothing = RefinedDrift(start, np.full((count, 2), np.inf), np.zeros(count))
    if count < 2:
        return nothing
    drift, series = start, SeriesSpectra(contrast, shaded)
    if search:
        drift = search_path(series, drift)
        # Blocks are sharper now.
        drift = search_path(series, drift) if not np.array_equal(drift, start) else drift
    votes = np.zeros(count)
    for _ in range(_RELOCATIONS):
        settled = _settle(series, drift)
        if settled is None:
            return nothing
        drift, fit = settled
        away, votes = _away(series, drift, fit)
        if not away.any():
            break
        drift = drift + away
    return RefinedDrift(drift, fit.error, votes)


def _settle(
    series: SeriesSpectra, drift: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], _Fit] | None:
    """Fit and align in turn until the drift changes no more."""
    settled = None
    fine = False
    for _ in range(_ROUNDS):
        exact = fine
        sums = _sums(series, drift) if series.lay_out(drift, exact=exact) else None
        fit = None if sums is None else _fit(sums, fine=fine)
        if fit is None:
            return None
        drift = drift - np.clip(fit.step, -2.0, 2.0)
        settled = drift, fit
        fine = fit.fine
        if exact and fine and np.abs(fit.step).max() < _CONVERGED:
            break
    return settled


@dataclass(frozen=True, slots=True)
class _Fit:
    """Error of the drift (t, 2), its standard error, and how much each block stays.

    `fine` where the weights were those of the last stage.
    """

    step: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    still: npt.NDArray[np.float32]
    fine: bool


def _away(
    series: SeriesSpectra, drift: npt.NDArray[np.float64], fit: _Fit
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where single frames fit the still part of all others better than where they are.

    Returns how far they are away, px, and the votes of each frame for where it is.
    """
    patches = series.patches
    count = len(drift)
    away = np.zeros((count, 2))
    confirmed = np.empty(count)
    reach = reach_of(patches)
    products = np.zeros((count, patches.kx.size), np.complex64)
    for patch, spectra in enumerate(series.moved(drift)):
        total = spectra.sum(axis=0)
        # Whitened, the texture's own correlation is a narrow peak and no broad hill.
        power = patches.pooled(power_of(total))
        still = (fit.still[patch] / np.sqrt(np.maximum(power, 1e-30)))[patches.block]
        # A frame must not vote for itself.
        products += spectra * (still * np.conj(total))
        products.real -= still * power_of(spectra)
    for t, product in enumerate(products):
        surface = patches.correlation(product, reach)
        row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
        middle = surface[reach - 1 : reach + 2, reach - 1 : reach + 2].max()
        confirmed[t] = middle
        if surface[row, column] > middle + _MARGIN:
            away[t] = column - reach, row - reach
    return away, confirmed


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a fit needs to know: means over blocks of frequencies, by patch and block.

    Attributes
    ----------
    power : ndarray, shape (order, patch, block)
        Of the course in time, without its mean.
    along_x, along_y : ndarray, shape (order, patch, block)
        Product with the slopes.
    xx, yy, xy, size : ndarray, shape (patch, block)
        Products of the slopes; power of the mean; at the largest what is usual there.
    usual : ndarray, shape (patch, block)
        Share of `size` that counts: no more than is usual at its spatial frequency.
    noise : ndarray, shape (t, patch)
    number : ndarray, shape (block,)
        Values of a block.
    redundancy : float
        See `PatchSpectra`.
    """

    power: npt.NDArray[np.float32]
    along_x: npt.NDArray[np.float32]
    along_y: npt.NDArray[np.float32]
    xx: npt.NDArray[np.float32]
    yy: npt.NDArray[np.float32]
    xy: npt.NDArray[np.float32]
    size: npt.NDArray[np.float32]
    usual: npt.NDArray[np.float32]
    noise: npt.NDArray[np.float32]
    number: npt.NDArray[np.float32]
    redundancy: float


def _sums(series: SeriesSpectra, drift: npt.NDArray[np.float64]) -> _Sums:
    """Sum over blocks of frequencies, at a drift."""
    patches, count = series.patches, len(drift)
    basis = _cosines(count)
    shape = patches.patches, patches.values_of_block.size
    power: npt.NDArray[np.float32] = np.empty((count - 1, *shape), np.float32)
    along = np.empty((2, count, *shape), np.float32)
    squares = np.empty((4, *shape), np.float32)
    sizes = np.empty((patches.patches, patches.kx.size), np.float32)
    for patch, spectra in enumerate(series.moved(drift)):
        mean = spectra.mean(axis=0)
        x, y = patches.slopes(mean)
        sizes[patch] = power_of(mean)
        squares[:, patch] = patches.pooled(
            np.stack([power_of(x), power_of(y), real_product(x, y), sizes[patch]])
        )
        for number, slope in enumerate((x, y)):
            along[number, :, patch] = patches.pooled_product(spectra, patches.double * slope)
        course = (basis @ spectra.view(np.float32)).view(np.complex64)
        power[:, patch] = patches.pooled_product(course, course)
    power /= patches.number_of_block
    along /= patches.values_of_block
    flat = basis @ along.reshape(2, count, -1)
    usual = patches.usual(squares[3][:, patches.block])
    usual_size = patches.pooled(usual)
    along_x, along_y = flat.reshape(2, count - 1, *shape)
    xx, yy, xy, size = squares
    size = np.maximum(size, 1e-30)
    return _Sums(
        power,
        along_x,
        along_y,
        xx,
        yy,
        xy,
        size,
        np.minimum(usual_size / size, 1.0),
        series.noise,
        patches.values_of_block,
        patches.redundancy,
    )


def _cosines(count: int) -> npt.NDArray[np.float32]:
    """Orthonormal cosines (order, t), without the constant."""
    return np.asarray(scipy.fft.dct(np.eye(count), axis=0, norm="ortho")[1:], np.float32)


def _fit(sums: _Sums, *, fine: bool) -> _Fit | None:
    """Fit the error of the drift of every frame.

    Weights fall fast, and what lasts counts, from the start where `fine`; else as soon as the
    error is small.
    """
    count = len(sums.noise)
    basis = _cosines(count)
    floor = np.maximum((basis**2 @ sums.noise)[:, :, None], 1e-30)
    # The signal's share (Wiener filter) keeps the mean's own noise out.
    share = np.maximum(1.0 - sums.noise.mean(axis=0)[:, None] / count / sums.size, 0.0)
    share *= sums.usual * sums.number
    error = np.zeros((count - 1, 2), np.float32)
    for stage in (2,) if fine else (0, 1, 2):
        for _ in range(_TURNS):
            ex, ey = error[:, 0, None, None], error[:, 1, None, None]
            left = sums.power - 2 * (ex * sums.along_x + ey * sums.along_y)
            left += ex**2 * sums.xx + ey**2 * sums.yy + 2 * ex * ey * sums.xy
            np.maximum(left, 0.0, out=left)
            scale = np.maximum(_pooled(left), floor)
            weight = share / scale
            if stage:
                weight *= floor / scale
            # The mean's slope says nothing of a fringe that was elsewhere for half of the series.
            if stage > 1:
                change = np.maximum(left.mean(axis=0) - floor.mean(axis=0), 0.0)
                weight *= sums.size / (sums.size + change)
            right = np.stack([_total(weight, sums.along_x), _total(weight, sums.along_y)], axis=1)
            normal = _quadratic(weight, sums)
            if not np.isfinite(normal).all() or np.linalg.eigvalsh(normal).min() <= 0:
                return None
            error = np.linalg.solve(normal, right[..., None])[..., 0].astype(np.float32)
        if np.abs(basis.T @ error).max() > _COARSE:
            break
    inverse = np.linalg.inv(normal)
    middle = _quadratic(weight**2 * scale / sums.number, sums)
    covariance = sums.redundancy**2 * inverse @ middle @ inverse
    variance = (basis.T**2).astype(np.float64) @ covariance[:, [0, 1], [0, 1]]
    # What stays: frequencies that neither contours nor a wave change, relative to their noise.
    still = sums.noise.mean(axis=0)[:, None] / np.maximum(scale.mean(axis=0), 1e-30)
    still = share / sums.number * np.minimum(still, 1.0) ** 2
    return _Fit(
        basis.T.astype(np.float64) @ error,
        np.sqrt(variance),
        still.astype(np.float32),
        stage == 2,
    )


def _pooled(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean over neighbouring orders, the first axis."""
    count = len(power)
    order = np.arange(count)
    half = np.maximum(1, (_NEIGHBOURS * (order + 1)).astype(int))
    low, high = np.maximum(order - half, 0), np.minimum(order + half + 1, count)
    mean = np.zeros((count, count), np.float32)
    for row, (begin, end) in enumerate(zip(low, high, strict=True)):
        mean[row, begin:end] = 1.0 / (end - begin)
    return (mean @ power.reshape(count, -1)).reshape(power.shape)


def _total(weight: np.ndarray, values: np.ndarray) -> npt.NDArray[np.float64]:
    """Weighted sum (order,) over patches and blocks."""
    return np.einsum("mpb,mpb->m", weight, values, dtype=np.float64)


def _quadratic(weight: np.ndarray, sums: _Sums) -> npt.NDArray[np.float64]:
    """Matrices (order, 2, 2) of weighted products of the slopes."""
    flat = weight.reshape(len(weight), -1)
    a, b, c = (np.asarray(flat @ each.ravel(), np.float64) for each in (sums.xx, sums.yy, sums.xy))
    return np.stack([np.stack([a, c], -1), np.stack([c, b], -1)], -2)
