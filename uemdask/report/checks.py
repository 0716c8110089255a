"""Questions a microscopist asks before trusting a number, answered from the run itself."""

from __future__ import annotations

import numpy as np

from uemdask.cube import STAGES, mode_statement
from uemdask.cube.results import AlignResults
from uemdask.report.causes import cause_of
from uemdask.report.report_data import LEAST_VALID, Check, ReportData, Verdict

#: Deviation of the flow from the phase gradient: what is fine, and what is not.
_SPEED_FINE, _SPEED_WRONG = 0.10, 0.25
_ANGLE_FINE, _ANGLE_WRONG = 8.0, 20.0  # degree
#: Frames per period below which fronts cannot be followed from frame to frame.
_FRAMES_FINE, _FRAMES_WRONG = 4.0, 2.5
#: Displacement in wavelengths: direction is ambiguous from half of one on.
_SHIFT_FINE, _SHIFT_WRONG = 0.33, 0.4

AGREEMENT = "Does the phase gradient agree?"


def _grade(value: float, fine: float, wrong: float) -> Verdict:
    """Grade a number that is better the smaller it is."""
    return "good" if value <= fine else "look" if value <= wrong else "bad"


def turn_between(first: float, second: float) -> float:
    """Return the angle between two directions in degrees, 0 to 180.

    Examples
    --------
    >>> turn_between(-175.0, 175.0)
    10.0
    """
    return abs((first - second + 180) % 360 - 180)


def checks_of(found: ReportData) -> list[Check]:
    """Return the checks that the stages done so far allow."""
    return [
        *_frames(found),
        *_alignment(found),
        *_band(found),
        *_sampling(found),
        *_speed(found),
        *_mode(found),
        *_others(found),
        *_cross_check(found),
        *_uncertainty(found),
        *_training(found),
    ]


def _frames(found: ReportData) -> list[Check]:
    share = len(found.flagged) / max(found.frames, 1)
    flagged = (
        "all frames are used"
        if not found.flagged
        else f"{len(found.flagged)} of {found.frames} frames are left out ({share:.0%})"
    )
    return [
        Check("Can the frames be used?", flagged, "good" if not share else _grade(share, 0, 0.2)),
        Check(
            "Is there a picture before the wave?",
            f"{found.before_zero} frames before time zero"
            if found.before_zero
            else "no frame before time zero: the reference holds the wave, and amplitudes are low",
            "good" if found.before_zero >= 3 else "look" if found.before_zero else "bad",
        ),
    ]


def _alignment(found: ReportData) -> list[Check]:
    if "align" not in found.done:
        return []
    results = found.run.results("align")
    if not results.registered:
        off = not found.run.stage("align")["parameters"].get("register_drift", True)
        text = (
            "drift was not looked for"
            if off
            else "no frame could be registered; drift is not mended"
        )
        return [Check("Is drift mended?", text, "look" if off else "bad")]
    lost = len(results.unregistered_frames) - len(found.flagged)
    drift = found.run.read("drift")
    reach = float(np.hypot(*(drift.max(axis=0) - drift.min(axis=0))))
    text = f"sample moved over {reach:.1f} px"
    if found.run.stage("align")["parameters"].get("drift_table"):
        return [_own_table(results, text)]
    if lost > 0:
        text += f"; {lost} frames found no match and take their neighbours' drift"
    return [Check("Is drift mended?", text, "good" if lost <= 0 else "look")]


def _own_table(results: AlignResults, moved: str) -> Check:
    """Judge a drift table of the user by how steady the series is with it."""
    question = "Is drift mended?"
    if results.warnings:
        return Check(question, "; ".join(results.warnings), "bad")
    if results.table_left_px is None:
        return Check(question, f"by your drift table, which was not checked; {moved}", "look")
    left, without, _ = results.table_left_px
    return Check(
        question,
        f"by your drift table; {moved}; from frame to frame about {left:.2g} px rms are left, "
        f"{without:.2g} px without it",
        "good" if left < without else "look",
    )


