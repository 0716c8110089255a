"""File names in the order of the numbers in them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.readers.natural_order import natural_sorted

IN_ORDER = {
    "counters": [f"frame_{i}.tif" for i in range(1, 12)],
    "signs": [f"{v:+d}.tif" for v in range(-4, 4)],
    "minus alone": [f"{v}.tif" for v in range(-4, 4)],
    "true minus": ["a_−10.tif", "a_−9.tif", "a_1.tif"],
    "dashes": [f"run-{v}.tif" for v in range(1, 12)],
    "all before zero": [f"run_-{v}.tif" for v in range(12, 0, -1)],
    "dates": [f"2026-05-{v:02d}.tif" for v in range(1, 12)],
    "signed decimals": [f"data.timedelay.{d / 2:+.2f}.nscan.01.tif" for d in range(-4, 9)],
    "scans within": [f"t{d:+.1f}_{s}.tif" for d in (-1.5, 0, 10) for s in (1, 2, 10)],
    "decimals": [f"{x:g}.tif" for x in (0.5, 1, 2, 2.5, 6, 10, 10.5, 11)],
    "decimal commas": [f"{x:g}.tif".replace(".", ",", 1) for x in (0.5, 1.5, 2.5, 10.5)],
    "two counters": [f"1.{v}.tif" for v in range(1, 12)],
    "versions": ["v1.2.3", "v1.2.10", "v1.10.1"],
    "a letter between": [f"x_{v / 4:g}_ps.tif" for v in range(-5, 6)],
    "digits of the world": ["a1.tif", "a²", "a٣"],
}


@pytest.mark.parametrize("kind", IN_ORDER)
def test_names_are_sorted_as_a_person_would(kind):
    names = IN_ORDER[kind]
    for mixed in (names[::-1], sorted(names), names[1::2] + names[::2]):
        assert [path.name for path in natural_sorted(map(Path, mixed))] == names


@given(st.lists(st.integers(-9999, 9999), min_size=2, unique=True), st.integers(0, 3))
def test_signed_numbers_rise(values, places):
    names = {f"d_{value / 10**places:+.{places}f}.tif": value for value in values}
    found = natural_sorted(map(Path, names))
    assert [names[path.name] for path in found] == sorted(values)


@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=12)))
def test_any_names_can_be_sorted(names):
    paths = [Path(name) for name in names]
    assert sorted(natural_sorted(paths)) == sorted(paths)
