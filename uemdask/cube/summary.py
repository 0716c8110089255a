"""What is in a run, in words."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from uemdask.cube.contract import STAGES
from uemdask.cube.store import Run, missing_stages
from uemdask.metadata import read_metadata

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
    for frame in np.flatnonzero(~ok)[:10]:
        flag = run.read("frame_flag")[frame]
        lines.append(f"flagged   frame {frame} at {delays[frame]:g} ps: {flag}")
    lines += _metadata(dict(run.group.attrs))
    for note in run.group.attrs.get("notes", []):
        lines.append(f"note      {note}")
    for name in run.stage("feature").get("results", {}).get("empty_rois", []):
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
    if missing:
        lines.append(f"next: uemdask run {shlex.quote(str(run.path))}")
    return "\n".join(lines)


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
