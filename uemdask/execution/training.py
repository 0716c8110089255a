"""The networks of a campaign: one for all runs, one for each, or one that is given."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.execution.campaign import Plan, PlannedRun
from uemdask.execution.pipeline import TrainingWanted
from uemdask.execution.round_robin import ActiveRun
from uemdask.network import BASE_MODEL, load_model, model_digest
from uemdask.stages import digest_of
from uemdask.stages.train import TRAIN, Start, TrainParameters, use_model


@dataclass(frozen=True)
class Training:
    """A training, and the runs that wait for its network.

    Attributes
    ----------
    members : list of ActiveRun
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

    members: list[ActiveRun]
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
            if is_trained(run, self.digest, self.model):
                # The folder may have been moved since.
                return run.stage("train")["results"] | {"model": str(self.model.absolute())}
        return None


class Networks:
    """Which runs get a network together, and when.

    A run that has a network keeps it, whatever becomes of the others, until retraining is asked
    for. A run that has none takes that of the others, where they have one.

    Parameters
    ----------
    plan : Plan
        The campaign.
    runs : sequence of ActiveRun
        Its runs.
    only : sequence of str
        Stages to do; all where empty.

    Raises
    ------
    UemError
        If the model that the plan names is missing or is none.
    """

    def __init__(self, plan: Plan, runs: Sequence[ActiveRun], only: Sequence[str]) -> None:
        self._plan, self._runs = plan, runs
        takes = plan.start is None and (not only or "train" in only)
        self._given: dict[str, Any] = use_model(Path(plan.model)) if takes else {}
        self._served: set[str] = set()
        self._without: set[str] = set()
        self._kept: set[str] = set()  # digests of networks that others may take

    def due(self) -> Iterator[tuple[list[ActiveRun], dict[str, Any] | Training | UemError]]:
        """Yield runs that can go on now, each with its network, its training, or why it has none.

        A training is begun when all runs that are to share it have come this far.
        """
        for active in self._runs:
            name = active.planned.name
            if not active.wants_training or name in self._without:
                continue
            results = self._own(active)
            (self._without if results is None else self._served).add(name)
            if results is not None:
                yield [active], results
        wanting = [active for active in self._runs if active.wants_training]
        if self._plan.one_model == "each":
            groups = [[active] for active in wanting]
        elif wanting and all(self._is_settled(active) for active in self._runs):
            groups = [wanting]
        else:
            groups = []
        for members in groups:
            if any(active.rests("train") for active in members):
                continue
            if self._kept:
                yield from ((member, self._existing(member)) for member in ([m] for m in members))
                continue
            training = self.training(members)
            yield members, training.earlier_results() or training

    def _is_settled(self, active: ActiveRun) -> bool:
        return active.over or active.wants_training or active.planned.name in self._served

    def _own(self, active: ActiveRun) -> dict[str, Any] | None:
        """Return the network that a run is given or keeps, None where it has none."""
        if self._given:
            return self._given
        assert isinstance(active.work, TrainingWanted)
        run = active.work.run
        if not keeps_network(run, self._plan, active.planned):
            return None
        results: dict[str, Any] = run.stage("train")["results"]
        if self._plan.one_model == "all":
            self._kept.add(results["model_digest"])
        model = self._plan.model_path(active.planned.name)
        if _digest(model) == results["model_digest"]:  # the folder may have been moved
            results = results | {"model": str(model.absolute())}
        return results

    def _existing(self, members: list[ActiveRun]) -> dict[str, Any] | UemError:
        """Return the network of the finished runs for one that has none, or why it cannot be."""
        (active,) = members
        assert isinstance(active.work, TrainingWanted)
        try:
            return existing_network(self._plan, active.planned.name, self._kept, active.work.run)
        except UemError as error:
            return error

    def training(self, members: list[ActiveRun]) -> Training:
        """Return the training for some runs."""
        plan, start = self._plan, self._plan.start
        assert start is not None
        runs = [active.work.run for active in members if isinstance(active.work, TrainingWanted)]
        labels = [run.stage("label")["digest"] for run in runs]
        digest = training_digest(members[0].planned.parameters.train, start, labels)
        model = plan.model_path(members[0].planned.name)
        return Training(members, runs, model, start, digest)

    def has_all_cores(self, members: Sequence[ActiveRun]) -> bool:
        """Return whether nothing else is to do while these runs wait for their network."""
        return len(members) == len(self._runs) or self._plan.one_model == "all"


def keeps_network(run: Run, plan: Plan, planned: PlannedRun) -> bool:
    """Return whether a run keeps the network that it has.

    It does where one was trained, with the same start and settings, and no retraining is asked for.
    That labels of other runs have changed since, or that its file is gone, is no reason to change
    its numbers.
    """
    if plan.retrain or plan.start is None or not run.is_done("train"):
        return False
    results = run.results("train")
    if not results.trained or results.start != plan.start:
        return False
    return _agree(run.stage("train")["parameters"], planned.parameters.train.decisive())


def check_existing(plan: Plan, name: str, kept: Collection[str]) -> Path:
    """Return the file of the network that finished runs have.

    Raises
    ------
    UemError
        If it is gone, or holds another one.
    """
    model = plan.model_path(name)
    digest = _digest(model)
    if digest not in kept:
        found = "is gone, or damaged" if digest is None else "is another one"
        raise UemError(
            f"{model}: the network of the finished runs {found}; bring it back, or train one for "
            f"all runs anew with `retrain=True`"
        )
    return model


def existing_network(plan: Plan, name: str, kept: Collection[str], run: Run) -> dict[str, Any]:
    """Return the network that finished runs have, as the results of a run that has none yet.

    Parameters
    ----------
    plan : Plan
        The campaign.
    name : str
        Of the run.
    kept : collection of str
        Digests of the networks of finished runs.
    run : Run
        The run.

    Raises
    ------
    UemError
        If its file is gone, or holds another one.
    """
    model = check_existing(plan, name, kept)
    made_by = load_model(model)[1]
    facts: dict[str, Any] = dict(made_by["facts"])
    own = facts.get("labels", {}).get(run.name) == run.stage("label")["digest"]
    return facts | {
        "model": str(model.absolute()),
        "model_digest": model_digest(model),
        "training_digest": made_by["digest"],
        # It was trained before this run had the labels that it has now.
        **({} if own else {"existing": True}),
    }


def _digest(model: Path) -> str | None:
    try:
        return model_digest(model)
    except UemError:
        return None


def _agree(old: Any, new: Any) -> bool:
    """Return whether settings are the same, as far as both versions know them."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return all(_agree(old[key], new[key]) for key in old.keys() & new.keys())
    return bool(old == new)


def training_digest(parameters: TrainParameters, start: Start, labels: Sequence[str]) -> str:
    """Return the digest of a training on runs with these digests of their labels."""
    weights = model_digest(BASE_MODEL) if start == "base" else start
    return digest_of("train", TRAIN.version, parameters.decisive(), weights, list(labels))


def is_trained(run: Run, digest: str, model: Path) -> bool:
    """Return whether a run has the network of this training, and its file is still there.

    Another campaign of the same name may have put its own model in the place.
    """
    results = run.results("train")
    if not run.is_done("train") or results.training_digest != digest:
        return False
    return _digest(model) == results.model_digest
