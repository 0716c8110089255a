"""The state of a campaign as anybody finds it on the disk, at any time, from any machine."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from typing import Literal

from pydantic import ValidationError

from uemdask.cube import STAGES
from uemdask.execution.campaign import Plan
from uemdask.execution.status import RunStatus, campaign_status
from uemdask.monitor.publishing import FILE_EVERY, progress_path
from uemdask.monitor.state import (
    CampaignState,
    DriverState,
    RunState,
    StageState,
    shortened,
    totals_of,
)

#: A driver on another machine that was silent for longer is taken to be gone, s.
_SILENCE = 5 * FILE_EVERY
#: One on this machine, whose process is there, may be kept waiting by the disk, s.
_PATIENCE = 300.0


def campaign_state(plan: Plan) -> CampaignState:
    """Return how far a campaign is.

    While a driver is at work, that is what it wrote a few seconds ago. Else the runs are looked at
    one by one, and rates, time left and trainings are those of the last driver.
    """
    told = _told(plan)
    alive = told is not None and told.driver is not None and told.driver.alive
    if told is not None and alive and not told.runs_left_out and _same_runs(plan, told):
        return told
    found = campaign_status(plan)
    runs = [_run_state(status) for status in found]
    totals = totals_of(runs)
    known = {stage.stage: stage for stage in told.stages} if told else {}
    return CampaignState(
        campaign=plan.name,
        output=str(plan.output.absolute()),
        driver=told.driver if told else None,
        slots=told.slots if told else 0,
        dashboard=told.dashboard if told and alive else "",
        page=told.page if told and alive else "",
        totals=totals,
        rates=told.rates if told else None,
        seconds_left=_seconds_left(told) if totals.done + totals.failed < len(runs) else 0.0,
        not_counted=told.not_counted if told else [],
        stages=_stages(runs, known),
        runs=runs,
        trainings=told.trainings if told else [],
    )


def _told(plan: Plan) -> CampaignState | None:
    try:
        text = progress_path(plan).read_text(encoding="utf-8")
        state = CampaignState.model_validate_json(text)
    except (OSError, ValidationError):
        return None  # no driver yet, or one of another version
    driver = state.driver
    if driver is None:
        return None
    driver.age = round(max(0.0, time.time() - driver.heard), 1)
    driver.alive = driver.state == "at work" and _is_there(driver)
    return state


def _is_there(driver: DriverState) -> bool:
    if driver.host != socket.gethostname():
        return driver.age < _SILENCE
    try:
        os.kill(driver.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user
    return driver.age < _PATIENCE


def _seconds_left(told: CampaignState | None) -> float | None:
    """Return what the last driver said; one that came to its end knew of nothing left."""
    if told is None or told.driver is None or told.driver.state == "ended":
        return None
    return told.seconds_left


def _same_runs(plan: Plan, told: CampaignState) -> bool:
    return [run.name for run in plan.runs] == [run.run for run in told.runs]


def _run_state(status: RunStatus) -> RunState:
    state: Literal["waiting", "done", "failed"] = (
        "failed" if status.failed else "done" if status.done else "waiting"
    )
    return RunState(
        run=status.name,
        state=state,
        done=state == "done",
        failed=shortened(status.failed),
        failed_stage=status.failed_stage,
        took_model=status.took_model,
        stages={stage: round(status.shares.get(stage, 0.0), 3) for stage in STAGES},
        left=status.left,
        fault=status.fault,
    )


def _stages(runs: list[RunState], known: dict[str, StageState]) -> list[StageState]:
    failed = Counter(run.failed_stage for run in runs)
    found = []
    for stage in STAGES:
        shares = [run.stages[stage] for run in runs]
        before = known.get(stage)
        found.append(
            StageState(
                stage=stage,
                runs_done=shares.count(1.0),
                runs_at_work=sum(0 < share < 1 for share in shares),
                runs_failed=failed[stage],
                tasks_done=before.tasks_done if before else 0,
                tasks_known=before.tasks_known if before else 0,
                seconds_per_task=before.seconds_per_task if before else None,
            )
        )
    return found
