"""The wave of a run in a few numbers: where it goes, how fast, how strong at which delay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from uemdask.cube import Run
from uemdask.cube.layout import Region, pair_fields
from uemdask.errors import UemError
from uemdask.simulate import SpeedLaw
from uemdask.stages.spectrum import band_of, usable_indices

# Confidence from which labels have a say.
_CONFIDENT = 0.5
# A speed that falls must leave less than this share of what a constant one leaves.
_LEAST_GAIN = 0.3
_LEAST_CHANGE = 0.01  # rms, of the speed
_DECAYS = (0.1, 2.0)  # shortest and longest time constant, in records
# Rings must leave less than this share of what one direction leaves, which must be over 6 degrees.
_RING_GAIN = 0.5
_LEAST_TURN = 0.01  # rad squared
_KNOTS = 32  # of the growth


@dataclass(frozen=True)
class FittedWave:
    """What the confident labels and the wave say of a run.

    Attributes
    ----------
    angle : float
        Where the wave goes in mid-frame, degrees anticlockwise from +x as displayed.
    origin : (x, y) or None
        Centre of the rings in px from mid-frame, y downwards; None for straight fronts.
    speed : SpeedLaw
        nm/ps.
    amplitude : float
        Largest amplitude over the delays of the smoothed wave, unit 1.
    growth : ndarray, (n, 2)
        Knots (delay in ps, share of `amplitude`); the first share is 0, the largest 1.
    """

    angle: float
    origin: tuple[float, float] | None
    speed: SpeedLaw
    amplitude: float
    growth: np.ndarray


def fit_wave(run: Run) -> FittedWave:
    """Fit a run's wave.

    Parameters
    ----------
    run : Run
        With the stage ``label`` done.

    Raises
    ------
    UemError
        If there is no relevant pixel or no confident label.
    """
    slabs = _middle(run)
    angle, origin = _direction(run, slabs)
    amplitude, growth = _growth(run)
    return FittedWave(angle, origin, _speed(run, slabs), amplitude, growth)


def _middle(run: Run) -> list[Region]:
    """Return the slabs of pairs that hold the middle of the frame."""
    y, x = (run.sizes[dim] // 2 for dim in ("y", "x"))
    found = []
    for slab in pair_fields(run.sizes):
        (top, bottom), (left, right) = slab.span("y", 0), slab.span("x", 0)
        if top <= y < bottom and left <= x < right:
            found.append(slab)
    return found


def _trusted(run: Run, slab: Region) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (pair, 2, y, x) of a slab and their weight (pair, y, x)."""
    confidence = run.read("label_confidence", slab)
    return run.read("label", slab), np.where(confidence > _CONFIDENT, confidence, 0)


def _direction(run: Run, slabs: list[Region]) -> tuple[float, tuple[float, float] | None]:
    (top, bottom), (left, right) = (slabs[0].span(dim, run.sizes[dim]) for dim in ("y", "x"))
    motion = np.zeros((2, bottom - top, right - left))
    for slab in slabs:
        label, weight = _trusted(run, slab)
        motion += np.einsum("pcyx,pyx->cyx", label, weight, dtype=np.float64)
    if not np.any(motion):
        raise UemError(f"{run.path}: has no confident label, so no motion to simulate")
    total = motion.sum(axis=(1, 2))
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    y, x = y - run.sizes["y"] / 2, x - run.sizes["x"] / 2
    return float(np.degrees(np.arctan2(-total[1], total[0]))), fit_rings(motion, y, x)


def fit_rings(motion: np.ndarray, y: np.ndarray, x: np.ndarray) -> tuple[float, float] | None:
    """Find the point from which fronts spread, if they spread from one.

    Parameters
    ----------
    motion : ndarray, (2, y, x)
        Displacement (x, y) in px; its length is its weight.
    y, x : ndarray, (y, x)
        Places in px, y downwards.

    Returns
    -------
    (x, y) or None
        The point; None where one direction tells as much, or where fronts run together.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[-50:50, -50:50].astype(float)
    >>> fit_rings(np.stack([x + 20.0, y - 5.0]), y, x)
    (-20.0, 5.0)
    >>> fit_rings(np.ones((2, 100, 100)), y, x) is None
    True
    """
    length = np.hypot(*motion)
    there = length > 0
    weight = length[there] / length[there].sum()
    d_x, d_y = motion[:, there] / length[there]
    # The way of a front passes through the point: its normal has no component to it.
    normal = np.stack([-d_y, d_x], axis=1) * np.sqrt(weight)[:, None]
    offset = (normal * np.stack([x[there], y[there]], axis=1)).sum(axis=1)
    (o_x, o_y), _, rank, _ = np.linalg.lstsq(normal, offset, rcond=1e-6)
    if rank < 2:
        return None
    away_x, away_y = x[there] - o_x, y[there] - o_y
    away = np.maximum(np.hypot(away_x, away_y), 1e-9)
    along = (d_x * away_x + d_y * away_y) / away
    # Sine of the angle between the motion and what rings, or one direction, say.
    ring = float(np.sum(weight * (1 - along**2)))
    mean = np.array([np.sum(weight * d_x), np.sum(weight * d_y)])
    straight = float(1 - mean @ mean)
    spreads = float(np.sum(weight * along)) > 0
    if not spreads or straight < _LEAST_TURN or ring > _RING_GAIN * straight:
        return None
    return float(round(o_x, 6)), float(round(o_y, 6))


