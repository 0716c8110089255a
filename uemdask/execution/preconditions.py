"""What must hold before a run is taken up, and before some of its stages are done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.campaign import PlannedRun
from uemdask.stages.ingest import IngestParameters


def stages_asked(only: Sequence[str]) -> tuple[str, ...]:
    """Return the stages to do where single ones are asked for; ``mode`` goes with ``feature``.

    It is of the same regions, and making features anew removes it.

    Examples
    --------
    >>> stages_asked(["feature"])
    ('feature', 'mode')
    """
    extra = ("mode",) if "feature" in only and "mode" not in only else ()
    return (*only, *extra)


def refuse_name(planned: PlannedRun) -> None:
    """Refuse a name that no file can have.

    Raises
    ------
    UemError
        If it is one.
    """
    if "\0" in str(planned.store):
        raise UemError(f"{planned.name!r}: no file can have this name; give another 'name'")


def in_words(error: Exception, store: Path) -> str:
    """Say what is wrong with a run that cannot be looked at."""
    if isinstance(error, UemError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or store}: cannot be read ({error.strerror})"
    return f"{store}: cannot be read ({type(error).__name__}: {error})"


def reads_raw(planned: PlannedRun, only: Sequence[str]) -> bool:
    """Return whether the raw data of a run are looked at.

    Where they have gone to the archive, the run has all that is needed of them.
    """
    ingest = planned.parameters.ingest
    if not ingest.raw or (only and "ingest" not in only):
        return False
    return Path(ingest.raw).exists() or not _was_made_from(planned.store, ingest)


def not_ingested(planned: PlannedRun, only: Sequence[str]) -> str:
    """Say what to do about a run whose frames are not in its store."""
    raw = planned.parameters.ingest.raw
    if raw and only and "ingest" not in only:
        stages = f"`only={list(only)}`"
        return (
            f"{planned.store}: {raw} is not ingested yet, and {stages} leaves that out; add "
            f"`only=['ingest']`, or leave `only` out"
        )
    return f"{planned.store}: its ingest did not finish; ingest the raw data again"


def refuse_gap(store: Path, run: Run | None, only: Sequence[str]) -> None:
    """Refuse single stages where one that they need is neither done nor asked for.

    `run` is what is in the store; None where there is nothing yet.

    Raises
    ------
    UemError
        If there is such a stage.
    """
    last = max((STAGES.index(stage) for stage in only), default=0)
    for name in STAGES[:last]:
        if name not in only and (run is None or not run.is_done(name)):
            raise UemError(
                f"{store}: stage '{name}' is not done and '{STAGES[last]}' needs it; run it "
                f"first, or leave `only` out"
            )


def refuse_export(run: Run, stage: str) -> None:
    """Refuse what an export cannot be asked for: it has no frames.

    Raises
    ------
    UemError
        If `stage` comes before `feature`, and the run is an export.
    """
    if run.is_export and STAGES.index(stage) < STAGES.index("feature"):
        raise UemError(
            f"{run.path}: an export without frames, so stage '{stage}' cannot be made "
            f"anew; use the run that it was exported from"
        )


def refuse_removal(store: Path, stage: str, only: Sequence[str]) -> None:
    """Refuse single stages where making one anew removes what a later one needs.

    Raises
    ------
    UemError
        If a stage between them is not asked for.
    """
    last = max((STAGES.index(name) for name in only), default=0)
    for name in STAGES[STAGES.index(stage) + 1 : last]:
        if name not in only:
            raise UemError(
                f"{store}: stage '{stage}' is to be made anew, which removes '{name}', and "
                f"'{STAGES[last]}' needs it; add `only=['{name}']`, or leave `only` out"
            )


def _was_made_from(store: Path, ingest: IngestParameters) -> bool:
    try:
        record = Run(store).stage("ingest")
    except UemError:
        return False
    same = record.get("parameters") == ingest.model_dump(mode="json")
    return same and bool(record.get("finished"))
