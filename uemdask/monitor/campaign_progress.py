"""Progress of a campaign: counts what the driver tells, and says at any time how far all is."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from uemdask.cube import STAGES
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.listeners import NullListener
from uemdask.execution.preconditions import stages_asked
from uemdask.execution.status import finished_stages
from uemdask.monitor.state import (
    CampaignState,
    DriverState,
    RunState,
    StageState,
    TrainingState,
    shortened,
    totals_of,
)
from uemdask.monitor.task_rate import TaskRate
from uemdask.monitor.training_curve import TrainingCurve
from uemdask.stages import STAGE_BY_NAME

#: Runs that are told one by one; the state stays under 1 MB with long names.
MOST_RUNS = 2000
#: Trainings that are told, the newest.
_MOST_TRAININGS = 8

_Phase = tuple[str, str]


@dataclass
class _Seen:
    """What has been seen of one run."""

    stage: str = ""
    phase: str = ""
    total: int = 0
    done: int = 0
    empty: int = 0  # phases of this stage that had no task
    failed: str = ""
    failed_stage: str = ""
    over: bool = False
    known: dict[str, float] = field(default_factory=dict)  # shares of stages, on the disk


@dataclass
class _Tally:
    """What has been seen of one phase of a stage, over all runs."""

    runs: int = 0
    known: int = 0
    done: int = 0
    seconds: float = 0.0
    timed: int = 0


@dataclass
class _Training:
    newest: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, TrainingCurve] = field(default_factory=dict)
    done: bool = False

    @property
    def share(self) -> float:
        steps = self.newest.get("steps", 0)
        return min(round(self.newest["step"] / steps, 3), 0.99) if steps else 0.0


class CampaignProgress(NullListener):
    """A listener that can say at any time, from any thread, how far the campaign is.

    Parameters
    ----------
    plan : Plan
        The campaign.
    only : sequence of str
        Stages that are done; all where empty.
    clock : callable
        Gives the time in s.
    """

    def __init__(
        self, plan: Plan, only: Sequence[str] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        self._plan, self._clock = plan, clock
        asked = stages_asked(only) or STAGES
        self._chosen = [stage for stage in STAGES if stage in asked]
        # Training has no phase of its own in the table; it is one task.
        self._order: list[_Phase] = [
            (stage, phase)
            for stage in self._chosen
            for phase in (["model"] if stage == "train" else _phases_of(stage))
        ]
        self._lock = threading.Lock()
        self._planned = {planned.name: planned for planned in plan.runs}
        # What an earlier driver has done is done, until its stage is begun anew.
        self._runs = {run.name: _Seen(known=_done_before(run)) for run in plan.runs}
        self._tallies = {phase: _Tally() for phase in self._order}
        self._trainings: dict[str, _Training] = {}
        self._begun = clock()
        self._pace = TaskRate(self._begun)
        self._cluster: tuple[str, int] | None = None
        self._state: Literal["at work", "ended", "stopped"] = "at work"
        #: Address of the campaign page, where there is one.
        self.page = ""

    # ---- what the driver tells

    @property
    def is_up(self) -> bool:
        """Whether the driver has begun; before, another one may have the runs."""
        return self._cluster is not None

    def cluster_is_up(self, dashboard: str, slots: int) -> None:
        """Note where the work is done."""
        with self._lock:
            self._cluster = (dashboard, slots)

    def phase_begins(self, run: str, stage: str, phase: str, total: int, done: int) -> None:
        """Note how many tasks there are."""
        with self._lock:
            tally = self._tallies[stage, phase]
            tally.runs += 1
            tally.known += total
            tally.done += done
            if stage == "train":
                self._trainings.pop(run, None)  # the newest ones last
                self._trainings[run] = _Training()
            else:
                seen = self._runs[run]
                # What followed from an earlier making of this stage is gone.
                earlier = STAGES[: STAGES.index(stage)]
                seen.known = {name: done for name, done in seen.known.items() if name in earlier}
                seen.empty = (seen.empty if stage == seen.stage else 0) + (total == 0)
                seen.stage, seen.phase, seen.total, seen.done = stage, phase, total, done

    def task_done(self, run: str, stage: str, phase: str, result: Mapping[str, Any]) -> None:
        """Count a task."""
        with self._lock:
            tally = self._tallies[stage, phase]
            tally.done += 1
            tally.timed += 1
            tally.seconds += result["seconds"]
            self._pace.add(self._clock(), result.get("bytes"))
            if stage == "train":
                self._trainings[run].done = True
            else:
                self._runs[run].done += 1

    def training(self, model: str, history: dict[str, Any]) -> None:
        """Note the newest entry of a training."""
        with self._lock:
            seen = self._trainings.setdefault(model, _Training())
            seen.newest |= history
            if "step" in history and "loss" in history:
                curve = seen.curves.setdefault(history["phase"], TrainingCurve())
                curve.add(history["step"], history["loss"])

    def run_failed(self, run: str, stage: str, message: str) -> None:
        """Note why a run failed."""
        with self._lock:
            seen = self._runs[run]
            seen.over, seen.failed, seen.failed_stage = True, shortened(message), stage
            training = self._training_of(run)
            if training is not None and stage == "train":
                training.done = True

    def run_done(self, run: str) -> None:
        """Note that a run is done."""
        known = _done_before(self._planned[run])
        with self._lock:
            self._runs[run].over, self._runs[run].known = True, known

    def ends(self, state: Literal["ended", "stopped"]) -> None:
        """Note how the driver ended."""
        with self._lock:
            self._state = state

    # ---- what can be asked

    def state(self) -> CampaignState:
        """Return how far all is, of bounded size."""
        with self._lock:
            runs = [self._run_state(name, seen) for name, seen in self._runs.items()]
            dashboard, slots = self._cluster or ("", 0)
            left, not_counted = self._seconds_left(slots)
            now = self._clock()
            shown = runs
            if len(runs) > MOST_RUNS:
                order = ("failed", "at work", "waiting", "done")
                shown = sorted(runs, key=lambda run: order.index(run.state))[:MOST_RUNS]
            return CampaignState(
                campaign=self._plan.name,
                output=str(self._plan.output.absolute()),
                driver=DriverState(
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    begun=self._begun,
                    heard=now,
                    state=self._state,
                    alive=self._state == "at work",
                ),
                slots=slots,
                dashboard=dashboard,
                page=self.page,
                totals=totals_of(runs),
                rates=self._pace.rates(now),
                seconds_left=left,
                not_counted=not_counted,
                stages=list(self._stage_states(runs)),
                runs=shown,
                runs_left_out=len(runs) - len(shown),
                trainings=[
                    _training_state(model, seen)
                    for model, seen in list(self._trainings.items())[-_MOST_TRAININGS:]
                ],
            )

    def _run_state(self, name: str, seen: _Seen) -> RunState:
        stage, share = seen.stage, self._share(seen) if seen.stage else 0.0
        working = seen.done < seen.total
        training = self._training_of(name)
        if training is not None and not training.done and not seen.over:
            stage, share, working = "train", training.share, True
        if seen.over and not seen.failed:
            shares = seen.known | dict.fromkeys(self._chosen, 1.0)
        elif stage:
            done = self._chosen[: self._chosen.index(stage)]
            shares = seen.known | dict.fromkeys(done, 1.0) | {stage: share}
        else:
            shares = dict(seen.known)
        if seen.failed and shares.get(seen.failed_stage) == 1.0:
            shares[seen.failed_stage] = 0.99  # its tasks are done, it is not
        state: Literal["waiting", "at work", "done", "failed"] = (
            "failed"
            if seen.failed
            else "done"
            if seen.over
            else "at work"
            if working and self._state == "at work"
            else "waiting"
        )
        return RunState(
            run=name,
            state=state,
            done=state == "done",
            failed=seen.failed,
            failed_stage=seen.failed_stage,
            stage=stage if state == "at work" else "",
            stages={stage: shares.get(stage, 0.0) for stage in STAGES},
        )

    def _training_of(self, run: str) -> _Training | None:
        """Return the training of a run's model, where it has begun."""
        return self._trainings.get(self._plan.name if self._plan.one_model == "all" else run)

    def _share(self, seen: _Seen) -> float:
        """Return the share of the run's stage; its phases count alike, but for empty ones."""
        phases = [phase for stage, phase in self._order if stage == seen.stage]
        counting = len(phases) - seen.empty
        before = phases.index(seen.phase) - seen.empty + (seen.total == 0)
        now = seen.done / seen.total if seen.total else 0.0
        return round((before + now) / counting, 3) if counting else 1.0

    def _stage_states(self, runs: list[RunState]) -> Iterator[StageState]:
        failed = Counter(run.failed_stage for run in runs)
        for stage in self._chosen:
            tallies = [tally for (name, _), tally in self._tallies.items() if name == stage]
            timed = sum(tally.timed for tally in tallies)
            alive = [run for run in runs if run.failed_stage != stage]
            yield StageState(
                stage=stage,
                runs_done=sum(run.stages[stage] == 1.0 for run in alive),
                runs_at_work=sum(run.stage == stage or 0 < run.stages[stage] < 1 for run in alive),
                runs_failed=failed[stage],
                tasks_done=sum(tally.done for tally in tallies),
                tasks_known=sum(tally.known for tally in tallies),
                seconds_per_task=(
                    round(sum(tally.seconds for tally in tallies) / timed, 3) if timed else None
                ),
            )

    def _training_left(self, coming: int, slots: int) -> float | None:
        """Return the time that trainings still take, times `slots`; None where it is not known."""
        if self._plan.start is None or not coming:
            return 0.0
        working = [training for training in self._trainings.values() if not training.done]
        left = [t.newest["seconds_left"] for t in working if "seconds_left" in t.newest]
        if self._plan.one_model == "all":
            # Nothing runs beside it.
            return left[0] * slots if left else 0.0 if self._trainings and not working else None
        tally = self._tallies["train", "model"]
        if not tally.timed:
            return None
        return float(sum(left)) + (coming - len(working)) * tally.seconds / tally.timed

    def _seconds_left(self, slots: int) -> tuple[float | None, list[str]]:
        """Return the time that the tasks still to come take, and the stages nothing is known of."""
        if not slots:
            return None, []
        place = {phase: number for number, phase in enumerate(self._order)}
        # How many runs have still to begin each phase: those whose place is before it.
        before = [0] * (len(self._order) + 1)
        alive = [seen for seen in self._runs.values() if not seen.over]
        for seen in alive:
            before[place[seen.stage, seen.phase] + 1 if seen.stage else 0] += 1
        seconds, unknown, coming = 0.0, [], 0
        open_tasks: Counter[_Phase] = Counter()
        for seen in alive:
            open_tasks[seen.stage, seen.phase] += seen.total - seen.done
        for number, phase in enumerate(self._order):
            coming += before[number]
            stage, tally = phase[0], self._tallies[phase]
            if stage == "train":
                left = self._training_left(coming, slots)
                seconds += left or 0.0
                if left is None:
                    unknown.append(stage)
                continue
            tasks: float = open_tasks[phase]
            if coming and tally.runs:
                tasks += coming * tally.known / tally.runs
            if (tasks and not tally.timed) or (coming and not tally.runs):
                unknown.append(stage)
            elif tally.timed:
                seconds += tasks * tally.seconds / tally.timed
        # That nothing is left is known only where nothing is unknown.
        known = seconds > 0 or not unknown
        return (round(seconds / slots, 1) if known else None), list(dict.fromkeys(unknown))


def _done_before(planned: PlannedRun) -> dict[str, float]:
    return dict.fromkeys(finished_stages(planned), 1.0)


def _phases_of(stage: str) -> list[str]:
    return [phase.name for phase in STAGE_BY_NAME[stage].phases]


def _training_state(model: str, seen: _Training) -> TrainingState:
    known = {name: seen.newest[name] for name in TrainingState.model_fields if name in seen.newest}
    curves = {phase: curve.points for phase, curve in seen.curves.items()}
    return TrainingState(**known | {"model": model, "done": seen.done}, curves=curves)
