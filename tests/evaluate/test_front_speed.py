"""Speeds of plane and curved fronts from maps of delays, and how sure they are."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from uemdask.errors import UemError
from uemdask.evaluate import front_speed

SHAPE = (32, 32)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


def plane(speed, angle, pixel_size=(1.0, 1.0)):
    """Delays (ps) of a plane front that runs at a speed in nm/ps; y points downwards."""
    turn = np.radians(angle)
    return (X * pixel_size[1] * np.cos(turn) - Y * pixel_size[0] * np.sin(turn)) / speed


def ring(speed, source):
    """Delays of a circular front from a source (y, x)."""
    return np.hypot(Y - source[0], X - source[1]) / speed


@pytest.mark.parametrize("angle", [0.0, 62.0, -135.0])
@pytest.mark.parametrize("order", [1, 2])
def test_a_plane_front_has_its_speed_and_angle_on_pixels_of_any_shape(angle, order):
    found = front_speed(plane(3.0, angle, (2.0, 5.0)), (2.0, 5.0), order=order)
    assert found.speed == pytest.approx(3.0, rel=1e-9)
    assert found.angle == pytest.approx(angle, abs=1e-4)
    assert found.speed_error < 1e-9


@pytest.mark.parametrize("source", [(36, -4), (31, 0), (15.5, -8)])
def test_a_curved_surface_gives_the_speed_of_a_curved_front(source):
    delays = ring(3.0, source)
    assert front_speed(delays, (1, 1), order=2).speed == pytest.approx(3.0, rel=0.03)
    assert front_speed(delays, (1, 1), order=3).speed == pytest.approx(3.0, rel=0.005)


def test_a_plane_finds_a_curved_front_too_fast_and_says_how_unsure_it_is():
    found = front_speed(ring(3.0, source=(15.5, -4)), (1, 1), order=1)
    assert 3.2 < found.speed < 3.0 + 2 * found.speed_error


def test_an_angle_near_180_degrees_has_a_small_error():
    rng = np.random.default_rng(0)
    found = front_speed(plane(3.0, 180.0) + rng.normal(0, 0.3, SHAPE), (1, 1), order=1)
    assert abs(abs(found.angle) - 180) < 3
    assert found.angle_error < 3


@pytest.mark.parametrize("order", [1, 2])
def test_the_standard_error_is_the_scatter_of_repeated_measurements(order):
    # Noise as smoothed maps have it: neighbours within a few pixels err alike.
    rng = np.random.default_rng(1)
    found = [
        front_speed(
            plane(3.0, 30.0) + gaussian_filter(rng.normal(0, 4.0, SHAPE), 2), (1, 1), order=order
        )
        for _ in range(60)
    ]
    scatter = np.std([one.speed for one in found])
    stated = np.sqrt(np.mean([one.speed_error**2 for one in found]))
    assert stated / scatter == pytest.approx(1.0, abs=0.35)
    turn = np.std([one.angle for one in found])
    assert np.sqrt(np.mean([one.angle_error**2 for one in found])) / turn == pytest.approx(
        1.0, abs=0.35
    )


def test_a_few_wrong_arrivals_do_not_change_the_speed():
    rng = np.random.default_rng(2)
    delays = plane(3.0, 30.0) + rng.normal(0, 0.1, SHAPE)
    delays[rng.random(SHAPE) < 0.03] += 40
    assert front_speed(delays, (1, 1), order=1).speed == pytest.approx(3.0, rel=0.02)


def test_pixels_that_are_unknown_or_not_used_do_not_count():
    delays = plane(3.0, 30.0)
    delays[:, 24:] = np.nan
    used = np.ones(SHAPE, bool)
    used[:8] = False
    delays[:8] = 99
    found = front_speed(delays, (1, 1), used=used)
    assert found.speed == pytest.approx(3.0)
    assert found.blocks == 9


def test_what_cannot_be_measured_is_refused_in_plain_words():
    with pytest.raises(UemError, match="4 blocks of 16 px"):
        front_speed(plane(3.0, 0.0), (1, 1), block=16)
    with pytest.raises(UemError, match="same delay everywhere"):
        front_speed(np.zeros(SHAPE), (1, 1))
    with pytest.raises(UemError, match="pixel_size: found"):
        front_speed(plane(3.0, 0.0), (0, 1))
    with pytest.raises(UemError, match="order of 1 to 3"):
        front_speed(plane(3.0, 0.0), (1, 1), order=4)
    with pytest.raises(UemError, match="one size"):
        front_speed(plane(3.0, 0.0), (1, 1), used=np.ones((3, 3), bool))