def _speed(run: Run, slabs: list[Region]) -> SpeedLaw:
    steps = run.read("time_to") - run.read("time_from")
    pixel = np.sqrt(np.prod(run.pixel_size))
    length, trust = np.zeros(len(steps)), np.zeros(len(steps))
    for slab in slabs:
        label, weight = _trusted(run, slab)
        pairs = slice(*slab.span("pair", 0))
        trust[pairs] = weight.sum(axis=(1, 2), dtype=np.float64)
        # Lengths, not the mean vector: in a ring the directions differ.
        length[pairs] = (np.hypot(label[:, 0], label[:, 1]) * weight).sum(axis=(1, 2))
    speeds = length / np.maximum(trust, 1e-12) * pixel / steps
    return fit_speed(run.read("pair_time"), speeds, trust)


def fit_speed(delay: np.ndarray, speed: np.ndarray, weight: np.ndarray) -> SpeedLaw:
    """Fit a speed that falls exponentially to a constant, or a constant where that is as good.

    Parameters
    ----------
    delay : ndarray, (n,)
        ps.
    speed : ndarray, (n,)
        nm/ps.
    weight : ndarray, (n,)
        0 for what does not count; not all 0.

    Returns
    -------
    SpeedLaw
        Positive at all delays from 0 on.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(0.0, 500.0, 5.0)
    >>> law = fit_speed(t, 8 + 50 * np.exp(-t / 200), np.ones(100))
    >>> round(law.late, 1), round(law.excess, 1), round(law.decay, 1)
    (8.0, 50.0, 200.0)
    """
    steady = float(np.average(speed, weights=weight))
    record = float(np.ptp(delay))
    root = np.sqrt(weight)

    def fall(log_decay: float) -> tuple[float, float, float]:
        design = np.stack([np.ones_like(delay), np.exp(-delay / np.exp(log_decay))], axis=1)
        (late, excess), *_ = np.linalg.lstsq(design * root[:, None], speed * root, rcond=None)
        left = float(np.sum(weight * (speed - design @ (late, excess)) ** 2))
        return left, float(late), float(excess)

    ends = np.log(record * np.array(_DECAYS))
    found = minimize_scalar(lambda log_decay: fall(log_decay)[0], bounds=ends, method="bounded")
    left, late, excess = fall(found.x)
    # Three numbers must explain far more than one to be believed.
    spread = float(np.average((speed - steady) ** 2, weights=weight))
    varies = spread > (_LEAST_CHANGE * steady) ** 2
    believed = varies and left < _LEAST_GAIN * spread * float(weight.sum())
    if believed and late > 0 and excess > 0:
        return SpeedLaw(late, excess, float(np.exp(found.x)))
    return SpeedLaw(steady)


def _growth(run: Run) -> tuple[float, np.ndarray]:
    """Return the largest amplitude of the wave, and its growth and decay."""
    results = run.results("spectrum")
    power = np.asarray(results.wave_power)
    frames, delays = usable_indices(run)
    # A real wave has half the power of its amplitude squared; noise adds its own.
    strength = np.sqrt(2 * np.maximum(power[frames] - results.wave_noise**2, 0))
    after = delays >= 0
    if not np.any(strength[after] > 0):
        raise UemError(f"{run.path}: its wave is below its noise, so there is none to simulate")
    return growth_of(delays[after], strength[after], period=1e3 / band_of(run).centre)


def growth_of(
    delays: np.ndarray, strength: np.ndarray, *, period: float
) -> tuple[float, np.ndarray]:
    """Lay knots along the strength of a wave.

    Parameters
    ----------
    delays : ndarray, (n,)
        ps, rising.
    strength : ndarray, (n,)
        Amplitude at each delay, not all 0.
    period : float
        Of the wave, ps. Changes within a quarter of it are not of its amplitude.

    Returns
    -------
    amplitude : float
        The largest.
    growth : ndarray, (k, 2)
        Knots (delay in ps, share); the first share is 0, the largest 1.

    Examples
    --------
    >>> import numpy as np
    >>> amplitude, growth = growth_of(np.arange(0.0, 40.0, 10.0), np.array([0.0, 1, 4, 2]),
    ...                               period=20.0)
    >>> round(amplitude, 2), growth[:, 1].round(1).tolist()
    (3.47, [0.0, 0.0, 0.3, 1.0, 0.6])
    """
    distance = (delays[:, None] - delays[None, :]) / (period / 4)
    kernel = np.exp(-(distance**2) / 2)
    even = kernel @ strength / kernel.sum(axis=1)
    chosen = np.unique(np.linspace(0, len(delays) - 1, min(len(delays), _KNOTS)).astype(int))
    amplitude = float(even[chosen].max())
    knots = np.stack([delays[chosen], even[chosen] / amplitude], axis=1)
    return amplitude, np.concatenate([[[knots[0, 0] - period / 4, 0.0]], knots])
