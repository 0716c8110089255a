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


@pytest.mark.parametrize("angle", [0, 35, -120])
def test_a_lone_wave_has_none_whatever_its_contrast(angle):
    """Contrast that is reversed across lines, or that has a texture, is no second wave."""
    reversed_ = np.tanh(np.sin((X + 20 * np.sin(Y / 30)) / 13) / 0.3)
    textured = 1 + 0.3 * np.sin(X / 3) * np.cos(Y / 4)
    for contrast in (reversed_, textured):
        assert share(contrast * plane(angle)) < 0.005
    # A second wave is seen all the same.
    both = plane(angle) + 0.35 * plane(angle + 180)
    assert 0.06 < share(textured * both) < 0.13
