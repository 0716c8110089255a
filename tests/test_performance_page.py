"""The page of speeds: it says what was measured, and keeps what was not measured again."""

import importlib
import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(name="script")
def _script(monkeypatch):
    monkeypatch.syspath_prepend(_FOLDER)
    before = set(sys.modules)
    yield importlib.import_module("performance")
    for name in {"performance", "stages", "whole_run"} - before:
        sys.modules.pop(name, None)


def costs(script, *, left_out=()):
    phases = {"align pixels": 3.0, "align frames": 1.0, "spectrum wave": 4.0}
    kept = {name: each for name, each in phases.items() if name.split()[0] not in left_out}
    return script.Costs(2.0, kept, list(left_out))


def test_all_stages_are_told_only_where_all_were_measured(script):
    case = script.Case(512, 120, 50.0)
    whole = script.ratios_of(case, costs(script))
    assert whole["512 px: all stages"] == 4.0
    part = script.ratios_of(case, costs(script, left_out=["spectrum"]))
    assert part["512 px: align, all"] == 2.0
    assert "512 px: all stages" not in part


def test_what_is_on_the_page_and_was_not_measured_is_told(script):
    case = script.Case(512, 120, 50.0)
    page = "\n".join(script.phase_lines(case, costs(script)))
    before = script.read_ratios(page)
    whole = script.ratios_of(case, costs(script))
    assert before == whole
    assert script.worse(before, whole) == []
    assert script.worse(before, whole | {"512 px: align, all": 3.0}) == [
        "512 px: align, all: 3, on the page 2"
    ]
    part = script.ratios_of(case, costs(script, left_out=["spectrum"]))
    assert script.worse(before, part) == [
        "512 px: spectrum wave: not measured, on the page 2",
        "512 px: spectrum, all: not measured, on the page 2",
        "512 px: all stages: not measured, on the page 4",
    ]
