"""Which pixels say something: counting noise, pixels that no beam reaches, and precision.

A ratio to a reference of next to no counts is a large random number, and a few of them outweigh a
frame. So a pixel counts with the precision that its counts give it, and where that is nothing, it
is unlit: never relevant, never valid, and no ratio is formed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

_LEAST_SHARE = 1 / 40
"""Share of the brightness below which a pixel is dark: there, scattered light and the error of the
offset are as large as what the sample does."""

_LEAST_LOCAL = 1 / 20
"""The same against the surroundings: what smoothing shows there comes from the neighbours."""

_SURROUNDINGS = 8.0
"""Gaussian of the surroundings, px."""

_LEAST_ELECTRONS = 1.0
"""Counts, in electrons per frame, below which a ratio means nothing, if others have far more."""

_FAR_MORE = 5.0

_RIM = 1
"""Width of the rim of a dark area, px; further out, the drift tells how much light passes."""

DARK = 0.1
"""Brightness, of the lit level, below which a shaded area is dark in a frame."""

SEEN = 0.5
"""Share of the frames that must show a pixel."""

_DENSITY = 0.6
"""Share of known pixels around a dark or hidden one from which it may be told by its neighbours: a
column two px wide has 0.62, the rim of a half-plane 0.5."""

_DENSITY_SIGMA = 2.0
"""Gaussian, px, of that: the smoothing of the wave."""

_PEDESTAL = 0.25
"""Variance over counts, as a share of the usual, below which the darkest counts are no light."""

_BINS = 12
"""Classes of brightness in which the noise is measured."""

_SAMPLE = 2**16
"""Pixels of a pair, about, in which it is measured: a percent in each class."""

_EQUAL = 0.02
"""Precision, as a share of that at the lit level, from which pixels count about alike. Weights that
follow every contour or a soft shadow would shift what is averaged, and change its phase."""


@dataclass(frozen=True, slots=True)
class CountingNoise:
    """How the camera counts: ``variance = read + quantum (counts - offset)``.

    Attributes
    ----------
    quantum : float
        Counts per electron, so far as frames are single; counts.
    read : float
        Variance without beam, counts squared.
    offset : float
        Counts without beam, where the noise shows some; 0 otherwise.
    """

    quantum: float
    read: float
    offset: float = 0.0

    def precision(self, counts: np.ndarray) -> npt.NDArray[np.float64]:
        """Square of the signal over its variance in one frame; unit 1."""
        signal = np.maximum(np.asarray(counts, np.float64) - self.offset, 0.0)
        return signal**2 / np.maximum(self.read + self.quantum * signal, 1e-30)


def lit_level(image: np.ndarray) -> float:
    """Brightness that the average electron sees: the mean of the counts weighted by the counts.

    Where all is lit, that is about the mean; dark parts have no say, however large.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Counts.

    Returns
    -------
    float
        Counts; 0 for an image without any.

    Examples
    --------
    >>> lit_level(np.array([[0.0, 0.0, 0.0, 400.0]]))
    400.0
    """
    counts = np.clip(np.nan_to_num(np.asarray(image, np.float64)), 0.0, None)
    total = float(counts.sum())
    return float(np.square(counts).sum()) / total if total > 0 else 0.0


def measure_counting_noise(
    pairs: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], level: float
) -> CountingNoise:
    """Measure the noise from pairs of frames of nearly the same scene (photon transfer [1]_).

    Parameters
    ----------
    pairs : iterable of (first, second, use)
        Frames (y, x) in counts, aligned on each other, and the pixels to use.
    level : float
        The lit level, counts.

    Returns
    -------
    CountingNoise
        That of counting single counts where nothing could be measured.

    References
    ----------
    .. [1] J. R. Janesick, "Photon Transfer", SPIE Press (2007), doi:10.1117/3.725073.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> scene = np.linspace(20, 400, 40000).reshape(200, 200)
    >>> first, second = 2.0 * random.poisson(scene / 2, (2, 200, 200))
    >>> noise = measure_counting_noise([(first, second, np.ones((200, 200), bool))], 300.0)
    >>> bool(1.8 < noise.quantum < 2.2)
    True
    """
    means, variances, spreads = [], [], []
    for first, second, use in pairs:
        if use.sum() < 4 * _BINS or not (first[use].sum() > 0 and second[use].sum() > 0):
            continue
        gain = float(first[use].mean(dtype=np.float64) / second[use].mean(dtype=np.float64))
        # Classes by the surroundings: what is bright by chance must not be called bright.
        scene = (np.asarray(first, np.float32) + np.float32(gain) * second) / 2
        chosen = np.flatnonzero(use)
        chosen = chosen[:: max(1, chosen.size // _SAMPLE)]
        mean = cv2.medianBlur(scene.astype(np.float32), 5).ravel()[chosen].astype(np.float64)
        one, other = (each.ravel()[chosen].astype(np.float64) for each in (first, second))
        variance = np.square(one - gain * other) / (1 + gain**2)
        edges = np.unique(
            np.concatenate(
                [
                    np.quantile(mean, np.linspace(0, 1, _BINS + 1)),
                    np.linspace(mean.min(), mean.max(), _BINS),
                ]
            )
        )
        place = np.clip(np.searchsorted(edges, mean, side="right") - 1, 0, len(edges) - 2)
        for number in range(len(edges) - 1):
            found = variance[place == number]
            if len(found) < 32:
                continue
            # Hits and edges are few and far out.
            found = np.minimum(found, 9.0 * np.mean(found))
            means.append(float(mean[place == number].mean()))
            variances.append(float(found.mean()))
            spreads.append(float(found.std() / np.sqrt(len(found))))
    if len(means) < 6:
        return CountingNoise(1.0, 0.0)
    m, v, spread = (np.asarray(values) for values in (means, variances, spreads))
    usual = max(float(np.median(v)), 1e-30)
    weight = 1.0 / np.maximum(spread, 0.02 * np.maximum(v, 0.01 * usual))
    # Counts that hardly scatter are no light.
    darkest = int(np.argmin(m))
    pedestal = v[darkest] / max(m[darkest], 1e-30) < _PEDESTAL * np.median(v / np.maximum(m, 1e-30))
    offset = float(m[darkest]) if pedestal else 0.0
    m = np.maximum(m - offset, 0.0) / level
    # A wave, contours and drift change bright pixels in proportion: a part with the square. What
    # the brightness in view does not tell is taken to be nothing.
    design = np.stack([np.ones_like(m), m, np.square(m)], axis=1) * weight[:, None]
    design = np.vstack([design, np.diag([1.0, 0.0, 20.0]) / usual])
    wanted = np.concatenate([v * weight, np.zeros(3)])
    read, slope, _ = lsq_linear(design, wanted, (0, np.inf), method="bvls").x
    return CountingNoise(float(slope) / level, float(read), offset)


def find_dark(image: np.ndarray, noise: CountingNoise | None = None) -> npt.NDArray[np.bool_]:
    """Find pixels that hold far fewer counts than the lit ones, in all or in their surroundings.

    Parameters
    ----------
    image : ndarray, shape (y, x)
        Mean of several frames, counts; NaN is dark.
    noise : CountingNoise, optional
        Of a frame; without it nothing is said of single electrons.

    Returns
    -------
    ndarray of bool, shape (y, x)

    Examples
    --------
    >>> image = np.full((32, 32), 400.0)
    >>> image[:, :8] = 8
    >>> int(find_dark(image).sum()) // 32
    8
    """
    offset = noise.offset if noise is not None else 0.0
    signal = np.clip(np.nan_to_num(np.asarray(image, np.float32)) - offset, 0.0, None)
    level = lit_level(signal)
    if level <= 0:
        return np.ones(signal.shape, bool)
    least = _LEAST_SHARE * level
    if noise is not None:
        electrons = _LEAST_ELECTRONS * noise.quantum
        least = max(least, min(electrons, level / _FAR_MORE))
    # A median, as the noise of dim pixels would cross any threshold.
    smooth = cv2.medianBlur(signal, 5)
    dark = smooth < least
    around = cv2.GaussianBlur(signal, (0, 0), _SURROUNDINGS, borderType=cv2.BORDER_REFLECT)
    squares = cv2.GaussianBlur(signal**2, (0, 0), _SURROUNDINGS, borderType=cv2.BORDER_REFLECT)
    dark |= smooth * np.maximum(around, 1e-30) < _LEAST_LOCAL * squares
    return np.asarray(dark)


def find_shaded(mean_frame: np.ndarray, bad: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Find areas of the detector that no beam reaches: beyond an aperture, a dead block.

    Parameters
    ----------
    mean_frame : ndarray, shape (y, x)
        Mean of several raw (not aligned) frames; counts.
    bad : ndarray of bool, shape (y, x)
        Bad pixels, which are left to repair where they are thin.

    Returns
    -------
    ndarray of bool, shape (y, x)
        Three px wide at least, and with their rim.
    """
    dark = find_dark(np.where(bad & (mean_frame > 0), 0.0, mean_frame))
    dark = (dark | bad).astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    areas = cv2.morphologyEx(dark, cv2.MORPH_OPEN, square)
    return _with_rim(areas > 0)


