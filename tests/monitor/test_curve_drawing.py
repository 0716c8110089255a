"""The training curve as it is drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.monitor.curve_drawing import HEIGHT, WIDTH, drawing, marks


def test_one_entry_is_no_curve():
    assert drawing({}) is None
    assert drawing({"pretrain": [(50, 1.0)]}) is None


def test_phases_have_lines_of_their_own():
    drawn = drawing({"pretrain": [(50, 1.0), (100, 0.5)], "finetune": [(110, 2.0)], "other": []})
    assert [line["name"] for line in drawn["lines"]] == ["pre-training", "fine-tuning"]
    assert drawn["logarithmic"]


def test_negative_losses_stand_on_a_linear_scale():
    drawn = drawing({"finetune": [(1, 2.0), (2, -2.0)]})
    assert not drawn["logarithmic"]
    assert [text for _, text in drawn["losses"]] == ["-2", "-1", "0", "1", "2"]


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1e6, 1e6)), min_size=2, max_size=40).map(
        sorted
    )
)
def test_all_lies_in_the_picture(points):
    drawn = drawing({"pretrain": points})
    places = [tuple(map(float, p.split(","))) for p in drawn["lines"][0]["points"].split()]
    assert len(places) == len(points)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert all(0 <= y <= HEIGHT for y, _ in drawn["losses"])


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]), (1.05, 1.2, [1.05, 1.1, 1.15, 1.2]), (7, 7, [7]),
        (49, 51, [49, 49.5, 50, 50.5, 51]),
    ],
)  # fmt: skip
def test_marks_are_round(low, high, found):
    assert marks(low, high) == found


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e9))
def test_a_logarithmic_axis_has_a_few_marks(low, ratio):
    assert 2 <= len(marks(low, low * ratio, logarithmic=True)) <= 10
