"""What checks and regions of a stage ask of a run: also of one that is still to be made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

import numpy as np

from uemdask.cube.layout import Region

if TYPE_CHECKING:
    from uemdask.cube.results import (
        AlignResults,
        FeatureResults,
        FlowResults,
        IngestResults,
        LabelResults,
        Results,
        SpectrumResults,
        TrainResults,
    )


class RunLike(Protocol):
    """A run, or one that stands in for it.

    Attributes
    ----------
    path : Path
        Its store, which need not be there.
    """

    path: Path

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size of every dim that is known."""
        ...

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel size (y, x) in nm."""
        ...

    def __contains__(self, name: str) -> bool: ...

    def read(self, name: str, region: Region | None = None) -> np.ndarray:
        """Return a variable, or a region of it."""
        ...

    def stage(self, stage: str) -> Mapping[str, Any]:
        """Return the record of a stage: digest, parameters, results; empty where not begun."""
        ...

    @overload
    def results(self, stage: Literal["ingest"]) -> IngestResults: ...
    @overload
    def results(self, stage: Literal["align"]) -> AlignResults: ...
    @overload
    def results(self, stage: Literal["spectrum"]) -> SpectrumResults: ...
    @overload
    def results(self, stage: Literal["label"]) -> LabelResults: ...
    @overload
    def results(self, stage: Literal["train"]) -> TrainResults: ...
    @overload
    def results(self, stage: Literal["flow"]) -> FlowResults: ...
    @overload
    def results(self, stage: Literal["feature"]) -> FeatureResults: ...
    @overload
    def results(self, stage: str) -> Results: ...

    def results(self, stage: str) -> Results:
        """Return what a stage found; where it has not begun, such as tells nothing.

        Raises
        ------
        UemError
            If the record is damaged.

        Examples
        --------
        >>> uemdask.cube.Run("run.zarr").results("spectrum").band.found
        True
        """
        from uemdask.cube.record_schema import results_of

        return results_of(self.path, stage, self.stage(stage))
