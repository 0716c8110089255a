"""What is to be done for a run, stage by stage, and why: one answer for all who ask.

The pipeline asks before each stage, the dry run, the check of memory and disk, and the status ask
for all stages at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from uemdask.cube import STAGES, Run
from uemdask.execution.campaign import PlannedRun
from uemdask.execution.damage import Damage, damages_of, refuse_damaged
from uemdask.execution.preconditions import refuse_export, refuse_gap, refuse_removal
from uemdask.stages import STAGE_BY_NAME, digest_of

#: How a stage is done: not at all, from nothing, from where it stopped, of its deleted wave, or of
#: its damaged files alone. Only what is made anew takes later stages with it.
How = Literal["", "anew", "go on", "renew", "mend"]
#: Values longer than this are not printed, characters.
_LONGEST = 40
#: Why a stage is done that nothing is there of.
NOT_DONE = "not done"


@dataclass(frozen=True)
class Step:
    """What is to be done in a stage.

    Attributes
    ----------
    stage : str
        The stage.
    digest : str
        That it is to have; of ``train`` the one that it has.
    how : {"", "anew", "go on", "renew", "mend"}
        Nothing is to be done where empty.
    why : str
        In words; empty with `how`.
    damages : tuple of Damage
        What is to be mended.
    """

    stage: str
    digest: str = ""
    how: How = ""
    why: str = ""
    damages: tuple[Damage, ...] = ()


def stage_plan(
    planned: PlannedRun,
    run: Callable[[], Run | None],
    *,
    ingest: str,
    only: Sequence[str] = (),
    network: Callable[[], str],
) -> Iterator[Step]:
    """Yield what is to be done in each stage, in order; nothing is done or changed.

    Each is looked at when it is asked for. So whoever does a stage before asking for the next is
    told of the run as it then is, and whoever does nothing of the run as it will be.

    Parameters
    ----------
    planned : PlannedRun
        Parameters and store.
    run : callable
        Gives the run as it is now; None where there is none yet.
    ingest : str
        Digest of the raw data.
    only : sequence of str
        Stages to do; all where empty.
    network : callable
        Says why the run is to have another network; empty where it has the right one.

    Raises
    ------
    UemError
        If single stages cannot be done without others, or the run is an export.
    """
    refuse_gap(planned.store, run(), only)
    upstream, first, anew = "", "", False
    for name in STAGES:
        now = run()
        record = {} if now is None else now.stage(name)
        if only and name not in only:
            if now is not None:
                refuse_damaged(now, name, planned.store, only)
            upstream = record.get("digest", upstream)
            yield Step(name, upstream)
            continue
        parameters = getattr(planned.parameters, name).model_dump(mode="json")
        digest = record.get("digest", "") if name == "train" else ingest
        if name not in ("ingest", "train"):
            digest = digest_of(name, STAGE_BY_NAME[name].version, parameters, upstream)
        if now is None or anew:
            step = Step(name, digest, "anew", NOT_DONE)
        elif name == "train":
            # An export has nothing to train on any more.
            why = "" if now.is_export and now.is_done("train") else network()
            step = Step(name, digest, "anew" if why else "", why)
        else:
            step = _step(now, name, digest, parameters, planned.store, only)
        if step.why == NOT_DONE and first:
            step = replace(step, why=f"after {first}")
        if step.how == "anew":
            anew = True
            if now is not None:
                refuse_export(now, name)
            refuse_removal(planned.store, name, only)
        first = first or (name if step.how else "")
        yield step
        upstream = digest
        if name == "train" and (now := run()) is not None:  # whoever asked may have given it one
            upstream = now.stage("train").get("digest", "")


def _step(
    run: Run,
    name: str,
    digest: str,
    parameters: Mapping[str, Any],
    ledger: Path,
    only: Sequence[str],
) -> Step:
    """Return what is to be done in a stage of which no earlier one is made anew."""
    record = run.stage(name)
    finished = bool(record.get("finished"))
    if record.get("digest") != digest or not (finished or record.get("created")):
        if not finished:
            return Step(name, digest, "anew", NOT_DONE)
        why = changed(record["parameters"], parameters) or "made from other data"
        return Step(name, digest, "anew", why)
    if name == "spectrum" and _lacks_wave(run, only):
        return Step(name, digest, "renew", "its wave was deleted")
    if not finished:
        return Step(name, digest, "go on", "begun")
    if damages := damages_of(run, name, ledger):
        more = f" and {len(damages) - 1} more" if len(damages) > 1 else ""
        return Step(name, digest, "mend", f"damaged: {damages[0]}{more}", tuple(damages))
    return Step(name, digest)


def _lacks_wave(run: Run, only: Sequence[str]) -> bool:
    """Return whether `wave` was deleted to save space and is wanted now."""
    if "wave" in run or run.is_export:
        return False
    # Where `renew` was killed the stage is not done; where a reader is not, it will want it.
    wanted = ("spectrum", "label", "train", "flow")
    return "spectrum" in only or not all(run.is_done(stage) for stage in wanted)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return which parameters differ, with their values; empty where none does.

    Examples
    --------
    >>> changed({"smoothing": 2.0, "trend": 2}, {"smoothing": 3.0, "trend": 2})
    'changed: smoothing was 2.0, is 3.0'
    """
    changes = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            changes += [
                f"{key}.{inner}"
                for inner in sorted(before | after)
                if before.get(inner) != after.get(inner)
            ]
        elif len(f"{before}{after}") <= _LONGEST:
            changes.append(f"{key} was {before}, is {after}")
        else:
            changes.append(key)
    return f"changed: {', '.join(changes)}" if changes else ""
