"""Errors that a person can act on."""

import pickle

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from uemdask.errors import FaultsError, UemError, located_faults, spelled


def test_one_fault_is_one_line():
    assert str(FaultsError("a.yaml", ["runs: is missing"])) == "a.yaml: runs: is missing"


def test_several_faults_are_all_listed():
    text = str(FaultsError("a.yaml", ["runs: is missing", "model: is a number"]))
    assert text.splitlines() == [
        "a.yaml: 2 faults",
        "  - runs: is missing",
        "  - model: is a number",
    ]


def test_faults_are_user_errors_and_values_errors():
    assert issubclass(FaultsError, UemError)
    assert issubclass(UemError, ValueError)


def test_errors_survive_the_way_from_a_worker():
    # Dask pickles what a task raises.
    for error in (UemError("x: wrong"), FaultsError("a.yaml", ["one", "two"])):
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is type(error)
        assert str(back) == str(error)
    assert back.subject == "a.yaml"
    assert back.faults == ["one", "two"]


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: int = 1


class _Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    training: _Inner = _Inner()


def test_faults_of_pydantic_name_their_place():
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate({"training": {"steps": "many", "step": 1}, "wrong": 0})
    places = [spelled(place) for place, _ in located_faults(caught.value)]
    assert sorted(places) == ["training.step", "training.steps", "wrong"]


def test_a_fault_of_the_whole_file_is_called_file():
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate([1])
    assert [spelled(place) for place, _ in located_faults(caught.value)] == ["file"]
