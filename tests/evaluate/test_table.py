"""Scores for people and for programs."""

import json

import numpy as np

from uemdask.evaluate import Coverage, FlowScores, scores_as_dict, scores_as_text

ZERO = FlowScores(9, 2.0, 1.0, 90.0, 100.0, 1.0, 0.0)
COVERAGE = Coverage(0.66, 0.95, (0.1,) * 5, (0.1,) * 5, (0.66,) * 5)
NETWORK = FlowScores(9, 0.0824, 0.0412, 1.13, 2.04, 0.06, 0.0, COVERAGE, COVERAGE)


def test_the_table_is_aligned_and_holds_every_number():
    text = scores_as_text({"zero flow": ZERO, "network": NETWORK}, {"pairs/s": {"network": 23.456}})
    lines = text.splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[0] == "estimator"
    assert lines[2].split()[:4] == ["zero", "flow", "2.000", "1.000"]
    assert lines[2].split()[-3:] == ["-", "-", "-"]
    assert lines[3].split() == [
        "network", "0.082", "0.041", "1.1", "2.0", "0.06", "0.66", "0.66", "23.5",
    ]  # fmt: skip


def test_without_stated_deviations_there_are_no_coverage_columns():
    assert "sd" not in scores_as_text({"zero flow": ZERO})


def test_data_for_json_has_no_nan():
    table = scores_as_dict({"network": NETWORK}, {"AUC": {"network": float("nan"), "mask": 0.99}})
    again = json.loads(json.dumps(table, allow_nan=False))
    assert again["network"]["AUC"] is None
    assert again["mask"]["AUC"] == 0.99
    assert again["network"]["coverage_x"]["fifth_sd"] == [0.1] * 5
    assert np.isclose(again["network"]["epe_relative"], 0.0412)
