"""Scores of several estimators as an aligned text table and as plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from uemdask.evaluate.scores import FlowScores

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("EPE px", "epe_px", ".3f"),
    ("rel. EPE", "epe_relative", ".3f"),
    ("angle deg", "angle_error_degree", ".1f"),
    ("ROI speed err %", "roi_speed_error_percent", ".1f"),
    (">10 % err", "share_over_10_percent", ".2f"),
)
"""Heading, field of `FlowScores`, format."""


def scores_as_text(
    scores: Mapping[str, FlowScores],
    extra: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """Lay out scores as a table, one estimator a line.

    Parameters
    ----------
    scores : mapping of str to FlowScores
        Estimator name to its scores.
    extra : mapping of str to mapping of str to float, optional
        Further columns: heading to value by estimator, such as pairs per second.

    Returns
    -------
    str
        Lines of equal length joined by newlines; a dash where there is no number.

    Examples
    --------
    >>> from uemdask.evaluate import FlowScores
    >>> print(scores_as_text({"zero flow": FlowScores(9, 2.0, 1.0, 90.0, 100.0, 1.0, 0.0)}))
    estimator  EPE px  rel. EPE  angle deg  ROI speed err %  >10 % err
    ---------  ------  --------  ---------  ---------------  ---------
    zero flow   2.000     1.000       90.0            100.0       1.00
    """
    further = extra or {}
    covered = any(s.coverage_x or s.coverage_y for s in scores.values())
    header = ["estimator", *(heading for heading, _, _ in COLUMNS)]
    header += ["1 sd x", "1 sd y"] * covered + list(further)
    rows = []
    for name, score in scores.items():
        row = [name, *(_cell(getattr(score, field), style) for _, field, style in COLUMNS)]
        if covered:
            row += [
                _cell(side.one_sigma if side else None, ".2f")
                for side in (score.coverage_x, score.coverage_y)
            ]
        row += [_cell(column.get(name), ".3g") for column in further.values()]
        rows.append(row)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def scores_as_dict(
    scores: Mapping[str, FlowScores],
    extra: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Give scores as plain data that JSON can hold.

    Parameters
    ----------
    scores, extra
        As in `scores_as_text`.

    Returns
    -------
    dict
        Estimator name to its fields; a number that is not finite becomes None.

    Examples
    --------
    >>> from uemdask.evaluate import FlowScores
    >>> table = scores_as_dict({"zero flow": FlowScores(9, 2.0, 1.0, 90.0, 100.0, 1.0, 0.0)})
    >>> table["zero flow"]["epe_relative"]
    1.0
    """
    result = {name: _plain(score.as_dict()) for name, score in scores.items()}
    for heading, column in (extra or {}).items():
        for name, value in column.items():
            result.setdefault(name, {})[heading] = _plain(value)
    return result


def _cell(value: float | None, style: str) -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, style)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
