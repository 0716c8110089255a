"""The driver: takes many runs through their stages on a cluster, and survives what happens there.

It submits a bounded window of region tasks, in turn over the runs, and notes each receipt in the
ledger of its run. One bad run never stops the others.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.cluster import Cluster
from uemdask.execution.failure import give_up, record_failure
from uemdask.execution.ledger import Ledger, allow_ledgers, sole_driver
from uemdask.execution.listeners import Listener, NullListener
from uemdask.execution.pipeline import PhaseWork, Pipeline, TrainingWanted, Work
from uemdask.execution.preconditions import stages_asked
from uemdask.execution.requirements import check_requirements
from uemdask.execution.round_robin import ActiveRun, RoundRobin
from uemdask.execution.run_plan import plan_stages
from uemdask.execution.task_window import EndedTask, SentTask, TaskWindow
from uemdask.execution.training import Networks, Training
from uemdask.execution.worker import run_task, train_task
from uemdask.stages.training_history import newest_entry

#: Times a task may fail on a worker, for reasons that are not the user's, before its run fails.
_ATTEMPTS = 3
#: How often the training history and the workers are looked at, in s.
_POLL = 0.5
#: How often is looked whether a task that rests is to be tried again, in s.
_REST = 0.05
#: How long a line of a ledger may be on its way to the disk, in s.
_SETTLED = 1.0


@dataclass
class Outcome:
    """How a campaign ended.

    Attributes
    ----------
    done : list of str
        Names of the runs that are done.
    failed, stages : dict of str to str
        Message and stage of each failure, by run.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)


