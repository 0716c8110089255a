"""What is in a run, in words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uemdask.cube.answer import answers_of
from uemdask.cube.contract import STAGES
from uemdask.cube.next_step import next_command
from uemdask.cube.store import Run, missing_stages
from uemdask.metadata import read_metadata

if TYPE_CHECKING:
    from uemdask.cube.results import AlignResults, SpectrumResults

#: A beam that falls no further over the field is not worth a word.
_EVEN_BEAM = 0.25
#: Without these a speed can hardly be compared with another one.
_WORTH_KNOWING = ("sample", "temperature", "beam_energy", "pump_wavelength", "pump_fluence",
                  "repetition_rate")  # fmt: skip


def describe_run(path: str | os.PathLike[str]) -> str:
    """Return a page of text: frames, delays, metadata, stages done, what is missing.

    Raises
    ------
    UemError
        If there is no run at `path`.
    """
    run = Run(path)
    sizes, delays, ok = run.sizes, run.read("time"), run.read("frame_ok")
    pixel = run.pixel_size
    steps = np.unique(np.round(np.diff(delays), 6))
    # An export has no frames.
    kept = run.group["intensity"].dtype if "intensity" in run else "not kept in this export"
    lines = [
        f"{run.path}: run {run.name}",
        f"frames    {sizes['time']} of {sizes['y']} x {sizes['x']} px, {kept}, "
        f"{int(ok.sum())} usable",
        f"delays    {delays[0]:g} to {delays[-1]:g} ps, {int((delays < 0).sum())} before zero, "
        f"steps of {', '.join(f'{s:g}' for s in steps[:4])}{' ...' if len(steps) > 4 else ''} ps",
        f"pixel     {pixel[0]:g} x {pixel[1]:g} nm (y, x)",
    ]
    if means := run.results("ingest").mean_counts:
        lines.append(f"counts    {counts_sentence(means)}")
    for frame in np.flatnonzero(~ok)[:10]:
        flag = run.read("frame_flag")[frame]
        lines.append(f"flagged   frame {frame} at {delays[frame]:g} ps: {flag}")
    lines += origin_lines(run.stage("ingest").get("origins", {}))
    lines += _metadata(dict(run.group.attrs))
    for note in run.group.attrs.get("notes", []):
        lines.append(f"note      {note}")
    lines += _alignment(run)
    if "binning" in run.results("spectrum"):
        lines.append(f"grid      {grid_sentence(run.results('spectrum'))}")
    if reasons := run.results("flow").reasons:
        lines.append(f"valid     {valid_sentence(reasons)}")
    lines += [f"warning   {text}" for stage in STAGES for text in run.results(stage).warnings]
    for name in run.results("feature").empty_rois:
        lines.append(f"note      region {name!r} holds no pixel, so it has no features")
    lines.append("")
    for stage in STAGES:
        record = run.stage(stage)
        state = f"done {record['finished']}" if record.get("finished") else "not done"
        if record and not record.get("finished"):
            state = "begun, not finished"
        lines.append(f"{stage:<9} {state}")
    missing = missing_stages(run)
    lines.append("")
    lines.append(f"missing: {', '.join(missing)}" if missing else "all stages are done")
    lines += [f"answer: {answer}" for answer in answers_of(run)]
    lines.append(f"next: {next_command(run)}")
    return "\n".join(lines)


def origin_lines(origins: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that was found or guessed at ingest, with where it is from."""
    return [f"origin    {what}: {origin}" for what, origin in origins.items()]


def _metadata(attributes: Mapping[str, Any]) -> list[str]:
    """Return a line for each piece of acquisition metadata, the known ones first."""
    known = read_metadata(attributes)
    shown = {key: value for key, value in known.items() if key not in ("pixel_size", "notes")}
    width = max(map(len, shown), default=0)
    # What was written is shown, not what it was converted to.
    lines = [f"metadata  {key + ':':<{width + 1}} {attributes[key]}" for key in shown]
    absent = [name for name in _WORTH_KNOWING if name not in shown]
    if absent:
        lines.append(f"metadata  not given: {', '.join(absent)}")
    if vendor := attributes.get("vendor"):
        lines.append(f"vendor    {_leaves(vendor)} tags of the first file, kept in 'vendor'")
    return lines


