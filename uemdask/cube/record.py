"""What a run's record may hold: looked at where a run is opened, so that all may rely on it."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from uemdask.errors import UemError, spelled


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


_Name = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0, le=2**53)]
_Number = FiniteFloat


class _Known(BaseModel):
    """Facts of which some are known; others may come with later versions."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Band(_Known):
    low: _Number
    high: _Number
    centre: Annotated[_Number, Field(gt=0)]
    significance: float
    found: bool


class _Results(_Known):
    """What stages found that others read; each is there once its stage has come so far."""

    warnings: list[str] = []
    notes: list[str] = []
    # align
    registered: bool = False
    followed_share: _Number = 0
    unregistered_frames: list[_Count] = []
    breathing_ghz: _Number | None = None
    time_zero_ps: _Number | None = None
    time_zero_sd_ps: _Number | None = None
    time_zero_reason: str = ""
    bad_pixels: _Count = 0
    shaded_share: _Number = 0
    unlit_share: _Number = 0
    lit_level: _Number = 0
    noise: dict[Literal["quantum", "read", "offset"], _Number] = {}
    beam_fall: _Number = 1
    # spectrum
    band: _Band | None = None
    noise_level: _Number = 0
    wave_noise: _Number = 0
    mean_modulation: list[_Number] = []
    wave_power: list[_Number] = []
    wave_number_px: _Number = 0
    wavelength_px: _Number = 0
    wave_scale: _Number = 0
    grey_scale: _Number = 0
    travel_index: _Number = 0
    opposed_share: _Number = 0
    relevant_share: _Number = 0
    directional: Literal["none", "aliased", "all"] = "none"
    # label, train, flow
    base_range: Annotated[list[_Number], Field(min_length=2, max_length=2)] = [0, 1]
    model: _Name = "-"
    model_digest: _Name = "-"
    training_digest: str = ""
    trained: bool = False
    start: str = ""
    runs: list[str] = []
    labels: dict[str, str] = {}
    existing: bool = False
    network_factor: Annotated[list[_Number], Field(min_length=2, max_length=2)] = [1, 1]
    label_error: Annotated[list[_Number], Field(min_length=2, max_length=2)] = [1, 1]
    deviation_factor: Annotated[list[_Number], Field(min_length=2, max_length=2)] = [1, 1]
    region_error: _Number = 0
    region_turn: _Number = 0
    # feature
    roi_pixels: list[_Count] = []
    roi_relevant_pixels: list[_Count] = []
    roi_amplitude: list[_Number] = []
    rois: list[str] = []
    empty_rois: list[str] = []

    @model_validator(mode="after")
    def _onset_has_its_error(self) -> _Results:
        if self.time_zero_ps is not None and self.time_zero_sd_ps is None:
            raise ValueError("time_zero_ps stands without time_zero_sd_ps")
        return self


class _Stage(_Known):
    digest: str
    parameters: dict[str, Any]
    version: str
    begun: _Name
    created: bool = False
    finished: Annotated[str, AfterValidator(_is_time)] | None = None
    results: _Results = _Results()
    # ingest
    dtype: str = ""
    sources: list[list[list[str | _Count]]] = []
    dark: list[str] = []
    pump_off: list[str] = []
    delays_from: str = ""


class _Record(_Known):
    contract: _Count
    run_id: _Name
    created_by: str
    command: list[str] = []
    stages: dict[str, _Stage]


class _Root(_Known):
    # Of which sign is the contract's matter, which lists all faults of a new run.
    pixel_size: Annotated[list[_Number], Field(min_length=2, max_length=2)]
    notes: list[Any] | str = []


def check_record(path: Path, attributes: Mapping[str, Any], record: object) -> None:
    """Refuse a run of which the record is not as uemdask writes it.

    Raises
    ------
    UemError
        That names what is wrong with it.
    """
    try:
        _Root.model_validate(dict(attributes))
        _Record.model_validate(record)
    except (ValidationError, RecursionError) as error:
        raise UemError(
            f"{path}: the record of the run in zarr.json is damaged ({_fault(error)}); bring "
            f"zarr.json back from a copy, or remove the run and ingest the raw data again"
        ) from None


def _fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it is nested too deep"
    first = error.errors(include_url=False)[0]
    if first["type"] == "missing":
        return f"{spelled(first['loc'])} is missing"
    return f"{spelled(first['loc'])}: {reprlib.repr(first['input'])} was found"


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
            f"--only {self._stage}"
        )
