"""The pipeline of one run: takes it through its stages, one phase of tasks after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uemdask.cube import STAGES, Run, missing_stages
from uemdask.errors import UemError
from uemdask.execution.campaign import PlannedRun
from uemdask.execution.damage import damages_of, refuse_damaged_frames, remake_later, reopen
from uemdask.execution.file_manifest import FileManifest
from uemdask.execution.ledger import Ledger
from uemdask.execution.preconditions import not_ingested, reads_raw, refuse_removal
from uemdask.execution.run_template import RunTemplate
from uemdask.execution.stage_plan import Step, stage_plan
from uemdask.stages import STAGE_BY_NAME, Phase, Receipt, Stage, digest_of
from uemdask.stages.ingest import create_from_raw
from uemdask.stages.run_replacement import is_clear, put_in_place, recover


@dataclass
class PhaseWork:
    """The tasks of a phase that are still to be done; `receipts` fills as they end.

    `made` is the identity of this making of the stage, see `Run.identity`; `store` is where it is
    made; `manifest` is that of the stage's files; `warnings` are there once the phase has finished.
    """

    stage: Stage
    phase: Phase
    digest: str
    parameters: dict[str, Any]
    regions: list[str]
    ledger: Ledger
    made: str
    store: Path
    manifest: FileManifest
    receipts: dict[str, Receipt] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def note(self, region: str, result: dict[str, Any]) -> None:
        """Take in what `run_task` returned, into the ledger first."""
        task = self.ledger.done(
            stage=self.stage.name,
            phase=self.phase.name,
            digest=self.digest,
            region=region,
            **result,
        )
        self.manifest.add(task)
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


class Pipeline(Iterator[Work]):
    """What is to be done for a run, phase by phase, as its `stage_plan` has it.

    The caller does the missing tasks of a `PhaseWork` and notes what they return, or gives a
    `TrainingWanted` its results, and then asks for the next. Asking for the next raises `UemError`
    or `FaultsError` where the run's raw data, store or parameters are at fault.

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
        self._began_clear = self._has_worked = self._has_looked_ahead = False
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
        self._run = self._first_run()
        self.stage = next(iter(missing_stages(self._run)), STAGES[-1])
        wanted = [name for name in STAGES if not only or name in only]
        for step in stage_plan(
            planned,
            lambda: self._run,
            ingest=self._run.stage("ingest")["digest"],
            only=only,
            network=lambda: "",  # whoever has all runs in view knows
        ):
            if step.stage not in wanted:
                continue
            self.stage = step.stage
            if step.stage == "train":
                yield from self._train(self._run)
            elif step.how:
                yield from self._make(self._run, step, wanted[wanted.index(step.stage) + 1 :])
            if step.stage == "ingest":
                self._run = put_in_place(self._run, planned.store)

    def _first_run(self) -> Run:
        """Return the run that is there or, of raw data, is to be ingested."""
        planned, only, overwrite = self._planned, self._only, self._overwrite
        store, ingest = planned.store, planned.parameters.ingest
        recover(store)
        anew, raw = False, reads_raw(planned, only)
        if (store / "zarr.json").exists():  # else nothing, or what is refused below
            run = Run(store)
            anew = raw and overwrite and bool(damages_of(run, "ingest", store))
            if not raw and not run.is_done("ingest"):
                raise UemError(not_ingested(planned, only))
            if not anew:
                refuse_damaged_frames(run, store)
        elif not raw and ingest.raw and not store.exists():
            raise UemError(not_ingested(planned, only))
        if raw:
            return create_from_raw(store, ingest, overwrite=overwrite, anew=anew)
        return Run(store)

    def _make(self, run: Run, step: Step, later: Sequence[str]) -> Iterator[Work]:
        """Do what is left of a stage."""
        stage, parameters = STAGE_BY_NAME[step.stage], getattr(self._planned.parameters, step.stage)
        if step.how == "renew":
            run.renew(stage.name, "wave")
        elif step.how == "mend":
            reopen(run, stage.name, step.damages, self._planned.store)
        if step.how == "anew":
            stage.check(run, parameters)
        if not self._has_looked_ahead and (step.how == "anew" or stage.name == "ingest"):
            # Once is enough: what was looked at then has not changed since.
            self._has_looked_ahead = True
            if stage.name == "ingest":
                self._remember(run)
            RunTemplate.of_run(run).refuse(later, self._planned.parameters)
        manifest = FileManifest(run.path, stage.name)
        if step.how == "anew":
            made_of = parameters.model_dump(mode="json")
            with run.at_once():
                run.begin(stage.name, digest=step.digest, parameters=made_of)
                self._remember(run)
                stage.create(run, parameters)
                run.note(stage.name, created=True)
        else:
            manifest = FileManifest.of(run, stage.name, self._planned.store)
        yield from self._phases(run, stage, manifest, parameters)

    def _phases(
        self, run: Run, stage: Stage, manifest: FileManifest, parameters: Any
    ) -> Iterator[Work]:
        """Do what is left of a stage, of which some files are there already, and finish it."""
        ledger = Ledger(self._planned.store, run.identity(stage.name))
        digest = run.stage(stage.name)["digest"]
        # A receipt whose files are gone, or were cut short, counts for nothing.
        spoilt = manifest.spoilt({broken.key for broken in manifest.broken()})
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
                manifest=manifest,
                receipts={
                    region: task.receipt
                    for (of, region), task in manifest.tasks.items()
                    if of == phase.name and (of, region) not in spoilt
                },
            )
            self._has_worked = True
            yield work
            # In the order of the regions, so that sums do not depend on which task ended first.
            receipts = {region: work.receipts[region] for region in work.regions}
            if phase is stage.phases[-1] and manifest.is_another:
                # At once: as long as this stage is not finished, a kill has it done again.
                remake_later(run, stage.name, self._planned.store)
            with run.at_once():
                results = phase.finish(run, parameters, receipts)
                work.warnings += results.get("warnings", [])
                run.note(stage.name, results=results)
                if phase is stage.phases[-1]:
                    self._finish(run, stage, manifest, ledger)
        self.phase = ""
        if not stage.phases:
            self._finish(run, stage, manifest, ledger)

    def _finish(self, run: Run, stage: Stage, manifest: FileManifest, ledger: Ledger) -> None:
        """Finish a stage of which all tasks are done."""
        others = manifest.others(run.take_checksums())
        digest = run.stage(stage.name)["digest"]
        ledger.wrote(stage=stage.name, digest=digest, files=others)
        run.finish(stage.name)

    def _remember(self, run: Run) -> None:
        """Note what asks for this; single stages on the way do not stand for the whole."""
        if not self._only or not run.record.get("command"):
            run.remember(self._command)

    def _train(self, run: Run) -> Iterator[Work]:
        """Want a network; an export has nothing to train on any more."""
        record = run.stage("train")
        if record.get("finished") and run.is_export:
            return
        wanted = TrainingWanted(run)
        self._has_worked = True
        yield wanted
        # What follows depends on the weights alone, not on how they came about.
        results, digest = wanted.results, digest_of("train", wanted.results["model_digest"])
        parameters = self._planned.parameters.train.model_dump(mode="json")
        if record.get("digest") != digest or not record.get("finished"):
            refuse_removal(run.path, "train", self._only)
            with run.at_once():
                run.begin("train", digest=digest, parameters=parameters)
                self._remember(run)
                run.note("train", results=results)
                run.finish("train")
        elif record["parameters"] != parameters or record["results"] != results:
            # The same weights by another training, or from another folder.
            run.restate("train", parameters=parameters, results=results)
