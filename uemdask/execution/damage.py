"""What is damaged in the store of a run, and how just that is made again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from uemdask.cube import STAGES, Run
from uemdask.cube.contract import later_stages, variables_of
from uemdask.cube.zarr_metadata import array_metadata, consolidated_metadata, restore_array_metadata
from uemdask.errors import UemError
from uemdask.execution.file_manifest import MAY_LACK, FileManifest, Wrong
from uemdask.execution.ledger import Ledger
from uemdask.stages import STAGE_BY_NAME

#: Damages that a sentence names; more are counted.
_NAMED = 3


class Damage(BaseModel):
    """A file of a store that is not as it was written.

    Attributes
    ----------
    file : str
        From the store, such as ``flow/c/0/0/0/0``.
    variable, region : str
        What is in it, such as ``flow`` and ``pair=0:8,component=0:2,y=0:64,x=0:64``; no region for
        the metadata of a variable.
    stage : str
        The stage that writes it.
    wrong : str
        ``missing``, ``short``, ``too long``, ``changed``, ``not expected`` or ``cannot be read``.
    """

    file: str
    variable: str
    region: str = ""
    stage: str
    wrong: Wrong

    def __str__(self) -> str:
        if not self.region:
            return f"{self.file}: is damaged ({self.wrong})"
        verb = "" if self.wrong == "cannot be read" else "is "
        return f"{self.file} {verb}{self.wrong} ({self.variable} {self.region})"


def damages_of(run: Run, stage: str, ledger: Path, *, deep: bool = False) -> list[Damage]:
    """Return what is damaged of a stage's files.

    Parameters
    ----------
    run : Run
        The run.
    stage : str
        The stage.
    ledger : Path
        The store whose ledger it has: a run that is to replace another has that of the other.
    deep : bool
        Read the files and compare their sums; otherwise names and sizes only.
    """
    found = _damaged_metadata(run, stage) if run.is_done(stage) else []
    if broken := FileManifest.of(run, stage, ledger).broken(deep=deep):
        regions = _Regions(run)
        found += [
            Damage(
                file=each.key,
                variable=each.key.partition("/")[0],
                region=regions.of(each.key),
                stage=stage,
                wrong=each.wrong,
            )
            for each in broken
        ]
    return found


def damages_of_run(run: Run) -> list[Damage]:
    """Return what is missing or too short of all stages' files; nothing is read but their sizes."""
    return [damage for stage in STAGES for damage in damages_of(run, stage, run.path)]


def describe_damages(store: Path, damages: Sequence[Damage]) -> str:
    """Say in one sentence what is damaged."""
    named = "; ".join(str(damage) for damage in damages[:_NAMED])
    more = f"; and {len(damages) - _NAMED} more" if len(damages) > _NAMED else ""
    return f"{store}: {named}{more}"


def refuse_damaged_frames(run: Run, ledger: Path) -> None:
    """Refuse a run whose frames, or what was ingested with them, are damaged.

    Raises
    ------
    UemError
        Saying that only a new ingest helps.
    """
    if run.is_done("ingest") and (damages := damages_of(run, "ingest", ledger)):
        raise UemError(f"{describe_damages(run.path, damages)}; {INGEST_AGAIN}")


def refuse_damaged(run: Run, stage: str, ledger: Path, only: Sequence[str]) -> None:
    """Refuse single stages that come after one whose files are damaged.

    Raises
    ------
    UemError
        If they do.
    """
    later = any(name in later_stages(stage) for name in only)
    if later and run.is_done(stage) and (damages := damages_of(run, stage, ledger)):
        raise UemError(
            f"{describe_damages(run.path, damages)}; add `only=['{stage}']`, or give "
            f"'uemdask verify --repair'"
        )


INGEST_AGAIN = (
    "that cannot be made again from what is here: bring it back from a copy, or give the same "
    "command with `overwrite=True` to ingest the raw data anew"
)


