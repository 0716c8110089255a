"""From a campaign file, or runs named on the command line, to a plan: everything decided."""

from __future__ import annotations

import glob
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from uemdask.cube import Run
from uemdask.cube.sidecar import sidecar
from uemdask.errors import FaultsError, Place, UemError
from uemdask.execution.campaign import Campaign, Plan, PlannedRun, RunEntry
from uemdask.execution.campaign_faults import (
    faults_of_entry,
    faults_of_parameters,
    faults_of_regions,
    names_file,
    sound_part,
)
from uemdask.execution.overrides import merged
from uemdask.execution.run_names import distinct_names, run_name
from uemdask.readers import RawSettings, read_drift_table
from uemdask.readers.folders import matching, on_disk
from uemdask.readers.yaml_faults import Fault, Lines, format_faults
from uemdask.readers.yaml_text import read_yaml
from uemdask.stages import StageParameters
from uemdask.stages.ingest import IngestParameters
from uemdask.stages.train import Start


def read_campaign(
    path: Path,
    *,
    output: Path | None = None,
    model: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> Plan:
    """Read a campaign file; paths in it are relative to its folder.

    What is given here wins over the file; `parameters` by stage and key.

    Raises
    ------
    UemError
        If the file cannot be read, or is not YAML.
    FaultsError
        If it has unknown keys or wrong values, or a path names nothing; all faults are listed with
        their place and line.
    """
    found = read_yaml(path)
    if isinstance(found, dict):
        if output is not None:
            found["output"] = str(output.absolute())
        if model is not None:
            found["model"] = _model_name(model, Path.cwd())
        if parameters:
            found["parameters"] = merged(found.get("parameters") or {}, parameters)
            _override(found.get("runs"), parameters)
    text = path.read_text(encoding="utf-8-sig")
    return _planned(found, path.stem, path.parent, str(path), Lines(text))


def _override(runs: Any, parameters: dict[str, Any]) -> None:
    """Let parameters win over those that runs have of their own."""
    for run in runs if isinstance(runs, list) else ():
        own = run.get("parameters") if isinstance(run, dict) else None
        if isinstance(own, dict):
            given = {stage: inner for stage, inner in parameters.items() if stage in own}
            run["parameters"] = merged(own, given)


def plan_campaign(found: Any, *, name: str, folder: Path, subject: str = "campaign") -> Plan:
    """Check a campaign given as plain dicts and lists, and resolve it.

    Raises
    ------
    FaultsError
        If it is not a campaign, or its paths name nothing; all faults are listed.
    """
    return _planned(found, name, folder, subject, Lines(""))


def _planned(found: Any, name: str, folder: Path, subject: str, lines: Lines) -> Plan:
    campaign, faults = sound_part(found)
    if campaign is None:
        raise FaultsError(subject, format_faults(faults, lines))
    faults += faults_of_entry(campaign.defaults, ("defaults",), folder)
    faults += faults_of_parameters(campaign, folder)
    faults += faults_of_regions(campaign)
    broken = {place[:2] for place, _ in faults if place[2:] in ((), ("raw",), ("run",))}
    output = folder / campaign.output
    shared = _with_whole_paths(campaign.parameters.model_dump(), folder)
    found_in: list[tuple[RunEntry, Path]] = []
    for number, entry in enumerate(campaign.runs):
        place = ("runs", number)
        if place in broken:  # that has been told; what is left of it says nothing
            continue
        faults += faults_of_entry(entry, place, folder)
        paths, wrong = _paths(entry, place, folder)
        faults += wrong
        found_in += [(entry, path) for path in paths]
    runs: list[PlannedRun] = []
    for (entry, path), name_of_run in zip(found_in, _names(found_in, output), strict=True):
        raw = path if entry.raw is not None else None
        store = path if raw is None else output / f"{name_of_run}.zarr"
        parameters = _parameters(shared, campaign, entry, raw, folder)
        runs.append(PlannedRun(name=name_of_run, store=store, parameters=parameters))
    faults += _faults_of_names(runs)
    faults += _faults_of_shared_tables(runs)
    if faults:
        raise FaultsError(subject, format_faults(faults, lines))
    return Plan(
        # Runs trained alone must not overwrite each other's models in a shared output.
        name=runs[0].name if len(runs) == 1 else name,
        output=output,
        runs=runs,
        model=_model_name(campaign.model, folder),
        one_model=campaign.one_model,
    )


def _faults_of_names(runs: Sequence[PlannedRun]) -> Iterator[Fault]:
    place = ("runs",)
    for run in runs:
        if "/" in run.name or run.name in ("", ".", ".."):
            yield place, f"{run.name!r} becomes a file name; write it without '/'"
    names = Counter(run.name for run in runs)
    for twice, count in names.items():
        if count > 1:
            yield place, f"{count} runs are named {twice!r}; give each a 'name'"
    stores = Counter(run.store.absolute() for run in runs if names[run.name] == 1)
    for path, count in stores.items():
        if count > 1:
            yield place, f"{count} entries work on {path}; leave one"


def _faults_of_shared_tables(runs: Sequence[PlannedRun]) -> Iterator[Fault]:
    """Yield which drift tables are given to runs of several series without naming their files."""
    series: dict[str, set[object]] = {}
    for run in runs:
        table, ingest = run.parameters.align.drift_table, run.parameters.ingest
        if table is not None:
            series.setdefault(table, set()).add((ingest.raw or run.store, ingest.scan))
    for table, of in series.items():
        if len(of) > 1 and not _names_files(Path(table)):
            yield (
                ("parameters", "align", "drift_table"),
                f"{table} is given to {len(of)} runs, and drift is each run's own; give it to one "
                f"run, under its 'parameters', or name the files of all in a column 'file'",
            )


def _names_files(table: Path) -> bool:
    try:
        return read_drift_table(table).key == "file"
    except UemError:  # told elsewhere
        return True


def _names(found: Sequence[tuple[RunEntry, Path]], output: Path) -> list[str]:
    """Return the name of each run: the given one, or that of its folder or file.

    One that was ingested under its short name, before others of that name came, keeps it.
    """
    unnamed = [path for entry, path in found if not entry.name]
    names = [
        short if _was_ingested(output / f"{short}.zarr", path) else name
        for path, name, short in zip(
            unnamed, distinct_names(unnamed), map(run_name, unnamed), strict=True
        )
    ]
    rest = iter(names)
    return [entry.name or next(rest) for entry, _ in found]


def _was_ingested(store: Path, raw: Path) -> bool:
    try:
        known = Run(store).stage("ingest").get("parameters", {}) if _is_there(store) else {}
    except UemError:
        return False
    return known.get("raw") == str(raw.absolute())


def plan_runs(
    paths: Sequence[Path],
    *,
    output: Path | None = None,
    model: str = "base",
    parameters: dict[str, Any] | None = None,
) -> Plan:
    """Plan runs named on the command line: stores, raw folders or stacks.

    Raises
    ------
    FaultsError
        If a path names nothing or a parameter is unknown.
    """
    entries = []
    for path in paths:
        kind = "run" if _is_store(path) else "raw"
        entries.append({kind: glob.escape(str(path.absolute()))})
    default = paths[0].absolute().parent if _is_store(paths[0]) else Path("results")
    return plan_campaign(
        {
            "output": str((output or default).absolute()),
            "runs": entries,
            "model": _model_name(model, Path.cwd()),
            "parameters": parameters or {},
        },
        name="model",
        folder=Path.cwd(),
        subject="command line",
    )


def _is_store(path: Path) -> bool:
    return path.suffix == ".zarr" or _is_there(path / "zarr.json")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def plan_ingest(stores: Mapping[Path, IngestParameters]) -> Plan:
    """Plan the ingest of raw data into stores, one for each."""
    runs = [
        PlannedRun(
            name=store.name.removesuffix(".zarr"),
            store=store.absolute(),
            parameters=StageParameters(ingest=ingest),
        )
        for store, ingest in stores.items()
    ]
    output = runs[0].store.parent
    return Plan(name=runs[0].name, output=output, runs=runs, model="base", one_model="all")


def _model_name(model: str, folder: Path) -> str:
    """Return ``base``, ``new``, or the absolute path of a model's file."""
    return model if model in get_args(Start) else str((folder / model).absolute())


def _paths(entry: RunEntry, place: Place, folder: Path) -> tuple[list[Path], list[Fault]]:
    """Return what an entry names, and what is wrong with that."""
    key, text = ("raw", entry.raw) if entry.raw is not None else ("run", entry.run)
    if text is None or (entry.raw is not None and entry.run is not None):
        return [], [(place, "give either 'raw' or 'run'")]
    paths = _resolve(folder, text)
    if not paths:
        return [], [((*place, key), f"{text!r} names nothing in {folder}; check the path")]
    if entry.name is not None and len(paths) > 1:
        text = f"one name for {len(paths)} runs; leave 'name' out"
        return [], [((*place, "name"), text)]
    return paths, []


def _resolve(folder: Path, text: str) -> list[Path]:
    place = on_disk(folder / text)
    # Brackets in a name are no pattern then. A run that was being replaced is brought back later.
    if _is_there(place) or (place.name and _is_there(sidecar(place, "old"))):
        return [place]
    return matching(folder, text)


def _from_folder(folder: Path, text: str) -> str:
    """Return the absolute path of a file that `text` names; any other text as it is."""
    return str(on_disk(folder / text).absolute()) if names_file(folder, text) else text


def _special(folder: Path, text: str | None) -> str | None:
    """Return the absolute path of images beside the campaign; else what is in the raw folder."""
    if text is None or not _is_there(place := on_disk(folder / text)):
        return text
    return str(place.absolute())


def _with_whole_paths(parameters: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the parameters of runs, the files in them by their absolute paths."""
    masks = parameters["feature"]["masks"]
    parameters["feature"]["masks"] = {
        name: _from_folder(folder, file) for name, file in masks.items()
    }
    table = parameters["align"]["drift_table"]
    if table is not None and names_file(folder, table):
        parameters["align"]["drift_table"] = _from_folder(folder, table)
        # A table that was edited gives another drift.
        digest = hashlib.sha256(on_disk(folder / table).read_bytes()).hexdigest()[:16]
        parameters["align"]["drift_digest"] = digest
    return parameters


def _parameters(
    shared: dict[str, Any], campaign: Campaign, entry: RunEntry, raw: Path | None, folder: Path
) -> StageParameters:
    parameters = dict(shared)
    if entry.parameters:
        own = merged(campaign.parameters.model_dump(), entry.parameters)
        parameters = _with_whole_paths(own, folder)
    if raw is not None:
        said = {
            key: getattr(entry, key) or getattr(campaign.defaults, key)
            for key in RawSettings.model_fields
        }
        said |= {key: _special(folder, said[key]) for key in ("dark", "pump_off")}
        said["delays"] = said["delays"] and _from_folder(folder, said["delays"])
        said["metadata"] = campaign.defaults.metadata | entry.metadata
        parameters["ingest"] = {"raw": str(raw.absolute())} | said
    feature = parameters["feature"]
    rois = [*feature["rois"], *campaign.rois, *entry.rois]
    parameters["feature"] = feature | {"rois": rois}
    return StageParameters.model_validate(parameters)
