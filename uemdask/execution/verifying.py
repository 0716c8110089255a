"""Checking the files of runs against what was said of them when they were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from pydantic import BaseModel, Field

from uemdask.cube import STAGES, Run
from uemdask.cube.contract import later_stages
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.damage import INGEST_AGAIN, Damage, damages_of, reopen
from uemdask.execution.file_manifest import FileManifest
from uemdask.execution.pipeline import Pipeline, Work
from uemdask.execution.preconditions import in_words, refuse_name
from uemdask.network import model_digest
from uemdask.stages import STAGE_BY_NAME, digest_of
from uemdask.stages.train import model_of

#: Raised by one where a name goes or changes its meaning; new names may come at any time.
SCHEMA: Final = "uemdask.verify/1"


class RunVerification(BaseModel):
    """What was found of one run.

    Attributes
    ----------
    run, store : str
        Name and store.
    files : int
        Chunk files that were checked.
    damages : list of Damage
        What is damaged.
    notes : list of str
        What could not be checked, and why.
    fault : str
        Why nothing could be checked; empty where there is no fault.
    remedy : str
        What helps; empty where all is well.
    """

    run: str
    store: str
    files: int = 0
    damages: list[Damage] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    fault: str = ""
    remedy: str = ""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, as far as could be checked."""
        return not self.damages and not self.fault

    @property
    def lasting(self) -> bool:
        """Whether frames, or what was ingested with them, are damaged: only an ingest helps."""
        return bool(self.fault) or any(damage.stage == "ingest" for damage in self.damages)


class Verification(BaseModel):
    """What was found of several runs; `deep` says whether files were read."""

    version: Literal["uemdask.verify/1"] = SCHEMA
    deep: bool
    runs: list[RunVerification]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with any of them."""
        return all(run.sound for run in self.runs)


def verify(plan: Plan, *, deep: bool = False) -> Verification:
    """Check the files of the runs of a plan; nothing is changed.

    Parameters
    ----------
    plan : Plan
        The runs.
    deep : bool
        Read every file and compare its sum; otherwise names and sizes only.
    """
    return Verification(deep=deep, runs=[verify_run(run, deep=deep) for run in plan.runs])


def verify_run(planned: PlannedRun, *, deep: bool = False) -> RunVerification:
    """Check the files of one run, see `verify`."""
    found = RunVerification(run=planned.name, store=str(planned.store))
    try:
        refuse_name(planned)
        if not planned.store.exists():
            found.notes.append("not made yet")
            return found
        _look(Run(planned.store), found, deep=deep)
    except Exception as error:  # one bad run never stops the others
        found.fault = in_words(error, planned.store)
        found.remedy = "bring it back from a copy, or ingest the raw data again"
        return found
    if found.damages:
        found.remedy = "'uemdask verify --repair' makes just these regions again"
    if found.lasting:
        found.remedy = f"frames: {INGEST_AGAIN}"
    return found


def _look(run: Run, found: RunVerification, *, deep: bool) -> None:
    blind = []
    for stage in STAGES:
        record = run.stage(stage)
        if not record:
            continue
        files = FileManifest.of(run, stage, run.path).files
        found.files += len(files)
        found.damages += damages_of(run, stage, run.path, deep=deep)
        if record.get("finished") and not files and stage != "train":
            blind.append(stage)
    if blind:
        found.notes.append(_why_blind(run, blind))
    if run.is_done("train"):
        found.notes += _model_notes(run, deep=deep)


def _why_blind(run: Run, stages: Sequence[str]) -> str:
    """Say why the files of some stages cannot be checked."""
    if run.is_export:
        return "an export has no ledger to be checked against; verify the run that it was made of"
    whose = "stage" if len(stages) == 1 else "stages"
    return (
        f"{whose} {', '.join(stages)}: the ledger tells nothing of their files, so that they "
        f"cannot be checked; copy {run.name}.ledger.jsonl with the store"
    )


def _model_notes(run: Run, *, deep: bool) -> Iterator[str]:
    """Yield what is wrong with the model, without which flow cannot be made again."""
    path = model_of(run)
    if not path.exists():
        yield f"{path}: the model is not here; flow cannot be made again without it"
        return
    if deep:
        try:
            changed = model_digest(path) != run.results("train").model_digest
        except UemError as error:
            yield str(error)
            return
        if changed:
            yield f"{path}: is no longer the model that this run was given"


class Repair(Pipeline):
    """A repair: of each damaged stage just what is damaged, as it was made before.

    Parameters
    ----------
    planned : PlannedRun
        The run; parameters are those in its record.
    deep : bool
        Read every file and compare its sum, see `verify`.
    """

    def __init__(self, planned: PlannedRun, *, deep: bool) -> None:
        super().__init__(planned)
        self._deep = deep

    def _go(self) -> Iterator[Work]:
        run = Run(self._planned.store)
        upstream = ""
        for name in STAGES:
            record = run.stage(name)
            if not record:
                return
            self.stage = name
            damages = damages_of(run, name, run.path, deep=self._deep)
            stage = STAGE_BY_NAME[name]
            if damages and name == "ingest":
                raise UemError(f"{run.path}: {damages[0]}; {INGEST_AGAIN}")
            if damages:
                wanted = digest_of(name, stage.version, record["parameters"], upstream)
                if record["digest"] != wanted:
                    raise UemError(
                        f"{run.path}: stage '{name}' was made by another version of uemdask "
                        f"({record['version']}) and cannot be mended in part; 'uemdask run' makes "
                        f"it anew"
                    )
                reopen(run, name, damages, run.path)
            if name != "train" and (damages or self._was_reopened(run, name)):
                parameters = stage.parameters.model_validate(record["parameters"])
                account = FileManifest.of(run, name, run.path)
                yield from self._phases(run, stage, account, parameters)
            upstream = record["digest"]

    @staticmethod
    def _was_reopened(run: Run, stage: str) -> bool:
        """Return whether a stage was finished before, and a repair is to finish it again."""
        if run.is_done(stage):
            return False
        followed = any(map(run.stage, later_stages(stage)[1:]))
        return followed or bool(FileManifest.of(run, stage, run.path).void)
