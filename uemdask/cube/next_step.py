"""What to do next with a run: a command that neither spoils it nor refuses."""

from __future__ import annotations

import shlex
from pathlib import Path

from uemdask.cube.contract import STAGES
from uemdask.cube.store import Run, missing_stages


def next_command(run: Run) -> str:
    """Return the command to give next, as it is typed.

    A run that was made by a campaign, or with settings, is finished by the same command alone:
    another one would make stages anew with other settings, or train a model of its own.

    Parameters
    ----------
    run : Run
        With any of its stages done.
    """
    store, missing = str(run.path), missing_stages(run)
    if not missing or run.is_export:
        return shlex.join(["uemdask", "report", store])
    if command := run.record.get("command"):
        # A copy goes on itself, not the run it was copied from.
        command = [
            store if text.startswith("/") and Path(text).name == run.path.name else text
            for text in command
        ]
        gone = [text for text in command if text.startswith("/") and not Path(text).exists()]
        told = f"  (no longer there: {', '.join(gone)})" if gone else ""
        return shlex.join(["uemdask", *command]) + told
    if "ingest" in missing:
        raw = run.stage("ingest").get("parameters", {}).get("raw") or "RAW"
        return shlex.join(["uemdask", "ingest", raw, "-o", store])
    if len(missing) == len(STAGES) - 1:
        return shlex.join(["uemdask", "run", store])
    # Whatever settings the others were made with, these leave them alone.
    only = [word for stage in missing for word in ("--only", stage)]
    return shlex.join(["uemdask", "run", store, *only])
