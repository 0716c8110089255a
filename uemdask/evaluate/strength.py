"""Where a wave is and where not, by the strength that the truth tells: errors and valid pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion

from uemdask.cube import Run
from uemdask.motion import along_pixel_normal
from uemdask.simulate import Truth

STRONG = 0.3
"""Share of the full amplitude from which a flow must be right."""

NONE = 0.02
"""Share of the full amplitude below which there is nothing to measure."""

OWN_SHARE = 0.25
"""Share of a pixel's own peak from which the wave is there: that of `Truth.present`."""

AWAY = 8
"""Distance in px from unlit pixels at which a flow must be right."""


def wave_there(truth: Truth, pairs: np.ndarray) -> npt.NDArray[np.bool_]:
    """Where (pair, y, x) the wave is, in the mask and well lit.

    Parameters
    ----------
    truth : Truth
        Of the whole acquisition.
    pairs : ndarray of int, (pair,)
        Pairs of the truth.
    """
    peak = OWN_SHARE * truth.strength.max(axis=0)
    there = np.broadcast_to(truth.mask & _well_lit(truth), (len(pairs), *truth.mask.shape)).copy()
    for here, pair in zip(there, pairs, strict=True):
        # Comparisons with NaN are false: a truth without strengths leaves all pixels.
        here &= ~(truth.strength[pair : pair + 2].min(axis=0) < peak)
    return there


def strength_facts(run: Run, truth: Truth, pairs: np.ndarray) -> dict[str, float]:
    """Errors and valid shares where the wave is strong, and where there is none.

    Parameters
    ----------
    run : Run
        With the stage ``flow`` done.
    truth : Truth
        Of the same acquisition.
    pairs : ndarray of int, (pair,)
        The pair of the truth for each pair of the run.

    Returns
    -------
    dict
        Name with unit to value; what the truth does not tell, or has no pixel, is left out. Errors
        are relative: mean endpoint error over mean true displacement.
    """
    counts = dict.fromkeys(("strong", "strong valid", "none", "none valid", "unlit valid"), 0)
    names = [name for name in ("label", "flow") if name in run]
    error, size = dict.fromkeys([*names, "valid flow"], 0.0), {"strong": 0.0, "valid": 0.0}
    well_lit = _well_lit(truth)
    for index, pair in enumerate(pairs):
        strength = truth.strength[pair : pair + 2]
        strong = (strength.min(axis=0) >= STRONG) & well_lit
        none = strength.max(axis=0) < NONE
        valid = np.asarray(run.group["valid"][index])
        true = along_pixel_normal(truth.flow[pair], run.pixel_size)
        length = np.hypot(*true)
        counts["strong"] += int(strong.sum())
        counts["none"] += int(none.sum())
        counts["strong valid"] += int((strong & valid).sum())
        counts["none valid"] += int((none & valid).sum())
        counts["unlit valid"] += int((~truth.lit & valid).sum())
        size["strong"] += float(length[strong].sum())
        size["valid"] += float(length[well_lit & valid].sum())
        for name in names:
            # As in all scores, a displacement that is not finite counts as none.
            found = np.nan_to_num(run.group[name][index], posinf=0.0, neginf=0.0)
            away = np.hypot(*(found - true))
            error[name] += float(away[strong].sum())
            if name == "flow":
                error["valid flow"] += float(away[well_lit & valid].sum())
    facts = {}
    if truth.mode == "travelling":
        if size["strong"] > 0:
            for name in names:
                facts[f"error of the {name} where the wave is strong"] = (
                    error[name] / size["strong"]
                )
        if size["valid"] > 0:
            facts["error of the flow where it is valid"] = error["valid flow"] / size["valid"]
        if counts["strong"]:
            share = counts["strong valid"] / counts["strong"]
            facts["valid share where the wave is strong"] = share
    if counts["none"]:
        facts["valid share where there is no wave"] = counts["none valid"] / counts["none"]
    if not truth.lit.all():
        pixels = len(pairs) * int((~truth.lit).sum())
        facts["valid share of unlit pixels"] = counts["unlit valid"] / pixels
    return facts


def _well_lit(truth: Truth) -> npt.NDArray[np.bool_]:
    """Where (y, x) nothing unlit is near; the edge of the frame is no defect."""
    return np.asarray(binary_erosion(truth.lit, iterations=AWAY, border_value=1))
