"""YAML as people write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uemdask.errors import UemError
from uemdask.readers.yaml_text import parse_yaml, read_yaml


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
