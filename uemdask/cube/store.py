"""A run on disk: one Zarr format 3 store that plain xarray and plain zarr read alike."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import zarr
from zarr.errors import ContainsArrayError

from uemdask.cube import layout
from uemdask.cube.contract import STAGES, VARIABLES, later_stages, variables_of
from uemdask.cube.encoding import FAST_VARIABLES, new_document
from uemdask.cube.file_store import Files, FileStore
from uemdask.cube.layout import Region
from uemdask.cube.packing import Packing, Unpacked, unreadable
from uemdask.cube.run_like import RunLike
from uemdask.cube.sidecar import sidecar, store_of
from uemdask.cube.single import Single, is_single
from uemdask.cube.zarr_metadata import (
    all_array_metadata,
    array_metadata,
    change_metadata,
    consolidated_metadata,
)
from uemdask.errors import UemError, telling_of_room
from uemdask.regular_files import check_regular
from uemdask.version import __version__

#: Root attribute that holds what uemdask knows about the run and its stages.
RECORD = "uemdask"


class Run(RunLike):
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
        #: What the store's ``zarr.json`` does not tell yet: attributes, and metadata of variables.
        self._told: dict[str, Any] = {}
        self._made: dict[str, dict[str, Any]] = {}
        self._waits = False
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
        return deepcopy(self._record)

    @property
    def _record(self) -> dict[str, Any]:
        """The record itself, of which only the stages may be replaced."""
        record: dict[str, Any] = self.group.attrs[RECORD]
        return record | {"stages": dict(record["stages"])}

    @property
    def sizes(self) -> dict[str, int]:
        """Size of every dim that exists so far."""
        sizes: dict[str, int] = {}
        for array in self._documents().values():
            sizes.update(zip(array["dimension_names"], array["shape"], strict=True))
        return sizes

    def _documents(self) -> dict[str, dict[str, Any]]:
        """Return the metadata of every variable that is here."""
        try:
            listed = consolidated_metadata(self.path)
        except UemError:  # not listed yet, or that is damaged
            return all_array_metadata(self.path)
        there = set(os.listdir(self.path))
        return {name: array for name, array in (listed | self._made).items() if name in there}

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

        return Facts(self._record["stages"].get(stage, {}), self.path, stage)

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

    def _stored(self, name: str) -> zarr.Array[Any] | Single:
        if name not in VARIABLES:
            there = ", ".join(other for other in VARIABLES if other in self)
            raise UemError(f"{self.path}: {name!r} is no variable of a run; here are {there}")
        if name not in self:
            raise UemError(
                f"{self.path}: has no {name!r}; make it with `only=['{VARIABLES[name].stage}']`"
            )
        try:
            return self._on_disk(name)
        except OSError:  # may pass, as on a share that is away for a moment
            raise
        except Exception as error:
            raise unreadable(self.path, name, error) from error

    def _on_disk(self, name: str) -> zarr.Array[Any] | Single:
        document = array_metadata(self.path, name)
        # Others may be long, and are read in parts.
        if VARIABLES[name].pattern == "whole" and is_single(document):
            return Single(self._disk, name, document)
        return self.group[name]

    def _index(self, name: str, shape: tuple[int, ...], region: Region | None) -> tuple[slice, ...]:
        sizes = dict(zip(VARIABLES[name].dims, shape, strict=True))
        return (region or Region()).slices(VARIABLES[name].dims, sizes)

    # ---- writing

    def create(self, name: str, sizes: Mapping[str, int], *, dtype: str | None = None) -> None:
        """Create a variable of the contract; its chunks follow from the sizes alone."""
        document = new_document(name, sizes, dtype)
        document["attributes"] |= self._made_by(VARIABLES[name].stage)
        with telling_of_room(store_of(self.path)):
            if (self.path / name).exists():
                shutil.rmtree(self.path / name)
            self._disk.put(f"{name}/zarr.json", json.dumps(document).encode())
        self._made[name] = document

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
        array = self._on_disk(name)
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
            if isinstance(array, Single):
                array.write(data)
                return
            # No chunk of frames is empty, and to look costs as much as to encode it.
            array.with_config({"write_empty_chunks": name in FAST_VARIABLES})[index] = data

    def put(self, name: str, data: Any, sizes: Mapping[str, int]) -> None:
        """Create a variable and write all of it."""
        self.create(name, sizes)
        self.write(name, data)

    def take_checksums(self) -> Files:
        """Return size and sum of the chunk files written since the last time, all on the disk."""
        with telling_of_room(store_of(self.path)):
            return self._disk.take_checksums()

    # ---- stages

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Write to the store's ``zarr.json`` at the end what is noted, begun and made meanwhile."""
        before, self._waits = self._waits, True
        try:
            yield
        finally:
            self._waits = before
        self._tell()

    def begin(self, stage: str, *, digest: str, parameters: Mapping[str, Any]) -> None:
        """Remove what `stage` and all later ones wrote, and note that `stage` begins."""
        entry = {"digest": digest, "parameters": dict(parameters), "version": __version__}
        record, later = self._record, later_stages(stage)
        there = set(os.listdir(self.path))
        gone = [name for each in later for name in variables_of(each) if name in there]
        known = [record["stages"].pop(each, None) for each in later]
        record["stages"][stage] = entry | {"begun": uuid.uuid4().hex}
        if gone or any(known):
            # The record goes first: a kill in between leaves spare variables, never a false record.
            self._describe({RECORD: record})
            kept = self._documents()
            self._write({name: array for name, array in kept.items() if name not in gone})
            for name in gone:
                shutil.rmtree(self.path / name)
        else:
            self.describe(**{RECORD: record})

    def remember(self, command: Sequence[str]) -> None:
        """Note the command that makes this run, the words after ``uemdask``."""
        record = self._record
        if command and record.get("command") != list(command):
            self.describe(**{RECORD: record | {"command": list(command)}})

    def identity(self, stage: str) -> str:
        """Return what tells this making of a stage from every other, of this store or another.

        A receipt of an earlier making says nothing of the variables that are here now.
        """
        return f"{self._record['run_id']}/{self.stage(stage)['begun']}"

    def renew(self, stage: str, *names: str) -> None:
        """Note that `stage` is made again with the same inputs, to restore deleted variables.

        Unlike `begin` it keeps what later stages wrote: the same bytes will be there again.
        """
        entry = {key: value for key, value in self.stage(stage).items() if key != "finished"}
        self._note(stage, entry | {"begun": uuid.uuid4().hex})
        with self.at_once():
            for name in names:
                self.create(name, self.sizes)

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
        """Note that `stage` is done, and see that its variables tell what made them."""
        entry = {"results": {}} | self.stage(stage)
        entry["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        made_by, documents = self._made_by(stage), self._documents()
        for name in variables_of(stage):
            if name in documents and not made_by.items() <= documents[name]["attributes"].items():
                self._change(name, made_by)
        # The record goes last: a kill in between leaves the stage to be finished again.
        self._note(stage, entry)

    def _made_by(self, stage: str) -> dict[str, Any]:
        """Return the attributes that say what makes the variables of a stage."""
        entry = self.stage(stage)
        if not entry:
            return {}
        made_by = {
            "stage": stage,
            "parameters": json.dumps(entry["parameters"], sort_keys=True),
            "uemdask_version": entry["version"],
            "inputs_digest": entry["digest"],
        }
        if "model_digest" in entry.get("results", {}):
            made_by["model_digest"] = entry["results"]["model_digest"]
        return made_by

    def set_step(self, name: str, step: float) -> None:
        """Choose the step of a packed variable, before any of it is written."""
        self._change(name, {"scale_factor": step})
        self._tell()

    def _change(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Change attributes of a variable, on the disk at once: a power cut must not empty them."""
        self._made[name] = change_metadata(self.path, name, attributes=attributes)

    def describe(self, **attributes: Any) -> None:
        """Set attributes of the run, such as `notes`."""
        self._describe(attributes)
        self._tell()

    def _describe(self, attributes: Mapping[str, Any]) -> None:
        plain = json.loads(json.dumps(attributes))  # a tuple is a list for whoever reads it
        self._told |= plain
        self.group.metadata.attributes.update(plain)

    def consolidate(self) -> None:
        """Renew the coordinate list and the consolidated metadata from those of the variables."""
        self._write(all_array_metadata(self.path))

    def _note(self, stage: str, entry: dict[str, Any]) -> None:
        record = self._record
        record["stages"][stage] = entry
        self.describe(**{RECORD: record})

    def _tell(self) -> None:
        """Write what was noted and made, unless that is to wait."""
        if (self._told or self._made) and not self._waits:
            self._write(self._documents())

    def _write(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Renew the store's ``zarr.json``, once all that it speaks of is on the disk.

        Record and consolidated metadata are in one file and so change at one moment: whoever looks
        at a run at work finds both, and no variable that is about to go.
        """
        with telling_of_room(store_of(self.path)):
            self._disk.settle()
        listed = dict(sorted(documents.items()))
        extra = [
            v.name
            for v in VARIABLES.values()
            if v.coordinate and v.dims != (v.name,) and v.name in listed
        ]
        self._describe({"coordinates": " ".join(extra)})
        change_metadata(
            self.path,
            attributes=self._told,
            consolidated_metadata={"kind": "inline", "must_understand": False, "metadata": listed},
        )
        self._told, self._made = {}, {}


def missing_stages(run: Run) -> list[str]:
    """Return the stages that are not done yet, in order."""
    return [stage for stage in STAGES if not run.is_done(stage)]
