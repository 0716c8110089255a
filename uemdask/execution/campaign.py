"""A campaign: many runs, how to treat them, and where the results go."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from uemdask.readers import RawSettings
from uemdask.stages import StageParameters
from uemdask.stages.train import Start


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class RunEntry(RawSettings):
    """One line under ``runs``: raw data to ingest, or a run that is a store already.

    Attributes
    ----------
    raw, run : str
        A path, or a glob that names several; one of the two.
    name : str
        Name of the run; default: that of the folder or file, see `run_names`.
    rois : list
        Regions of interest of this run, beside those of the campaign.
    parameters : dict
        Settings of the stages that differ from those of the campaign, such as ``align``'s
        ``drift_table``.
    """

    raw: str | None = None
    run: str | None = None
    name: str | None = None
    rois: list[dict[str, Any]] = Field(default_factory=list)
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("parameters")
    @classmethod
    def _check_parameters(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        elsewhere = {"ingest": "give its keys to the run itself", "train": "give them to all runs"}
        for stage, remedy in elsewhere.items():
            if stage in given:
                raise ValueError(f"{stage!r} has no settings here; {remedy}")
        StageParameters.model_validate(given)
        return given


class Campaign(_Strict):
    """A campaign file.

    Attributes
    ----------
    output : str
        Folder for stores made from raw data, models and reports.
    runs : list of RunEntry
        The runs.
    defaults : RawSettings
        What holds for every run that does not say otherwise.
    rois : list
        Regions of interest of every run.
    model : str
        ``base`` to train one from the base model, ``new`` to train one from nothing, or the file
        of a model, which is taken as it is.
    one_model : {"all", "each"}
        One model for all runs together, or one each.
    parameters : StageParameters
        Settings of the stages.
    """

    output: str = "results"
    runs: list[RunEntry] = Field(min_length=1)
    defaults: RawSettings = Field(default_factory=RawSettings)
    rois: list[dict[str, Any]] = Field(default_factory=list)
    model: str = "base"
    one_model: Literal["all", "each"] = "all"
    parameters: StageParameters = Field(default_factory=StageParameters)


class PlannedRun(_Strict):
    """One run, with everything decided.

    Attributes
    ----------
    name : str
        Unique in the campaign.
    store : Path
        Its Zarr store.
    parameters : StageParameters
        Settings of every stage; ``ingest.raw`` is empty for a store that is there already.
    """

    name: str
    store: Path
    parameters: StageParameters


class Plan(_Strict):
    """A campaign with its globs resolved and its defaults filled in.

    Attributes
    ----------
    retrain : bool
        Train anew also for runs that have a network; else they keep it, and their numbers.
    command : tuple of str
        The words after ``uemdask`` that ask for this again; empty where no command does.
    """

    name: str
    output: Path
    runs: list[PlannedRun]
    model: str
    one_model: Literal["all", "each"]
    retrain: bool = False
    command: tuple[str, ...] = ()

    def model_path(self, run: str) -> Path:
        """Return where the network of a run goes that is trained."""
        return self.output / "models" / f"{self.name if self.one_model == 'all' else run}.pt"

    @property
    def start(self) -> Start | None:
        """Where training starts; None where a model is given and nothing is trained."""
        return self.model if self.model in get_args(Start) else None  # type: ignore[return-value]