def reopen(run: Run, stage: str, damages: Sequence[Damage], ledger: Path) -> None:
    """Prepare a stage so that its pipeline makes just the damaged regions again.

    The stage is no longer finished then. What may have read a changed file is prepared as well:
    tasks of later phases and stages that ended after it changed.
    """
    listed = consolidated_metadata(run.path)
    for damage in damages:
        if not damage.region and damage.variable in listed:
            restore_array_metadata(run.path, damage.variable, listed[damage.variable])
    manifest = FileManifest.of(run, stage, ledger)
    keys = {damage.file for damage in damages if damage.region}
    since = _changed_at(run.path, damages)
    spoilt = dict(manifest.spoilt(keys))
    order = [phase.name for phase in STAGE_BY_NAME[stage].phases]
    # What the driver wrote, any task may have read.
    own = -1 if keys & manifest.own.keys() else len(order)
    first = min([own, *(order.index(phase) for phase, _ in spoilt)])
    spoilt |= {
        name: manifest.tasks[name]
        for name in manifest.made_since(since)
        if order.index(name[0]) > first
    }
    # In this order a kill leaves either the damage to be found again, or all that is to be done.
    remake_later(run, stage, ledger, since=since)
    book = Ledger(ledger, run.identity(stage))
    book.void(stage=stage, regions=spoilt)
    for key in keys:
        with suppress(FileNotFoundError):
            (run.path / key).unlink()
    if keys & manifest.own.keys():
        found, record, kept = STAGE_BY_NAME[stage], run.stage(stage), _Kept(run.path)
        found.create(kept, found.parameters.model_validate(record["parameters"]))
        files = kept.take_checksums()
        book.wrote(stage=stage, digest=record["digest"], files=files, partly=True)
    run.reopen(stage)


def remake_later(run: Run, stage: str, ledger: Path, *, since: float = -math.inf) -> None:
    """Prepare stages after one so that their tasks are done again, where any ended since a time.

    Training is left as it is: a network stays the one that it is, whatever it learned from.
    """
    for later in later_stages(stage)[1:]:
        if later == "train" or not run.is_done(later):
            continue
        manifest = FileManifest.of(run, later, ledger)
        if manifest.void or any(manifest.made_since(since)):  # or a kill was in between
            book = Ledger(ledger, run.identity(later))
            book.void(stage=later, regions=manifest.tasks)
            run.reopen(later)


def _changed_at(store: Path, damages: Sequence[Damage]) -> float:
    """Return when the first of the changed files changed, s since 1970; infinity where none did.

    What is missing or too short is noticed before anything reads it.
    """
    times = [math.inf]
    for damage in damages:
        if damage.wrong == "changed":
            with suppress(OSError):
                times.append((store / damage.file).stat().st_mtime)
    return min(times)


class _Kept(Run):
    """A run whose variables are not made anew where they are there: only what is put is written."""

    def create(self, name: str, sizes: Mapping[str, int], *, dtype: str | None = None) -> None:
        """Create a variable that is not there."""
        if name not in self:
            super().create(name, sizes, dtype=dtype)


def _damaged_metadata(run: Run, stage: str) -> list[Damage]:
    """Return the damaged metadata of a finished stage's variables."""
    listed, found = consolidated_metadata(run.path), []
    for name in variables_of(stage):
        if name not in listed or (name in MAY_LACK and not (run.path / name).exists()):
            continue
        try:
            wrong: Wrong | None = (
                "changed" if array_metadata(run.path, name) != listed[name] else None
            )
        except FileNotFoundError:
            wrong = "missing"
        except (OSError, UemError):
            wrong = "cannot be read"
        if wrong:
            file = f"{name}/zarr.json"
            found.append(Damage(file=file, variable=name, stage=stage, wrong=wrong))
    return found


class _Regions:
    """Which part of its variable a chunk file holds."""

    def __init__(self, run: Run) -> None:
        self._metadata = consolidated_metadata(run.path)

    def of(self, key: str) -> str:
        """Return the region of a chunk file, as in ``time=16:30,y=0:64,x=0:64``."""
        variable, _, place = key.partition("/c/")
        metadata = self._metadata.get(variable)
        if metadata is None:
            return place.replace("/", ",")
        spans = []
        for dim, size, unit, number in zip(
            metadata["dimension_names"],
            metadata["shape"],
            metadata["chunk_grid"]["configuration"]["chunk_shape"],
            place.split("/"),
            strict=False,
        ):
            start = int(number) * unit
            spans.append(f"{dim}={start}:{min(start + unit, size)}")
        return ",".join(spans)
