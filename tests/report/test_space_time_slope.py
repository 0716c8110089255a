"""The slope of fronts and the gradient of their phase, against known plane waves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_waves import plane_wave

from uemdask.report.space_time_slope import average_along_fronts, fit_slope, phase_gradient
from uemdask.report.wave_box import WaveBox, best_place

EVEN = np.arange(0.0, 300.0, 5.0)
UNEVEN = np.cumsum(np.tile([3.0, 5.0, 8.0, 4.0], 15))


def box_of(
    speed: float,
    angle: float,
    frequency: float,
    delays: np.ndarray,
    step_y: float = 6.0,
    step_x: float = 6.0,
) -> WaveBox:
    y, x = (np.arange(64) + 0.5) * step_y, (np.arange(64) + 0.5) * step_x
    Z = plane_wave(
        (64, 64),
        delays,
        frequency=frequency,
        wavelength=speed / frequency * 1e3,
        angle=angle,
        pixel=(step_y, step_x),
    )
    return WaveBox(Z.real.astype(np.float32), y, x, slice(0, 64), slice(0, 64))


@given(angle=st.floats(-180, 180), speed=st.floats(1.5, 5.0))
@settings(max_examples=12, deadline=None)
def test_the_slope_of_fronts_that_run_along_the_strip_is_their_speed(
    angle: float, speed: float
) -> None:
    plot = average_along_fronts(box_of(speed, angle, 25.0, EVEN), EVEN, angle, 40 * speed)
    slope = fit_slope(plot, 25.0, 150.0)
    assert slope is not None
    assert slope.speed == pytest.approx(speed, rel=0.05)


def test_a_wave_that_comes_towards_the_strip_has_a_negative_slope() -> None:
    plot = average_along_fronts(box_of(3.0, 30.0, 25.0, EVEN), EVEN, -150.0, 120.0)
    slope = fit_slope(plot, 25.0, 150.0)
    assert slope is not None
    assert slope.speed == pytest.approx(-3.0, rel=0.05)


def test_crests_of_the_plot_move_up_with_time() -> None:
    plot = average_along_fronts(box_of(3.0, 30.0, 25.0, EVEN), EVEN, 30.0, 120.0)
    middle = np.abs(plot.distance) < 55  # less than one wavelength
    crests = plot.distance[middle][plot.values[20:23, middle].argmax(axis=1)]
    assert np.diff(crests) == pytest.approx([15.0, 15.0], abs=6.0)


@pytest.mark.parametrize("delays", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("angle", [0.0, 65.0, 170.0, -100.0])
def test_the_phase_gradient_knows_speed_and_direction(delays: np.ndarray, angle: float) -> None:
    box = box_of(3.0, angle, 25.0, delays, step_y=4.0, step_x=8.0)
    found = phase_gradient(box, delays, 25.0, float(delays[30]), 120.0)
    assert found is not None
    assert found.speed == pytest.approx(3.0, rel=0.03)
    assert (found.angle - angle + 180) % 360 - 180 == pytest.approx(0.0, abs=2.0)
    assert found.wavelength == pytest.approx(120.0, rel=0.03)


def test_the_strip_lies_along_the_direction_of_travel() -> None:
    plot = average_along_fronts(box_of(3.0, 90.0, 25.0, EVEN), EVEN, 90.0, 120.0)
    first, second, _, _ = plot.corners
    assert second[0] == pytest.approx(first[0])
    assert second[1] < first[1]  # upwards on the screen, where y is smaller


def test_no_slope_is_made_up_without_delays_or_wave() -> None:
    box = box_of(3.0, 30.0, 25.0, EVEN[:3])
    plot = average_along_fronts(box, EVEN[:3], 30.0, 120.0)
    assert fit_slope(plot, 25.0, 5.0) is None
    nothing = WaveBox(np.full_like(box.wave, np.nan), box.y, box.x, box.rows, box.columns)
    assert phase_gradient(nothing, EVEN[:3], 25.0, 5.0, None) is None


def test_pixels_that_are_not_known_do_not_count() -> None:
    box = box_of(3.0, 30.0, 25.0, EVEN)
    whole = average_along_fronts(box, EVEN, 30.0, 120.0)
    wave = box.wave.copy()
    wave[:, ::3, ::2] = np.nan
    holes = average_along_fronts(
        WaveBox(wave, box.y, box.x, box.rows, box.columns), EVEN, 30.0, 120.0
    )
    both = np.isfinite(whole.values) & np.isfinite(holes.values)
    assert both.mean() > 0.8
    assert np.abs(whole.values - holes.values)[both].max() < 0.35


def test_the_box_goes_where_most_weight_is() -> None:
    weight = np.zeros((40, 60))
    weight[25:35, 40:50] = 1.0
    row, column = best_place(weight, 10)
    assert abs(row - 30) <= 1
    assert abs(column - 45) <= 1
