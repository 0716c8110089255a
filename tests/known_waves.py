"""Waves of which all is known, from the simulator, as complex amplitudes without noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uemdask.simulate import PlaneWave, SpeedLaw


def plane_wave(
    shape: tuple[int, int],
    delays: Sequence[float] | np.ndarray,
    *,
    frequency: float,
    wavelength: float,
    angle: float,
    pixel: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Return ``exp(i (2 pi f t - k r))``, (time, y, x), complex128.

    Delays are in ps, the frequency in GHz, the wavelength and the pixels (y, x) in one unit. The
    first pixel is the origin; the angle is that of the contract.
    """
    wave = PlaneWave(frequency, SpeedLaw(wavelength * frequency * 1e-3), angle=angle)
    y, x = (axis * step for axis, step in zip(np.indices(shape), pixel, strict=True))
    return np.exp(-1j * np.stack([wave.phase(x, y, float(t)) for t in delays]))
