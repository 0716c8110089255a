"""What docs/formats.md promises has a test."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from uemdask.readers.formats import FORMATS

_PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
_LINK = re.compile(r'\[[^\]]+\]\((\S+) "(\w+)"\)')


def _rows():
    lines = _PAGE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| format | endings"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


@cache
def _tests_in(path):
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_every_cell_of_the_table_names_a_test(row):
    assert len(row) == 6
    *_, lazy, metadata, written, real = row
    for cell in (lazy, metadata, written, real):
        links = _LINK.findall(cell)
        assert links or (cell is real and real == "none")
        for target, test in links:
            assert test in _tests_in((_PAGE.parent / target).resolve()), cell


def test_the_table_has_every_ending():
    named = {ending for row in _rows() for ending in re.findall(r"`(\.\w+)`", row[1])}
    assert named == set(FORMATS)
