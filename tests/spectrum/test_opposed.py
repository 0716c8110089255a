"""How much of a wave runs against it: what tells a reflected wave from a lone or a standing one."""

import numpy as np
import pytest

from uemdask.spectrum import opposed_power

Y, X = np.mgrid[:160, :160].astype(np.float32)
INNER = (slice(40, -40), slice(40, -40))


def share(Z):
    Z = Z.astype(np.complex64)
    return float(opposed_power(Z)[INNER].sum() / (np.abs(Z[INNER]) ** 2).sum())


def plane(angle, length=30.0):
    phase = np.cos(np.radians(angle)) * X - np.sin(np.radians(angle)) * Y
    return np.exp(-2j * np.pi * phase / length)


@pytest.mark.parametrize("angle", [0, 35, -120, 180])
@pytest.mark.parametrize("echo", [0.0, 0.1, 0.35, 0.5])
def test_it_is_the_power_of_the_reflected_wave(angle, echo):
    expected = echo**2 / (1 + echo**2)
    assert share(plane(angle) + echo * plane(angle + 180)) == pytest.approx(expected, abs=0.006)


def test_a_ring_has_none_and_a_standing_wave_much():
    ring = np.exp(-2j * np.pi * np.hypot(X - 80, Y - 80) / 20)
    assert share(ring) < 0.02
    assert share(plane(20) + plane(200)) > 0.3
