"""The course of one run through its stages: what is to do next, and what is done already."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.campaign import PlannedRun
from uemdask.execution.foreseen import Foreseen
from uemdask.execution.ledger import Ledger
from uemdask.network import BASE_MODEL, model_digest
from uemdask.stages import STAGE_BY_NAME, Phase, Receipt, Stage, digest_of
from uemdask.stages.ingest import IngestParameters, create_from_raw
from uemdask.stages.replacing import put_in_place, recover
from uemdask.stages.train import TRAIN, Start, TrainParameters


@dataclass
class PhaseWork:
    """The tasks of a phase that are still to be done; `receipts` fills as they end.

    `made` is the identity of this making of the stage, see `Run.identity`; `store` is where it is
    made; `warnings` are there once the phase has finished.
    """

    stage: Stage
    phase: Phase
    digest: str
    parameters: dict[str, Any]
    regions: list[str]
    ledger: Ledger
    made: str
    store: Path
    receipts: dict[str, Receipt] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def note(self, region: str, result: dict[str, Any]) -> None:
        """Take in what `run_task` returned, into the ledger first."""
        self.ledger.done(
            stage=self.stage.name,
            phase=self.phase.name,
            digest=self.digest,
            region=region,
            **result,
        )
        self.receipts[region] = result["receipt"]

    @property
    def missing(self) -> list[str]:
        """Regions without a receipt, in order."""
        return [region for region in self.regions if region not in self.receipts]


@dataclass
class TrainingWanted:
    """The run has come to training; the driver sets `digest` and `results` when it is done."""

    run: Run
    digest: str = ""
    results: dict[str, Any] = field(default_factory=dict)


def course(
    planned: PlannedRun, *, only: Sequence[str] = (), overwrite: bool = False
) -> Iterator[PhaseWork | TrainingWanted]:
    """Yield what is to be done for a run, phase by phase.

    The caller does the missing tasks of a `PhaseWork`, notes what they return, and then asks for
    the next. Stages that are done with the same inputs, parameters and
    version are passed over. Where one is not, it and all later ones are made anew.

    Raises
    ------
    UemError, FaultsError
        If the run's raw data, store or parameters are at fault.
    """
    run = _open(planned, only, overwrite)
    refuse_gap(run, only)
    wanted = [name for name in STAGES if not only or name in only]
    ahead = not run.is_done("ingest")
    if ahead:
        Foreseen.of_run(run).refuse(wanted, planned.parameters)
    upstream = run.stage("ingest")["digest"]
    for name in STAGES:
        stage = STAGE_BY_NAME[name]
        parameters = getattr(planned.parameters, name)
        if only and name not in only:
            upstream = run.stage(name).get("digest", upstream)
            continue
        if name == "train" and run.is_done("train") and is_export(run):
            # There is nothing to train on any more; the features can be made anew.
            upstream = run.stage("train")["digest"]
            continue
        if name == "train":
            training = TrainingWanted(run)
            yield training
            upstream = training.digest
            continue
        digest = upstream
        if name != "ingest":
            digest = digest_of(name, stage.version, parameters.model_dump(mode="json"), upstream)
        if name == "spectrum" and lacks_wave(run, digest, only):
            run.renew("spectrum", "wave")
        # Once is enough to look ahead; what was looked at then has not changed since.
        later = [] if ahead else [w for w in wanted if STAGES.index(w) > STAGES.index(name)]
        ahead |= yield from _stage(run, stage, planned, digest, later)
        if name == "ingest":
            run = put_in_place(run, planned.store)
        upstream = digest


def is_export(run: Run) -> bool:
    """Return whether the run has been exported without its frames."""
    return "intensity" not in run


def lacks_wave(run: Run, digest: str, only: Sequence[str]) -> bool:
    """Return whether `wave` was deleted to save space and is wanted now."""
    if "wave" in run or is_export(run) or run.stage("spectrum").get("digest") != digest:
        return False
    # Where `renew` was killed the stage is not done; where a reader is not, it will want it.
    wanted = ("spectrum", "label", "train", "flow")
    return "spectrum" in only or not all(run.is_done(stage) for stage in wanted)


def refuse_gap(run: Run, only: Sequence[str]) -> None:
    """Refuse single stages where one that they need is neither done nor asked for.

    Raises
    ------
    UemError
        If there is such a stage.
    """
    last = max((STAGES.index(stage) for stage in only), default=0)
    for name in STAGES[:last]:
        if name not in only and not run.is_done(name):
            raise UemError(
                f"{run.path}: stage '{name}' is not done and '{STAGES[last]}' needs it; run it "
                f"first, or leave --only out"
            )


def _open(planned: PlannedRun, only: Sequence[str], overwrite: bool) -> Run:
    recover(planned.store)
    ingest = planned.parameters.ingest
    wanted = ingest.raw and (not only or "ingest" in only)
    # Where the raw data have gone to the archive, the run has all that is needed of them.
    gone = not Path(ingest.raw).exists() and _was_made_from(planned.store, ingest)
    if wanted and not gone:
        return create_from_raw(planned.store, ingest, overwrite=overwrite)
    if not _is_ingested(planned):
        raise UemError(not_ingested(planned, only))
    return Run(planned.store)


def _is_ingested(planned: PlannedRun) -> bool:
    try:
        return Run(planned.store).is_done("ingest")
    except UemError:
        if planned.parameters.ingest.raw and not planned.store.exists():
            return False
        raise


def not_ingested(planned: PlannedRun, only: Sequence[str]) -> str:
    """Say what to do about a run whose frames are not in its store."""
    raw = planned.parameters.ingest.raw
    if raw and only and "ingest" not in only:
        stages = " ".join(f"--only {stage}" for stage in only)
        return (
            f"{planned.store}: {raw} is not ingested yet, and {stages} leaves that out; add "
            f"--only ingest, or leave --only out"
        )
    return f"{planned.store}: its ingest did not finish; ingest the raw data again"


def _was_made_from(store: Path, ingest: IngestParameters) -> bool:
    try:
        record = Run(store).stage("ingest")
    except UemError:
        return False
    same = record.get("parameters") == ingest.model_dump(mode="json")
    return same and bool(record.get("finished"))


def _stage(
    run: Run, stage: Stage, planned: PlannedRun, digest: str, later: Sequence[str]
) -> Generator[PhaseWork, None, bool]:
    """Make a stage where it is not done; return whether that was so."""
    parameters = getattr(planned.parameters, stage.name)
    record = run.stage(stage.name)
    if record.get("digest") == digest and record.get("finished"):
        return False
    if record.get("digest") != digest or not record.get("created"):
        if is_export(run) and STAGES.index(stage.name) < STAGES.index("feature"):
            raise UemError(
                f"{run.path}: an export without frames, so stage '{stage.name}' cannot be made "
                f"anew; use the run that it was exported from"
            )
        stage.check(run, parameters)
        if later:
            Foreseen.of_run(run).refuse(later, planned.parameters)
        run.begin(stage.name, digest=digest, parameters=parameters.model_dump(mode="json"))
        stage.create(run, parameters)
        run.note(stage.name, created=True)
        run.consolidate()
    ledger = Ledger(planned.store, run.identity(stage.name))
    for phase in stage.phases:
        work = PhaseWork(
            stage=stage,
            phase=phase,
            digest=digest,
            parameters=parameters.model_dump(mode="json"),
            regions=[region.key for region in phase.regions(run, parameters)],
            ledger=ledger,
            made=run.identity(stage.name),
            store=run.path,
            receipts=ledger.receipts(stage.name, phase.name, digest),
        )
        yield work
        # In the order of the regions, so that sums do not depend on which task ended first.
        receipts = {region: work.receipts[region] for region in work.regions}
        results = phase.finish(run, parameters, receipts)
        work.warnings += results.get("warnings", [])
        run.note(stage.name, results=results)
    run.finish(stage.name)
    return True


def training_digest(parameters: TrainParameters, start: Start, labels: Sequence[str]) -> str:
    """Return the digest of a training on runs with these digests of their labels."""
    weights = model_digest(BASE_MODEL) if start == "base" else start
    return digest_of("train", TRAIN.version, parameters.decisive(), weights, list(labels))


def is_trained(record: dict[str, Any], digest: str, model: Path) -> bool:
    """Return whether a run's record of training is of this training, and its model still there.

    Another campaign of the same name may have put its own model in the place.
    """
    if not record.get("finished") or record["results"].get("training_digest") != digest:
        return False
    try:
        return model_digest(model) == record["results"]["model_digest"]
    except UemError:
        return False
