"""The state of a campaign as page, JSON and command show it: one schema with stable names."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

#: Raised by one where a name goes or changes its meaning; new names may come at any time.
SCHEMA: Final = "uemdask.campaign/1"

#: A message is cut here, in characters; the whole one is in the ledger of its run.
LONGEST_MESSAGE = 600


class RunState(BaseModel):
    """How far one run is.

    Attributes
    ----------
    run : str
        Its name.
    state : {"waiting", "at work", "done", "failed"}
        ``waiting`` also where it could go on and nobody is at work on it.
    done : bool
        Whether all chosen stages are done.
    failed, failed_stage : str
        Message and stage of the failure that stopped it; empty where there is none.
    took_model : bool
        Whether it has the model of the runs finished before, not trained on its own labels; told
        when no driver is at work.
    stage : str
        The stage that is being worked on; empty where none is.
    stages : dict of str to float
        Share of each stage that is done, 0..1.
    left : dict of str to str
        Stages that ``uemdask run`` would do, and why, told when no driver is at work; those of
        which the share is 1 would be made again.
    fault : str
        Why it would do nothing, told when no driver is at work; empty where there is no fault.
    """

    run: str
    state: Literal["waiting", "at work", "done", "failed"]
    done: bool
    failed: str = ""
    failed_stage: str = ""
    took_model: bool = False
    stage: str = ""
    stages: dict[str, float]
    left: dict[str, str] = Field(default_factory=dict)
    fault: str = ""


class StageState(BaseModel):
    """How far one stage is, over all runs.

    Attributes
    ----------
    stage : str
        Its name.
    runs_done, runs_at_work, runs_failed : int
        Runs for which it is done, begun, or the end.
    tasks_done, tasks_known : int
        Of the runs that have begun it in this session; others add to it when they come.
    seconds_per_task : float, optional
        Mean over the tasks of this session, s.
    """

    stage: str
    runs_done: int
    runs_at_work: int
    runs_failed: int
    tasks_done: int = 0
    tasks_known: int = 0
    seconds_per_task: float | None = None


class TrainingState(BaseModel):
    """How far a training is.

    Attributes
    ----------
    model, phase : str
        Name of the model, and ``start``, ``pretrain``, ``finetune`` or ``guard``.
    step, steps : int
        Steps done, and of how many; 0 where it is not known yet.
    loss : float, optional
        Of the newest entry.
    images_per_second, seconds_left : float, optional
        As the training measured them, images/s and s.
    device : str
        Where it runs and why.
    threads, processes : int, optional
        CPU threads of a process; processes that share each step.
    curves : dict of str to list of (step, loss)
        By phase, for their losses are not of one kind; each thinned to at most 300 points.
    done : bool
        Whether it has ended, well or not.
    """

    model: str
    phase: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    device: str = ""
    threads: int | None = None
    processes: int | None = None
    curves: dict[str, list[tuple[int, float]]] = Field(default_factory=dict)
    done: bool = False


class DriverState(BaseModel):
    """The process that leads the campaign.

    Attributes
    ----------
    host, pid
        Where it runs.
    begun, heard : float
        When it began and when it last wrote or sent this state, s since 1970 (UTC).
    state : {"at work", "ended", "stopped"}
        ``stopped`` by the user or by a fault of its own, ``ended`` when all was done that could be.
    alive : bool
        Whether it is there now, as far as can be told.
    age : float
        Since `heard`, s.
    """

    host: str
    pid: int
    begun: float
    heard: float
    state: Literal["at work", "ended", "stopped"]
    alive: bool = True
    age: float = 0.0


class Totals(BaseModel):
    """Numbers of runs."""

    runs: int
    done: int
    failed: int
    at_work: int
    waiting: int


class Rates(BaseModel):
    """How fast it goes.

    Attributes
    ----------
    tasks_per_second : float
        Tasks that ended in the last `over` s, each second.
    bytes_per_second : float, optional
        What the tasks read from files and wrote to them, in bytes/s; None where no worker can
        tell.
    over : float
        Length of the window, s.
    """

    tasks_per_second: float
    bytes_per_second: float | None = None
    over: float


class CampaignState(BaseModel):
    """All that is told of a campaign.

    Attributes
    ----------
    version : str
        `SCHEMA`.
    campaign, output : str
        Name, and folder of the results, absolute.
    driver : DriverState, optional
        None where no driver has been at work yet.
    slots : int
        Tasks that run at a time.
    dashboard, page : str
        Addresses of the Dask dashboard and of the campaign page; empty where there is none.
    totals : Totals
        Over all runs, also those that `runs` leaves out.
    rates : Rates, optional
        None before the first task has ended.
    seconds_left : float, optional
        From the mean time of the tasks so far, s; None where nothing can be told. At least this
        where `not_counted` names stages.
    not_counted : list of str
        Stages that are still to come and that `seconds_left` knows nothing of.
    stages, runs, trainings : list
        See there.
    runs_left_out : int
        Runs that are not in `runs`, because there are too many: finished ones first.
    """

    version: Literal["uemdask.campaign/1"] = SCHEMA
    campaign: str
    output: str
    driver: DriverState | None = None
    slots: int = 0
    dashboard: str = ""
    page: str = ""
    totals: Totals
    rates: Rates | None = None
    seconds_left: float | None = None
    not_counted: list[str] = Field(default_factory=list)
    stages: list[StageState]
    runs: list[RunState]
    runs_left_out: int = 0
    trainings: list[TrainingState] = Field(default_factory=list)


def shortened(message: str) -> str:
    """Return a message that is not longer than `LONGEST_MESSAGE`."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    return message[: LONGEST_MESSAGE - 2] + " …"


def totals_of(runs: list[RunState]) -> Totals:
    """Count the runs by their state."""
    states = [run.state for run in runs]
    return Totals(
        runs=len(runs),
        done=states.count("done"),
        failed=states.count("failed"),
        at_work=states.count("at work"),
        waiting=states.count("waiting"),
    )
