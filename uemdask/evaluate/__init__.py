"""Errors against a known truth or another estimate, classical estimators, and their table."""

from uemdask.evaluate.classical import farneback_flows, grey_limits, wave_flows, zero_flows
from uemdask.evaluate.masks import area_under_curve, intersection_over_union
from uemdask.evaluate.run_scores import RunScores, evaluate_run
from uemdask.evaluate.scores import (
    Coverage,
    FlowScores,
    forward_backward_error,
    score_flow,
    warp_error,
)
from uemdask.evaluate.table import scores_as_dict, scores_as_text

__all__ = [
    "Coverage",
    "FlowScores",
    "RunScores",
    "area_under_curve",
    "evaluate_run",
    "farneback_flows",
    "forward_backward_error",
    "grey_limits",
    "intersection_over_union",
    "score_flow",
    "scores_as_dict",
    "scores_as_text",
    "warp_error",
    "wave_flows",
    "zero_flows",
]
