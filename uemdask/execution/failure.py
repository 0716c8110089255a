"""What becomes of a run that failed: what is said of it, written down, and left of its store."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from uemdask.errors import UemError
from uemdask.execution.ledger import Ledger
from uemdask.execution.turns import RunAtWork
from uemdask.stages.replacing import discard_half


@dataclass(frozen=True)
class Failure:
    """Where a run failed, and why, in words for people."""

    stage: str
    message: str


def give_up(active: RunAtWork, error: BaseException, region: str = "") -> Failure:
    """Give a run up where it stands: no further task, no half store, a line in its ledger."""
    course, store = active.course, active.planned.store
    failure = Failure(course.stage, _in_words(error, course.stage, region))
    active.end()
    active.spoilt = course.is_spoilt_by(error)
    clear_away(active)
    Ledger(store, "").failed(
        stage=course.stage,
        phase=course.phase,
        region=region,
        message=failure.message,
        trace="".join(traceback.format_exception(error)),
    )
    return failure


def clear_away(active: RunAtWork) -> None:
    """Leave no half store of a run that failed, once no task is writing to it."""
    if active.spoilt and not active.flying:
        discard_half(active.planned.store)


def _in_words(error: BaseException, stage: str, region: str) -> str:
    if isinstance(error, UemError):
        return str(error)
    where = f"stage {stage}" + (f", region {region}" if region not in ("", "all") else "")
    if isinstance(error, OSError) and error.strerror:
        return f"{where}: {error.strerror}{f' ({error.filename})' if error.filename else ''}"
    return f"{where}: {type(error).__name__}: {error}"
