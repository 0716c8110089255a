"""What the microscope and the camera add: drift, brightness, noise, hot and dead pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from uemdask.simulate.defects import Defects

Array = npt.NDArray[np.float64]

FULL_SCALE = 65535  # counts, uint16
BRIGHTNESS_TIME = 530.0  # ps over which the slow brightness drift runs its course
HOT_COUNTS = (2.0, 15.0)  # extra counts of a hot pixel, in units of the mean counts
X_RAY_COUNTS = (1.0, 30.0)  # counts that an X-ray leaves in a pixel, in the same unit


def before_zero(delays: Array) -> npt.NDArray[np.bool_]:
    """Frames that define the reference: those before time zero, or all where there are none."""
    before = np.asarray(delays) < 0.0
    return before if before.any() else np.ones(len(delays), dtype=bool)


def draw_drift(
    rng: np.random.Generator,
    delays: Array,
    *,
    step: float,
    total: float,
    jumps: int,
    jump: float,
) -> Array:
    """Draw the drift of the sample: a random walk with jumps on a steady creep.

    ``frame(r + drift) = reference(r)``. The mean over the frames before time zero is zero.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    delays : numpy.ndarray
        (time,) ps.
    step : float
        Root mean square of the random walk's step, px per frame.
    total : float
        Largest distance from the reference in the series, px. The creep makes up what walk and
        jumps lack; a walk that goes further is scaled down.
    jumps : int
        How many jumps.
    jump : float
        Length of a jump, px.

    Returns
    -------
    numpy.ndarray
        (time, 2) columns x, y in px, float64.
    """
    count = len(delays)
    first = before_zero(delays)
    steps = rng.normal(0.0, step / np.sqrt(2.0), (count, 2))
    # Jumps fall after the frames before time zero, where there is room.
    start = min(int(first.sum()) + 1, count - 1)
    angles = rng.uniform(0.0, 2.0 * np.pi, jumps)
    for frame, angle in zip(rng.integers(start, count, jumps), angles, strict=True):
        steps[frame] += jump * np.array([np.cos(angle), np.sin(angle)])
    way = rng.uniform(0.0, 2.0 * np.pi)
    if total <= 0.0:
        return np.zeros((count, 2))

    walk = np.cumsum(steps, axis=0)
    walk -= walk[first].mean(axis=0)
    reach = float(np.hypot(*walk.T).max())
    if reach >= total:
        return walk * (total / reach)
    creep = np.linspace(0.0, 1.0, count)[:, None] * np.array([np.cos(way), np.sin(way)])
    creep -= creep[first].mean(axis=0)

    def shortfall(length: float) -> float:
        return float(np.hypot(*(walk + length * creep).T).max()) - total

    longest = 1.0
    while shortfall(longest) < 0.0:
        longest *= 2.0
    return np.asarray(walk + brentq(shortfall, 0.0, longest) * creep)


def draw_gain(
    rng: np.random.Generator, delays: Array, *, jitter: float, brightness_drift: float
) -> Array:
    """Draw the brightness of each frame, relative to the mean of those before time zero.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    delays : numpy.ndarray
        (time,) ps.
    jitter : float
        Root mean square of the change from frame to frame, relative.
    brightness_drift : float
        Share of the brightness lost slowly over 530 ps, after which it stays.

    Returns
    -------
    numpy.ndarray
        (time,) float64.
    """
    elapsed = np.clip((delays - delays[0]) / BRIGHTNESS_TIME, 0.0, 1.0)
    slow = 1.0 - brightness_drift * np.sin(0.5 * np.pi * elapsed) ** 2
    # Three sigma at most: a frame never goes dark by chance.
    gain = slow * (1.0 + jitter * np.clip(rng.normal(size=len(delays)), -3.0, 3.0))
    return np.asarray(gain / gain[before_zero(delays)].mean())


def draw_hot_pixels(
    rng: np.random.Generator, shape: tuple[int, int], *, count: int, counts: float
) -> tuple[npt.NDArray[np.intp], Array]:
    """Draw where the camera's hot pixels are (flat index) and how many counts they add."""
    where = rng.choice(shape[0] * shape[1], size=count, replace=False)
    return where, counts * np.exp(rng.uniform(np.log(HOT_COUNTS[0]), np.log(HOT_COUNTS[1]), count))


def draw_dead_pixels(
    rng: np.random.Generator, shape: tuple[int, int], defects: Defects
) -> npt.NDArray[np.bool_]:
    """Draw which pixels (y, x) of the camera see no light."""
    dead = np.zeros(shape, dtype=bool)
    dead[list(defects.dead_rows)] = True
    dead[:, list(defects.dead_columns)] = True
    side = defects.dead_block
    top, left = (int(rng.integers(0, n - side + 1)) for n in shape)
    dead[top : top + side, left : left + side] = True
    return dead


def draw_x_rays(
    rng: np.random.Generator, shape: tuple[int, int], *, share: float, counts: float
) -> Array:
    """Draw the counts (y, x) that X-rays add to one frame; they hit single pixels."""
    hits = np.zeros(shape)
    hit = rng.random(shape) < share
    span = np.log(X_RAY_COUNTS[0]), np.log(X_RAY_COUNTS[1])
    hits[hit] = counts * np.exp(rng.uniform(*span, int(hit.sum())))
    return hits


def record(
    rng: np.random.Generator,
    light: npt.NDArray[np.floating],
    *,
    read_noise: float,
    dead: npt.NDArray[np.bool_] | None = None,
    extra: float | npt.NDArray[np.floating] = 0.0,
) -> npt.NDArray[np.uint16]:
    """Record one frame: Poisson counts, Gaussian read noise, 16 bits.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance of this frame.
    light : numpy.ndarray
        (y, x) expected counts.
    read_noise : float
        Root mean square of the read noise, counts.
    dead : numpy.ndarray of bool, optional
        (y, x) pixels without light or noise.
    extra : float or numpy.ndarray
        Counts that are no light: pedestal and X-rays. They have no noise of their own.

    Returns
    -------
    numpy.ndarray
        (y, x) uint16; counts beyond the full scale saturate.

    Examples
    --------
    >>> import numpy as np
    >>> record(np.random.default_rng(0), np.full((2, 3), 100.0), read_noise=0.0).dtype
    dtype('uint16')
    """
    counts = rng.poisson(np.maximum(light, 0.0)).astype(np.float32)
    if read_noise > 0.0:
        counts += np.float32(read_noise) * rng.standard_normal(counts.shape, dtype=np.float32)
    if dead is not None:
        counts[dead] = 0.0
    return np.clip(np.rint(counts + extra), 0, FULL_SCALE).astype(np.uint16)
