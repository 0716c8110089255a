"""YAML as people write it."""

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.readers.yaml_text import parse_yaml, read_yaml

_LETTERS = "abcdefgh"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5.5", -5.5),
        ("1e-3", 1e-3),
        ("1.0e-3", 1e-3),
        ("true", True),
        ("null", None),
        ("[30, 40]", [30, 40]),
        ("3 nm", "3 nm"),
        ("2024-05-03", "2024-05-03"),
        ("2024-99-99", "2024-99-99"),
        ("12:30:00", "12:30:00"),
        ("-30:50:5", "-30:50:5"),  # a plan, not a number of base 60
        ("007", "007"),
        ("0x_", "0x_"),
        ("temperatur: 5 °C", {"temperatur": "5 °C"}),
    ],
)
def test_values_are_what_the_writer_meant(text, value):
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t- x", "!!python/object:os.system x", "@"])
def test_what_is_not_yaml_is_refused(text):
    with pytest.raises(UemError, match="is not YAML"):
        parse_yaml(text)


def test_deep_nests_are_refused():
    with pytest.raises(UemError, match="is not YAML"):
        parse_yaml("[" * 5000)


def test_files_are_named(tmp_path):
    path = tmp_path / "a.yaml"
    with pytest.raises(UemError, match=r"a\.yaml: no such file"):
        read_yaml(path)
    path.write_bytes(b"\xff\x00")
    with pytest.raises(UemError, match=r"a\.yaml: cannot be read"):
        read_yaml(path)
    path.write_text("a: [3 nm\n  b")
    with pytest.raises(UemError, match=r"a\.yaml: is not YAML \(line 2: ") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_for_people(text):
    try:
        parse_yaml(text)
    except UemError as error:
        message = str(error)
        assert message


# ---- texts that stand for more than they are


def _chain(first, line):
    return "\n".join([first, *(line(a, b) for a, b in pairwise(_LETTERS))])


@pytest.mark.parametrize(
    "text",
    [
        _chain("a: &a [x, x, x]", lambda a, b: f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]"),
        _chain("a: &a {x: 1}", lambda a, b: f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}"),
        "a: &a " + "x" * 10**5 + "\nb: [" + "*a, " * 100 + "]",
    ],
    ids=["aliases", "merge keys", "a long text"],
)
def test_aliases_that_multiply_are_refused_before_they_do(text):
    with pytest.raises(UemError, match=r"is not YAML \(its aliases stand for more than 4 MiB\)"):
        parse_yaml(text)


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {x: *a}", "a: &a {<<: *a}"])
def test_an_alias_of_what_it_is_part_of_is_refused(text):
    with pytest.raises(UemError, match="an alias stands for what it is part of"):
        parse_yaml(text)


def test_aliases_and_merge_keys_are_fine_otherwise():
    text = "defaults: &d {pixel_size: 3nm}\nruns: [{<<: *d, raw: a}, {<<: *d, raw: b}]"
    assert parse_yaml(text)["runs"][1] == {"pixel_size": "3nm", "raw": "b"}


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metadata.yaml")
    with pytest.raises(UemError, match=r"metadata\.yaml: is a pipe, not a file; move it away"):
        read_yaml(tmp_path / "metadata.yaml")
