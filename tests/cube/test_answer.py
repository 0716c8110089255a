"""The answer of a run in a sentence, and the command to give next."""

from dataclasses import replace

import numpy as np
import pytest

from uemdask.cube import (
    STAGES,
    Run,
    answers_of,
    describe_run,
    export_run,
    mode_statement,
    next_command,
)
from uemdask.errors import UemError

FEATURES = ["mean_speed", "mean_angle", "valid_fraction"]


@pytest.fixture
def run(run):
    """Return a run with two regions: one has a wave in half of its pairs, the other has none."""
    pairs, rois = 4, 2
    sizes = run.sizes | {"pair": pairs, "roi": rois, "mode_class": 2}
    for stage in STAGES[1:]:
        run.begin(stage, digest="x", parameters={})
        if stage == "spectrum":
            band = {"low": 30.0, "high": 40.0, "centre": 36.25, "significance": 9.0, "found": True}
            run.note(stage, results={"band": band})
        if stage == "pairs":
            run.put("time_from", np.arange(4.0) * 10, sizes)
            run.put("time_to", np.arange(4.0) * 10 + 10, sizes)
        if stage == "feature":
            run.put("roi", ["left", "right"], sizes)
            headline = {
                "roi_speed": 2.1, "roi_speed_sd": 0.1, "roi_direction": -179.9,
                "roi_direction_sd": 0.4, "roi_direction_spread": 3.0, "roi_frequency": 36.4,
                "roi_delay_first": 10.0, "roi_delay_last": 30.0,
            }  # fmt: skip
            for name, value in headline.items():
                run.put(name, np.array([value, np.nan]), sizes)
            run.put("roi_speed_missing", ["", "none of its pixels is relevant"], sizes)
        if stage == "mode":
            run.put("mode", ["travelling", "none"], sizes)
            run.put("mode_probability", np.array([[0.9, 0.1], [0.2, 0.8]]), sizes)
            run.put("roi_travelling_share", np.array([0.9, 0.0]), sizes)
        run.finish(stage)
    return run


def test_each_region_has_an_answer_with_units(run):
    left, right = answers_of(run)
    assert (left.speed, left.speed_sd) == (2.1, 0.1)
    assert (left.first, left.last) == (10.0, 30.0)
    assert str(left) == (
        "left: 2.10 ± 0.10 nm/ps towards -179.90 ± 0.40° (10 to 30 ps), 36.4 GHz, travelling (0.90)"
    )
    assert str(right) == (
        "right: no speed (none of its pixels is relevant), 36.25 GHz, none (0.80)"
    )


def test_a_ring_has_no_single_direction(run):
    assert "in many directions (spread ± 70°)" in replace(answers_of(run)[0], spread=70.0).motion


def test_a_part_that_travels_is_not_hidden_by_the_whole():
    assert mode_statement("standing", 0.051) == "standing, but 5 % of its pixels travel"
    assert mode_statement("standing", 0.04) == "standing"
    assert mode_statement("none", float("nan")) == "none"


def test_what_is_not_known_yet_is_not_made_up(run):
    run.begin("mode", digest="", parameters={})
    assert str(answers_of(run)[1]) == (
        "right: no speed (none of its pixels is relevant), 36.25 GHz, mode not known yet"
    )
    run.begin("feature", digest="", parameters={})
    assert answers_of(run) == []


def test_info_ends_with_the_answer_and_the_next_command(run):
    *_, left, right, following = describe_run(run.path).splitlines()
    assert left.startswith("answer: left: 2.1")
    assert right.startswith("answer: right: no speed")
    assert following == f"next: uemdask report {run.path}"


def test_a_run_of_a_campaign_is_finished_by_its_campaign(run, tmp_path):
    file = tmp_path / "my ge.yaml"
    file.touch()
    run.remember(["run", str(file), "--set", "spectrum.band=[30, 40]"])
    run.begin("flow", digest="", parameters={})
    wanted = f"uemdask run '{file}' --set 'spectrum.band=[30, 40]'"
    assert next_command(Run(run.path)) == wanted
    file.unlink()
    assert next_command(Run(run.path)) == f"{wanted}  (no longer there: {file})"


def test_a_copy_goes_on_itself_not_its_original(run, tmp_path):
    run.remember(["run", str(tmp_path / "original" / run.path.name)])
    run.begin("flow", digest="", parameters={})
    assert next_command(Run(run.path)) == f"uemdask run {run.path}"


def test_without_a_command_what_is_there_is_left_alone(run):
    run.begin("feature", digest="", parameters={})
    assert next_command(run) == f"uemdask run {run.path} --only feature --only mode"
    run.begin("align", digest="", parameters={})
    assert next_command(run) == f"uemdask run {run.path}"


@pytest.mark.parametrize("command", [7, {"run": 1}, ["run", 3]])
def test_a_damaged_note_of_the_command_is_told(run, command):
    run.describe(uemdask=run.record | {"command": command})
    with pytest.raises(UemError, match=r"is damaged .command"):
        Run(run.path)


def test_an_export_is_to_be_looked_at(run, tmp_path):
    run.remember(["run", "/somewhere/ge.yaml"])
    run.begin("mode", digest="", parameters={})
    export_run(run.path, tmp_path / "home.zarr")
    home = Run(tmp_path / "home.zarr")
    assert next_command(home) == f"uemdask report {home.path}"
