"""What a stage is: variables to create, and phases of independent region tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from uemdask.cube import Run, RunLike
from uemdask.cube.layout import Region

#: What a task returns: a few numbers that fit in one line of the ledger. Arrays go to the store.
Receipt = dict[str, Any]


class Parameters(BaseModel):
    """Settings of one stage, as they stand in a campaign file under its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Phase:
    """Tasks of a stage that do not depend on each other.

    Attributes
    ----------
    name : str
        For ledger and progress.
    regions : (run, parameters) -> list of Region, or None
        The regions, which depend on the sizes of the run and never on the cluster; None where only
        an earlier phase can tell, which has not finished.
    work : (run, region, parameters) -> Receipt
        The task: reads its region, computes, writes whole chunks. Runs on a worker, perhaps twice.
    finish : (run, parameters, receipts by region key) -> dict
        Runs on the driver when all regions are done; returns results for the stage's record.
    gpu : bool
        Whether the task is for a GPU worker, where the cluster has any.
    """

    name: str
    regions: Callable[[RunLike, Any], list[Region] | None]
    work: Callable[[Run, Region, Any], Receipt]
    finish: Callable[[Run, Any, Mapping[str, Receipt]], dict[str, Any]] = field(
        default=lambda run, parameters, receipts: {}
    )
    gpu: bool = False


@dataclass(frozen=True)
class Stage:
    """One step from raw frames to modes.

    Attributes
    ----------
    name : str
        As in `uemdask.cube.STAGES`.
    version : int
        Raised whenever the same inputs and parameters would give another result.
    parameters : type
        Its settings.
    create : (run, parameters) -> None
        Creates the variables; runs on the driver before the first phase.
    phases : tuple of Phase
        In order.
    check : (run, parameters) -> None
        Raises where the parameters do not fit the run, before anything earlier is removed.
    """

    name: str
    version: int
    parameters: type[Parameters]
    create: Callable[[Run, Any], None]
    phases: tuple[Phase, ...] = ()
    check: Callable[[RunLike, Any], None] = field(default=lambda run, parameters: None)

    def phase(self, name: str) -> Phase:
        """Return a phase by name."""
        return next(phase for phase in self.phases if phase.name == name)