class Driver:
    """Takes the runs of a plan through their stages.

    Parameters
    ----------
    plan : Plan
        Runs and parameters.
    cluster : Cluster
        Where the tasks run.
    only : sequence of str
        Stages to do; all where empty.
    overwrite : bool
        Replace stores made from other raw data.
    listener : Listener
        Hears what happens.
    pipeline : callable, optional
        Gives each planned run its pipeline, as `uemdask.execution.Repair`, in place of one through
        all stages.
    back_off : float
        How long a task rests that failed for no fault of the user's, s; twice as long each time.
    """

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        *,
        only: Sequence[str] = (),
        overwrite: bool = False,
        listener: Listener | None = None,
        pipeline: Callable[[PlannedRun], Pipeline] | None = None,
        back_off: float = 2.0,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._only = only = stages_asked(only)
        self._listener: Listener = listener or NullListener()
        self._back_off = back_off
        self._outcome = Outcome()
        self._window: TaskWindow[ActiveRun] = TaskWindow(cluster)
        self._overwrite, self._repairs = overwrite, pipeline is not None
        pipeline = pipeline or partial(
            Pipeline, only=only, overwrite=overwrite, command=plan.command
        )
        self._runs = [ActiveRun(planned, pipeline(planned)) for planned in plan.runs]
        self._round_robin = RoundRobin(self._runs)
        self._unsettled: dict[Path, Ledger] = {}
        self._settled = time.monotonic()

    def run(self) -> Outcome:
        """Do everything that is left to do, and return how it ended.

        Raises
        ------
        UemError
            If another driver is at work on one of the runs, the model is missing, the cluster
            gives no workers, or memory or disk are too small for certain.
        """
        networks = Networks(self._plan, self._runs, self._only)
        with ExitStack() as held:
            self._hold_ledgers(held)
            warnings = self._check()
            self._listener.cluster_is_up(self._cluster.dashboard, int(self._cluster.slots))
            for hint in (*self._cluster.hints, *warnings):
                self._listener.notice(hint)
            unbegun = deque(self._runs)
            # Also tasks of runs that failed are waited for: they may be writing still.
            while unbegun or self._window or not all(active.over for active in self._runs):
                if unbegun:  # the first ones are at work while the last are looked at
                    self._advance(unbegun.popleft())
                self._start_training(networks)
                self._fill_window()
                self._wait(0.0 if unbegun else _POLL)
        return self._outcome

    def _check(self) -> list[str]:
        """Refuse what memory or disk are too small for; return what they may be too small for."""
        if self._repairs:  # of single regions of stages that were done here before
            return []
        plans = plan_stages(
            self._plan, only=self._only, overwrite=self._overwrite, read_raw=self._overwrite
        )
        return check_requirements(plans, self._cluster)

    def _hold_ledgers(self, held: ExitStack) -> None:
        """Be the only driver of all runs; one whose folder is closed to us fails."""
        allow_ledgers(len(self._runs))
        for active in self._runs:
            try:
                held.enter_context(sole_driver(active.planned.store))
            except (OSError, ValueError) as error:
                if isinstance(error, UemError):  # another driver
                    raise
                self._fail(active, error)

    # ---- one run

    def _advance(self, active: ActiveRun) -> None:
        """Go on to the next phase that has something to do, or to training, or to the end."""
        while active.idle:
            before = active.work
            try:
                active.work = next(active.pipeline)
            except StopIteration:
                self._warn(active, before)
                self._end(active)
                return
            except Exception as error:
                self._fail(active, error)
                return
            self._warn(active, before)
            if isinstance(active.work, TrainingWanted):
                return
            active.take_up(active.work)
            total = len(active.work.regions)
            self._listener.phase_begins(
                active.planned.name,
                active.work.stage.name,
                active.work.phase.name,
                total,
                total - len(active.pending),
            )

    def _warn(self, active: ActiveRun, work: Work | None) -> None:
        """Tell what a phase that has finished found worth a warning."""
        for text in work.warnings if isinstance(work, PhaseWork) else ():
            self._listener.notice(f"{active.planned.name}: {text}")

    def _end(self, active: ActiveRun) -> None:
        """All of a run is done."""
        active.end()
        Ledger(active.planned.store, "").mended()
        self._outcome.done.append(active.planned.name)
        self._listener.run_done(active.planned.name)

    def _fail(self, active: ActiveRun, error: BaseException, region: str = "") -> None:
        failure = give_up(active, error, region)
        self._outcome.failed[active.planned.name] = failure.message
        self._outcome.stages[active.planned.name] = failure.stage
        self._listener.run_failed(active.planned.name, failure.stage, failure.message)

    # ---- tasks

    def _fill_window(self) -> None:
        """Send tasks to the cluster, round robin over the runs, as long as slots are free."""
        free_slots = self._has_free_slots()
        if not any(free_slots.values()):
            return
        for active, work in self._round_robin:
            if not free_slots[work.phase.gpu] or (region := active.next_task()) is None:
                continue
            self._submit(
                SentTask([active], region, work.phase.gpu, work),
                f"{work.stage.name}:{work.phase.name}",
                run_task,
                str(work.store.absolute()),  # workers may have another working directory
                work.made,
                work.stage.name,
                work.phase.name,
                region,
                work.parameters,
            )
            free_slots = self._has_free_slots()
            if not any(free_slots.values()):
                return

    def _has_free_slots(self) -> dict[bool, bool]:
        return {gpu: self._window.free_slots(gpu) > 0 for gpu in (False, True)}

    def _submit(self, sent: SentTask[ActiveRun], label: str, task: Any, *arguments: Any) -> None:
        for active in sent.runs:
            active.in_flight += 1
        self._window.submit(sent, label, task, *arguments)

    def _wait(self, timeout: float) -> None:
        """Take in the tasks that ended, waiting at most `timeout` s for the first."""
        self._report_training()
        self._settle_ledgers()
        supervisor = self._cluster.supervisor
        for event in supervisor.events() if supervisor is not None else ():
            self._listener.notice(event)
        if not self._window:
            if timeout and any(active.has_resting() for active in self._runs):
                time.sleep(_REST)
            return
        for ended in self._window.ended(timeout):
            for active in ended.sent.runs:
                active.in_flight -= 1
            if ended.sent.work is None:
                self._on_training_end(ended)
            else:
                self._on_task_end(ended, ended.sent.work)

    def _settle_ledgers(self) -> None:
        """Put the lines of tasks on the disk, those of a second together."""
        if not self._unsettled or time.monotonic() - self._settled < _SETTLED:
            return
        for ledger in self._unsettled.values():
            ledger.settle()
        self._unsettled.clear()
        self._settled = time.monotonic()

    def _note(self, work: PhaseWork, region: str, result: dict[str, Any]) -> None:
        work.note(region, result)
        self._unsettled[work.ledger.path] = work.ledger

    def _on_task_end(self, ended: EndedTask[ActiveRun], work: PhaseWork) -> None:
        (active,), region = ended.sent.runs, ended.sent.region
        if active.over:  # what its last tasks have done need not be done again
            if ended.error is None:
                self._note(work, region, ended.result)
            record_failure(active)
            return
        if ended.error is None:
            self._note(work, region, ended.result)
            self._listener.task_done(
                active.planned.name, work.stage.name, work.phase.name, ended.result
            )
        elif self._is_tried_again(active, region, ended.error):
            active.pending.append(region)
        else:
            self._fail(active, ended.error, region)
        self._advance(active)

    def _is_tried_again(self, active: ActiveRun, task: str, error: Exception) -> bool:
        """Count a failure, and let the task rest before it is tried again."""
        active.attempts[task] += 1
        if isinstance(error, UemError) or active.attempts[task] >= _ATTEMPTS:
            return False
        active.let_rest(task, self._back_off * 2 ** (active.attempts[task] - 1))
        return True

    # ---- training

    def _start_training(self, networks: Networks) -> None:
        """Train for the runs that have come this far, or take the network that is there."""
        for members, found in networks.due():
            if isinstance(found, UemError):
                for active in members:
                    self._fail(active, found)
            elif isinstance(found, Training):
                self._train(found, alone=networks.has_all_cores(members))
            else:
                self._take(members, found)

    def _train(self, training: Training, *, alone: bool) -> None:
        self._listener.phase_begins(training.model.stem, "train", "model", 1, 0)
        self._submit(
            SentTask(training.members, "all", True, training=training),
            "train:model",
            train_task,
            [str(run.path.absolute()) for run in training.runs],
            str(training.model.absolute()),
            training.parameters.model_dump(mode="json"),
            training.start,
            training.digest,
            # Trainings that are not alone share the cores.
            self._cluster.training_threads if alone or self._cluster.gpu else 1,
        )

    def _on_training_end(self, ended: EndedTask[ActiveRun]) -> None:
        training, members = ended.sent.training, ended.sent.runs
        assert training is not None
        if ended.error is None:
            self._listener.task_done(training.model.stem, "train", "model", ended.result)
            self._take(members, ended.result | {"training_digest": training.digest})
        elif not self._is_tried_again(members[0], "train", ended.error):
            for active in members:
                self._fail(active, ended.error)

    def _take(self, members: list[ActiveRun], results: dict[str, Any]) -> None:
        """Give runs their network, and go on."""
        for active in members:
            assert isinstance(active.work, TrainingWanted)
            active.work.results = results
            self._advance(active)

    def _report_training(self) -> None:
        for sent in self._window:
            if sent.training and (entry := newest_entry(sent.training.model)):
                self._listener.training(sent.training.model.stem, entry)
