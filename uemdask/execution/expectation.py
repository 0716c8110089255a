"""What is to be done for each run of a plan, and why, found out without doing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.beginning import (
    not_ingested,
    reads_raw,
    refuse_export,
    refuse_gap,
    refuse_removal,
)
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.course import lacks_wave
from uemdask.execution.damage import damages_of, refuse_damaged, refuse_damaged_frames
from uemdask.execution.foreseen import Foreseen
from uemdask.execution.status import in_words, refuse_name
from uemdask.execution.training import (
    check_existing,
    is_trained,
    keeps_network,
    training_digest,
)
from uemdask.stages import STAGE_BY_NAME, digest_of
from uemdask.stages.flow import check_model
from uemdask.stages.ingest import digest_of_raw, raw_of
from uemdask.stages.replacing import is_whole
from uemdask.stages.train import use_model

_TRAIN = STAGES.index("train")
#: Where a run's network comes from: given in the plan, kept from before, taken from the finished
#: runs, or trained.
NetworkSource = Literal["given", "kept", "existing", "trained"]
#: Values longer than this are not printed, characters.
_LONGEST = 40
#: Why a stage is made, of which some tasks are done already.
BEGUN = "begun"
#: Why `spectrum` is made again, with the same inputs.
_DELETED = "its wave was deleted"
#: Begins why a stage is mended: later ones are kept.
DAMAGED = "damaged: "


@dataclass
class Expectation:
    """A run as it stands, and what is to be done.

    Attributes
    ----------
    planned : PlannedRun
        The run.
    run : Run, optional
        Its store, where there is one.
    foreseen : Foreseen, optional
        What it will be; None where that cannot be told.
    raw : str
        What its raw data are, in words.
    to_do : dict of str to str
        Why, by stage.
    fault : str
        Why nothing can be done.
    network : str, optional
        Where its network comes from; None where training is left out, or the run is an export.
    """

    planned: PlannedRun
    run: Run | None = None
    foreseen: Foreseen | None = None
    raw: str = ""
    to_do: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    network: NetworkSource | None = None
    digests: dict[str, str] = field(default_factory=dict)

    def parameters(self, stage: str) -> dict[str, Any]:
        """Return the parameters that a stage is to have."""
        found: dict[str, Any] = getattr(self.planned.parameters, stage).model_dump(mode="json")
        return found

    def digest(self, stage: str, upstream: str) -> str:
        """Return the digest that a stage is to have."""
        return digest_of(stage, STAGE_BY_NAME[stage].version, self.parameters(stage), upstream)

    def why(self, stage: str) -> str:
        """Return why a stage is to be made; empty where it is done with these inputs."""
        record = self.run.stage(stage) if self.run is not None else {}
        if record.get("digest", "") == self.digests[stage]:
            return "" if record.get("finished") else BEGUN
        if not record.get("finished"):
            return "not done"
        return _changed(record["parameters"], self.parameters(stage)) or "made from other data"


def expect(plan: Plan, *, only: Sequence[str] = (), overwrite: bool = False) -> list[Expectation]:
    """Return what is to be done for each run; raw data are looked at, but no frame is read.

    Raises
    ------
    UemError
        If the model that the plan names is not there or is none.
    """
    found = [_follow(planned, only, overwrite) for planned in plan.runs]
    sound = [each for each in found if not each.fault]
    networks = _Networks(plan, sound, only) if not only or "train" in only else None
    for each in sound:
        try:
            each.to_do = _left(each, networks, only)
            if networks is not None and not _exported(each):
                each.network = networks.source(each)
                networks.refuse(each)
            if each.run is not None and "flow" in each.to_do and "train" not in each.to_do:
                check_model(each.run)
            anew = [stage for stage, why in each.to_do.items() if not _is_kept(why)]
            if anew and each.run is not None:
                refuse_export(each.run, anew[0])
            if anew:
                refuse_removal(each.planned.store, anew[0], only)
            if each.foreseen is not None:
                each.foreseen.refuse(each.to_do, each.planned.parameters)
        except Exception as error:
            each.fault = in_words(error, each.planned.store)
    return found


def _follow(planned: PlannedRun, only: Sequence[str], overwrite: bool) -> Expectation:
    """Follow the digests as far as training, as `course` would find them."""
    found = Expectation(planned)
    try:
        _look(found, only, overwrite)
    except Exception as error:  # one bad run never stops the others
        found.fault = in_words(error, planned.store)
        return found
    upstream = found.digests["ingest"]
    for name in STAGES[1:_TRAIN]:
        if only and name not in only and found.run is not None:
            upstream = found.run.stage(name).get("digest", upstream)
        else:
            upstream = found.digest(name, upstream)
        found.digests[name] = upstream
    return found


def _look(found: Expectation, only: Sequence[str], overwrite: bool) -> None:
    """Look at the store and the raw data of a run."""
    store, ingest = found.planned.store, found.planned.parameters.ingest
    refuse_name(found.planned)
    try:
        found.run = Run(store)
    except UemError:
        if not ingest.raw or (store / "zarr.json").exists():
            raise
        is_whole(store)  # raises where something else is in the way
    done = found.run is not None and found.run.is_done("ingest")
    raw_is_read = reads_raw(found.planned, only)
    if found.run is not None and not (overwrite and raw_is_read):
        refuse_damaged_frames(found.run, store)
    if raw_is_read:
        raw = raw_of(ingest)
        found.raw = f"{len(raw.delays)} frames of {raw.shape[0]} x {raw.shape[1]} px"
        # The digest reads all files; without a store nothing is compared with it.
        digest = digest_of_raw(raw) if found.run is not None else "new"
        found.digests["ingest"] = digest
        if found.run is not None and done and damages_of(found.run, "ingest", store):
            found.digests["ingest"] = "anew"
        if found.run is None or found.why("ingest"):
            found.foreseen = Foreseen.of_raw(store, raw)
            if done and not overwrite:
                raise UemError(
                    f"{store}: holds a run of other raw data or parameters; name another output or "
                    f"use --overwrite"
                )
            return
    elif found.run is None or not done:
        raise UemError(not_ingested(found.planned, only))
    else:
        found.digests["ingest"] = found.run.stage("ingest")["digest"]
    assert found.run is not None
    refuse_gap(found.run, only)
    found.foreseen = Foreseen.of_run(found.run)


def _is_kept(why: str) -> bool:
    """Return whether what later stages made stays."""
    return why == _DELETED or why.startswith(DAMAGED)


def _left(found: Expectation, networks: _Networks | None, only: Sequence[str]) -> dict[str, str]:
    """Return the stages that would be made and why: those that are damaged or out of date."""
    left = _out_of_date(found, networks, only)
    run, store = found.run, found.planned.store
    if run is not None:
        for stage in STAGES[1:]:
            if stage not in left and run.is_done(stage):
                refuse_damaged(run, stage, store, only)
                if damages := damages_of(run, stage, store):
                    more = f" and {len(damages) - 1} more" if len(damages) > 1 else ""
                    left[stage] = f"{DAMAGED}{damages[0]}{more}"
    return {stage: left[stage] for stage in STAGES if stage in left}


def _out_of_date(
    found: Expectation, networks: _Networks | None, only: Sequence[str]
) -> dict[str, str]:
    """Return the stages that would be made, from the first that is out of date on."""
    chosen = [stage for stage in STAGES if not only or stage in only]
    for stage in chosen:
        if stage in STAGES[:_TRAIN] and (why := found.why(stage)):
            return _from(stage, why, chosen)
    run = found.run
    if run is None:
        return {}
    left = {}
    if lacks_wave(run, found.digests["spectrum"], only) and "spectrum" in chosen:
        left["spectrum"] = _DELETED
    if networks is not None and not run.is_export and (why := networks.why(run, found)):
        return left | _from("train", why, chosen)
    upstream = run.stage("train").get("digest", "")
    for name in STAGES[_TRAIN + 1 :]:
        if name not in chosen:
            upstream = run.stage(name).get("digest", upstream)
            continue
        upstream = found.digests[name] = found.digest(name, upstream)
        if why := found.why(name):
            return left | _from(name, why, chosen)
    return left


def _from(first: str, why: str, chosen: Sequence[str]) -> dict[str, str]:
    later = [stage for stage in chosen if STAGES.index(stage) > STAGES.index(first)]
    return {first: why} | dict.fromkeys(later, f"after {first}")


class _Networks:
    """The networks that the runs are to have, as `Networks` will give them out."""

    def __init__(self, plan: Plan, runs: Sequence[Expectation], only: Sequence[str]) -> None:
        self._plan, self._runs = plan, [run for run in runs if not _exported(run)]
        self._given = "" if plan.start else use_model(Path(plan.model))["model_digest"]
        keepers = [run for run in self._runs if self._keeps(run, only)]
        self._keepers = {run.planned.name for run in keepers}
        self._kept = {
            run.run.stage("train")["results"]["model_digest"]
            for run in keepers
            if run.run is not None
        }

    def _keeps(self, found: Expectation, only: Sequence[str]) -> bool:
        if found.run is None or any(
            found.why(stage) for stage in STAGES[:_TRAIN] if not only or stage in only
        ):
            return False
        return keeps_network(found.run.stage("train"), self._plan, found.planned)

    def source(self, found: Expectation) -> NetworkSource:
        """Return where the network of a run comes from."""
        if self._given:
            return "given"
        if found.planned.name in self._keepers:
            return "kept"
        together = self._plan.one_model == "all"
        return "existing" if together and self._kept else "trained"

    def refuse(self, found: Expectation) -> None:
        """Refuse a run that is to have the network of finished ones, where that is gone."""
        if self.source(found) == "existing":
            check_existing(self._plan, found.planned.name, self._kept)

    def why(self, run: Run, found: Expectation) -> str:
        """Return why a network is to be trained or taken; empty where the run has the right one."""
        record, source = run.stage("train"), self.source(found)
        if source == "kept":
            return ""
        if not record.get("finished"):
            return "not done"
        if source == "given":
            return "" if record["digest"] == digest_of("train", self._given) else "another model"
        if source == "trained" and self._is_trained(record, found):
            return ""
        changed = _changed(record["parameters"], found.parameters("train"))
        return changed or ("retraining is asked for" if self._plan.retrain else "another start")

    def _is_trained(self, record: dict[str, Any], found: Expectation) -> bool:
        members = self._runs if self._plan.one_model == "all" else [found]
        assert self._plan.start is not None
        parameters = found.planned.parameters.train
        labels = [member.digests["label"] for member in members]
        digest = training_digest(parameters, self._plan.start, labels)
        return is_trained(record, digest, self._plan.model_path(found.planned.name))


def _exported(found: Expectation) -> bool:
    return found.run is not None and found.run.is_export


def _changed(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return which parameters differ, with their values."""
    changes = []
    for key in sorted(old | new):
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