def _band(found: ReportData) -> list[Check]:
    if found.band is None:
        return []
    significance = float(found.band.significance)
    if not np.isfinite(significance):
        text, verdict = "the band was given by the user", "open"
    elif found.band.found:
        text = f"peak at {found.band.centre:.2f} GHz, {significance:.0f} σ above the floor"
        verdict = "good" if significance >= 10 else "look"
    else:
        text = f"no peak stands out ({significance:.1f} σ); the band is only the best guess"
        verdict = "bad"
    checks = [Check("Does a frequency stand out?", text, verdict)]  # type: ignore[arg-type]
    share = found.run.results("spectrum").relevant_share
    if share is not None:
        checks.append(
            Check(
                "Where is the wave?",
                f"{share:.1%} of the lit pixels are relevant",
                "good" if share >= 0.05 else "look" if share > 0.005 else "bad",
            )
        )
    return checks


def _sampling(found: ReportData) -> list[Check]:
    if found.band is None or found.pair is None or found.pair_delay is None:
        return []
    if not found.band.found:
        return []
    run = found.run
    step = float(run.read("time_to")[found.pair] - run.read("time_from")[found.pair])
    frames = 1e3 / found.band.centre / step
    checks = [
        Check(
            "Are there enough delays?",
            f"{frames:.1f} frames in a period at {found.pair_delay:.0f} ps",
            _grade(-frames, -_FRAMES_FINE, -_FRAMES_WRONG),
        )
    ]
    length = found.gradient.wavelength if found.gradient else found.map_wavelength
    if found.strip_speed is not None and length:
        shift = found.strip_speed * step / length
        checks.append(
            Check(
                "Is the displacement unambiguous?",
                f"fronts move {shift:.2f} wavelengths from frame to frame (limit 0.4)",
                _grade(shift, _SHIFT_FINE, _SHIFT_WRONG),
            )
        )
    return checks


def _speed(found: ReportData) -> list[Check]:
    question = "Is there a speed?"
    headline = found.headline
    if headline is None:
        return []
    if not headline.known:
        verdict: Verdict = "open" if found.box is None else "bad"
        return [Check(question, f"no: {cause_of(found) or headline.missing}", verdict)]
    told = np.isfinite(headline.speeds)
    after = found.run.read("time_from") >= 0
    share = float(told[after].mean())
    text = (
        f"in {told.sum()} of {after.sum()} pairs after time zero, {headline.first:g} to "
        f"{headline.last:g} ps"
    )
    return [Check(question, text, _grade(-share, -0.5, -0.1))]


def _mode(found: ReportData) -> list[Check]:
    if found.main_mode is None:
        return []
    mode, probability = found.main_mode
    share = found.main_travelling_share
    statement = mode_statement(mode, share)
    text = f"{statement}, probability {probability:.2f} (not calibrated)"
    verdict: Verdict = "good" if mode == "travelling" and probability >= 0.8 else "look"
    if mode == "travelling" and share < LEAST_VALID:
        cause = cause_of(found)
        text += f", but hardly any pixel has a valid speed{': ' if cause else ''}{cause}"
        verdict = "bad"
    elif mode != "travelling" and statement == mode:
        text += ": a speed means little here"
        verdict = "bad"
    return [Check("Does the wave travel?", text, verdict)]


def _others(found: ReportData) -> list[Check]:
    """Compare the headline with what the flow and the slope of the fronts say."""
    headline = found.headline
    if headline is None or not headline.known or found.features is None:
        return []
    told = np.isfinite(headline.speeds)
    flow = found.features.value["mean_speed"][found.main]
    both = told & np.isfinite(flow)
    parts, worst = [], 0.0
    if both.any():
        here = float(flow[both].mean())
        off = here / float(headline.speeds[both].mean()) - 1
        worst = abs(off)
        parts.append(f"flow over the same pairs {_digits(here)} nm/ps ({off:+.1%})")
    if found.slope is not None and found.pair is not None and told[found.pair]:
        then = float(headline.speeds[found.pair])
        off = found.slope.speed / then - 1
        worst = max(worst, abs(off))
        parts.append(
            f"slope of the fronts at {found.slope.delay:.0f} ps {_digits(found.slope.speed)} nm/ps "
            f"({off:+.1%} of {_digits(then)} then)"
        )
    parts.append(
        f"mean frequency × mean wavelength "
        f"{_digits(headline.frequency * headline.wavelength * 1e-3)} nm/ps"
    )
    verdict = _grade(worst, _SPEED_FINE, _SPEED_WRONG)
    return [Check("Do other ways lead to the same speed?", "; ".join(parts), verdict)]