def _with_rim(areas: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Areas with their rim, where they are soft; medians take off their corners."""
    rim = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
    return np.asarray(cv2.dilate(areas.astype(np.uint8), rim) > 0)


def hidden_now(
    frame: npt.NDArray[np.float32], shaded: npt.NDArray[np.bool_], least: float
) -> npt.NDArray[np.bool_]:
    """Shaded areas that are dark in this frame: a bar moves on with the sample, and light comes.

    Parameters
    ----------
    frame : ndarray of float32, shape (y, x)
        As recorded; counts.
    shaded : ndarray of bool, shape (y, x)
        From `find_shaded`.
    least : float
        Counts below which the frame is dark: `DARK` of the lit level.

    Returns
    -------
    ndarray of bool, shape (y, x)
    """
    if not shaded.any():
        return shaded
    dark = cv2.medianBlur(np.nan_to_num(frame), 5) < np.float32(least)
    return shaded & _with_rim(shaded & dark)


def find_unlit(
    reference: np.ndarray, seen: np.ndarray, noise: CountingNoise | None = None
) -> npt.NDArray[np.bool_]:
    """Find pixels of the reference whose counts say nothing of the sample.

    Dark ones, and those that most frames do not show, unless they are so thin that their neighbours
    tell: a dead column is bridged, a block or a bar is not.

    Parameters
    ----------
    reference : ndarray, shape (y, x)
        Counts.
    seen : ndarray, shape (y, x)
        Share of the frames that show the pixel, 0..1.
    noise : CountingNoise, optional
        Of a frame.

    Returns
    -------
    ndarray of bool, shape (y, x)
    """
    dark = find_dark(reference, noise)
    hidden = dark | (seen < SEEN)
    if not hidden.any() or hidden.all():
        return hidden
    density = cv2.GaussianBlur(
        (~hidden).astype(np.float32), (0, 0), _DENSITY_SIGMA, borderType=cv2.BORDER_REFLECT
    )
    unlit = hidden & (density < _DENSITY)
    # An edge that was moved by a fraction of a pixel rings in what lies beside it.
    return np.asarray(unlit | _with_rim(unlit & dark))


def pixel_weight(
    reference: np.ndarray, unlit: npt.NDArray[np.bool_], noise: CountingNoise, level: float
) -> npt.NDArray[np.float32]:
    """Weight of each pixel in averages: its precision, so that well lit ones count about alike.

    Parameters
    ----------
    reference : ndarray, shape (y, x)
        Counts.
    unlit : ndarray of bool, shape (y, x)
        Pixels of no weight.
    noise : CountingNoise
        Of a frame.
    level : float
        The lit level, counts.

    Returns
    -------
    ndarray of float32, shape (y, x)
        0 to about 1.
    """
    usual = float(noise.precision(np.array(level)))
    if usual <= 0:
        return (~unlit).astype(np.float32)
    share = noise.precision(reference) / usual
    weight = (1 + _EQUAL) * share / (share + _EQUAL)
    return np.where(unlit, 0.0, weight).astype(np.float32)


def fill_hidden(
    image: npt.NDArray[np.float32], hidden: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Fill hidden areas with the smooth brightness around, so that no edge of theirs is seen.

    Parameters
    ----------
    image : ndarray of float32, shape (y, x)
        Counts; finite where not hidden. Changed in place.
    hidden : ndarray of bool, shape (y, x)
        What to fill.

    Returns
    -------
    ndarray
        `image` itself.
    """
    known = ~hidden
    if known.all() or not known.any():
        return image
    mean = np.float32(image[known].mean())
    image[hidden] = mean
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur((image - mean) * weight, (0, 0), _SURROUNDINGS)
    share = cv2.GaussianBlur(weight, (0, 0), _SURROUNDINGS)
    # Far inside there is nothing to go by but the mean.
    smooth = mean + total / (share + np.float32(0.05))
    image[hidden] = smooth[hidden]
    return image
