"""The driver: takes many runs through their stages on a cluster, and survives what happens there.

It submits a bounded window of region tasks, in turn over the runs, and notes each receipt in the
ledger of its run. One bad run never stops the others.
"""

from __future__ import annotations

import fcntl
import json
import queue
import traceback
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Future

from uemdask.cube import STAGES, Run, missing_stages
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.cluster import Cluster
from uemdask.execution.course import (
    PhaseWork,
    TrainingWanted,
    course,
    discard_half_store,
    is_trained,
    training_digest,
)
from uemdask.execution.ledger import Ledger, ledger_path
from uemdask.execution.progress import Listener, Silence
from uemdask.execution.worker import run_task, train_task
from uemdask.stages import digest_of
from uemdask.stages.train import TrainParameters, history_path, use_model

#: Tasks in flight per slot: one at work and one on its way.
_WINDOW = 2
#: Times a task may fail on a worker, for reasons that are not the user's, before its run fails.
_ATTEMPTS = 3
#: How often the training history is looked at, in s.
_POLL = 0.5


@dataclass
class Outcome:
    """How a campaign ended: names of the runs done, and messages of those that failed."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Active:
    """A run at work."""

    planned: PlannedRun
    steps: Iterator[PhaseWork | TrainingWanted]
    work: PhaseWork | TrainingWanted | None = None
    pending: deque[str] = field(default_factory=deque)
    flying: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    over: bool = False

    @property
    def idle(self) -> bool:
        return not (self.over or self.pending or self.flying)


@dataclass
class _Flight:
    """A task on the cluster."""

    runs: list[_Active]
    region: str
    work: PhaseWork | None  # None: training
    model: Path | None = None
    digest: str = ""


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
    """

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        *,
        only: Sequence[str] = (),
        overwrite: bool = False,
        listener: Listener | None = None,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._listener: Listener = listener or Silence()
        self._outcome = Outcome()
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._flights: dict[str, tuple[Future, _Flight]] = {}
        self._serial = 0
        self._runs = [
            _Active(planned, course(planned, only=only, overwrite=overwrite))
            for planned in plan.runs
        ]

    def run(self) -> Outcome:
        """Do everything that is left to do, and return how it ended.

        Raises
        ------
        UemError
            If another driver is at work on one of the runs.
        """
        with ExitStack() as stack:
            for active in self._runs:
                stack.enter_context(_sole_driver(active.planned.store))
            self._listener.cluster_is_up(self._cluster.dashboard, self._cluster.slots)
            for active in self._runs:
                self._advance(active)
            # Also tasks of runs that failed are waited for: they may be writing still.
            while self._flights or not all(active.over for active in self._runs):
                self._start_training()
                self._fill_window()
                self._wait()
        return self._outcome

    # ---- one run

    def _advance(self, active: _Active) -> None:
        """Go on to the next phase that has something to do, or to training, or to the end."""
        while active.idle:
            try:
                active.work = next(active.steps)
            except StopIteration:
                active.over = True
                Ledger(active.planned.store, "").mended()
                self._outcome.done.append(active.planned.name)
                self._listener.run_done(active.planned.name)
                return
            except Exception as error:
                active.work = None  # what is there belongs to the stage before
                self._fail(active, "", error)
                return
            if isinstance(active.work, TrainingWanted):
                return
            active.pending.extend(active.work.missing)
            active.attempts.clear()
            total = len(active.work.regions)
            self._listener.phase_begins(
                active.planned.name,
                active.work.stage.name,
                active.work.phase.name,
                total,
                total - len(active.pending),
            )

    def _fail(self, active: _Active, region: str, error: BaseException) -> None:
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

    def _discard(self, active: _Active) -> None:
        """Leave no half store behind, once no task of a run that failed is writing to it."""
        made_here = active.planned.parameters.ingest.raw  # a store that was given is the user's
        if made_here and not active.flying:
            discard_half_store(active.planned.store)

    # ---- tasks

    def _fill_window(self) -> None:
        room = _WINDOW * self._cluster.slots - len(self._flights)
        waiting = deque(active for active in self._runs if active.pending)
        while room > 0 and waiting:
            active = waiting.popleft()
            work = active.work
            assert isinstance(work, PhaseWork)
            self._submit(
                _Flight([active], active.pending.popleft(), work),
                f"{work.stage.name}:{work.phase.name}",
                work.phase.gpu,
                run_task,
                str(active.planned.store),
                work.made,
                work.stage.name,
                work.phase.name,
            )
            room -= 1
            if active.pending:
                waiting.append(active)

    def _submit(self, flight: _Flight, label: str, gpu: bool, task: Any, *arguments: Any) -> None:
        self._serial += 1
        if flight.work is not None:
            arguments = (*arguments, flight.region, flight.work.parameters)
        future = self._cluster.client.submit(
            task,
            *arguments,
            key=f"{label}-{id(self):x}-{self._serial}",
            pure=False,
            resources={"GPU": 1} if gpu and self._cluster.gpu else None,
        )
        self._flights[future.key] = (future, flight)
        for active in flight.runs:
            active.flying += 1
        future.add_done_callback(self._ended.put)

    def _wait(self) -> None:
        """Take in the tasks that ended, waiting a moment for the first."""
        self._report_training()
        if not self._flights:
            return
        try:
            self._land(self._ended.get(timeout=_POLL))
            while True:
                self._land(self._ended.get_nowait())
        except queue.Empty:
            return

    def _land(self, future: Future) -> None:
        _, flight = self._flights.pop(future.key)
        for active in flight.runs:
            active.flying -= 1
        error = None if future.status == "finished" else _error_of(future)
        if flight.work is None:
            self._land_training(flight, future, error)
            return
        active, work = flight.runs[0], flight.work
        if active.over:
            self._discard(active)
            return
        if error is None:
            result = future.result()
            work.note(flight.region, result)
            self._listener.task_done(active.planned.name, work.stage.name, work.phase.name, result)
        elif isinstance(error, UemError):
            self._fail(active, flight.region, error)
        else:
            active.attempts[flight.region] += 1
            if active.attempts[flight.region] < _ATTEMPTS:
                active.pending.append(flight.region)
            else:
                self._fail(active, flight.region, error)
        self._advance(active)

    # ---- training

    def _start_training(self) -> None:
        """Train, or take the given model, as soon as all runs that want it have come this far."""
        wanting = [a for a in self._runs if a.idle and isinstance(a.work, TrainingWanted)]
        if self._plan.start is None:
            for active in wanting:
                self._take_model(active)
        elif self._plan.one_model == "each":
            for active in wanting:
                self._train([active], active.planned.name)
        elif wanting and all(a.over or a in wanting for a in self._runs):
            self._train(wanting, self._plan.name)

    def _take_model(self, active: _Active) -> None:
        assert isinstance(active.work, TrainingWanted)
        try:
            results = use_model(Path(self._plan.model))
        except UemError as error:
            self._fail(active, "", error)
            return
        self._trained([active], results)

    def _train(self, members: list[_Active], name: str) -> None:
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
            _Flight(members, "all", None, model, digest),
            "train:model",
            True,
            train_task,
            [str(run.path) for run in runs],
            str(model),
            parameters.model_dump(mode="json"),
            start,
            digest,
            self._cluster.training_threads if alone else 1,
        )

    def _land_training(self, flight: _Flight, future: Future, error: Exception | None) -> None:
        assert flight.model is not None
        if error is None:
            result = future.result()
            self._listener.task_done(flight.model.stem, "train", "model", result)
            self._trained(flight.runs, result | {"training_digest": flight.digest})
            return
        first = flight.runs[0]
        first.attempts["train"] += 1
        if isinstance(error, UemError) or first.attempts["train"] >= _ATTEMPTS:
            for active in flight.runs:
                self._fail(active, "", error)

    def _trained(self, members: list[_Active], results: dict[str, Any]) -> None:
        # What follows depends on the weights alone, not on how they came about.
        digest = digest_of("train", results["model_digest"])
        for active in members:
            work = active.work
            assert isinstance(work, TrainingWanted)
            work.digest, work.results = digest, results
            record = work.run.stage("train")
            if record.get("digest") != digest or not record.get("finished"):
                parameters = active.planned.parameters.train.model_dump(mode="json")
                work.run.begin("train", digest=digest, parameters=parameters)
                work.run.note("train", results=results)
                work.run.finish("train")
            else:  # the same weights by another training, or from another folder
                parameters = active.planned.parameters.train.model_dump(mode="json")
                work.run.note("train", parameters=parameters, results=results)
            self._advance(active)

    def _report_training(self) -> None:
        for _, flight in self._flights.values():
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


def _error_of(future: Future) -> Exception:
    error = future.exception() if future.status == "error" else None
    return error if isinstance(error, Exception) else RuntimeError(f"task {future.status}")


def _plain(error: BaseException, stage: str, region: str) -> str:
    if isinstance(error, UemError):
        return str(error)
    where = f"stage {stage}" + (f", region {region}" if region not in ("", "all") else "")
    if isinstance(error, OSError) and error.strerror:
        return f"{where}: {error.strerror}{f' ({error.filename})' if error.filename else ''}"
    return f"{where}: {type(error).__name__}: {error}"


@contextmanager
def _sole_driver(store: Path) -> Iterator[None]:
    """Hold the run's ledger against a second driver; the system lets go of it if this one dies."""
    path = ledger_path(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UemError(
                f"{store}: another uemdask is at work on this run; wait for it or stop it"
            ) from None
        except OSError:
            pass  # some cluster file systems know no locks; a second driver is then not seen
        yield
