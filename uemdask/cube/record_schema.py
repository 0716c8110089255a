"""What a run's record may hold: looked at where a run is opened, so that all may rely on it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    create_model,
)

from uemdask.cube.results import RESULTS, Count, Results
from uemdask.errors import UemError, spelled


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


_Name = Annotated[str, Field(min_length=1)]
_Found = TypeVar("_Found", bound=Results)


class _Known(BaseModel):
    """Facts of which some are known; others may come with later versions."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Stage(_Known, Generic[_Found]):
    digest: str
    parameters: dict[str, Any]
    version: str
    begun: _Name
    created: bool = False
    finished: Annotated[str, AfterValidator(_is_time)] | None = None
    results: _Found = None  # type: ignore[assignment]  # none yet, and never null
    # ingest
    dtype: str = ""
    sources: list[list[list[str | Count]]] = []
    dark: list[str] = []
    pump_off: list[str] = []
    delays_from: str = ""


class _OtherStages(_Known):
    __pydantic_extra__: dict[str, _Stage[Results]]


_STAGES: dict[str, Any] = {
    name: (_Stage[found], None)  # type: ignore[valid-type]
    for name, found in RESULTS.items()
}


class _Record(_Known):
    contract: Count
    run_id: _Name
    created_by: str
    command: list[str] = []
    stages: create_model("_Stages", __base__=_OtherStages, **_STAGES)  # type: ignore[valid-type]


class _Root(_Known):
    # Of which sign is the contract's matter, which lists all faults of a new run.
    pixel_size: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
    notes: list[Any] | str = []


def check_record(path: Path, attributes: Mapping[str, Any], record: object) -> None:
    """Refuse a run of which the record is not as uemdask writes it.

    Raises
    ------
    UemError
        That names what is wrong with it.
    """
    with _told(path):
        _Root.model_validate(dict(attributes))
        _Record.model_validate(record)


def results_of(path: Path, stage: str, record: Mapping[str, Any]) -> Results:
    """Return what a stage found, of its record.

    Raises
    ------
    UemError
        If there is no such stage, or that is not as uemdask writes it.
    """
    if stage not in RESULTS:
        raise UemError(f"{stage!r} is no stage; there are {', '.join(RESULTS)}")
    with _told(path, "stages", stage, "results"):
        return RESULTS[stage].model_validate(record.get("results", {})).of(path, stage)


@contextmanager
def _told(path: Path, *place: str) -> Iterator[None]:
    try:
        yield
    except (ValidationError, RecursionError) as error:
        raise UemError(
            f"{path}: the record of the run in zarr.json is damaged ({_fault(error, place)}); "
            f"bring zarr.json back from a copy, or remove the run and ingest the raw data again"
        ) from None


def _fault(error: Exception, place: tuple[str, ...]) -> str:
    if not isinstance(error, ValidationError):
        return "it is nested too deep"
    first = error.errors(include_url=False)[0]
    if first["type"] == "missing":
        return f"{spelled((*place, *first['loc']))} is missing"
    return f"{spelled((*place, *first['loc']))}: {reprlib.repr(first['input'])} was found"


class Facts(dict[str, Any]):
    """Facts that a stage recorded; one that is missing is told in words.

    Parameters
    ----------
    facts : mapping
        The facts.
    path : Path
        The store.
    stage : str
        The stage.
    """

    def __init__(self, facts: Mapping[str, Any], path: Path, stage: str) -> None:
        super().__init__(facts)
        self._path, self._stage = path, stage

    def __missing__(self, key: str) -> Any:
        raise UemError(
            f"{self._path}: the record of stage '{self._stage}' tells no {key!r}; make it with "
            f"`only=['{self._stage}']`"
        )
