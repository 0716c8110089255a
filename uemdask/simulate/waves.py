"""Coherent phonon waves as phase functions, with the exact displacement of their fronts.

Convention
----------
Positions are nm from the centre of the field: x to the right, y downwards. Times are ps,
frequencies GHz, phases rad. A wave has one *distance* ``s(r)`` from its origin (a line for plane
waves, a point for rings) and the phase

    phi(r, t) = k(t) s(r) - 2 pi f t + offset,      k(t) = 2 pi f / v(t).

The wavelength ``2 pi / k(t)`` is the same everywhere and shrinks as the speed law ``v`` falls.
Because crests are neither made nor lost, a wavelength that changes with time needs a frequency that
changes with place: the local frequency is ``f - k'(t) s / (2 pi)``. It equals ``f`` on the
origin line only. In the same way a front moves at ``v + s v' / v``, which is ``v`` on the origin
line. With a constant speed both terms vanish and everything is the textbook wave.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CYCLES_PER_GHZ_PS = 1e-3  # 1 GHz is 0.001 cycles per ps


@dataclass(frozen=True)
class SpeedLaw:
    """Speed of a wave against delay: ``late + excess * exp(-t / decay)``.

    Parameters
    ----------
    late : float
        Speed long after time zero, nm/ps.
    excess : float
        How much faster the wave is at time zero, nm/ps. 0 for a steady wave.
    decay : float
        Time constant of the fall, ps.

    Examples
    --------
    >>> law = SpeedLaw(6.78, 52.5, 208.0)
    >>> round(float(law(160.0)), 1)
    31.1
    """

    late: float
    excess: float = 0.0
    decay: float = 208.0

    def __call__(self, t: npt.ArrayLike) -> Array:
        """Speed at delay ``t`` (ps), nm/ps; before time zero the value at zero."""
        after_zero = np.maximum(np.asarray(t, dtype=np.float64), 0.0)
        return np.asarray(self.late + self.excess * np.exp(-after_zero / self.decay))

    def slope(self, t: npt.ArrayLike) -> Array:
        """Rate of change of the speed at delay ``t`` (ps), nm/ps per ps."""
        time = np.asarray(t, dtype=np.float64)
        falling = -self.excess / self.decay * np.exp(-np.maximum(time, 0.0) / self.decay)
        return np.where(time < 0.0, 0.0, falling)


@dataclass(frozen=True)
class Wave(ABC):
    """What plane waves and rings share: phase, wavenumber and exact displacement.

    Parameters
    ----------
    frequency : float
        Frequency on the origin, GHz.
    speed : SpeedLaw
        Phase speed on the origin against delay.
    origin : tuple of float
        (x, y) of the origin, nm from the centre of the field.
    offset : float
        Phase at the origin at time zero, rad.
    """

    frequency: float
    speed: SpeedLaw
    origin: tuple[float, float] = (0.0, 0.0)
    offset: float = 0.0

    @property
    def angular_frequency(self) -> float:
        """Angular frequency on the origin, rad/ps."""
        return 2.0 * np.pi * self.frequency * CYCLES_PER_GHZ_PS

    def wavenumber(self, t: npt.ArrayLike) -> Array:
        """Wavenumber ``k`` at delay ``t`` (ps), rad/nm."""
        return np.asarray(self.angular_frequency / self.speed(t))

    def wavelength(self, t: npt.ArrayLike) -> Array:
        """Wavelength at delay ``t`` (ps), nm."""
        return np.asarray(2.0 * np.pi / self.wavenumber(t))

    @abstractmethod
    def distance(self, x: Array, y: Array) -> Array:
        """Distance ``s`` (nm) from the origin along the way the wave travels."""

    @abstractmethod
    def normal(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the unit vector (x, y) along which the fronts travel, in nm space."""

    def phase(self, x: Array, y: Array, t: float) -> Array:
        """Phase (rad) at places ``x``, ``y`` (nm, broadcast) and delay ``t`` (ps)."""
        k = float(self.wavenumber(t))
        return k * self.distance(x, y) - self.angular_frequency * t + self.offset

    def front_speed(self, x: Array, y: Array, t: float) -> Array:
        """Speed (nm/ps) of the front that is at a place at delay ``t``: ``v + s v' / v``."""
        v = float(self.speed(t))
        return v + self.distance(x, y) * float(self.speed.slope(t)) / v

    def advance(self, x: Array, y: Array, t_from: float, t_to: float) -> Array:
        """Distance (nm) a front travels along its normal between two delays (ps).

        Solves ``phi(r + d n, t_to) = phi(r, t_from)`` for ``d``. The phase is linear in the
        distance from the origin, so the solution is closed:
        ``s_to = (k_from s_from + omega (t_to - t_from)) / k_to``.
        """
        k_from, k_to = float(self.wavenumber(t_from)), float(self.wavenumber(t_to))
        s = self.distance(x, y)
        return ((k_from - k_to) * s + self.angular_frequency * (t_to - t_from)) / k_to

    def displacement(self, x: Array, y: Array, t_from: float, t_to: float) -> tuple[Array, Array]:
        """Exact displacement (x, y) in nm of the fronts between two delays (ps)."""
        d = self.advance(x, y, t_from, t_to)
        nx, ny = self.normal(x, y)
        return d * nx, d * ny


@dataclass(frozen=True)
class PlaneWave(Wave):
    """A wave with straight fronts.

    Parameters
    ----------
    angle : float
        Where the wave goes: degrees anticlockwise from +x of the displayed image.

    Examples
    --------
    A wave of 35 GHz at 7 nm/ps that runs to the right moves 35 nm in 5 ps.

    >>> from uemdask.simulate import SpeedLaw
    >>> import numpy as np
    >>> wave = PlaneWave(frequency=35.0, speed=SpeedLaw(7.0), angle=0.0)
    >>> dx, dy = wave.displacement(np.zeros(1), np.zeros(1), 100.0, 105.0)
    >>> round(float(dx[0]), 6)
    35.0
    """

    angle: float = 0.0

    def distance(self, x: Array, y: Array) -> Array:
        """Signed distance (nm) from the origin line, positive where the wave goes."""
        a = np.deg2rad(self.angle)
        # y runs downwards while the angle is anticlockwise as displayed, hence the minus.
        return np.cos(a) * (x - self.origin[0]) - np.sin(a) * (y - self.origin[1])

    def normal(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the unit vector (x, y) of travel, the same everywhere."""
        a = np.deg2rad(self.angle)
        ones = np.ones(np.broadcast_shapes(np.shape(x), np.shape(y)))
        return np.cos(a) * ones, -np.sin(a) * ones


@dataclass(frozen=True)
class RingWave(Wave):
    """A wave that spreads in rings from a point, for instance a defect."""

    def distance(self, x: Array, y: Array) -> Array:
        """Radius (nm) from the origin."""
        return np.hypot(x - self.origin[0], y - self.origin[1])

    def normal(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the unit vector (x, y) away from the origin; zero at the origin itself."""
        radius = self.distance(x, y)
        safe = np.where(radius > 0.0, radius, 1.0)
        return (x - self.origin[0]) / safe, (y - self.origin[1]) / safe
