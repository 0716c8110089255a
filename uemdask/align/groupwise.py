"""Groupwise registration: drift of all frames at once, from what holds still in the sample.

After a first alignment the spectrum of a patch of frame t is

    F(t) = mean + e(t) . slope + change(t) + noise(t)

with an error e(t) of the drift that all patches and frequencies share, the slope of the mean image,
and what changes in the sample: bend contours move slowly, a wave swings in its band. Where and how
fast a (patch, frequency) changes is not known beforehand, but a series shows it. So the course in
time is expanded in cosines (DCT), and for each of their orders the power of what is left is pooled
over neighbouring orders and spatial frequencies: an estimate S of change and noise there. Fits of
e weigh by ``noise / S**2``, and e and S are found in turn.

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

from uemdask.align.drift_search import correlation, reach_of, search_path
from uemdask.align.patch_spectra import PatchSpectra, common_rectangle

_ROUNDS = 10
"""Alignments at most; 3 to 5 are usual."""

_TURNS = 3
"""Weights and errors found in turn in each round."""

_CONVERGED = 0.01
"""Largest change in px that ends the rounds."""

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

_CELLS = 16_000_000
"""Spectral values of all frames held at once: 128 MB, four times that at the peak."""

_OVERLAP = 2.0
"""Standard error over that of independent values: patches overlap by half and their window
correlates neighbouring frequencies. Measured on texture with noise alone."""


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
    drift = start
    if search:
        drift = search_path(contrast, drift, shaded)
        # Blocks are sharper now.
        drift = search_path(contrast, drift, shaded) if not np.array_equal(drift, start) else drift
    votes = np.zeros(count)
    for _ in range(_RELOCATIONS):
        settled = _settle(contrast, drift, shaded)
        if settled is None:
            return nothing
        drift, patches, fit = settled
        away, votes = _away(contrast, drift, patches, fit)
        if not away.any():
            break
        drift = drift + away
    return RefinedDrift(drift, fit.error, votes)


def _settle(
    contrast: np.ndarray, drift: npt.NDArray[np.float64], shaded: npt.NDArray[np.bool_] | None
) -> tuple[npt.NDArray[np.float64], PatchSpectra, _Fit] | None:
    """Fit and align in turn until the drift changes no more."""
    stage = 0
    settled = None
    for _ in range(_ROUNDS):
        patches = _patches(contrast, drift, shaded)
        fit = None if patches is None else _fit(contrast, drift, patches, stage)
        if patches is None or fit is None:
            return None
        drift = drift - np.clip(fit.step, -2.0, 2.0)
        settled = drift, patches, fit
        change = np.abs(fit.step).max()
        if change < _CONVERGED and stage == 2:
            break
        if change < _COARSE:
            stage = min(stage + 1, 2)
    return settled


def _patches(
    contrast: np.ndarray, drift: npt.NDArray[np.float64], shaded: npt.NDArray[np.bool_] | None
) -> PatchSpectra | None:
    """Patches of what all frames cover, as many as memory allows."""
    rectangle = common_rectangle(contrast.shape[1:], drift)
    patches = PatchSpectra(rectangle, shaded=shaded)
    if not patches.size:
        return None
    most = int(np.sqrt(_CELLS / (len(contrast) * patches.double.size)))
    if most >= 7:
        return patches
    fewer = PatchSpectra(rectangle, most=max(2, most), shaded=shaded)
    return fewer if fewer.size else None


@dataclass(frozen=True, slots=True)
class _Fit:
    """Error of the drift (t, 2), its standard error, and how much each frequency stays."""

    step: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    still: npt.NDArray[np.float32]


def _away(
    contrast: np.ndarray,
    drift: npt.NDArray[np.float64],
    patches: PatchSpectra,
    fit: _Fit,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where single frames fit the still part of all others better than where they are.

    Returns how far they are away, px, and the votes of each frame for where it is.
    """
    count = len(contrast)
    away = np.zeros((count, 2))
    confirmed = np.empty(count)
    reach = reach_of(patches)
    spectra = [patches.of(patches.moved(contrast[t], drift[t]))[0] for t in range(count)]
    total = np.sum(spectra, axis=0)
    # Whitened, the texture's own correlation is a narrow peak and no broad hill.
    power = scipy.ndimage.uniform_filter(total.real**2 + total.imag**2, (1, 3, 3), mode="nearest")
    still = fit.still / np.sqrt(np.maximum(power, 1e-30))
    for t, spectrum in enumerate(spectra):
        # A frame must not vote for itself.
        others = still * (total - spectrum)
        surface = correlation(patches, np.conj(others) * spectrum, reach)
        row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
        middle = surface[reach - 1 : reach + 2, reach - 1 : reach + 2].max()
        confirmed[t] = middle
        if surface[row, column] > middle + _MARGIN:
            away[t] = column - reach, row - reach
    return away, confirmed


