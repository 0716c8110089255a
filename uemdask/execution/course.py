"""The course of one run through its stages: what is to do next, and what is done already."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uemdask.cube import STAGES, Run, missing_stages
from uemdask.errors import UemError
from uemdask.execution.account import Account
from uemdask.execution.beginning import first_run, refuse_export, refuse_gap, refuse_removal
from uemdask.execution.campaign import PlannedRun
from uemdask.execution.damage import damages_of, refuse_damaged, remake_later, reopen
from uemdask.execution.foreseen import Foreseen
from uemdask.execution.ledger import Ledger
from uemdask.stages import STAGE_BY_NAME, Phase, Receipt, Stage, digest_of
from uemdask.stages.replacing import is_clear, put_in_place


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
    """The run has come to training; `results` are those of its network, once there is one."""

    run: Run
    results: dict[str, Any] = field(default_factory=dict)


Work = PhaseWork | TrainingWanted


class Course(Iterator[Work]):
    """What is to be done for a run, phase by phase.

    The caller does the missing tasks of a `PhaseWork` and notes what they return, or gives a
    `TrainingWanted` its results, and then asks for the next. Stages that are done with the same
    inputs, parameters and version are passed over. Where one is not, it and all later ones are made
    anew. Asking for the next raises `UemError` or `FaultsError` where the run's raw data, store or
    parameters are at fault.

    Parameters
    ----------
    planned : PlannedRun
        The run.
    only : sequence of str
        Stages to do; all where empty.
    overwrite : bool
        Replace a store made from other raw data.
    command : sequence of str
        What asks for this again, which the run remembers.

    Attributes
    ----------
    stage, phase : str
        Where it stands; `phase` is empty between phases.
    """

    def __init__(
        self,
        planned: PlannedRun,
        *,
        only: Sequence[str] = (),
        overwrite: bool = False,
        command: Sequence[str] = (),
    ) -> None:
        self.stage, self.phase = STAGES[0], ""
        self._planned, self._only, self._overwrite = planned, only, overwrite
        self._command = command
        self._began_clear = self._has_worked = False
        self._steps = self._go()

    def __next__(self) -> Work:
        return next(self._steps)

    def is_spoilt_by(self, error: BaseException) -> bool:
        """Return whether a failure leaves a half store of no use.

        What a killed driver ingested is kept, unless the raw data themselves are refused: a share
        that is away for a moment costs nothing.
        """
        if not self._planned.parameters.ingest.raw:  # a store that was given is the user's
            return False
        if not self._has_worked:
            return self._began_clear
        return self.stage == "ingest" and isinstance(error, UemError)

    def _go(self) -> Iterator[Work]:
        planned, only = self._planned, self._only
        self._began_clear = is_clear(planned.store)
        run = first_run(planned, only, overwrite=self._overwrite)
        self.stage = next(iter(missing_stages(run)), STAGES[-1])
        refuse_gap(run, only)
        wanted = [name for name in STAGES if not only or name in only]
        ahead = not run.is_done("ingest")
        if ahead:
            self._remember(run)
            Foreseen.of_run(run).refuse(wanted, planned.parameters)
        upstream = run.stage("ingest")["digest"]
        for name in STAGES:
            if name not in wanted:
                upstream = run.stage(name).get("digest", upstream)
                refuse_damaged(run, name, planned.store, only)
                continue
            self.stage = name
            if name == "train":
                upstream = yield from self._train(run)
                continue
            stage, parameters = STAGE_BY_NAME[name], getattr(planned.parameters, name)
            digest = upstream
            if name != "ingest":
                digest = digest_of(
                    name, stage.version, parameters.model_dump(mode="json"), upstream
                )
            if name == "spectrum" and lacks_wave(run, digest, only):
                run.renew("spectrum", "wave")
            # Once is enough to look ahead; what was looked at then has not changed since.
            later = [] if ahead else [w for w in wanted if STAGES.index(w) > STAGES.index(name)]
            ahead |= yield from self._make(run, stage, digest, later)
            if name == "ingest":
                run = put_in_place(run, planned.store)
            upstream = digest

    def _make(
        self, run: Run, stage: Stage, digest: str, later: Sequence[str]
    ) -> Generator[Work, None, bool]:
        """Make a stage where it is not done; return whether that was so."""
        parameters = getattr(self._planned.parameters, stage.name)
        record = run.stage(stage.name)
        if record.get("digest") == digest and record.get("finished"):
            damages = damages_of(run, stage.name, self._planned.store)
            if not damages:
                return False
            reopen(run, stage.name, damages, self._planned.store)
            record = run.stage(stage.name)
        if record.get("digest") != digest or not record.get("created"):
            refuse_export(run, stage.name)
            refuse_removal(run.path, stage.name, self._only)
            stage.check(run, parameters)
            if later:
                Foreseen.of_run(run).refuse(later, self._planned.parameters)
            run.begin(stage.name, digest=digest, parameters=parameters.model_dump(mode="json"))
            self._remember(run)
            stage.create(run, parameters)
            run.note(stage.name, created=True)
            run.consolidate()
        yield from self._phases(run, stage, digest, parameters)
        return True

    def _phases(
        self, run: Run, stage: Stage, digest: str, parameters: Any
    ) -> Generator[Work, None, None]:
        """Do what is left of a stage, and finish it."""
        ledger = Ledger(self._planned.store, run.identity(stage.name))
        account = Account.of(run, stage.name, self._planned.store)
        # A receipt whose files are gone, or were cut short, counts for nothing.
        spoilt = account.spoilt({broken.key for broken in account.broken()})
        for phase in stage.phases:
            self.phase = phase.name
            regions = phase.regions(run, parameters)
            assert regions is not None  # the earlier phases have finished
            work = PhaseWork(
                stage=stage,
                phase=phase,
                digest=digest,
                parameters=parameters.model_dump(mode="json"),
                regions=[region.key for region in regions],
                ledger=ledger,
                made=run.identity(stage.name),
                store=run.path,
                receipts={
                    region: task.receipt
                    for (of, region), task in account.tasks.items()
                    if of == phase.name and (of, region) not in spoilt
                },
            )
            self._has_worked = True
            yield work
            # In the order of the regions, so that sums do not depend on which task ended first.
            receipts = {region: work.receipts[region] for region in work.regions}
            results = phase.finish(run, parameters, receipts)
            work.warnings += results.get("warnings", [])
            run.note(stage.name, results=results)
        self.phase = ""
        done = Account.of(run, stage.name, self._planned.store)
        others = done.others(run.take_account())
        ledger.wrote(stage=stage.name, digest=digest, files=others)
        # A region made again is as it was before, or what was made of it is made again too.
        before = {key: file for task in account.void.values() for key, file in task.files.items()}
        if any(done.files.get(key) != file for key, file in before.items()):
            remake_later(run, stage.name, self._planned.store)
        run.finish(stage.name)

    def _remember(self, run: Run) -> None:
        """Note what asks for this; single stages on the way do not stand for the whole."""
        if not self._only or not run.record.get("command"):
            run.remember(self._command)

    def _train(self, run: Run) -> Generator[Work, None, str]:
        """Want a network, and return the digest that what follows depends on."""
        record = run.stage("train")
        if record.get("finished") and run.is_export:
            # There is nothing to train on any more; the features can be made anew.
            return str(record["digest"])
        wanted = TrainingWanted(run)
        self._has_worked = True
        yield wanted
        # What follows depends on the weights alone, not on how they came about.
        results, digest = wanted.results, digest_of("train", wanted.results["model_digest"])
        parameters = self._planned.parameters.train.model_dump(mode="json")
        if record.get("digest") != digest or not record.get("finished"):
            refuse_removal(run.path, "train", self._only)
            run.begin("train", digest=digest, parameters=parameters)
            self._remember(run)
            run.note("train", results=results)
            run.finish("train")
        elif record["parameters"] != parameters or record["results"] != results:
            # The same weights by another training, or from another folder.
            run.restate("train", parameters=parameters, results=results)
        return digest


def lacks_wave(run: Run, digest: str, only: Sequence[str]) -> bool:
    """Return whether `wave` was deleted to save space and is wanted now."""
    if "wave" in run or run.is_export or run.stage("spectrum").get("digest") != digest:
        return False
    # Where `renew` was killed the stage is not done; where a reader is not, it will want it.
    wanted = ("spectrum", "label", "train", "flow")
    return "spectrum" in only or not all(run.is_done(stage) for stage in wanted)
