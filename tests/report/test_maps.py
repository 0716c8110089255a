"""What figures show: directions as a reader sees them, with y downwards in the data."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from uemdask.report.arrows import arrow_grid
from uemdask.report.downsampling import Grid, Motion
from uemdask.report.maps import draw_arrows, outline_path, reference_figure
from uemdask.report.style import CYCLIC, figure_style, new_figure, nice_length, to_svg


def moving(angle: float, size: int = 32) -> tuple[Motion, Grid]:
    u, v = np.cos(np.radians(angle)), -np.sin(np.radians(angle))
    one = np.ones((size, size), np.float32)
    motion = Motion(np.stack([u * one, v * one]), one, 0.1 * one, angle * one, one.copy())
    axis = (np.arange(size) + 0.5) * 4.0
    extent = (0.0, size * 4.0, size * 4.0, 0.0)
    return motion, Grid(axis, axis, extent, extent)


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 135.0, -60.0, 180.0])
def test_arrows_point_the_way_the_angle_says_on_the_screen(angle: float) -> None:
    motion, grid = moving(angle)
    with figure_style():
        figure = new_figure(4, 4)
        axes = figure.subplots()
        axes.imshow(motion.speed, extent=grid.extent)
        arrows = arrow_grid(motion, grid)
        quiver = draw_arrows(axes, arrows)
        assert quiver is not None
        figure.draw_without_rendering()
        # The outline of an arrow runs from its tail over the tip, its fourth corner, and back.
        # Its corners are in display coordinates, where y points up.
        corners = quiver.get_paths()[0].vertices
        shaft = corners[3] - (corners[0] + corners[6]) / 2
    turned = np.degrees(np.arctan2(shaft[1], shaft[0]))
    assert (turned - angle + 180) % 360 - 180 == pytest.approx(0.0, abs=0.5)


def test_blocks_without_valid_pixels_get_no_arrow() -> None:
    motion, grid = moving(30.0)
    valid = motion.valid.copy()
    valid[:, :16] = 0
    velocity = np.where(valid > 0, motion.velocity, np.nan)
    half = Motion(velocity, motion.speed, motion.speed_sd, motion.angle, valid)
    arrows = arrow_grid(half, grid, across=8)
    assert len(arrows.x) == 8 * 4
    assert arrows.x.min() > 64.0
    np.testing.assert_allclose(arrows.u, np.cos(np.radians(30)), rtol=1e-6)
    none = Motion(np.full_like(velocity, np.nan), *(motion.speed,) * 3, np.zeros_like(valid))
    assert len(arrow_grid(none, grid).x) == 0


def test_opposite_directions_differ_in_lightness_or_blue_against_yellow() -> None:
    for angle in np.arange(0, 180, 15):
        first, second = (np.array(to_rgb(CYCLIC((a % 360) / 360))) for a in (angle, angle + 180))
        # Red and green alike, as in the most frequent colour blindness: their mean and blue stay.
        seen = np.array([first[:2].mean() - second[:2].mean(), first[2] - second[2]])
        assert np.abs(seen).max() > 0.2
    np.testing.assert_allclose(CYCLIC(0.0), CYCLIC(1.0), atol=0.02)


@pytest.mark.parametrize("field", [3.0, 40.0, 768.0, 1536.0, 24000.0])
def test_a_scale_bar_is_round_and_between_a_tenth_and_a_quarter_of_the_field(field: float) -> None:
    bar = nice_length(field)
    assert field / 10 <= bar <= field / 4
    assert f"{bar:e}"[0] in "125"


def test_outlines_with_holes_and_empty_ones(tmp_path: Path) -> None:
    ring = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
    hole = [[2, 2], [2, 4], [4, 4], [4, 2], [2, 2]]
    path = outline_path(f'{{"type": "Polygon", "coordinates": [{ring}, {hole}]}}')
    assert path is not None
    assert len(path.vertices) == 10
    assert outline_path('{"type": "MultiPolygon", "coordinates": []}') is None


def test_names_in_figures_are_text_and_nothing_else() -> None:
    _, grid = moving(0.0)
    outline = '{"type": "Polygon", "coordinates": [[[0, 0], [40, 0], [40, 40], [0, 0]]]}'
    name = "<b>Flügel</b> $x & ‌結晶"
    with figure_style():
        figure = reference_figure(np.eye(32), grid, rois=[(name, outline)])
        svg = to_svg(figure, 'A "map"')
    assert "<b>" not in svg
    assert "&lt;b&gt;Flügel&lt;/b&gt; $x &amp; " in svg
    assert 'aria-label="A &#34;map&#34;"' in svg
    assert "http" not in svg
