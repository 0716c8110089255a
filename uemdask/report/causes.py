"""Why a run yields no speed: the first cause that explains it, in words for people."""

from __future__ import annotations

import numpy as np

from uemdask.motion import FIELD_LIMIT
from uemdask.motion.validity import DISPLACEMENT_LIMIT, TRAVEL_THRESHOLD
from uemdask.report.report_data import LEAST_VALID, ReportData

#: Share of the frame without light, or without a wave, that explains that there is no speed.
_DARK = 0.5
_HARDLY = 0.005


def cause_of(found: ReportData) -> str:
    """Return why no region of a run has a valid speed; empty where one has, or no cause is seen.

    Causes are looked for in the order of the stages, as a later one may follow from an earlier.
    """
    if found.features is None or found.band is None or _speaks(found):
        return ""
    unlit = float(found.unlit.mean()) if found.unlit is not None else 0.0
    if unlit > _DARK:
        return f"{unlit:.0%} of the pixels are unlit"
    if not found.run.results("align").registered and found.run.stage("align")["parameters"].get(
        "register_drift", True
    ):
        return "drift was not found, and may hide the wave"
    if not np.any(found.delays > 0):
        return "no delay is after time zero"
    if not found.band.found:
        return "no frequency stands out of the spectrum"
    share = found.run.results("spectrum").relevant_share
    if share is not None and share <= _HARDLY:
        return f"the wave stands out of the noise in {share:.1%} of the lit pixels only"
    return _of_the_wave(found)


def _speaks(found: ReportData) -> bool:
    assert found.features is not None
    return bool(np.any(np.nan_to_num(found.features.value["valid_fraction"]) >= LEAST_VALID))


def _of_the_wave(found: ReportData) -> str:
    """Return what about a wave that is there forbids a speed."""
    run = found.run
    assert found.band is not None
    periods = (run.read("time_to") - run.read("time_from")) * found.band.centre * 1e-3
    if np.median(periods) >= DISPLACEMENT_LIMIT:
        return (
            f"a period has {1 / np.median(periods):.1f} delays: fronts move too far between them "
            f"to be followed ({1 / DISPLACEMENT_LIMIT:g} are needed)"
        )
    length = found.map_wavelength
    left, right, bottom, top = found.grid.field
    field = max(right - left, abs(bottom - top))
    if length is not None and length > FIELD_LIMIT * field:
        return f"the wave is longer ({length:.3g} nm) than the field of view ({field:.3g} nm)"
    travel = run.results("spectrum").travel_index
    if travel is not None and travel < TRAVEL_THRESHOLD:
        kind = found.main_mode[0] if found.main_mode is not None else "standing"
        kind = kind if kind in ("standing", "breathing") else "standing or crossing"
        return f"the wave does not travel ({kind}; travel index {travel:.2f})"
    return ""
