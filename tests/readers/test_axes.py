"""Axes by their names and units."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from uemdask.errors import UemError
from uemdask.readers.axes import axes_of

PATH = Path("a.h5")
SIZES = {"t": 7, "y": 4, "x": 5}
SERIES = np.arange(7 * 4 * 5).reshape(7, 4, 5)


@pytest.mark.parametrize("order", list(itertools.permutations("tyx")), ids="".join)
@pytest.mark.parametrize(
    "names",
    [
        {"t": "time", "y": "y", "x": "x"},
        {"t": "T", "y": "Y", "x": "X"},
        {"t": "pump delay (ps)", "y": "y_nm", "x": "x position"},
        {"t": "frame", "y": "row", "x": "column"},
        {"t": "whatever", "y": "height", "x": "width"},
    ],
    ids=str,
)
def test_every_order_gives_the_same_frames(order, names):
    lying = SERIES.transpose(["tyx".index(letter) for letter in order])
    axes = axes_of(PATH, lying.shape, [names[letter] for letter in order])
    assert (axes.frames, axes.shape, axes.note) == (7, (4, 5), "")
    wanted = [6, 0, 1, 2, 5, 5]
    frames = list(axes.read(lying, wanted))
    np.testing.assert_array_equal(frames, SERIES[wanted])


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
def test_what_one_chunk_holds_is_decoded_once(chunk):
    class Array:
        dtype, shape, chunks = SERIES.dtype, SERIES.shape, (chunk, 4, 5)

        def __init__(self):
            self.read = []

        def __getitem__(self, place):
            self.read.append(place[0])
            return SERIES[place]

    array = Array()
    frames = list(axes_of(PATH, SERIES.shape).read(array, range(7)))
    np.testing.assert_array_equal(frames, SERIES)
    assert len(array.read) == -(-7 // chunk)


def test_a_frame_beyond_the_last_is_refused():
    with pytest.raises(IndexError):
        list(axes_of(PATH, (4, 5)).read(SERIES[0], [1]))


def test_units_tell_where_names_do_not():
    axes = axes_of(PATH, (4, 5, 7), ("", "", ""), ("nm", "nm", "[p_s]"))
    assert (axes.frames, axes.shape) == (7, (4, 5))


@pytest.mark.parametrize(
    ("names", "units", "words"),
    [
        (("x", "x", "t"), (), r"which of its axes are y and x cannot be told \(x 4, x 5, t 7\)"),
        (("t", "z", "x"), (), r"cannot be told \(t 4, z 5, x 7\); name them y and x, or save"),
        (("x", "time"), (), r"cannot be told \(x 4, time 5\)"),
        (("t", "y", "x"), ("ps", "nm", "ps"), r"its axis x is in ps, a time and no length \(t 4 "),
        (("t", "y", "x"), ("", "ns", "nm"), r"its axis y is in ns, a time"),
        (("t", "c", "y", "x"), (), r"along more than one axis, t 4, c 5, y 7, x 3; save one"),
        ((), (), r"along more than one axis, shape \(4, 5, 7, 3\)"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_axes_named(names, units, words):
    shape = (4, 5, 7, 3)[: len(names) or 4]
    with pytest.raises(UemError, match=words):
        axes_of(PATH, shape, names, units)
