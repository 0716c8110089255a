"""A wave that changes the brightness of the whole field, told from the jitter of the beam.

Gain follows the mean brightness, so it would eat a wave that breathes, or one much longer than the
field. The beam jitters from frame to frame without any period. What does swing in the gain with a
period of its own, far above that noise, is therefore taken for the sample's and left in the frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FEWEST = 24
"""Frames below which a period cannot be told from chance."""

_SLOW = 3
"""Order of the polynomial that is the slow course of the beam."""

_LOWEST = 3.0
"""Cycles in the series below which everything is slow course."""

_CHANCE = 1e-4
"""Probability that white jitter looks like a swing."""

_COURSE = 2
"""Order of the polynomial by which the swing grows and fades."""


@dataclass(frozen=True, slots=True)
class Breathing:
    """A swing of the whole field.

    Attributes
    ----------
    swing : ndarray, shape (time,)
        Relative change of the brightness by it; 0 where there is none.
    frequency : float or None
        GHz; None where there is none.
    """

    swing: npt.NDArray[np.float64]
    frequency: float | None


def find_breathing(gain: npt.NDArray[np.float64], delays: npt.NDArray[np.float64]) -> Breathing:
    """Find a swing with a period of its own in the brightness of a series.

    Least squares for every frequency at once with a slow polynomial, so that uneven delays are
    exact; a peak counts where white noise reaches it once in ten thousand series [1]_. A swing
    grows and fades by a parabola over the series, with its second harmonic.

    Parameters
    ----------
    gain : ndarray, shape (time,)
        Brightness of the frames.
    delays : ndarray, shape (time,)
        ps, rising.

    References
    ----------
    .. [1] J. D. Scargle, "Statistical aspects of spectral analysis of unevenly spaced data",
       Astrophysical Journal 263, 835-853 (1982), doi:10.1086/160554.

    Examples
    --------
    >>> t = np.arange(0.0, 300.0, 5.0)
    >>> jitter = 1 + 0.01 * np.random.default_rng(0).standard_normal(t.size)
    >>> find_breathing(jitter, t).frequency is None
    True
    >>> found = find_breathing(jitter * (1 + 0.1 * np.sin(2 * np.pi * 0.02 * t)), t)
    >>> round(found.frequency)
    20
    """
    nothing = Breathing(np.zeros(len(gain)), None)
    if len(gain) < _FEWEST:
        return nothing
    length = float(delays[-1] - delays[0])
    u = 2.0 * (delays - delays[0]) / length - 1.0
    slow = np.polynomial.legendre.legvander(u, _SLOW)
    course = _projected(gain, slow)
    relative = gain / course - 1.0
    highest = 0.5 / float(np.median(np.diff(delays)))
    cycles = np.arange(_LOWEST, highest * length, 0.2)
    if not cycles.size:
        return nothing
    power = np.array([_power(relative, slow, u, 0.5 * each) for each in cycles])
    best = int(np.argmax(power))
    frequency = 0.5 * float(cycles[best])  # cycles in a unit of u
    total = float(np.square(relative - _projected(relative, slow)).sum())
    free = len(gain) - slow.shape[1] - 2
    if total <= 0.0:
        return nothing
    # F test; each of the independent frequencies has its chance.
    share = min(float(power[best]) / total, 1.0 - 1e-12)
    chance = len(gain) / 2 * (1.0 - share) ** (free / 2)
    if chance > _CHANCE:
        return nothing
    for width in (0.1, 0.02):
        near = frequency + np.linspace(-width, width, 11)
        frequency = float(near[np.argmax([_power(relative, slow, u, f) for f in near])])
    parts = []
    for harmonic in (1, 2):
        if harmonic * frequency * 2 < highest * length:
            angle = 2.0 * np.pi * harmonic * frequency * u
            for order in range(_COURSE + 1 if harmonic == 1 else 1):
                parts += [u**order * np.cos(angle), u**order * np.sin(angle)]
    basis = np.concatenate([slow, np.stack(parts, axis=1)], axis=1)
    coefficients = np.linalg.lstsq(basis, relative, rcond=None)[0]
    swing = basis[:, slow.shape[1] :] @ coefficients[slow.shape[1] :]
    return Breathing(swing, 2e3 * frequency / length)


def _projected(values: npt.NDArray[np.float64], basis: npt.NDArray[np.float64]) -> np.ndarray:
    return basis @ np.linalg.lstsq(basis, values, rcond=None)[0]


def _power(
    values: npt.NDArray[np.float64],
    slow: npt.NDArray[np.float64],
    u: npt.NDArray[np.float64],
    frequency: float,
) -> float:
    """Sum of squares that a harmonic explains beyond the slow course."""
    angle = 2.0 * np.pi * frequency * u
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    basis = basis - _projected(basis, slow)
    rest = values - _projected(values, slow)
    return float(np.square(_projected(rest, basis)).sum())
