"""The driver: takes many runs through their stages on a cluster, and survives what happens there.

It submits a bounded window of region tasks, in turn over the runs, and notes each receipt in the
ledger of its run. One bad run never stops the others.
"""

from __future__ import annotations

import json
import time
import traceback
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uemdask.cube import STAGES, Run, missing_stages
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.cluster import Cluster
from uemdask.execution.course import (
    PhaseWork,
    TrainingWanted,
    course,
    is_trained,
    training_digest,
)
from uemdask.execution.flights import Flight, Flights
from uemdask.execution.ledger import Ledger, sole_driver
from uemdask.execution.progress import Listener, Silence
from uemdask.execution.requirements import check_requirements
from uemdask.execution.turns import RunAtWork, Turns
from uemdask.execution.worker import run_task, train_task
from uemdask.stages import digest_of
from uemdask.stages.replacing import discard_half
from uemdask.stages.train import TrainParameters, history_path, use_model

#: Times a task may fail on a worker, for reasons that are not the user's, before its run fails.
_ATTEMPTS = 3
#: How often the training history and the workers are looked at, in s.
_POLL = 0.5
#: How often is looked whether a task that rests is to be tried again, in s.
_REST = 0.05


@dataclass
class Outcome:
    """How a campaign ended: names of the runs done, and messages of those that failed."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


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
        back_off: float = 2.0,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._listener: Listener = listener or Silence()
        self._only = only
        self._outcome = Outcome()
        self._flights: Flights[RunAtWork] = Flights(cluster)
        self._back_off = back_off
        self._given: dict[str, Any] = {}  # record of a model that is taken as it is
        self._runs = [
            RunAtWork(planned, course(planned, only=only, overwrite=overwrite))
            for planned in plan.runs
        ]
        self._new = {run.store for run in plan.runs if not run.store.exists()}
        self._turns = Turns(self._runs)

    def run(self) -> Outcome:
        """Do everything that is left to do, and return how it ended.

        Raises
        ------
        UemError
            If another driver is at work on one of the runs, the model is missing, the cluster
            gives no workers, or memory or disk are too small for certain.
        """
        if self._plan.start is None and (not self._only or "train" in self._only):
            self._given = use_model(Path(self._plan.model))
        with ExitStack() as stack:
            for active in self._runs:
                stack.enter_context(sole_driver(active.planned.store))
            warnings = check_requirements(self._plan, self._cluster, self._only)
            self._listener.cluster_is_up(self._cluster.dashboard, int(self._cluster.slots))
            for hint in (*self._cluster.hints, *warnings):
                self._listener.notice(hint)
            unbegun = deque(self._runs)
            # Also tasks of runs that failed are waited for: they may be writing still.
            while unbegun or self._flights or not all(active.over for active in self._runs):
                if unbegun:  # the first ones are at work while the last are looked at
                    self._advance(unbegun.popleft())
                self._start_training()
                self._fill_window()
                self._wait(0.0 if unbegun else _POLL)
        return self._outcome

    # ---- one run

    def _advance(self, active: RunAtWork) -> None:
        """Go on to the next phase that has something to do, or to training, or to the end."""
        while active.idle:
            before = active.work
            try:
                active.work = next(active.steps)
                self._warn(active, before)
            except StopIteration:
                self._warn(active, before)
                active.over = True
                Ledger(active.planned.store, "").mended()
                self._outcome.done.append(active.planned.name)
                self._listener.run_done(active.planned.name)
                return
            except Exception as error:
                active.work = None  # what is there belongs to the stage before
                self._fail(active, "", error, ended=before)
                return
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

    def _warn(self, active: RunAtWork, work: PhaseWork | TrainingWanted | None) -> None:
        """Tell what a phase that has finished found worth a warning."""
        for text in work.warnings if isinstance(work, PhaseWork) else ():
            self._listener.notice(f"{active.planned.name}: {text}")

    def _fail(
        self,
        active: RunAtWork,
        region: str,
        error: BaseException,
        ended: PhaseWork | TrainingWanted | None = None,
    ) -> None:
        """Give a run up at a region, between its phases, or at what `ended` with the error."""
        if active.over:
            return
        active.over = True
        active.pending.clear()
        work = active.work
        if isinstance(work, PhaseWork):
            stage = work.stage.name
        else:
            stage = "train" if work else _first_missing(active.planned.store)
        phase = work.phase.name if isinstance(work, PhaseWork) else ""
        message = _plain(error, stage, region)
        name, store = active.planned.name, active.planned.store
        active.spoilt = self._spoils(active.planned, work or ended, error)
        self._discard(active)
        store.parent.mkdir(parents=True, exist_ok=True)
        Ledger(store, "").failed(
            stage=stage,
            phase=phase,
            region=region,
            message=message,
            trace="".join(traceback.format_exception(error)),
        )
        self._outcome.failed[name] = message
        self._listener.run_failed(name, stage, message)

    def _spoils(
        self, planned: PlannedRun, work: PhaseWork | TrainingWanted | None, error: BaseException
    ) -> bool:
        """Return whether a failure leaves a half store of no use.

        What a killed driver ingested is kept, unless the raw data themselves are refused: a share
        that is away for a moment costs nothing.
        """
        if not planned.parameters.ingest.raw:  # a store that was given is the user's
            return False
        if work is None:  # nothing has been done yet
            return planned.store in self._new
        ingests = isinstance(work, PhaseWork) and work.stage.name == "ingest"
        return ingests and isinstance(error, UemError)

    def _discard(self, active: RunAtWork) -> None:
        """Leave no half store behind, once no task of a run that failed is writing to it."""
        if active.spoilt and not active.flying:
            discard_half(active.planned.store)

    # ---- tasks

    def _fill_window(self) -> None:
        """Send tasks to the cluster, in turn over the runs, as many as there is room for."""
        room = self._room()
        if not any(room.values()):
            return
        for active, work in self._turns:
            if not room[work.phase.gpu] or (region := active.next_task()) is None:
                continue
            self._submit(
                Flight([active], region, work.phase.gpu, work),
                f"{work.stage.name}:{work.phase.name}",
                run_task,
                str(work.store.absolute()),  # workers may have another working directory
                work.made,
                work.stage.name,
                work.phase.name,
                region,
                work.parameters,
            )
            room = self._room()
            if not any(room.values()):
                return

    def _room(self) -> dict[bool, bool]:
        return {gpu: self._flights.room(gpu) > 0 for gpu in (False, True)}

    def _submit(self, flight: Flight[RunAtWork], label: str, task: Any, *arguments: Any) -> None:
        for active in flight.runs:
            active.flying += 1
        self._flights.submit(flight, label, task, *arguments)

    def _wait(self, timeout: float) -> None:
        """Take in the tasks that ended, waiting at most `timeout` s for the first."""
        self._report_training()
        overseer = self._cluster.overseer
        for news in overseer.news() if overseer is not None else ():
            self._listener.notice(news)
        if not self._flights:
            if timeout and any(active.has_resting() for active in self._runs):
                time.sleep(_REST)
            return
        for landed in self._flights.landed(timeout):
            for active in landed.flight.runs:
                active.flying -= 1
            if landed.flight.work is None:
                self._land_training(landed.flight, landed.result, landed.error)
            else:
                self._land(landed.flight, landed.flight.work, landed.result, landed.error)

    def _land(
        self, flight: Flight[RunAtWork], work: PhaseWork, result: Any, error: Exception | None
    ) -> None:
        active = flight.runs[0]
        if active.over:
            self._discard(active)
            return
        if error is None:
            work.note(flight.region, result)
            self._listener.task_done(active.planned.name, work.stage.name, work.phase.name, result)
        elif self._is_tried_again(active, flight.region, error):
            active.pending.append(flight.region)
        else:
            self._fail(active, flight.region, error)
        self._advance(active)

    def _is_tried_again(self, active: RunAtWork, task: str, error: Exception) -> bool:
        """Count a failure, and let the task rest before it is tried again."""
        active.attempts[task] += 1
        if isinstance(error, UemError) or active.attempts[task] >= _ATTEMPTS:
            return False
        active.let_rest(task, self._back_off * 2 ** (active.attempts[task] - 1))
        return True

    # ---- training

    def _start_training(self) -> None:
        """Train, or take the given model, as soon as all runs that want it have come this far."""
        wanting = [a for a in self._runs if a.idle and isinstance(a.work, TrainingWanted)]
        if any(active.rests("train") for active in wanting):
            return
        if self._given:
            for active in wanting:
                self._trained([active], self._given)
        elif self._plan.one_model == "each":
            for active in wanting:
                self._train([active], active.planned.name)
        elif wanting and all(a.over or a in wanting for a in self._runs):
            self._train(wanting, self._plan.name)

    def _train(self, members: list[RunAtWork], name: str) -> None:
        parameters: TrainParameters = members[0].planned.parameters.train
        runs = [a.work.run for a in members if isinstance(a.work, TrainingWanted)]
        start = self._plan.start
        assert start is not None
        labels = [run.stage("label")["digest"] for run in runs]
        digest = training_digest(parameters, start, labels)
        model = self._plan.output / "models" / f"{name}.pt"
        records = [run.stage("train") for run in runs]
        if all(is_trained(record, digest, model) for record in records):
            # The folder may have been moved since.
            self._trained(members, records[0]["results"] | {"model": str(model.absolute())})
            return
        model.parent.mkdir(parents=True, exist_ok=True)
        # One model for all is trained while nothing else is to do; others share the cores.
        alone = len(members) == len(self._runs) or self._plan.one_model == "all"
        self._listener.phase_begins(name, "train", "model", 1, 0)
        self._submit(
            Flight(members, "all", True, None, model, digest),
            "train:model",
            train_task,
            [str(run.path.absolute()) for run in runs],
            str(model.absolute()),
            parameters.model_dump(mode="json"),
            start,
            digest,
            self._cluster.training_threads if alone or self._cluster.gpu else 1,
        )

    def _land_training(
        self, flight: Flight[RunAtWork], result: Any, error: Exception | None
    ) -> None:
        assert flight.model is not None
        if error is None:
            self._listener.task_done(flight.model.stem, "train", "model", result)
            self._trained(flight.runs, result | {"training_digest": flight.digest})
        elif not self._is_tried_again(flight.runs[0], "train", error):
            for active in flight.runs:
                self._fail(active, "", error)

    def _trained(self, members: list[RunAtWork], results: dict[str, Any]) -> None:
        # What follows depends on the weights alone, not on how they came about.
        digest = digest_of("train", results["model_digest"])
        for active in members:
            work = active.work
            assert isinstance(work, TrainingWanted)
            work.digest, work.results = digest, results
            record = work.run.stage("train")
            parameters = active.planned.parameters.train.model_dump(mode="json")
            if record.get("digest") != digest or not record.get("finished"):
                work.run.begin("train", digest=digest, parameters=parameters)
                work.run.note("train", results=results)
                work.run.finish("train")
            elif record["parameters"] != parameters or record["results"] != results:
                # The same weights by another training, or from another folder.
                work.run.note("train", parameters=parameters, results=results)
            self._advance(active)

    def _report_training(self) -> None:
        for flight in self._flights:
            if flight.model is None:
                continue
            path = history_path(flight.model)
            if path.exists():
                lines = path.read_text(encoding="utf-8").splitlines()
                try:
                    self._listener.training(flight.model.stem, json.loads(lines[-1]))
                except (IndexError, json.JSONDecodeError):
                    continue  # the line is being written


def _first_missing(store: Path) -> str:
    """Return the first stage that is not done; the last where all are."""
    try:
        return next(iter(missing_stages(Run(store))), STAGES[-1])
    except UemError:
        return STAGES[0]


def _plain(error: BaseException, stage: str, region: str) -> str:
    if isinstance(error, UemError):
        return str(error)
    where = f"stage {stage}" + (f", region {region}" if region not in ("", "all") else "")
    if isinstance(error, OSError) and error.strerror:
        return f"{where}: {error.strerror}{f' ({error.filename})' if error.filename else ''}"
    return f"{where}: {type(error).__name__}: {error}"
