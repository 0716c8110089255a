"""A campaign: many runs, how to treat them, and where the results go."""

from __future__ import annotations

import glob
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from uemdask.cube.beside import beside
from uemdask.errors import FaultsError, UemError, faults_in
from uemdask.execution.run_names import distinct_names
from uemdask.readers import read_drift_table
from uemdask.readers.yaml_text import parse_yaml, read_yaml
from uemdask.regions import parse_rois
from uemdask.regions.roi import RELEVANT_MASK
from uemdask.stages import StageParameters
from uemdask.stages.ingest import IngestParameters
from uemdask.stages.train import Start, TrainParameters


class _Strict(BaseModel):
    # `time_zero: 0` and `pixel_size: 3` mean ps and nm, as on the command line.
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class RawEntry(_Strict):
    """What is known of raw data; see `uemdask.stages.ingest.IngestParameters`."""

    delays: str | None = None
    pixel_size: str | None = None
    time_zero: str | None = None
    scan: int | None = Field(default=None, ge=1)
    dark: str | None = None
    pump_off: str | None = None
    dataset: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class RunEntry(RawEntry):
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
    defaults : RawEntry
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
    defaults: RawEntry = Field(default_factory=RawEntry)
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
    """A campaign with its globs resolved and its defaults filled in."""

    name: str
    output: Path
    runs: list[PlannedRun]
    model: str
    one_model: Literal["all", "each"]

    @property
    def start(self) -> Start | None:
        """Where training starts; None where a model is given and nothing is trained."""
        return self.model if self.model in get_args(Start) else None  # type: ignore[return-value]


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
        If the file cannot be read, or a path names nothing.
    FaultsError
        If it has unknown keys or wrong values; all are listed with their place.
    """
    found = read_yaml(path)
    if isinstance(found, dict):
        if output is not None:
            found["output"] = str(output.absolute())
        if model is not None:
            found["model"] = _model_name(model, Path.cwd())
        if parameters:
            found["parameters"] = _merge(found.get("parameters") or {}, parameters)
    return plan_campaign(found, name=path.stem, folder=path.parent, subject=str(path))


def _merge(base: Any, changes: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: _merge(base.get(key), value) for key, value in changes.items()}


def merge_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Turn ``stage.key=value`` settings into nested parameters; values are read as YAML.

    Raises
    ------
    FaultsError
        If some are not of that form.

    Examples
    --------
    >>> merge_settings(["spectrum.band=[30, 40]", "label.base=false"])
    {'spectrum': {'band': [30, 40]}, 'label': {'base': False}}
    """
    result: dict[str, Any] = {}
    faults = []
    for setting in settings:
        name, mark, text = setting.partition("=")
        keys = name.strip().split(".")
        if not mark or len(keys) < 2 or not all(keys):
            faults.append(f"{setting!r}: write it as STAGE.KEY=VALUE")
            continue
        try:
            value = parse_yaml(text)
        except UemError:
            faults.append(f"{setting!r}: the value is not YAML")
            continue
        for key in reversed(keys):
            value = {key: value}
        result = _merge(result, value)
    if faults:
        raise FaultsError("settings", faults)
    return result


def plan_campaign(found: Any, *, name: str, folder: Path, subject: str = "campaign") -> Plan:
    """Check a campaign given as plain dicts and lists, and resolve it.

    Raises
    ------
    FaultsError
        If it is not a campaign, or its paths name nothing; all faults are listed.
    """
    try:
        campaign = Campaign.model_validate(found)
    except ValidationError as error:
        raise FaultsError(subject, faults_in(error)) from None
    output = folder / campaign.output
    found_in: list[tuple[RunEntry, Path]] = []
    faults: list[str] = []
    for number, entry in enumerate(campaign.runs):
        place = f"runs.{number}"
        text = entry.raw if entry.raw is not None else entry.run
        if text is None or (entry.raw is not None and entry.run is not None):
            faults.append(f"{place}: give either 'raw' or 'run'")
            continue
        paths = _resolve(folder, text)
        if not paths:
            faults.append(f"{place}: {text!r} names nothing in {folder}; check the path")
        if entry.name is not None and len(paths) > 1:
            faults.append(f"{place}: one name for {len(paths)} runs; leave 'name' out")
        found_in += [(entry, path) for path in paths]
    runs: list[PlannedRun] = []
    for (entry, path), run_name in zip(found_in, _names(found_in), strict=True):
        raw = path if entry.raw is not None else None
        store = path if raw is None else output / f"{run_name}.zarr"
        parameters = _parameters(campaign, entry, raw, folder)
        found_here = [*_faults_of_regions(parameters), *_faults_of_tables(parameters)]
        faults += (f for f in found_here if f not in faults)
        runs.append(PlannedRun(name=run_name, store=store, parameters=parameters))
    faults += _faults_of_shared_tables(runs)
    faults += [
        f"{run.name!r}: a name becomes a file name; write it without '/'"
        for run in runs
        if "/" in run.name or run.name in ("", ".", "..")
    ]
    names = Counter(run.name for run in runs)
    faults += [
        f"runs: {count} runs are named {twice!r}; give each a 'name'"
        for twice, count in names.items()
        if count > 1
    ]
    stores = Counter(run.store.absolute() for run in runs if names[run.name] == 1)
    faults += [
        f"runs: {count} entries work on {twice}; leave one"
        for twice, count in stores.items()
        if count > 1
    ]
    if campaign.model == "base" and campaign.parameters.train.unet != TrainParameters().unet:
        faults.append(
            "parameters.train.unet: the base model has its own network; leave this out, or train "
            "from nothing with model 'new'"
        )
    if faults:
        raise FaultsError(subject, faults)
    return Plan(
        # Runs trained alone must not overwrite each other's models in a shared output.
        name=runs[0].name if len(runs) == 1 else name,
        output=output,
        runs=runs,
        model=_model_name(campaign.model, folder),
        one_model=campaign.one_model,
    )