def _fit(
    contrast: np.ndarray, drift: npt.NDArray[np.float64], patches: PatchSpectra, stage: int
) -> _Fit | None:
    """Fit the error of the drift of every frame."""
    count = len(contrast)
    spectra = np.empty((count, patches.patches, *patches.used.shape), np.complex64)
    noise = np.empty((count, patches.patches), np.float32)
    mean: npt.NDArray[np.float32] = np.zeros(patches.shape, np.float32)
    for t in range(count):
        moved = patches.moved(contrast[t], drift[t])
        mean += moved / np.float32(count)
        spectra[t], noise[t] = patches.of(moved)
    slope_x, slope_y = patches.slopes(mean)
    basis = scipy.fft.dct(np.eye(count), axis=0, norm="ortho")[1:]
    orders = scipy.fft.dct(spectra.view(np.float32), axis=0, norm="ortho", overwrite_x=True)
    orders = orders.view(np.complex64)[1:]
    del spectra
    floor = (basis**2 @ noise).astype(np.float32)[:, :, None, None]
    floor = np.maximum(floor, 1e-30)

    xx, yy, xy = (
        _real_product(a, b) for a, b in ((slope_x, slope_x), (slope_y, slope_y), (slope_x, slope_y))
    )
    template = patches.of(mean)[0]
    size = scipy.ndimage.uniform_filter(
        template.real**2 + template.imag**2, (1, 3, 3), mode="nearest"
    )
    size = np.maximum(size, 1e-30)
    # The signal's share (Wiener filter) keeps the mean's own noise out.
    share = np.maximum(1.0 - noise.mean(axis=0)[:, None, None] / count / size, 0.0)
    share *= np.minimum(patches.usual(size) / size, 1.0)
    error = np.zeros((count - 1, 2), np.float32)
    for _ in range(_TURNS):
        rest = orders - error[:, 0, None, None, None] * slope_x
        rest -= error[:, 1, None, None, None] * slope_y
        left = rest.real**2 + rest.imag**2
        scale = np.maximum(_pooled(left), floor)
        # The mean's slope says nothing of a fringe that was elsewhere for half of the series.
        lasting = np.float32(1.0)
        if stage > 1:
            change = np.maximum(left.mean(axis=0) - floor.mean(axis=0), 0.0)
            change = scipy.ndimage.uniform_filter(change, (1, 3, 3), mode="nearest")
            lasting = size / (size + change)
        power = min(stage, 1) + 1
        weight = patches.double * share * lasting * floor ** (power - 1) / scale**power
        right = np.stack(
            [
                np.einsum("mpij,mpij->m", weight, _real_product(slope, orders), dtype=np.float64)
                for slope in (slope_x, slope_y)
            ],
            axis=1,
        )
        normal = _quadratic(weight, xx, yy, xy)
        if not np.isfinite(normal).all() or np.linalg.eigvalsh(normal).min() <= 0:
            return None
        error = np.linalg.solve(normal, right[..., None])[..., 0].astype(np.float32)
    inverse = np.linalg.inv(normal)
    # A value counted twice for both halves of the plane has half the variance.
    middle = _quadratic(weight**2 * scale / np.maximum(patches.double, 1.0), xx, yy, xy)
    covariance = _OVERLAP**2 * inverse @ middle @ inverse
    variance = (basis.T**2) @ covariance[:, [0, 1], [0, 1]]
    # What stays: frequencies that neither contours nor a wave change, relative to their noise.
    still = noise.mean(axis=0)[:, None, None] / np.maximum(scale.mean(axis=0), 1e-30)
    still = (patches.used * share * np.minimum(still, 1.0) ** 2).astype(np.float32)
    return _Fit(
        basis.T @ error.astype(np.float64),
        np.sqrt(variance),
        still,
    )


def _pooled(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean over neighbouring orders (first axis) and spatial frequencies (last two)."""
    count = len(power)
    order = np.arange(count)
    half = np.maximum(1, (_NEIGHBOURS * (order + 1)).astype(int))
    low, high = np.maximum(order - half, 0), np.minimum(order + half + 1, count)
    running = np.concatenate([np.zeros_like(power[:1]), np.cumsum(power, axis=0)])
    pooled = (running[high] - running[low]) / (high - low)[:, None, None, None].astype(np.float32)
    return scipy.ndimage.uniform_filter(pooled, (1, 1, 3, 3), mode="nearest")


def _quadratic(
    weight: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray
) -> npt.NDArray[np.float64]:
    """Matrices (order, 2, 2) of weighted products of the slopes."""
    flat = weight.reshape(len(weight), -1)
    a, b, c = (np.asarray(flat @ each.ravel(), np.float64) for each in (xx, yy, xy))
    return np.stack([np.stack([a, c], -1), np.stack([c, b], -1)], -2)


def _real_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Real part of ``conj(first) * second``."""
    return first.real * second.real + first.imag * second.imag
