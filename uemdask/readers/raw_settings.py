"""What the user says of raw data: on the command line, in a campaign file, to the reader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uemdask.errors import FaultsError, keys_of, located_faults, spelled


class RawSettings(BaseModel):
    """What is known of raw data; all else is looked for.

    Attributes
    ----------
    delays : str, optional
        A table or log of delays, or a plan like ``"-30:500:5 ps"``.
    pixel_size, time_zero : str, optional
        Such as ``"3nm"`` (or ``"3nm,2.5nm"`` for y, x) and ``"12ps"``; both win over metadata.
    offset : str, optional
        Counts that every pixel has without the beam, negative what was taken off; wins over
        metadata.
    scan : int, optional
        Only this scan, counted from 1; all are averaged otherwise.
    dark, pump_off : str, optional
        Images without the beam and without the pump: a file, a folder or a pattern.
    dataset : str, optional
        Which of several arrays of the files.
    metadata : dict
        Acquisition metadata, see ``docs/store.md``; wins over ``metadata.yaml`` in the folder.
    """

    # `time_zero: 0` and `pixel_size: 3` mean ps and nm, as on the command line.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    delays: str | None = None
    pixel_size: str | None = None
    time_zero: str | None = None
    offset: str | None = None
    scan: int | None = Field(default=None, ge=1)
    dark: str | None = None
    pump_off: str | None = None
    dataset: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def said(cls, path: Path, known: Mapping[str, Any]) -> RawSettings:
        """Return what was said of the raw data in `path`.

        Raises
        ------
        FaultsError
            If something is of a kind that it cannot be.
        """
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            faults = [f"{spelled(at)}: {text}" for at, text in located_faults(error, keys_of(cls))]
            raise FaultsError(str(path), faults) from None
