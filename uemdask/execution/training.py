"""The networks of a campaign: one for all runs, one for each, or one that is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan
from uemdask.execution.course import TrainingWanted
from uemdask.execution.turns import RunAtWork
from uemdask.network import BASE_MODEL, model_digest
from uemdask.stages import digest_of
from uemdask.stages.train import TRAIN, Start, TrainParameters, use_model


@dataclass(frozen=True)
class Training:
    """A training, and the runs that wait for its network.

    Attributes
    ----------
    members : list of RunAtWork
        These runs.
    runs : list of Run
        Their stores.
    model : Path
        Where the network goes.
    start : {"base", "new"}
        Where it starts.
    digest : str
        Of labels, parameters and start.
    """

    members: list[RunAtWork]
    runs: list[Run]
    model: Path
    start: Start
    digest: str

    @property
    def parameters(self) -> TrainParameters:
        """Settings, which are the same for all members."""
        return self.members[0].planned.parameters.train

    def earlier_results(self) -> dict[str, Any] | None:
        """Return the results of this very training, where it has been done already.

        One run that knows of it is enough: a driver may have been killed before it told the others.
        """
        for run in self.runs:
            record = run.stage("train")
            if is_trained(record, self.digest, self.model):
                # The folder may have been moved since.
                return record["results"] | {"model": str(self.model.absolute())}
        return None


class Networks:
    """Which runs get a network together, and when.

    Parameters
    ----------
    plan : Plan
        The campaign.
    runs : sequence of RunAtWork
        Its runs.
    only : sequence of str
        Stages to do; all where empty.

    Attributes
    ----------
    given : dict
        Results of a model that is taken as it is; empty where one is trained.

    Raises
    ------
    UemError
        If the model that the plan names is missing or is none.
    """

    def __init__(self, plan: Plan, runs: Sequence[RunAtWork], only: Sequence[str]) -> None:
        self._plan, self._runs = plan, runs
        takes = plan.start is None and (not only or "train" in only)
        self.given: dict[str, Any] = use_model(Path(plan.model)) if takes else {}

    def due(self) -> Iterator[list[RunAtWork]]:
        """Yield runs that get their network now: those of one, when all have come this far."""
        wanting = [active for active in self._runs if active.wants_training]
        if self.given or self._plan.one_model == "each":
            groups = [[active] for active in wanting]
        elif wanting and all(active.over or active.wants_training for active in self._runs):
            groups = [wanting]
        else:
            groups = []
        for members in groups:
            if not any(active.rests("train") for active in members):
                yield members

    def training(self, members: list[RunAtWork]) -> Training:
        """Return the training for some runs."""
        plan, start = self._plan, self._plan.start
        assert start is not None
        name = members[0].planned.name if plan.one_model == "each" else plan.name
        runs = [active.work.run for active in members if isinstance(active.work, TrainingWanted)]
        labels = [run.stage("label")["digest"] for run in runs]
        digest = training_digest(members[0].planned.parameters.train, start, labels)
        return Training(members, runs, plan.output / "models" / f"{name}.pt", start, digest)

    def has_all_cores(self, members: Sequence[RunAtWork]) -> bool:
        """Return whether nothing else is to do while these runs wait for their network."""
        return len(members) == len(self._runs) or self._plan.one_model == "all"


def training_digest(parameters: TrainParameters, start: Start, labels: Sequence[str]) -> str:
    """Return the digest of a training on runs with these digests of their labels."""
    weights = model_digest(BASE_MODEL) if start == "base" else start
    return digest_of("train", TRAIN.version, parameters.decisive(), weights, list(labels))


def is_trained(record: dict[str, Any], digest: str, model: Path) -> bool:
    """Return whether a run's record of training is of this training, and its model still there.

    Another campaign of the same name may have put its own model in the place.
    """
    if not record.get("finished") or record["results"].get("training_digest") != digest:
        return False
    try:
        return model_digest(model) == record["results"]["model_digest"]
    except UemError:
        return False
