r"""The space-time plot that microscopists draw by hand, and the speed that its slope gives.

The wave is averaged along the fronts in a strip, so that one axis is left: the distance along the
direction of travel. A front is then a line whose slope is its speed. The slope is measured here
without the network: at the wave's frequency :math:`\omega` a harmonic is fitted to each distance,
and the wavevector :math:`k` is where the power of these amplitudes over distance has its maximum;
:math:`v = \omega / k`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uemdask.motion.space_time import strip_along
from uemdask.report.wave_box import WaveBox

#: Half the width of the strip in wavelengths: rings of a radius over one wavelength stay in step.
_HALF_WIDTH = 0.75
#: Sigma of the window in delay, in periods.
_WINDOW = 1.0
#: Shortest strip in wavelengths from which a slope is read.
_SHORTEST = 0.75


@dataclass(frozen=True)
class SpaceTime:
    """A wave averaged along its fronts.

    Attributes
    ----------
    values : (time, distance) float64
        Relative modulation; NaN where too little is known.
    delay : (time,) float64
        ps.
    distance : (distance,) float64
        Along the direction of travel from the middle of the strip, nm.
    angle : float
        Direction of travel, degree, anticlockwise from +x as displayed.
    corners : (4, 2) float64
        Of the strip, (x, y) in nm.
    """

    values: npt.NDArray[np.float64]
    delay: npt.NDArray[np.float64]
    distance: npt.NDArray[np.float64]
    angle: float
    corners: npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhaseGradient:
    """A wave around the middle of a box, from the gradient of its phase.

    Attributes
    ----------
    speed : float
        nm/ps.
    angle : float
        Degree, anticlockwise from +x as displayed.
    wavelength : float
        nm.
    radius : float
        Of the disc that was looked at, nm.
    """

    speed: float
    angle: float
    wavelength: float
    radius: float


@dataclass(frozen=True)
class Slope:
    """Slope of the fronts in a space-time plot.

    Attributes
    ----------
    speed : float
        nm/ps; negative where the fronts go against the plot's direction.
    wavelength : float
        nm.
    delay : float
        Middle of the window, ps.
    """

    speed: float
    wavelength: float
    delay: float


def average_along_fronts(
    box: WaveBox, delay: np.ndarray, angle: float, wavelength_nm: float | None
) -> SpaceTime:
    """Average the wave of a box along its fronts.

    Parameters
    ----------
    box : WaveBox
    delay : (time,) float
        ps.
    angle : float
        Direction of travel, degree, anticlockwise from +x as displayed.
    wavelength_nm : float, optional
        Sets the width of the strip; a quarter of the box where it is not known.
    """
    to_x, to_y = np.cos(np.radians(angle)), -np.sin(np.radians(angle))  # y points down
    middle_y, middle_x = float(box.y.mean()), float(box.x.mean())
    size = float(min(np.ptp(box.y), np.ptp(box.x)))
    half = size / 8 if wavelength_nm is None else min(_HALF_WIDTH * wavelength_nm, size / 4)
    half = max(half, 1.5 * max(abs(box.y[1] - box.y[0]), abs(box.x[1] - box.x[0])))
    # To where the line through the middle leaves the box.
    reach = min(
        np.ptp(axis) / 2 / max(abs(to), 1e-9) for axis, to in ((box.x, to_x), (box.y, to_y))
    )

    def at(along: float, across: float = 0.0) -> tuple[float, float]:
        return middle_x + along * to_x + across * to_y, middle_y + along * to_y - across * to_x

    strip = strip_along(box.y, box.x, at(-reach), at(reach), 2 * half)
    corners = [at(-reach, -half), at(reach, -half), at(reach, half), at(-reach, half)]
    return SpaceTime(
        strip.average(box.wave),
        np.asarray(delay, np.float64),
        strip.distance - reach,
        angle,
        np.array(corners),
    )


def amplitude_at(
    values: np.ndarray, delay: np.ndarray, frequency: float, at: float
) -> npt.NDArray[np.complex128] | None:
    """Complex amplitude of a wave around a delay, by least squares in a Gaussian window.

    Parameters
    ----------
    values : (time, n) float
        Finite.
    delay : (time,) float
        ps, may be uneven.
    frequency : float
        GHz.
    at : float
        Middle of the window, ps.

    Returns
    -------
    (n,) complex128 or None
        Z of ``Re(Z exp(2 pi i f (t - at)))``; None where there are too few delays.
    """
    weight = np.exp(-0.5 * ((delay - at) * frequency * 1e-3 / _WINDOW) ** 2)
    near = weight > 1e-3
    if near.sum() < 5:
        return None
    phase = 2e-3 * np.pi * frequency * (delay[near] - at)
    design = np.stack([np.cos(phase), -np.sin(phase), np.ones(near.sum())], axis=1)
    root = np.sqrt(weight[near])[:, None]
    fitted, _, rank, _ = np.linalg.lstsq(root * design, root * values[near], rcond=None)
    return np.asarray(fitted[0] + 1j * fitted[1]) if rank == 3 else None


def fit_slope(
    plot: SpaceTime, frequency: float, at: float, *, reach: float = np.inf
) -> Slope | None:
    """Measure the speed of the fronts around a delay from the plot alone.

    Parameters
    ----------
    plot : SpaceTime
    frequency : float
        Of the wave, GHz.
    at : float
        Delay in ps; the window is a Gaussian of one period.
    reach : float
        Distance from the middle that counts, nm: behind its source a ring runs the other way.

    Returns
    -------
    Slope or None
        None where the strip is too short or has too few delays to tell.
    """
    columns = np.isfinite(plot.values).all(axis=0) & (np.abs(plot.distance) <= reach)
    if columns.sum() < 8:
        return None
    Z = amplitude_at(plot.values[:, columns], plot.delay, frequency, at)
    if Z is None or not np.any(Z):
        return None
    distance = plot.distance[columns]
    length = np.ptp(distance)
    step = plot.distance[1] - plot.distance[0]
    # cos(wt - ks) = Re(exp(iwt) exp(-iks)): Z turns backwards along the way the wave goes.
    k = np.linspace(-np.pi / step, np.pi / step, 1 + 8 * int(np.ceil(length / step)))
    taper = np.hanning(len(distance) + 2)[1:-1]
    power = np.abs(np.exp(1j * np.outer(k, distance)) @ (taper * Z)) ** 2
    best = int(power.argmax())
    if not 0 < best < len(k) - 1:
        return None
    left, top, right = power[best - 1 : best + 2]
    k_best = k[best] + 0.5 * (right - left) / (2 * top - left - right) * (k[1] - k[0])
    if abs(k_best) * length < 2 * np.pi * _SHORTEST:
        return None
    return Slope(
        speed=float(2e-3 * np.pi * frequency / k_best),
        wavelength=float(2 * np.pi / abs(k_best)),
        delay=float(at),
    )


def phase_gradient(
    box: WaveBox, delay: np.ndarray, frequency: float, at: float, wavelength_nm: float | None
) -> PhaseGradient | None:
    """Measure speed and direction around the middle of a box without the network.

    The phase differences of neighbours give the wavevector, weighted by the amplitude and summed
    over a disc of less than one wavelength, so that rings do not cancel; pixels further apart
    then refine it. ``v = omega / |k|`` along ``k``.

    Parameters
    ----------
    box : WaveBox
    delay : (time,) float
        ps.
    frequency : float
        GHz.
    at : float
        Delay in ps; the window is a Gaussian of one period.
    wavelength_nm : float, optional
        About; a quarter of the box where it is not known.

    Returns
    -------
    PhaseGradient or None
        None where there is no wave to measure.
    """
    shape = box.wave.shape[1:]
    known = np.isfinite(box.wave).all(axis=0)
    Z = amplitude_at(np.where(known, box.wave, 0).reshape(len(box.wave), -1), delay, frequency, at)
    if Z is None or not np.any(Z):
        return None
    Z = Z.reshape(shape)
    size = float(min(np.ptp(box.y), np.ptp(box.x)))
    radius = size / 4 if wavelength_nm is None else min(_HALF_WIDTH * wavelength_nm, size / 2)
    distance = np.hypot(box.y[:, None] - box.y.mean(), box.x - box.x.mean())
    Z = np.where(distance <= radius, Z, 0)
    k = []
    for axis, centres in ((1, box.x), (0, box.y)):
        step = float(centres[1] - centres[0])
        turn = 0.0  # rad per block
        for lag in (1, 2, 4):
            if lag >= Z.shape[axis]:
                break
            ahead, behind = (
                np.take(Z, range(lag, Z.shape[axis]), axis),
                np.take(Z, range(Z.shape[axis] - lag), axis),
            )
            # What is left beyond the first estimate is small: nothing to unwrap.
            rest = -np.angle(np.sum(behind.conj() * ahead * np.exp(1j * turn * lag)))
            turn += float(rest) / lag
        k.append(turn / step)
    size_k = float(np.hypot(k[0], k[1]))
    if size_k == 0:
        return None
    return PhaseGradient(
        speed=2e-3 * np.pi * frequency / size_k,
        angle=float(np.degrees(np.arctan2(-k[1], k[0]))),
        wavelength=2 * np.pi / size_k,
        radius=radius,
    )
