"""Speed and angle of simulated plane waves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.motion import (
    along_pixel_normal,
    angle_of,
    physical_displacement,
    speed_and_angle,
    speed_and_angle_sd,
)


def flow_of_plane_wave(speed, angle_degree, pixel_size, step, wavelength_nm=500.0):
    """Pixel-space normal displacement of a plane wave in nm, from its phase alone.

    The phase is sampled on the pixel grid, its gradient taken there, and the displacement is the
    shortest one in pixels that undoes the phase of one delay step.
    """
    size_y, size_x = pixel_size
    y, x = np.mgrid[:5, :5]
    k = 2 * np.pi / wavelength_nm
    angle = np.radians(angle_degree)
    # y is downwards, the angle anticlockwise as displayed.
    phase = k * (np.cos(angle) * x * size_x - np.sin(angle) * y * size_y)
    ky, kx = np.gradient(phase)
    spanned = k * speed * step
    return np.stack([kx, ky]) * spanned / (kx**2 + ky**2)


@settings(max_examples=100, deadline=None)
@given(
    speed=st.floats(0.5, 50),
    angle=st.floats(-179, 180),
    size_y=st.floats(1, 6),
    size_x=st.floats(1, 6),
    step=st.floats(0.5, 10),
)
def test_a_plane_wave_on_any_pixels_gives_back_its_speed_and_angle(
    speed, angle, size_y, size_x, step
):
    flow = flow_of_plane_wave(speed, angle, (size_y, size_x), step)
    found, direction = speed_and_angle(flow, (size_y, size_x), step)
    np.testing.assert_allclose(found, speed, rtol=1e-4)
    turn = (direction - angle + 180) % 360 - 180
    assert np.abs(turn).max() < 0.01


def test_multiplying_components_by_pixel_sizes_would_be_wrong():
    flow = flow_of_plane_wave(10.0, -63.435, (1.0, 2.0), 1.0)
    naive = np.hypot(flow[0] * 2.0, flow[1] * 1.0)
    right = np.hypot(*physical_displacement(flow, (1.0, 2.0)))
    np.testing.assert_allclose(right, 10.0, rtol=1e-5)
    assert np.abs(naive / 10 - 1).min() > 0.05


def test_square_pixels_give_the_plain_formula():
    flow = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    np.testing.assert_allclose(physical_displacement(flow, (3.0, 3.0)), 3 * flow, rtol=1e-5)
    speed, _ = speed_and_angle(flow, (3.0, 3.0), np.array([1.0, 2.0, 5.0]))
    expected = 3 * np.hypot(flow[:, 0], flow[:, 1]) / np.array([1.0, 2.0, 5.0])[:, None, None]
    np.testing.assert_allclose(speed, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "angle"),
    [(1, 0, 0), (1, -1, 45), (0, -1, 90), (-1, 0, 180), (-1, -0.0, 180), (-1, 0.0, 180),
     (0, 1, -90), (1, 1, -45)],
)  # fmt: skip
def test_angle_is_anticlockwise_as_displayed_and_never_minus_180(x, y, angle):
    assert angle_of(np.array([float(x)]), np.array([float(y)]))[0] == angle


def test_not_valid_is_nan_and_zero_speed_has_no_angle():
    flow = np.array([[[0.0, 3.0, np.nan]], [[0.0, 4.0, 1.0]]])
    speed, angle = speed_and_angle(flow, (1.0, 1.0), 1.0)
    np.testing.assert_array_equal(speed, [[0.0, 5.0, np.nan]])
    assert np.isnan(angle[0, [0, 2]]).all()
    speed, angle = speed_and_angle(flow, (1.0, 1.0), 1.0, valid=np.array([[True, False, True]]))
    assert np.isnan(speed[0, 1:]).all()
    assert np.isnan(angle[0, 1])


def test_true_and_pixel_normals_convert_into_each_other():
    size = (2.0, 5.0)
    pixel_normal = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    true_normal = physical_displacement(pixel_normal, size) / np.array([5.0, 2.0])[:, None, None]
    np.testing.assert_allclose(along_pixel_normal(true_normal, size), pixel_normal, rtol=1e-4)
    flow = flow_of_plane_wave(10.0, 30.0, size, 1.0)
    along = np.array([10 * np.cos(np.pi / 6) / 5, -10 * np.sin(np.pi / 6) / 2])
    stated = np.broadcast_to(along[:, None, None], flow.shape)
    np.testing.assert_allclose(along_pixel_normal(stated, size), flow, rtol=1e-4)
    np.testing.assert_allclose(along_pixel_normal(stated, (3.0, 3.0)), stated, rtol=1e-5)


@pytest.mark.parametrize("pixel_size", [(3.0, 3.0), (2.0, 5.0)])
@pytest.mark.parametrize("flow", [(4.0, 0.0), (3.0, -2.0), (-1.0, 5.0)])
def test_uncertainty_agrees_with_many_draws(pixel_size, flow):
    rng = np.random.default_rng(0)
    sd = np.array([0.10, 0.06])
    draws = np.array(flow)[:, None] + sd[:, None] * rng.normal(size=(2, 40_000))
    speed, angle = speed_and_angle(draws[:, None, :], pixel_size, 2.0)
    one = np.array(flow)[:, None, None]
    speed_sd, angle_sd = speed_and_angle_sd(one, sd[:, None, None], pixel_size, 2.0)
    assert speed_sd.item() == pytest.approx(speed.std(), rel=0.02)
    centre = speed_and_angle(one, pixel_size, 2.0)[1].item()
    turn = (angle - centre + 180) % 360 - 180
    assert angle_sd.item() == pytest.approx(turn.std(), rel=0.02)


def test_the_angle_is_never_less_certain_than_no_angle_at_all():
    flow = np.array([[[1e-3, 0.0]], [[0.0, 0.0]]])
    speed_sd, angle_sd = speed_and_angle_sd(flow, np.ones((2, 1, 2)), (1.0, 1.0), 1.0)
    assert angle_sd[0, 0] == pytest.approx(360 / np.sqrt(12))
    assert np.isnan(speed_sd[0, 1])
    assert np.isnan(angle_sd[0, 1])


def test_the_numbers_of_a_published_series():
    # 33 nm/ps at 3 nm pixels and 5 ps is 55 px a frame: the unit of each factor must be right.
    flow = np.zeros((2, 1, 1))
    flow[0] = 55.0
    assert speed_and_angle(flow, (3.0, 3.0), 5.0)[0].item() == pytest.approx(33.0)


@pytest.mark.parametrize(
    ("flow", "size", "step", "message"),
    [
        (np.zeros((3, 4, 4)), (1.0, 1.0), 1.0, "flow"),
        (np.zeros((2, 4, 4)), (0.0, 1.0), 1.0, "pixel_size"),
        (np.zeros((2, 4, 4)), (1.0, 1.0), 0.0, "time_step"),
        (np.zeros((3, 2, 4, 4)), (1.0, 1.0), np.ones(2), "time_step"),
    ],
)
def test_unusable_input_is_refused(flow, size, step, message):
    with pytest.raises(UemError, match=message):
        speed_and_angle(flow, size, step)
