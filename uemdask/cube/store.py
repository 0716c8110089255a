"""A run on disk: one Zarr format 3 store that plain xarray and plain zarr read alike."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BloscShuffle
from zarr.errors import ContainsArrayError

from uemdask.cube import layout
from uemdask.cube.contract import STAGES, VARIABLES, later_stages, variables_of
from uemdask.cube.file_store import Files, FileStore
from uemdask.cube.layout import Region
from uemdask.cube.packing import Packing, Unpacked, unreadable
from uemdask.cube.sidecar import sidecar, store_of
from uemdask.cube.zarr_metadata import all_array_metadata, change_metadata
from uemdask.errors import UemError, telling_of_room
from uemdask.regular_files import check_regular
from uemdask.version import __version__

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

#: Root attribute that holds what uemdask knows about the run and its stages.
RECORD = "uemdask"

# Frames and wave are read twice and more: fast lz4. Results are written once: smaller zstd.
_FAST = BloscCodec(cname="lz4", clevel=1, shuffle=BloscShuffle.bitshuffle)
_SMALL = BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.bitshuffle)
_FAST_VARIABLES = ("intensity", "wave")


class Run:
    """A handle on the store of one run, cheap to open on a worker.

    Parameters
    ----------
    path : path-like
        The store, a folder ``NAME.zarr``.

    Raises
    ------
    UemError
        If there is no run at `path`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        check_regular(self.path / "zarr.json")
        self._disk = FileStore(self.path)
        self.group = self._open()
        if RECORD not in self.group.attrs:
            raise UemError(
                f"{self.path}: a Zarr group without the attribute {RECORD!r}, so not a run; "
                f"make one with 'uemdask ingest'"
            )
        # Not with the module: to import the library must not cost what models of pydantic do.
        from uemdask.cube.record_schema import check_record

        check_record(self.path, self.group.attrs, self.group.attrs[RECORD])

    def _open(self) -> zarr.Group:
        try:
            return zarr.open_group(self._disk, mode="r+", use_consolidated=False)
        except FileNotFoundError:
            if self.path.is_dir() and any(self.path.iterdir()):
                raise UemError(
                    f"{self.path}: is a folder without zarr.json, so not a run; name NAME.zarr"
                ) from None
            if sidecar(self.path, "old").exists():
                raise UemError(
                    f"{self.path}: its replacement was killed half-way; give the same 'uemdask "
                    f"ingest' again and the run is back"
                ) from None
            raise UemError(
                f"{self.path}: no run here; make one with 'uemdask ingest RAW -o {self.path}'"
            ) from None
        except PermissionError as error:
            raise UemError(
                f"{self.path}: cannot be read ({error.strerror}); ask its owner for access"
            ) from error
        except (FileExistsError, NotADirectoryError, ContainsArrayError):
            raise UemError(f"{self.path}: is not a run; name a folder NAME.zarr") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UemError(
                f"{self.path}: zarr.json is damaged ({shorten(str(error), 120)}); bring it back "
                f"from a copy, or remove the run and ingest the raw data again"
            ) from error
        except OSError as error:  # a path that is too long, or holds no file system
            raise UemError(f"{self.path}: cannot be read ({error.strerror})") from error

    # ---- what is there

    @property
    def name(self) -> str:
        """Name of the run: the folder without ``.zarr``."""
        return self.path.name.removesuffix(".zarr")

    @property
    def record(self) -> dict[str, Any]:
        """The run's own record: identity and what each stage did."""
        return dict(self.group.attrs[RECORD])

    @property
    def sizes(self) -> dict[str, int]:
        """Size of every dim that exists so far."""
        sizes: dict[str, int] = {}
        for array in all_array_metadata(self.path).values():
            sizes.update(zip(array["dimension_names"], array["shape"], strict=True))
        return sizes

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel size (y, x) in nm."""
        y, x = self.group.attrs["pixel_size"]
        return float(y), float(x)

    @property
    def is_export(self) -> bool:
        """Whether it has been exported without its frames, so that no stage can read them."""
        return "export_of" in self.group.attrs or "intensity" not in self

    @cached_property
    def dark(self) -> np.ndarray | None:
        """The dark image (y, x) in counts, to be taken off frames; None where there is none."""
        return self.read("dark") if "dark" in self else None

    def __contains__(self, name: str) -> bool:
        return (self.path / name / "zarr.json").exists()

    def stage(self, stage: str) -> dict[str, Any]:
        """Return the record of a stage: digest, parameters, results; empty where not begun."""
        from uemdask.cube.record_schema import Facts

        return Facts(self.record["stages"].get(stage, {}), self.path, stage)

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
        >>> Run("run.zarr").results("spectrum").band.found
        True
        """
        from uemdask.cube.record_schema import results_of

        return results_of(self.path, stage, self.record["stages"].get(stage, {}))

    def is_done(self, stage: str) -> bool:
        """Return whether `stage` has finished."""
        return bool(self.stage(stage).get("finished"))

    # ---- reading

    def read(self, name: str, region: Region | None = None) -> np.ndarray:
        """Return a variable, or a region of it; what is packed as its values."""
        array = self.array(name)
        return array[self._index(name, array.shape, region)]

    def read_stored(self, name: str, region: Region | None = None) -> np.ndarray:
        """Return a variable, or a region of it, as stored: confidence as 0..255."""
        array = self.array(name)
        return array.stored(self._index(name, array.shape, region))

    def array(self, name: str) -> Unpacked:
        """Return a variable to be read by index; what is packed as its values."""
        return Unpacked(self._stored(name), self.path, name)

    def packing(self, name: str) -> Packing:
        """Return how a variable is packed that the contract says is packed."""
        packing = Packing.of(self._stored(name))
        if packing is None:
            raise UemError(
                f"{self.path}: {name!r} is not packed, as an earlier version made it; make it "
                f"again with `only=['{VARIABLES[name].stage}']`"
            )
        return packing

    def _stored(self, name: str) -> zarr.Array[Any]:
        if name not in VARIABLES:
            there = ", ".join(other for other in VARIABLES if other in self)
            raise UemError(f"{self.path}: {name!r} is no variable of a run; here are {there}")
        if name not in self:
            raise UemError(
                f"{self.path}: has no {name!r}; make it with `only=['{VARIABLES[name].stage}']`"
            )
        try:
            return self.group[name]
        except Exception as error:
            raise unreadable(self.path, name, error) from error

    def _index(self, name: str, shape: tuple[int, ...], region: Region | None) -> tuple[slice, ...]:
        sizes = dict(zip(VARIABLES[name].dims, shape, strict=True))
        return (region or Region()).slices(VARIABLES[name].dims, sizes)

    # ---- writing

    def create(self, name: str, sizes: Mapping[str, int], *, dtype: str | None = None) -> None:
        """Create a variable of the contract; its chunks follow from the sizes alone."""
        variable = VARIABLES[name]
        kind = dtype or variable.dtype
        fill: Any = {"float32": np.nan, "float64": np.nan, "str": ""}.get(kind, variable.missing)
        if fill is None:
            fill = False if kind == "bool" else 0
        attributes: dict[str, Any] = {"units": variable.units, "long_name": variable.long_name}
        if variable.step is not None:
            attributes["scale_factor"] = variable.step
        if variable.missing is not None:
            attributes["_FillValue"] = variable.missing
        text = kind == "str"
        with telling_of_room(store_of(self.path)):
            self.group.create_array(
                name,
                shape=tuple(sizes[d] for d in variable.dims),
                dtype=str if text else kind,
                chunks=layout.chunks_of(name, sizes),
                shards=layout.shards_of(name, sizes),
                compressors=None if text else (_FAST if name in _FAST_VARIABLES else _SMALL),
                fill_value=fill,
                dimension_names=variable.dims,
                attributes=attributes,
                overwrite=True,
            )

    def write(self, name: str, data: Any, region: Region | None = None) -> None:
        """Write values of a variable, or of whole chunks of it, and pack what is packed.

        Raises
        ------
        UemError
            If `region` does not cover whole chunks (shards), see `layout.check_whole_units`.
        """
        if VARIABLES[name].step is not None:
            data = self.packing(name).pack(data)
        self.write_stored(name, data, region)

    def write_stored(self, name: str, data: Any, region: Region | None = None) -> None:
        """Write as `write` does, what is packed as the integers that are stored."""
        array = self.group[name]
        index = self._index(name, array.shape, region)
        unit = array.shards or array.chunks
        if array.size:
            layout.check_whole_units(name, index, array.shape, unit)
        if VARIABLES[name].dtype == "str":
            data = np.asarray(data, dtype=object)
        shape = tuple(part.stop - part.start for part in index)
        if np.shape(data) != shape:  # Zarr would repeat a smaller array without a word
            raise UemError(f"{name}: data of shape {np.shape(data)} for a region of {shape}")
        with telling_of_room(store_of(self.path)):
            # No chunk of frames is empty, and to look costs as much as to encode it.
            array.with_config({"write_empty_chunks": name in _FAST_VARIABLES})[index] = data

    def put(self, name: str, data: Any, sizes: Mapping[str, int]) -> None:
        """Create a variable and write all of it."""
        self.create(name, sizes)
        self.write(name, data)

    def take_checksums(self) -> Files:
        """Return size and sum of the chunk files written since the last time, all on the disk."""
        with telling_of_room(store_of(self.path)):
            return self._disk.take_checksums()

    # ---- stages

    def begin(self, stage: str, *, digest: str, parameters: Mapping[str, Any]) -> None:
        """Remove what `stage` and all later ones wrote, and note that `stage` begins."""
        entry = {"digest": digest, "parameters": dict(parameters), "version": __version__}
        record = self.record
        gone = [name for later in later_stages(stage) for name in variables_of(later)]
        for later in later_stages(stage):
            record["stages"].pop(later, None)
        record["stages"][stage] = entry | {"begun": uuid.uuid4().hex}
        # The record goes first: a kill in between leaves spare variables, never a false record.
        self._save(record, without=gone)
        for name in gone:
            if (self.path / name).exists():  # perhaps without its metadata, if that was killed
                shutil.rmtree(self.path / name)

    def remember(self, command: Sequence[str]) -> None:
        """Note the command that makes this run, the words after ``uemdask``."""
        record = self.record
        if command and record.get("command") != list(command):
            self._write(attributes={RECORD: record | {"command": list(command)}})

    def identity(self, stage: str) -> str:
        """Return what tells this making of a stage from every other, of this store or another.

        A receipt of an earlier making says nothing of the variables that are here now.
        """
        return f"{self.record['run_id']}/{self.stage(stage)['begun']}"

    def renew(self, stage: str, *names: str) -> None:
        """Note that `stage` is made again with the same inputs, to restore deleted variables.

        Unlike `begin` it keeps what later stages wrote: the same bytes will be there again.
        """
        entry = {key: value for key, value in self.stage(stage).items() if key != "finished"}
        self._note(stage, entry | {"begun": uuid.uuid4().hex})
        for name in names:
            self.create(name, self.sizes)
        self.consolidate()

    def reopen(self, stage: str) -> None:
        """Note that `stage` is to be finished again, because some of its files are damaged."""
        entry = {key: value for key, value in self.stage(stage).items() if key != "finished"}
        self._note(stage, entry)

    def note(self, stage: str, **facts: Any) -> None:
        """Add facts to the record of a stage; ``results`` are merged."""
        entry = self.stage(stage)
        results = entry.get("results", {}) | facts.pop("results", {})
        self._note(stage, entry | facts | {"results": results})

    def restate(
        self, stage: str, *, parameters: Mapping[str, Any], results: Mapping[str, Any]
    ) -> None:
        """Replace what made a finished stage, where it would be the same by other means."""
        facts = {"parameters": dict(parameters), "results": dict(results)}
        self._note(stage, self.stage(stage) | facts)

    def finish(self, stage: str) -> None:
        """Note that `stage` is done, stamp its variables with what made them, renew metadata."""
        entry = {"results": {}} | self.stage(stage)
        entry["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        made_by = {
            "stage": stage,
            "parameters": json.dumps(entry["parameters"], sort_keys=True),
            "uemdask_version": entry["version"],
            "inputs_digest": entry["digest"],
        }
        if "model_digest" in entry["results"]:
            made_by["model_digest"] = entry["results"]["model_digest"]
        for name in variables_of(stage):
            if name in self:
                change_metadata(self.path, name, attributes=made_by, settled=False)
                self._disk.note(self.path / name / "zarr.json")
        # The record goes last: a kill in between leaves the stage to be finished again.
        record = self.record
        record["stages"][stage] = entry
        self._save(record)

    def _note(self, stage: str, entry: dict[str, Any]) -> None:
        record = self.record
        record["stages"][stage] = entry
        self._write(attributes={RECORD: record})

    def set_step(self, name: str, step: float) -> None:
        """Choose the step of a packed variable, before any of it is written."""
        change_metadata(self.path, name, attributes={"scale_factor": step})
        self.consolidate()

    def describe(self, **attributes: Any) -> None:
        """Set attributes of the run, such as `notes`."""
        self._write(attributes=attributes)

    def consolidate(self) -> None:
        """Renew the coordinate list and the consolidated metadata."""
        self._save(self.record)

    def _save(self, record: Mapping[str, Any], *, without: Collection[str] = ()) -> None:
        """Write the record and the consolidated metadata, in one file and so at one moment.

        Whoever looks at a run at work finds both, and no variable that is about to go.
        """
        listed = {
            name: array
            for name, array in all_array_metadata(self.path).items()
            if name not in without
        }
        extra = [
            v.name
            for v in VARIABLES.values()
            if v.coordinate and v.dims != (v.name,) and v.name in listed
        ]
        consolidated = {"kind": "inline", "must_understand": False, "metadata": listed}
        self._write(
            attributes={"coordinates": " ".join(extra), RECORD: dict(record)},
            consolidated_metadata=consolidated,
        )

    def _write(self, *, attributes: Mapping[str, Any], **parts: Any) -> None:
        """Change parts of the store's ``zarr.json``, once all that it speaks of is on the disk."""
        with telling_of_room(store_of(self.path)):
            self._disk.settle()
        whole = change_metadata(self.path, attributes=attributes, **parts)
        self.group.metadata.attributes.update(whole["attributes"])


def missing_stages(run: Run) -> list[str]:
    """Return the stages that are not done yet, in order."""
    return [stage for stage in STAGES if not run.is_done(stage)]
