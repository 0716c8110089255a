"""How far a campaign has come, from what lies on the disk alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.ledger import Ledger, ledger_path, read_lines
from uemdask.stages import STAGE_BY_NAME


@dataclass
class RunStatus:
    """How far one run has come.

    Attributes
    ----------
    name : str
        Of the run.
    shares : dict of str to float
        Share of each stage that is done, 0..1.
    failed : str
        Message of the failure that stopped it, empty where there is none.
    failed_stage : str
        The stage in which it failed.
    took_model : bool
        Whether it has the model of the finished runs as it was, not trained on its own labels.
    """

    name: str
    shares: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    failed_stage: str = ""
    took_model: bool = False

    @property
    def done(self) -> bool:
        """Whether all stages are done."""
        return all(self.shares.get(stage) == 1.0 for stage in STAGES)


def campaign_status(plan: Plan) -> list[RunStatus]:
    """Return how far each run of a plan has come; nothing but small files is read."""
    return [run_status(planned) for planned in plan.runs]


def run_status(planned: PlannedRun) -> RunStatus:
    """Return how far a run has come."""
    status = RunStatus(planned.name)
    last: dict[str, Any] = {}
    try:
        for line in read_lines(ledger_path(planned.store)):
            last = line
    except OSError as error:
        status.failed = f"{error.filename}: cannot be read ({error.strerror})"
        status.failed_stage = STAGES[0]
        return status
    if "failed" in last:
        status.failed, status.failed_stage = last["failed"], last["stage"]
    try:
        run = Run(planned.store)
    except UemError:
        return status
    status.took_model = bool(run.stage("train").get("results", {}).get("existing"))
    for name in STAGES:
        record = run.stage(name)
        if record.get("finished"):
            status.shares[name] = 1.0
            # The run went on after that failure, perhaps without a line in the ledger. Of other
            # stages the time says nothing: the clock may have been set.
            seconds = slice(len("2024-01-01T00:00:00"))
            after = record["finished"][seconds] > str(last.get("at", ""))[seconds]
            if name == status.failed_stage and after:
                status.failed = status.failed_stage = ""
        elif record.get("created"):
            status.shares[name] = _share(run, name, record)
    return status


def finished_stages(planned: PlannedRun) -> list[str]:
    """Return the stages of a run that are done, by its own record; none where it cannot be read."""
    try:
        run = Run(planned.store)
    except UemError:
        return []
    return [stage for stage in STAGES if run.is_done(stage)]


def _share(run: Run, name: str, record: dict[str, Any]) -> float:
    stage = STAGE_BY_NAME[name]
    try:
        parameters = stage.parameters.model_validate(record["parameters"])
    except ValidationError:
        return 0.0  # begun by another version; it will be made anew
    ledger = Ledger(run.path, run.identity(name))
    total = done = 0
    try:
        for phase in stage.phases:
            total += len(phase.regions(run, parameters))
            done += len(ledger.receipts(name, phase.name, record["digest"]))
    except UemError:
        return 0.0  # what is damaged is told by whoever needs it
    # A stage is done when its record says so, not when its last task is.
    return min(done / max(total, 1), 0.99)