def _names(found: Sequence[tuple[RunEntry, Path]]) -> list[str]:
    """Return the name of each run: the given one, or that of its folder or file."""
    names = iter(distinct_names([path for entry, path in found if not entry.name]))
    return [entry.name or next(names) for entry, _ in found]


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
    return path.suffix == ".zarr" or (path / "zarr.json").exists()


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


def _resolve(folder: Path, text: str) -> list[Path]:
    place = folder / text
    # Brackets in a name are no pattern then. A run that was being replaced is brought back later.
    if place.exists() or (place.name and beside(place, "old").exists()):
        return [place]
    pattern = text if Path(text).is_absolute() else str(Path(glob.escape(str(folder))) / text)
    return sorted(Path(found) for found in glob.glob(pattern))


def _from_folder(folder: Path, text: str) -> str:
    """Return the absolute path of a file that `text` names; any other text as it is."""
    try:
        return str((folder / text).absolute()) if (folder / text).is_file() else text
    except OSError:  # a long plan of delays is no file name
        return text


def _special(folder: Path, text: str | None) -> str | None:
    """Return the absolute path of images beside the campaign; else what is in the raw folder."""
    if text is None or not (folder / text).exists():
        return text
    return str((folder / text).absolute())


def _faults_of_regions(parameters: StageParameters) -> list[str]:
    """Return what is wrong with regions and masks, which are needed last but known first."""
    masks = parameters.feature.masks
    faults = [
        f"masks: {name!r} is the file {file}, which is not there; check the path"
        for name, file in masks.items()
        if not Path(file).is_file()
    ]
    try:
        rois = parse_rois(parameters.feature.rois)
    except FaultsError as error:
        return faults + [f"rois: {fault}" for fault in error.faults]
    known = [RELEVANT_MASK, *masks]
    return faults + [
        f"rois: region {roi.name!r} is the mask {roi.mask!r}; there are only {', '.join(known)}"
        for roi in rois
        if roi.mask is not None and roi.mask not in known
    ]


def _faults_of_tables(parameters: StageParameters) -> list[str]:
    """Return what is wrong with a drift table, apart from its fit to a run."""
    table = parameters.align.drift_table
    if table is None:
        return []
    if not Path(table).is_file():
        return [f"align.drift_table: {table} is not there; check the path"]
    try:
        read_drift_table(Path(table))
    except FaultsError as error:
        return [f"{table}: {fault}" for fault in error.faults]
    except UemError as error:
        return [str(error)]
    return []


def _faults_of_shared_tables(runs: Sequence[PlannedRun]) -> list[str]:
    """Return which drift tables are given to runs of several series without naming their files."""
    series: dict[str, set[object]] = {}
    for run in runs:
        table, ingest = run.parameters.align.drift_table, run.parameters.ingest
        if table is not None:
            series.setdefault(table, set()).add((ingest.raw or run.store, ingest.scan))
    return [
        f"align.drift_table: {table} is given to {len(of)} runs, and drift is each run's own; give "
        f"it to one run, under its 'parameters', or name the files of all in a column 'file'"
        for table, of in series.items()
        if len(of) > 1 and not _names_files(Path(table))
    ]


def _names_files(table: Path) -> bool:
    try:
        return read_drift_table(table).key == "file"
    except UemError:  # told elsewhere
        return True


def _parameters(
    campaign: Campaign, entry: RunEntry, raw: Path | None, folder: Path
) -> StageParameters:
    parameters = _merge(campaign.parameters.model_dump(), entry.parameters)
    masks = parameters["feature"]["masks"]
    parameters["feature"]["masks"] = {
        name: _from_folder(folder, file) for name, file in masks.items()
    }
    table = parameters["align"]["drift_table"]
    if table is not None:
        table = _from_folder(folder, table)
        parameters["align"]["drift_table"] = table
        if Path(table).is_file():
            # A table that was edited gives another drift.
            digest = hashlib.sha256(Path(table).read_bytes()).hexdigest()[:16]
            parameters["align"]["drift_digest"] = digest
    if raw is not None:
        defaults = campaign.defaults
        delays = entry.delays or defaults.delays
        parameters["ingest"] = {
            "raw": str(raw.absolute()),
            "delays": delays and _from_folder(folder, delays),
            "pixel_size": entry.pixel_size or defaults.pixel_size,
            "time_zero": entry.time_zero or defaults.time_zero,
            "scan": entry.scan or defaults.scan,
            "dark": _special(folder, entry.dark) or _special(folder, defaults.dark),
            "pump_off": _special(folder, entry.pump_off) or _special(folder, defaults.pump_off),
            "dataset": entry.dataset or defaults.dataset,
            "metadata": defaults.metadata | entry.metadata,
        }
    parameters["feature"]["rois"] = [
        *parameters["feature"]["rois"],
        *campaign.rois,
        *entry.rois,
    ]
    return StageParameters.model_validate(parameters)
