"""Curves, film strips and sentences about the training."""

import numpy as np

from uemdask.report.curves import (
    alignment_figure,
    angle_limits,
    motion_curves,
    training_figure,
    without_jumps,
)
from uemdask.report.sections import film_frames, guard_sentence
from uemdask.report.style import INK, figure_style


def test_a_curve_of_angles_is_broken_where_it_turns_over() -> None:
    place, angle = without_jumps(np.array([170.0, 178.0, -175.0, -170.0]))
    assert np.isnan(angle).sum() == 1
    assert place[np.isnan(angle)] == 1.5
    np.testing.assert_array_equal(angle[np.isfinite(angle)], [170.0, 178.0, -175.0, -170.0])
    place, angle = without_jumps(np.array([-20.0, 20.0]))
    assert np.isfinite(angle).all()


def test_the_axis_of_angles_is_close_where_all_agree_and_whole_elsewhere() -> None:
    low, high = angle_limits([np.array([28.0, 30.0]), np.array([35.0])])
    assert low < 28.0
    assert 35.0 < high < 90.0
    assert angle_limits([np.array([-90.0, 90.0])]) == (-184.0, 184.0)
    assert angle_limits([np.array([175.0, -175.0])]) == (-184.0, 184.0)
    assert angle_limits([]) == (-184.0, 184.0)


def test_regions_are_drawn_only_where_enough_is_valid() -> None:
    pairs = 10
    share = np.linspace(0, 0.9, pairs)[None]
    value = {
        "valid_fraction": share,
        "mean_speed": np.full((1, pairs), 2.0),
        "mean_angle": np.full((1, pairs), 45.0),
    }
    sd = {name: np.full((1, pairs), 0.1) for name in value}
    with figure_style():
        figure = motion_curves(np.arange(10.0), ["_edge"], value, sd, least_valid=0.35)
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(np.isfinite(line.get_ydata()), share[0] >= 0.35)
    assert [text.get_text().strip() for text in figure.axes[0].get_legend().get_texts()] == [
        "_edge"
    ]


def test_drift_is_drawn_over_the_delay() -> None:
    delay = np.array([-10.0, -5.0, 0.0, 5.0, 25.0])
    drift = np.arange(10.0).reshape(5, 2)
    used = np.array([True, True, True, False, True])
    with figure_style():
        figure = alignment_figure(drift, np.ones(5), used, delay, onset=(1.0, 2.0))
    first, way, second = figure.axes[:3]
    for axes, values in ((first, drift[:, 0]), (second, np.ones(5))):
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), delay)
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), values)
        assert axes.get_xlabel() == "delay / ps"
        assert axes.get_xlim() == (-12.5, 35.0)
        flagged, onset = (patch.get_x() for patch in axes.patches)
        assert (flagged, onset) == (2.5, -1.0)
    np.testing.assert_array_equal(way.collections[0].get_array(), delay)


def test_each_phase_of_the_training_has_its_own_axes() -> None:
    entries = [
        {"step": 1, "phase": "pretrain", "loss": 2.0, "supervised": 2.0},
        {"step": 2, "phase": "pretrain", "loss": 1.0, "supervised": 1.0},
        {"step": 3, "phase": "finetune", "loss": 0.5, "photometric": 0.3, "anchor": 0.2},
    ]
    with figure_style():
        figure = training_figure(entries)
        assert figure is not None
        loss = [line for line in figure.axes[0].lines if line.get_color() == INK]
        assert [list(line.get_ydata()) for line in loss] == [[2.0, 1.0]]
        assert len(figure.axes) == 2
        assert len(figure.axes[1].lines) == 3
        assert training_figure([{"phase": "guard"}]) is None


def test_the_guard_says_which_weights_were_kept() -> None:
    verdict = {"phase": "guard", "pretrained_error": 0.1, "finetuned_error": 0.2}
    sentence = guard_sentence([verdict | {"kept": "pretrained"}])
    assert "the pre-trained weights were kept" in sentence
    assert "0.100 px before and 0.200 px after" in sentence
    assert guard_sentence([{"phase": "pretrain"}]) == "There was no fine-tuning."


def test_a_film_strip_covers_a_period_around_the_strongest_time() -> None:
    delays = np.concatenate([np.arange(0.0, 500.0, 5.0), np.arange(500.0, 900.0, 10.0)])
    for at in (0.0, 250.0, 890.0):
        frames = film_frames(delays, at, 60.0)
        chosen = delays[frames]
        assert len(chosen) == 6
        assert chosen[0] <= at <= chosen[-1] + 10.0
        assert 40.0 <= np.ptp(chosen) <= 60.0
    assert len(np.arange(3)[film_frames(np.arange(3.0), 1.0, 60.0)]) == 3
