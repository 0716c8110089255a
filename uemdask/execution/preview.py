"""The plan of a campaign: what would be done, how much that is, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pydantic import BaseModel, Field

from uemdask.cube import STAGES
from uemdask.execution.campaign import Plan
from uemdask.execution.cluster import ClusterProfile, LocalProfile
from uemdask.execution.preconditions import stages_asked
from uemdask.execution.profile_capacity import PoolPreview, capacity_of, jobs_of
from uemdask.execution.requirements import at_work, disks, largest_needs, shortages, traffic_of
from uemdask.execution.run_plan import NetworkSource, RunPlan, plan_stages
from uemdask.execution.run_template import Tasks
from uemdask.execution.status import run_status
from uemdask.stages import STAGE_BY_NAME

#: Raised by one where a name goes or changes its meaning; new names may come at any time.
SCHEMA: Final = "uemdask.plan/1"


class RunPreview(BaseModel):
    """What would be done for one run.

    Attributes
    ----------
    run, store : str
        Name and store.
    raw : str
        What the raw data are, in words; empty where they are not looked at.
    done : list of str
        Stages that are done with these inputs and parameters.
    to_do : dict of str to str
        Why a stage is to be made, by stage.
    tasks : int
        Tasks of these stages, as far as they can be known.
    unknown : list of str
        Stages and phases whose tasks only an earlier phase can tell.
    fault : str
        Why nothing can be done; empty where there is no fault.
    failed_before : str
        Message of an earlier failure.
    network : {"given", "kept", "existing", "trained"}, optional
        Where its network comes from: the plan, itself, the finished runs of the campaign, or a
        training; None where training is left out.
    binning : int, optional
        Factor by which the grid of its motion is coarser than the pixels; None where only the
        spectrum can tell.
    """

    run: str
    store: str
    raw: str = ""
    done: list[str]
    to_do: dict[str, str]
    tasks: int = 0
    unknown: list[str] = Field(default_factory=list)
    fault: str = ""
    failed_before: str = ""
    network: NetworkSource | None = None
    binning: int | None = None


class StagePreview(BaseModel):
    """What would be done in one stage, over all runs.

    Attributes
    ----------
    stage : str
        Its name.
    runs, tasks : int
        Runs, and tasks as far as they can be known.
    unknown : list of str
        Phases whose tasks only an earlier one can tell.
    read, written : int
        About how many bytes the tasks read from files and write to them.
    memory : int
        About how much a worker needs for the largest task, bytes; 0 where that is very little.
    worker : int
        Memory of the smallest worker that would do it, bytes; 0 where that is not limited or
        not known.
    place : str
        Where that is.
    """

    stage: str
    runs: int
    tasks: int
    unknown: list[str] = Field(default_factory=list)
    read: int
    written: int
    memory: int = 0
    worker: int = 0
    place: str = ""


class DiskPreview(BaseModel):
    """A file system with results: about what they take, and what is free, bytes."""

    folder: str
    needed: int
    free: int


class Preview(BaseModel):
    """What a campaign would do.

    Attributes
    ----------
    version : str
        `SCHEMA`.
    campaign, output, model, one_model : str
        As in its plan.
    cluster : str
        Kind of the cluster.
    runs, stages, pools, disks : list
        See there; of the stages those with something to do.
    tasks, read, written : int
        Over all stages, as far as they can be known.
    faults : list of str
        What stops the whole campaign.
    warnings : list of str
        What may be too little.
    """

    version: Literal["uemdask.plan/1"] = SCHEMA
    campaign: str
    output: str
    model: str
    one_model: str
    cluster: str
    runs: list[RunPreview]
    stages: list[StagePreview] = Field(default_factory=list)
    pools: list[PoolPreview] = Field(default_factory=list)
    disks: list[DiskPreview] = Field(default_factory=list)
    tasks: int = 0
    read: int = 0
    written: int = 0
    faults: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)

    @property
    def broken(self) -> list[RunPreview]:
        """Runs for which nothing can be done."""
        return [run for run in self.runs if run.fault]


def preview(
    plan: Plan,
    *,
    only: Sequence[str] = (),
    overwrite: bool = False,
    profile: ClusterProfile | None = None,
) -> Preview:
    """Return what a campaign would do, without doing anything.

    Raw data are looked at as by ingest, but no frame is read; no job is submitted.

    Parameters
    ----------
    plan, only, overwrite
        As of `uemdask.execution.run_plan.plan_stages`.
    profile : ClusterProfile, optional
        The cluster; this machine where not given.

    Raises
    ------
    UemError
        If the model that the plan names is not there or is none.
    """
    cluster, only = profile or LocalProfile(), stages_asked(only)
    found = plan_stages(plan, only=only, overwrite=overwrite)
    wanted = at_work(found)
    tasks = [each.tasks() if each in wanted else {} for each in found]
    stages = _stages(plan, tasks, wanted, cluster)
    faults, warnings = shortages(wanted, lambda gpu: capacity_of(cluster, gpu))
    return Preview(
        campaign=plan.name,
        output=str(plan.output),
        model=plan.model,
        one_model=plan.one_model,
        cluster=cluster.kind,
        runs=[_run(each, left) for each, left in zip(found, tasks, strict=True)],
        stages=stages,
        pools=jobs_of(cluster, _widest(plan, tasks)),
        disks=[
            DiskPreview(folder=str(folder), needed=needed, free=free)
            for folder, needed, free in disks(wanted)
        ],
        tasks=sum(stage.tasks for stage in stages),
        read=sum(stage.read for stage in stages),
        written=sum(stage.written for stage in stages),
        faults=faults,
        warnings=warnings,
    )


def _known(phases: Tasks) -> int:
    return sum(len(keys or ()) for keys in phases.values())


def _unknown(phases: Tasks) -> list[str]:
    return [phase for phase, keys in phases.items() if keys is None]


def _run(found: RunPlan, tasks: Mapping[str, Tasks]) -> RunPreview:
    raw = found.raw
    return RunPreview(
        run=found.planned.name,
        store=str(found.planned.store),
        raw=f"{len(raw.delays)} frames of {raw.shape[0]} x {raw.shape[1]} px" if raw else "",
        done=[
            stage
            for stage in STAGES
            if found.run is not None and found.run.is_done(stage) and stage not in found.to_do
        ],
        to_do=found.to_do,
        tasks=sum(map(_known, tasks.values())),
        unknown=[f"{stage} {phase}" for stage in tasks for phase in _unknown(tasks[stage])],
        fault=found.fault,
        failed_before=run_status(found.planned).failed,
        network=found.network,
        binning=_binning(found),
    )


def _binning(found: RunPlan) -> int | None:
    asked = found.planned.parameters.spectrum.binning
    if asked != "auto":
        return asked
    if found.run is None or "spectrum" in found.to_do:
        return None
    results = found.run.results("spectrum")
    return results.binning if "binning" in results else None


def _stages(
    plan: Plan,
    tasks: Sequence[Mapping[str, Tasks]],
    wanted: Sequence[RunPlan],
    cluster: ClusterProfile,
) -> list[StagePreview]:
    needs = {need.stage: need for need in largest_needs(wanted)}
    stages = []
    for name in STAGES:
        members = [run for run in wanted if name in run.computed]
        if not members:
            continue
        mine = [of_run[name] for of_run in tasks if name in of_run]
        count = sum(map(_known, mine))
        if name == "train":
            count = 1 if plan.one_model == "all" else len(members)
        moved = [traffic_of(run.template.sizes, name) for run in members]
        stage = StagePreview(
            stage=name,
            runs=len(members),
            tasks=count,
            unknown=list(dict.fromkeys(phase for phases in mine for phase in _unknown(phases))),
            read=int(sum(read for read, _ in moved)),
            written=int(sum(written for _, written in moved)),
        )
        if name in needs:
            room = capacity_of(cluster, needs[name].gpu)
            stage.memory, stage.worker = needs[name].worker, room.memory
            stage.place = room.place
        stages.append(stage)
    return stages


def _widest(plan: Plan, tasks: Sequence[Mapping[str, Tasks]]) -> dict[bool, int]:
    """Return how many tasks there are at a time, at most, for GPU workers and for the others."""
    widest = {False: 0, True: 0}
    for of_run in tasks:
        for gpu in widest:
            widest[gpu] += max(
                (
                    len(of_run[stage].get(phase.name) or ())
                    for stage in of_run
                    for phase in STAGE_BY_NAME[stage].phases
                    if phase.gpu == gpu
                ),
                default=0,
            )
    if any("train" in of_run for of_run in tasks):
        widest[True] = max(widest[True], 1)
    return widest
