"""How far a campaign has come, from what lies on the disk alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from uemdask.cube import STAGES, Run
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.ledger import Ledger, last_entry, ledger_path
from uemdask.execution.ledger_entries import Entry, Failed
from uemdask.execution.preconditions import in_words, refuse_name
from uemdask.execution.run_plan import plan_stages
from uemdask.execution.run_template import tasks_of
from uemdask.stages import StageParameters


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
    left : dict of str to str
        Stages that the plan would do, and why; those of which the share is 1 are made again.
    fault : str
        Why the plan cannot go on with it, empty where it can.
    """

    name: str
    shares: dict[str, float] = field(default_factory=dict)
    failed: str = ""
    failed_stage: str = ""
    took_model: bool = False
    left: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def done(self) -> bool:
        """Whether all stages are done, and as the plan has them."""
        return not self.left and all(self.shares.get(stage) == 1.0 for stage in STAGES)


def campaign_status(plan: Plan) -> list[RunStatus]:
    """Return how far each run of a plan has come, and what the plan would do.

    Of large files nothing is read but their sizes; raw data are looked at only where they may have
    become others than the run was made of.
    """
    found = [run_status(planned) for planned in plan.runs]
    for status, run in zip(found, plan_stages(plan, read_raw=False), strict=True):
        status.left, status.fault = run.to_do, run.fault
    return found


def run_status(planned: PlannedRun) -> RunStatus:
    """Return how far a run has come by its own record; nothing but small files is read."""
    status = RunStatus(planned.name)
    try:
        last = last_entry(ledger_path(planned.store))
        if isinstance(last, Failed):
            status.failed, status.failed_stage = last.failed, last.stage
        _look(planned, status, last)
    except Exception as error:  # one bad run never stops the others
        status.failed, status.failed_stage = in_words(error, planned.store), STAGES[0]
    return status


def _look(planned: PlannedRun, status: RunStatus, last: Entry | None) -> None:
    store = planned.store
    refuse_name(planned)
    if not store.exists() or (store.is_dir() and not any(store.iterdir())):
        return  # nothing was made yet
    run = Run(store)
    status.took_model = run.results("train").existing
    for name in STAGES:
        record = run.stage(name)
        if record.get("finished"):
            status.shares[name] = 1.0
            # The run went on after that failure, perhaps without a line in the ledger. Of other
            # stages the time says nothing: the clock may have been set.
            seconds = slice(len("2024-01-01T00:00:00"))
            if (
                isinstance(last, Failed)
                and name == last.stage
                and record["finished"][seconds] > last.at[seconds]
            ):
                status.failed = status.failed_stage = ""
        elif record.get("created"):
            status.shares[name] = _share(run, name, record)


def finished_stages(planned: PlannedRun) -> list[str]:
    """Return the stages of a run that are done, by its own record; none where it cannot be read."""
    try:
        run = Run(planned.store)
    except UemError:
        return []
    return [stage for stage in STAGES if run.is_done(stage)]


def _share(run: Run, name: str, record: dict[str, Any]) -> float:
    try:
        own = StageParameters.model_validate({name: record["parameters"]})
        tasks = tasks_of(run, name, own)
    except (ValidationError, UemError):
        # Begun by another version, it will be made anew; what is damaged is told by whoever needs
        # it.
        return 0.0
    ledger = Ledger(run.path, run.identity(name))
    total = sum(len(keys or ()) for keys in tasks.values())  # those that are known
    # A stage is done when its record says so, not when its last task is.
    return min(len(ledger.tasks(name, record["digest"])) / max(total, 1), 0.99)
