"""What a campaign would do, found out without doing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.course import (
    is_export,
    is_trained,
    lacks_wave,
    not_ingested,
    training_digest,
)
from uemdask.execution.status import run_status
from uemdask.stages import STAGE_BY_NAME, digest_of
from uemdask.stages.ingest import digest_of_raw, raw_of
from uemdask.stages.train import use_model


@dataclass(frozen=True)
class Preview:
    """What would be done.

    Attributes
    ----------
    text : str
        In words.
    faults : list of str
        Names of the runs that would fail at once.
    """

    text: str
    faults: list[str]


@dataclass
class _Expected:
    """A run as it stands, and the digests that its stages would have."""

    planned: PlannedRun
    run: Run | None = None
    digests: dict[str, str] = field(default_factory=dict)
    raw: str = ""
    fault: str = ""

    def again(self, stage: str) -> bool:
        """Return whether a stage is not done with these inputs and parameters."""
        if self.run is None or not self.run.is_done(stage):
            return True
        return self.run.stage(stage)["digest"] != self.digests[stage]


def preview(plan: Plan, *, only: Sequence[str] = ()) -> Preview:
    """Return what a campaign would do, without doing anything.

    Raw data are looked at as by ingest, but no frame is read.
    """
    runs = [_expect(planned, only) for planned in plan.runs]
    lines = [f"output: {plan.output}", f"model: {plan.model}, one for {plan.one_model}"]
    model_fault = ""
    if plan.start is None:
        try:
            use_model(Path(plan.model))
        except UemError as error:
            model_fault = str(error)
    sound = [found for found in runs if not found.fault]
    for found in runs:
        planned = found.planned
        raw = planned.parameters.ingest.raw
        lines.append(f"{planned.name}: {planned.store}" + (f" from {raw}" if raw else ""))
        if found.raw:
            lines.append(f"  raw data: {found.raw}")
        if not found.fault:
            members = sound if plan.one_model == "all" else [found]
            left = _left(found, members, plan, only)
            if model_fault and "train" in left:
                found.fault = model_fault
            else:
                lines.append(f"  to do: {', '.join(left) if left else 'nothing'}")
        if found.fault:
            lines.append(f"  cannot be done: {found.fault}")
        failed = run_status(planned).failed
        if failed:
            lines.append(f"  failed before: {failed}")
    return Preview("\n".join(lines), [found.planned.name for found in runs if found.fault])


def _expect(planned: PlannedRun, only: Sequence[str]) -> _Expected:
    """Follow the digests as far as training, as `course` would find them."""
    expected = _Expected(planned)
    ingest = planned.parameters.ingest
    try:
        expected.run = Run(planned.store)
    except UemError as error:
        if not ingest.raw:
            expected.fault = str(error)
            return expected
    done = expected.run is not None and expected.run.is_done("ingest")
    if ingest.raw and (not only or "ingest" in only) and (Path(ingest.raw).exists() or not done):
        try:
            raw = raw_of(ingest)
        except UemError as error:
            expected.fault = str(error)
            return expected
        expected.raw = f"{len(raw.delays)} frames of {raw.shape[0]} x {raw.shape[1]} px"
        upstream = digest_of_raw(raw)
    elif expected.run is None or not done:
        expected.fault = not_ingested(planned, only)
        return expected
    else:
        upstream = expected.run.stage("ingest")["digest"]
    expected.digests["ingest"] = upstream
    for name in STAGES[1 : STAGES.index("train")]:
        upstream = expected.digests[name] = _digest(planned, name, upstream)
    return expected


def _digest(planned: PlannedRun, name: str, upstream: str) -> str:
    parameters = getattr(planned.parameters, name).model_dump(mode="json")
    return digest_of(name, STAGE_BY_NAME[name].version, parameters, upstream)


def _left(
    found: _Expected, members: Sequence[_Expected], plan: Plan, only: Sequence[str]
) -> list[str]:
    """Return the stages that would be made, from the first that is out of date on."""
    chosen = [stage for stage in STAGES if not only or stage in only]
    earlier = STAGES[: STAGES.index("train")]
    if found.run is None or any(found.again(stage) for stage in earlier if stage in chosen):
        first = next(stage for stage in earlier if stage in chosen and found.again(stage))
        return [stage for stage in chosen if STAGES.index(stage) >= STAGES.index(first)]
    left = []
    if lacks_wave(found.run, found.digests["spectrum"], only) and "spectrum" in chosen:
        left.append("spectrum")
    if "train" in chosen and not is_export(found.run) and _trains(found, members, plan):
        return left + [stage for stage in chosen if STAGES.index(stage) >= STAGES.index("train")]
    upstream = found.run.stage("train").get("digest", "")
    for name in STAGES[STAGES.index("train") + 1 :]:
        if name not in chosen:
            upstream = found.run.stage(name).get("digest", upstream)
            continue
        upstream = found.digests[name] = _digest(found.planned, name, upstream)
        if found.again(name):
            left.append(name)
    return left


def _trains(found: _Expected, members: Sequence[_Expected], plan: Plan) -> bool:
    assert found.run is not None
    record = found.run.stage("train")
    if not record.get("finished"):
        return True
    if plan.start is None:
        try:
            digest = use_model(Path(plan.model))["model_digest"]
        except UemError:
            return True
        return bool(record["digest"] != digest_of("train", digest))
    name = plan.name if plan.one_model == "all" else found.planned.name
    wanted = training_digest(
        members[0].planned.parameters.train, plan.start, [m.digests["label"] for m in members]
    )
    return not is_trained(record, wanted, plan.output / "models" / f"{name}.pt")