def _cross_check(found: ReportData) -> list[Check]:
    question = AGREEMENT
    if found.strip_speed is None or found.strip_angle is None:
        if found.motion is None:
            return []
        if found.box is None:
            return [
                Check(question, "the wave is not kept here, so there is nothing to compare", "open")
            ]
        return [Check(question, "no pixel has a valid speed to compare", "open")]
    if found.gradient is None:
        return [Check(question, "too few delays for a phase gradient", "open")]
    other, here = found.gradient, found.strip_speed
    deviation = abs(here - other.speed) / other.speed
    turn = turn_between(found.strip_angle, other.angle)
    worst = max(
        (_grade(deviation, _SPEED_FINE, _SPEED_WRONG), _grade(turn, _ANGLE_FINE, _ANGLE_WRONG)),
        key=("good", "look", "bad").index,
    )
    text = (
        f"phase gradient at the same place and time: {_digits(other.speed)} nm/ps towards "
        f"{other.angle:.0f}°; flow {_digits(here)} nm/ps towards {found.strip_angle:.0f}° "
        f"({deviation:.0%} and {turn:.0f}° apart)"
    )
    return [Check(question, text, worst)]


def _digits(value: float) -> str:
    """Return three digits of a number, without powers of ten."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _uncertainty(found: ReportData) -> list[Check]:
    if found.motion is None or not np.isfinite(found.motion.speed).any():
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = found.motion.speed_sd / found.motion.speed
    relative = relative[np.isfinite(relative)]
    middle = float(np.median(relative)) if relative.size else float("nan")
    return [
        Check(
            "How sure is the flow of a pixel?",
            f"median stated uncertainty {middle:.0%} of the speed of a pixel",
            _grade(middle, 0.15, 0.4),
        )
    ]


def _training(found: ReportData) -> list[Check]:
    results = found.run.results("train")
    if "train" not in found.done:
        return []
    question = "Was the network trained on this run?"
    if not results.trained:
        if results.runs is not None:
            text = "no: no run has relevant pixels to train on, so its flow means nothing"
            return [Check(question, text, "bad")]
        return [Check(question, "an existing model was used", "open")]
    if results.existing:
        text = "no: it came later, or was made anew, and has the model of the runs finished before"
        return [Check(question, text, "look")]
    runs = results.runs or []
    own, count = found.name in runs or results.runs is None, len(runs)
    text = f"yes, on {count} run{'s' if count != 1 else ''}" if own else "no, only on other runs"
    return [Check(question, text, "good" if own else "look")]


def warnings_of(found: ReportData) -> list[str]:
    """Return what a reader must know before any number, worst first."""
    warnings = []
    if found.failure is not None:
        warnings.append(f"Stage {found.failure.stage} failed: {found.failure.message}")
    headline = found.headline
    missing = headline.missing if headline is not None and found.box is not None else ""
    if why := cause_of(found) or missing:
        warnings.append(f"No speed found: {why}.")
    elif found.main_mode is not None and found.main_mode[0] != "travelling":
        mode, probability = found.main_mode
        statement = mode_statement(mode, found.main_travelling_share)
        warnings.append(
            f"The main region counts as {statement} (probability {probability:.2f}); "
            "a speed means something only where it travels."
        )
    if found.band is not None and not found.band.found:
        warnings.append("No frequency stands out of the spectrum; the band is only a guess.")
    if any(check.question == AGREEMENT and check.verdict == "bad" for check in found.checks):
        warnings.append(
            "The flow does not agree with the phase gradient; see the checks and the "
            "space-time plot before you use the speed."
        )
    for stage in STAGES:
        told = found.run.results(stage).warnings
        warnings += [f"{text[0].upper()}{text[1:]}." for text in told]
    if not found.before_zero:
        warnings.append("No frame before time zero: the reference holds the wave itself.")
    return warnings


def notes_of(found: ReportData) -> list[str]:
    """Return what a reader should know, but need not worry about."""
    count = len(found.flagged)
    if not count:
        return []
    return [
        f"{count} flagged frame{'s are' if count > 1 else ' is'} left out of {found.frames}; "
        "the reasons stand under Provenance."
    ]