def _leaves(tags: Any) -> int:
    if isinstance(tags, Mapping):
        return sum(map(_leaves, tags.values()))
    return 1


def _alignment(run: Run) -> list[str]:
    """Say what the alignment found: how far the sample drifted, when it began to change."""
    results = run.results("align")
    if not run.is_done("align"):
        return []
    lines = []
    if "registered" in results and results.registered:
        drift = run.read("drift")
        reach = float(np.hypot(*np.ptp(drift, axis=0)))
        error = run.read("drift_sd") if "drift_sd" in run else np.empty((0, 2))
        known = error[np.isfinite(error).all(axis=1)]
        sure = ""
        if known.size:
            sure = f", standard error {np.sqrt(np.mean(np.sum(known**2, axis=1))):.2f} px"
        table = run.stage("align")["parameters"].get("drift_table")
        whose = f", from the table {table}" if table else ""
        lines.append(f"drift     over {reach:.1f} px{sure}{whose}")
    lines += _light(results)
    if results.breathing_ghz:
        lines.append(
            f"note      the whole field breathes at {results.breathing_ghz:.3g} GHz; "
            f"that is not taken for gain"
        )
    text = onset_sentence(results)
    return [*lines, f"change    {text}"] if text else lines


def _light(results: AlignResults) -> list[str]:
    """Say how much of the field says nothing, which pixels are bad, how uneven the beam is."""
    lines = []
    if results.unlit_share:
        lines.append(
            f"unlit     {_share(results.unlit_share)} of the pixels are dark or seldom in view"
        )
    if results.bad_pixels:
        lines.append(f"bad       {results.bad_pixels} pixels of the detector are repaired")
    if results.beam_fall < _EVEN_BEAM:
        lines.append(
            f"note      the beam falls to {_share(results.beam_fall)} over the field; what its "
            f"wandering does is taken out"
        )
    return lines


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value >= 5e-4 else "under 0.1 %"


def counts_sentence(means: Sequence[float | None]) -> str:
    """Say how bright first, middle and last frame are, so that a wrong stack is seen at a glance.

    Examples
    --------
    >>> counts_sentence([99.9, 155.0, None])
    'mean 99.9, 155, none of the first, middle and last frame'
    """
    told = ", ".join("none" if mean is None else f"{mean:.4g}" for mean in means)
    return f"mean {told} of the first, middle and last frame"


def grid_sentence(results: SpectrumResults) -> str:
    """Say on which grid the motion is computed.

    Parameters
    ----------
    results : SpectrumResults
        Of the run.
    """
    if results.binning == 1:
        return "motion pixel by pixel"
    return f"motion in squares of {results.binning} x {results.binning} px"


def valid_sentence(reasons: Mapping[str, int]) -> str:
    """Say which share of the pixels of all pairs is valid, and what takes out the others.

    Parameters
    ----------
    reasons : mapping
        Pixels by reason, see docs/store.md.

    Examples
    --------
    >>> valid_sentence({"valid": 700, "unlit": 0, "absent": 290, "standing": 10})
    '70 % of the pixels of all pairs; the others are absent (29 %), standing (1 %)'
    """
    total = max(sum(reasons.values()), 1)
    said = f"{reasons['valid'] / total:.0%} of the pixels of all pairs".replace("%", " %")
    most = sorted(((n, name) for name, n in reasons.items() if name != "valid" and n), reverse=True)
    others = ", ".join(
        f"{name.replace('_', ' ')} ({n / total:.0%})".replace("%", " %") for n, name in most
    )
    return said + (f"; the others are {others}" if others else "")


def onset_sentence(results: AlignResults) -> str:
    """Say when the first change of the sample was seen; empty where it was not looked for.

    Parameters
    ----------
    results : AlignResults
        Of the run.
    """
    if "time_zero_ps" not in results:
        return ""
    if results.time_zero_ps is None:
        return f"no onset of change: {results.time_zero_reason}"
    return (
        f"first seen to begin at {results.time_zero_ps:.1f} ± {results.time_zero_sd_ps:.1f} ps; "
        f"time zero is there or before"
    )
