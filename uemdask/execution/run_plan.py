"""The stage plan of every run of a campaign, found out without doing anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.damage import damages_of, refuse_damaged_frames
from uemdask.execution.file_manifest import FileManifest
from uemdask.execution.preconditions import in_words, not_ingested, reads_raw, refuse_name
from uemdask.execution.run_template import RunTemplate, Tasks, tasks_of
from uemdask.execution.stage_plan import NOT_DONE, Step, changed, stage_plan
from uemdask.execution.training import (
    check_existing,
    is_trained,
    keeps_network,
    training_digest,
)
from uemdask.readers import RawAcquisition
from uemdask.stages import digest_of
from uemdask.stages.flow import check_model
from uemdask.stages.ingest import digest_of_raw, other_raw_data, raw_of
from uemdask.stages.run_replacement import is_whole
from uemdask.stages.train import use_model

_TRAIN = STAGES.index("train")
#: Where a run's network comes from: given in the plan, kept from before, taken from the finished
#: runs, or trained.
NetworkSource = Literal["given", "kept", "existing", "trained"]


@dataclass
class RunPlan:
    """A run as it stands, and what is to be done.

    Attributes
    ----------
    planned : PlannedRun
        The run.
    run : Run, optional
        Its store, where there is one.
    steps : list of Step
        What is to be done in each stage, as far as a fault lets it be told.
    fault : str
        Why nothing can be done.
    network : str, optional
        Where its network comes from; None where training is left out, or the run is an export.
    raw : RawAcquisition, optional
        Its raw data, where they were looked at.
    """

    planned: PlannedRun
    run: Run | None = None
    steps: list[Step] = field(default_factory=list)
    fault: str = ""
    network: NetworkSource | None = None
    raw: RawAcquisition | None = None

    @property
    def to_do(self) -> dict[str, str]:
        """Why a stage is to be done, by stage."""
        return {step.stage: step.why for step in self.steps if step.how}

    @property
    def computed(self) -> list[str]:
        """Stages with something to compute: not a training whose network is there."""
        return [stage for stage in self.to_do if stage != "train" or self.network == "trained"]

    @property
    def is_export(self) -> bool:
        """Whether its store is an export, which can have no other network."""
        return self.run is not None and self.run.is_export

    @cached_property
    def template(self) -> RunTemplate:
        """What it will be; raw data that are to be ingested are looked at.

        Raises
        ------
        UemError, FaultsError
            If raw data or store are at fault.
        """
        if self.run is not None and "ingest" not in self.to_do:
            return RunTemplate.of_run(self.run)
        self.raw = self.raw or raw_of(self.planned.parameters.ingest)
        return RunTemplate.of_raw(self.planned.store, self.raw)

    def tasks(self) -> dict[str, Tasks]:
        """Return the tasks that are left, by stage; of a training none, which has no regions."""
        return {step.stage: self._tasks(step) for step in self.steps if step.stage in self.computed}

    def _tasks(self, step: Step) -> Tasks:
        stage, parameters = step.stage, self.planned.parameters
        begun = self.run if step.how in ("go on", "mend") else None
        try:
            tasks = tasks_of(begun or self.template, stage, parameters)
        except UemError:  # metadata of a variable are damaged, and are brought back first
            tasks = tasks_of(self.template, stage, parameters)
        if begun is None:
            return tasks
        manifest = FileManifest.of(begun, stage, self.planned.store)
        done = (
            manifest.tasks.keys() - manifest.spoilt({file.key for file in manifest.broken()}).keys()
        )
        return {
            phase: None if keys is None else [key for key in keys if (phase, key) not in done]
            for phase, keys in tasks.items()
        }


def plan_stages(
    plan: Plan, *, only: Sequence[str] = (), overwrite: bool = False, read_raw: bool = True
) -> list[RunPlan]:
    """Return what is to be done for each run; no frame is read.

    Parameters
    ----------
    plan : Plan
        The campaign.
    only : sequence of str
        Stages to do; all where empty.
    overwrite : bool
        Replace stores made from other raw data.
    read_raw : bool
        Compare raw data with what was made of them, and look for all that a stage will refuse.
        Else raw data of a store are taken to be as they were if they are said to be.

    Raises
    ------
    UemError
        If the model that the plan names is not there or is none, and `read_raw`.
    """
    found = [RunPlan(planned) for planned in plan.runs]
    networks: list[_Networks] = []
    steps = [_steps(each, networks, only, overwrite, read_raw) for each in found]
    for each, coming in zip(found, steps, strict=True):
        _advance(each, islice(coming, _TRAIN))
    if not only or "train" in only:
        networks.append(_Networks(plan, [e for e in found if not e.fault], strict=read_raw))
    for each, coming in zip(found, steps, strict=True):
        if not each.fault:
            _advance(each, coming)
    return found


def _advance(found: RunPlan, coming: Iterator[Step]) -> None:
    try:
        found.steps += coming
    except Exception as error:  # one bad run never stops the others
        found.fault = in_words(error, found.planned.store)


def _steps(
    found: RunPlan,
    networks: Sequence[_Networks],
    only: Sequence[str],
    overwrite: bool,
    read_raw: bool,
) -> Iterator[Step]:
    """Yield the steps of a run; where its network comes from is asked once all have come so far."""
    planned = found.planned

    def network() -> str:
        assert found.run is not None
        return networks[0].why(found, found.run)

    digest = _look(found, only, overwrite, read_raw)
    coming = stage_plan(planned, lambda: found.run, ingest=digest, only=only, network=network)
    yield from islice(coming, _TRAIN)
    if networks and not found.is_export:
        found.network = networks[0].source(found)
        networks[0].refuse(found)
    yield from coming
    if found.run is not None and "flow" in found.to_do and "train" not in found.to_do:
        check_model(found.run)
    if read_raw:
        found.template.refuse(found.to_do, planned.parameters)


def _look(found: RunPlan, only: Sequence[str], overwrite: bool, read_raw: bool) -> str:
    """Look at the store of a run and, where needed, at its raw data; return their digest."""
    store, ingest = found.planned.store, found.planned.parameters.ingest
    refuse_name(found.planned)
    try:
        found.run = Run(store)
    except UemError:
        if not ingest.raw or (store / "zarr.json").exists():
            raise
        is_whole(store)  # raises where something else is in the way
    run, wants_raw = found.run, reads_raw(found.planned, only)
    record = run.stage("ingest") if run is not None else {}
    if run is not None and not (overwrite and wants_raw):
        refuse_damaged_frames(run, store)
    if not wants_raw:
        if not record.get("finished"):
            raise UemError(not_ingested(found.planned, only))
        return str(record["digest"])
    digest = str(record.get("digest", "new"))
    if read_raw or (run is not None and record["parameters"] != ingest.model_dump(mode="json")):
        found.raw = raw_of(ingest)
        # The digest reads all files; without a store nothing is compared with it.
        digest = digest_of_raw(found.raw) if run is not None else digest
    if record.get("finished"):
        assert run is not None
        if damages_of(run, "ingest", store):
            return "anew"
        if digest != record["digest"] and not overwrite:
            raise other_raw_data(store)
    return digest


class _Networks:
    """The networks that the runs are to have, as `Networks` will give them out."""

    def __init__(self, plan: Plan, runs: Sequence[RunPlan], *, strict: bool) -> None:
        self._plan, self._runs = plan, [run for run in runs if not run.is_export]
        self._given = ""
        if plan.start is None:
            try:
                self._given = use_model(Path(plan.model))["model_digest"]
            except UemError:
                if strict:
                    raise
        keepers = [run for run in self._runs if self._keeps(run)]
        self._keepers = {run.planned.name for run in keepers}
        self._kept = {
            run.run.results("train").model_digest for run in keepers if run.run is not None
        }

    def _keeps(self, found: RunPlan) -> bool:
        if found.run is None or any(step.how == "anew" for step in found.steps):
            return False
        return keeps_network(found.run, self._plan, found.planned)

    def source(self, found: RunPlan) -> NetworkSource:
        """Return where the network of a run comes from."""
        if self._plan.start is None:
            return "given"
        if found.planned.name in self._keepers:
            return "kept"
        together = self._plan.one_model == "all"
        return "existing" if together and self._kept else "trained"

    def refuse(self, found: RunPlan) -> None:
        """Refuse a run that is to have the network of finished ones, where that is gone."""
        if self.source(found) == "existing":
            check_existing(self._plan, found.planned.name, self._kept)

    def why(self, found: RunPlan, run: Run) -> str:
        """Return why a network is to be trained or taken; empty where the run has the right one."""
        record, source = run.stage("train"), self.source(found)
        if source == "kept":
            return ""
        if not record.get("finished"):
            return NOT_DONE
        if source == "given":
            # One that cannot be read from here is told where it is wanted.
            is_it = not self._given or record["digest"] == digest_of("train", self._given)
            return "" if is_it else "another model"
        if source == "trained" and self._is_trained(run, found):
            return ""
        parameters = found.planned.parameters.train.model_dump(mode="json")
        why = changed(record["parameters"], parameters)
        return why or ("retraining is asked for" if self._plan.retrain else "another start")

    def _is_trained(self, run: Run, found: RunPlan) -> bool:
        members = self._runs if self._plan.one_model == "all" else [found]
        assert self._plan.start is not None
        parameters = found.planned.parameters.train
        labels = [member.steps[_TRAIN - 1].digest for member in members]
        digest = training_digest(parameters, self._plan.start, labels)
        return is_trained(run, digest, self._plan.model_path(found.planned.name))
