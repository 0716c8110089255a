"""Phase delay of a wave over the field, from what the spectrum stage wrote."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from uemdask.errors import UemError
from uemdask.spectrum import harmonic_amplitudes, harmonic_operator
from uemdask.spectrum.harmonics import RADIAN_PER_GHZ_PS

Complex128 = npt.NDArray[np.complex128]
Float64 = npt.NDArray[np.float64]

_ORDER = 3
"""Of the surface that the phase is unwrapped along; what is left may be anything below a turn."""

_ROUNDS = 5
"""Refits of that surface; two are enough in most maps."""

_STRAY = np.pi / 2
_MOST_STRAY = 0.05
"""From this share of pixels that stray a quarter of a turn, a turn more or less cannot be told."""


def complex_amplitude(
    amplitude: npt.NDArray[np.floating],
    phase: npt.NDArray[np.floating],
    peak_frequency: npt.NDArray[np.floating],
    delays: npt.ArrayLike,
    *,
    frequency: float,
    gain: npt.ArrayLike | None = None,
) -> Complex128:
    """Complex amplitude of a wave at one frequency, from the maps of the pixels' peaks.

    A peak found a little beside `frequency` is off in phase at time zero, but not in the middle of
    the record; so the phase is taken there. Of a wave much longer than the field most goes into the
    brightness of the frames, and `gain` has divided it out: what is left looks like a standing
    wave. Given the `gain`, its harmonic is put back, correct to the first order of the modulation.

    Parameters
    ----------
    amplitude, phase, peak_frequency : ndarray, shape (y, x)
        `peak_amplitude` (1), `peak_phase` (rad) and `peak_frequency` (GHz) of a run.
    delays : array_like, shape (T,)
        ps, of the usable frames.
    frequency : float
        GHz, such as the centre of the band.
    gain : array_like, shape (T,), optional
        Brightness factor of those frames. Only for a light source that is steady itself: what it
        does at this frequency would be taken for the wave.

    Returns
    -------
    ndarray, shape (y, x), complex128
        ``Z`` of ``s = Re(Z exp(i 2 pi f t))``, unit of `amplitude`, t from the middle of the
        record.

    Raises
    ------
    UemError
        If shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(0, 500, 5.0)
    >>> one = np.ones((2, 2))
    >>> Z = complex_amplitude(0.1 * one, 0.5 * one, 34 * one, t, frequency=34.0)
    >>> turn = np.exp(2e-3j * np.pi * 34 * t.mean())
    >>> round(float(np.angle(Z / turn)[0, 0]), 3)
    0.5
    """
    t = np.asarray(delays, dtype=np.float64)
    if not amplitude.shape == phase.shape == peak_frequency.shape:
        raise UemError(
            f"peaks: found maps of shapes {amplitude.shape}, {phase.shape} and "
            f"{peak_frequency.shape}; give the three maps of one run"
        )
    middle = (t[0] + t[-1]) / 2
    peaks = phase + RADIAN_PER_GHZ_PS * np.asarray(peak_frequency, np.float64) * middle
    Z: Complex128 = amplitude * np.exp(1j * peaks)
    if gain is None:
        return Z
    factor = np.asarray(gain, dtype=np.float64)
    if factor.shape != t.shape:
        raise UemError(
            f"gain: found shape {factor.shape} for {t.size} delays; give those of the usable frames"
        )
    common = harmonic_amplitudes(factor - 1, harmonic_operator(t, [frequency]))[0]
    return Z + common * np.exp(1j * RADIAN_PER_GHZ_PS * frequency * middle)


def phase_delay(
    Z: npt.NDArray[np.complexfloating],
    frequency: float,
    used: npt.NDArray[np.bool_] | None = None,
) -> Float64:
    """Time that the phase of a wave takes to each pixel, without jumps.

    The phase is unwrapped along a smooth surface: fitted to the phase differences of neighbours,
    weighted by amplitude, then to what is left. The gradient of the delay is the wave vector over
    ``2 pi f``, the slowness of the phase.

    Parameters
    ----------
    Z : ndarray, shape (y, x), complex
        Complex amplitude, ``exp(i (w t - k.r))`` for a wave along k.
    frequency : float
        GHz.
    used : ndarray of bool, shape (y, x), optional
        Pixels with a wave; all where not given.

    Returns
    -------
    ndarray, shape (y, x), float64
        ps, mean about zero; NaN outside `used`.

    Raises
    ------
    UemError
        If the phase follows no smooth surface: a vortex, waves that cross, or noise.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.broadcast_to(np.arange(40.0), (40, 40))
    >>> delay = phase_delay(np.exp(-0.5j * x), 20.0)  # three wavelengths over the field
    >>> float((np.diff(delay, axis=1) * 2e-3 * np.pi * 20).mean().round(6))  # rad/px
    0.5
    """
    known = np.isfinite(Z) if used is None else np.asarray(used, dtype=bool) & np.isfinite(Z)
    if Z.ndim != 2 or known.shape != Z.shape or known.sum() < 100 or frequency <= 0:
        raise UemError(
            f"phase_delay: found a map of shape {Z.shape} with {int(known.sum())} usable pixels at "
            f"{frequency:g} GHz; give a map (y, x) with 100 or more at a positive frequency"
        )
    wave = np.where(known, Z, 0)
    surface = _surfaces(wave.shape)
    weight = np.abs(wave[known])
    phase = surface[..., 1:] @ _fit_differences(wave, surface[..., 1:])
    left = _phase_left(wave, phase)
    for _ in range(_ROUNDS):
        phase = phase + surface @ _least_squares(surface[known], left[known], weight)
        left = _phase_left(wave, phase)
    stray = float(np.mean(np.abs(left[known]) > _STRAY))
    if stray > _MOST_STRAY:
        raise UemError(
            f"phase_delay: {stray:.0%} of the pixels stray from a smooth phase by a quarter of a "
            "turn or more; use a smaller region or a lower frequency"
        )
    delay = -(phase + left) / (RADIAN_PER_GHZ_PS * frequency)
    return np.where(known, delay - delay[known].mean(), np.nan)


def _surfaces(shape: tuple[int, ...]) -> Float64:
    """Give the powers of y and x up to the order, (y, x, term); the constant first."""
    y, x = (np.linspace(-1, 1, size) for size in shape)
    powers = [(a, b) for a in range(_ORDER + 1) for b in range(_ORDER + 1 - a)]
    return np.stack([y[:, None] ** a * x[None, :] ** b for a, b in sorted(powers, key=sum)], -1)


def _fit_differences(wave: Complex128, surface: Float64) -> Float64:
    """Fit a surface whose steps are the phase differences of neighbours."""
    steps, angles, weights = [], [], []
    for axis in (0, 1):
        product = np.delete(wave, 0, axis) * np.delete(wave, -1, axis).conj()
        there = product != 0
        steps.append(np.diff(surface, axis=axis)[there])
        angles.append(np.angle(product[there]))
        weights.append(np.abs(product[there]))
    return _least_squares(np.concatenate(steps), np.concatenate(angles), np.concatenate(weights))


def _phase_left(wave: Complex128, phase: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Give what the wave turns beyond a phase, from its mean."""
    rest = wave * np.exp(-1j * phase)
    return np.angle(rest * rest.sum().conj())


def _least_squares(
    terms: Float64, values: npt.NDArray[np.floating], weight: npt.NDArray[np.floating]
) -> Float64:
    root = np.sqrt(weight)
    found: Float64 = np.linalg.lstsq(terms * root[:, None], values * root, rcond=None)[0]
    return found
