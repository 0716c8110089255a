"""The phase of a wave and the displacement of its fronts agree exactly."""

import numpy as np
import pytest

from uemdask.simulate import PlaneWave, RingWave, SpeedLaw

GE = SpeedLaw(late=8.5, excess=53.9, decay=208.0)
WAVES = [
    PlaneWave(18.0, SpeedLaw(1.9), angle=30.0),
    PlaneWave(34.0, GE, (100.0, -50.0), 0.7, angle=-160.0),
    RingWave(34.0, GE, (40.0, 70.0), 0.2),
]


def grid(size=400.0, n=41):
    line = np.linspace(-size, size, n)
    return line[None, :], line[:, None]


@pytest.mark.parametrize("wave", WAVES)
@pytest.mark.parametrize(("t_from", "t_to"), [(160.0, 165.0), (440.0, 450.0)])
def test_displacement_conserves_the_phase(wave, t_from, t_to):
    x, y = grid()
    dx, dy = wave.displacement(x, y, t_from, t_to)
    # A ring needs its front to move outwards only; so it does in these fields.
    before = wave.phase(x, y, t_from)
    after = wave.phase(x + dx, y + dy, t_to)
    np.testing.assert_allclose(after, before, atol=1e-8)


@pytest.mark.parametrize("wave", WAVES)
def test_displacement_lies_along_the_wavefront_normal(wave):
    x, y = grid()
    dx, dy = wave.displacement(x, y, 200.0, 205.0)
    h = 1e-3
    gx = wave.phase(x + h, y, 200.0) - wave.phase(x - h, y, 200.0)
    gy = wave.phase(x, y + h, 200.0) - wave.phase(x, y - h, 200.0)
    cross = (dx * gy - dy * gx) / np.hypot(gx, gy)
    assert np.abs(cross).max() < 1e-4 * np.hypot(dx, dy).max()


@pytest.mark.parametrize(
    ("angle", "way"), [(0, (1, 0)), (90, (0, -1)), (180, (-1, 0)), (-90, (0, 1))]
)
def test_angle_is_anticlockwise_as_displayed(angle, way):
    wave = PlaneWave(10.0, SpeedLaw(2.0), angle=angle)
    dx, dy = wave.displacement(np.zeros(1), np.zeros(1), 0.0, 5.0)
    np.testing.assert_allclose([dx[0], dy[0]], 10.0 * np.array(way), atol=1e-12)


def test_rings_run_outwards():
    wave = RingWave(20.0, SpeedLaw(3.0))
    x, y = np.array([50.0, 0.0]), np.array([0.0, -50.0])
    dx, dy = wave.displacement(x, y, 100.0, 104.0)
    np.testing.assert_allclose([dx, dy], [[12.0, 0.0], [0.0, -12.0]], atol=1e-12)


@pytest.mark.parametrize("wave", WAVES)
def test_front_speed_is_the_limit_of_the_displacement(wave):
    x, y = grid(n=9)
    h = 1e-3
    moved = wave.advance(x, y, 300.0, 300.0 + h)
    np.testing.assert_allclose(moved / h, wave.front_speed(x, y, 300.0), rtol=1e-4)


def test_chirped_wave_keeps_its_frequency_on_the_origin_line():
    wave = WAVES[1]
    origin = np.array([wave.origin[0]]), np.array([wave.origin[1]])
    for t in (120.0, 300.0, 900.0):
        h = 1e-3
        rate = (wave.phase(*origin, t - h) - wave.phase(*origin, t + h))[0] / (2 * h)
        assert 1e3 * rate / (2 * np.pi) == pytest.approx(34.0)
        assert wave.front_speed(*origin, t)[0] == pytest.approx(float(GE(t)))
