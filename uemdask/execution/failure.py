"""What becomes of a run that failed: what is said of it, written down, and left of its store."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uemdask.errors import UemError
from uemdask.execution.ledger import Ledger
from uemdask.execution.run_template import RefusedError
from uemdask.stages.run_replacement import discard_half

if TYPE_CHECKING:
    from uemdask.execution.round_robin import ActiveRun


@dataclass(frozen=True)
class Failure:
    """Where a run failed, and why, in words for people.

    Attributes
    ----------
    stage, phase, region : str
        Where; `phase` and `region` may be empty.
    message, trace : str
        One sentence, and the traceback.
    spoils : bool
        Whether what there is of its store is of no use.
    """

    stage: str
    phase: str
    region: str
    message: str
    trace: str
    spoils: bool


def give_up(active: ActiveRun, error: BaseException, region: str = "") -> Failure:
    """Give a run up where it stands: no further task, and no half store."""
    pipeline = active.pipeline
    # What a later stage will refuse is told before the first task; it is the later one's failure.
    ahead = isinstance(error, RefusedError)
    stage = error.stage if isinstance(error, RefusedError) else pipeline.stage
    active.end()
    active.failure = Failure(
        stage=stage,
        phase="" if ahead else pipeline.phase,
        region=region,
        message=_in_words(error, stage, region),
        trace="".join(traceback.format_exception(error)),
        spoils=pipeline.is_spoilt_by(error),
    )
    record_failure(active)
    return active.failure


def record_failure(active: ActiveRun) -> None:
    """Tell the ledger of a run that failed, and clear away, once no task of it is at work.

    So the failure is the last word of the ledger, and nothing writes to what is removed.
    """
    failure, store = active.failure, active.planned.store
    if failure is None or active.in_flight:
        return
    if failure.spoils:
        discard_half(store)
    Ledger(store, "").failed(
        stage=failure.stage,
        phase=failure.phase,
        region=failure.region,
        message=failure.message,
        trace=failure.trace,
    )


def _in_words(error: BaseException, stage: str, region: str) -> str:
    if isinstance(error, UemError):
        return str(error)
    where = f"stage {stage}" + (f", region {region}" if region not in ("", "all") else "")
    if isinstance(error, OSError) and error.strerror:
        return f"{where}: {error.strerror}{f' ({error.filename})' if error.filename else ''}"
    return f"{where}: {type(error).__name__}: {error}"
