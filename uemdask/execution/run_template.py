"""A run whose stages are still to be done: what their checks and regions ask for is known already.

So a mask of the wrong size or a band outside the record is told before the first task, not hours
later by the stage that needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.cube import Run, RunLike
from uemdask.cube.layout import Region
from uemdask.errors import FaultsError, UemError
from uemdask.readers import RawAcquisition
from uemdask.stages import STAGE_BY_NAME, StageParameters


class RefusedError(UemError):
    """Stages refuse a run before the first task.

    Parameters
    ----------
    stage : str
        The first of them.
    path : Path
        Store of the run.
    errors : list of UemError
        Why, one a stage.
    """

    def __init__(self, stage: str, path: Path, errors: list[UemError]) -> None:
        self.stage = stage
        all_of_them = FaultsError(str(path), [str(error) for error in errors])
        super().__init__(str(errors[0] if len(errors) == 1 else all_of_them))


class RunTemplate(RunLike):
    """Stands in for a `Run` with all its stages done.

    Parameters
    ----------
    path : Path
        Its store, which need not be there.
    sizes : mapping
        At least of time, y and x.
    pixel_size : (y, x)
        In nm.
    known : dict of str to array
        Variables that are known: `time`, `y`, `x`, `frame_ok`, `source_file`.
    dark : bool
        Whether it has a dark image.
    """

    def __init__(
        self,
        path: Path,
        sizes: dict[str, int],
        pixel_size: tuple[float, float],
        known: dict[str, np.ndarray],
        *,
        dark: bool,
    ) -> None:
        pairs = max(0, int(known["frame_ok"].sum()) - 1)
        self.path = path
        self._sizes = sizes | {"pair": pairs, "component": 2}
        self._pixel_size = pixel_size
        self._known = known
        self._dark = dark

    @classmethod
    def of_raw(cls, store: Path, raw: RawAcquisition) -> RunTemplate:
        """Foresee the run of raw data that are still to be ingested."""
        sizes = {"time": len(raw.delays), "y": raw.shape[0], "x": raw.shape[1]}
        known = {
            "time": raw.delays,
            "frame_ok": np.ones(len(raw.delays), bool),
            "source_file": np.array([" + ".join(names) for names in raw.source_names], object),
        }
        for dim, step in zip(("y", "x"), raw.pixel_size, strict=True):
            known[dim] = (np.arange(sizes[dim]) + 0.5) * step
        return cls(store, sizes, raw.pixel_size, known, dark=bool(raw.dark or raw.offset))

    @classmethod
    def of_run(cls, run: Run) -> RunTemplate:
        """Foresee what becomes of a run."""
        known = {name: run.read(name) for name in ("time", "y", "x", "frame_ok", "source_file")}
        sizes = {dim: len(known[dim]) for dim in ("time", "y", "x")}
        return cls(run.path, sizes, run.pixel_size, known, dark="dark" in run)

    @property
    def sizes(self) -> dict[str, int]:
        """Size of every dim of it."""
        return self._sizes

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel size (y, x) in nm."""
        return self._pixel_size

    def __contains__(self, name: str) -> bool:
        return name != "dark" or self._dark

    def read(self, name: str, region: Region | None = None) -> np.ndarray:
        """Return a variable that is known; of the relevant pixels only that there will be some."""
        if name == "mask":
            return np.zeros((self.sizes["y"], self.sizes["x"]), bool)
        return self._known[name]

    def stage(self, stage: str) -> dict[str, Any]:
        """Return the record of a stage that has not begun: it is empty."""
        return {}

    def refuse(self, stages: Iterable[str], parameters: StageParameters) -> None:
        """Refuse what the stages will refuse, all at once.

        Raises
        ------
        RefusedError
            With all that is wrong, and the first stage that refuses.
        """
        errors: dict[str, UemError] = {}
        for stage in stages:
            try:
                STAGE_BY_NAME[stage].check(self, getattr(parameters, stage))
            except UemError as error:
                errors[stage] = error
        if errors:
            raise RefusedError(next(iter(errors)), self.path, list(errors.values()))


#: Keys of regions by phase; None where only an earlier phase can tell.
Tasks = dict[str, list[str] | None]


def tasks_of(run: RunLike, stage: str, parameters: StageParameters) -> Tasks:
    """Return the tasks of a stage."""
    settings = getattr(parameters, stage)
    found = {phase.name: phase.regions(run, settings) for phase in STAGE_BY_NAME[stage].phases}
    return {
        phase: None if regions is None else [region.key for region in regions]
        for phase, regions in found.items()
    }
