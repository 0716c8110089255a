"""What stages found: typed where it is known, and told in words where it is not."""

import json

import pytest

from uemdask.cube import STAGES, Run, open_run
from uemdask.cube.results import RESULTS
from uemdask.errors import UemError


def test_every_stage_has_its_results():
    assert tuple(RESULTS) == STAGES


def test_results_are_those_of_the_record(labelled):
    labelled.note("align", results={"lit_level": 5.5, "of a later version": [1]})
    found = labelled.results("align")
    assert found.lit_level == 5.5
    assert found.model_extra == {"of a later version": [1]}
    ds = open_run(labelled.path)
    assert ds.uem.results("align") == found


def test_what_a_record_does_not_tell_is_missed_by_who_asks(labelled):
    found = labelled.results("spectrum")
    assert "wave_scale" not in found
    with pytest.raises(UemError, match="tells no 'wave_scale'; make it with `only="):
        _ = found.wave_scale
    assert found.warnings == []
    assert "wave_scale" not in repr(found)


def test_a_stage_that_is_none_is_told_with_those_that_are(labelled):
    with pytest.raises(UemError, match="'spectra' is no stage; there are ingest, align"):
        open_run(labelled.path).uem.results("spectra")


@pytest.mark.parametrize(
    ("results", "fault"),
    [
        ({"lit_level": "bright"}, "results.lit_level: 'bright' was found"),
        ({"noise": {"shot": 1.0}}, "results.noise.shot"),
        ({"time_zero_ps": 3.0}, "time_zero_ps"),
        (None, "results: None was found"),
    ],
)
def test_results_of_another_kind_are_refused(labelled, results, fault):
    file = labelled.path / "zarr.json"
    whole = json.loads(file.read_text())
    whole["attributes"]["uemdask"]["stages"]["align"]["results"] = results
    file.write_text(json.dumps(whole))
    with pytest.raises(UemError, match="is damaged") as told:
        Run(labelled.path)
    assert fault in str(told.value)
