"""Ingest: raw frames into the cube, slab by slab."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from uemdask.cube import Run, create_run
from uemdask.cube.layout import Region, fields, frame_slabs
from uemdask.errors import UemError
from uemdask.readers import RawAcquisition, inspect_raw, read_images
from uemdask.stages.digest import digest_of
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

_VERSION = 1


class IngestParameters(Parameters):
    """Where the raw data are and what is known of them.

    Attributes
    ----------
    raw : str
        Folder of frames, or a stack.
    delays, pixel_size, time_zero : str, optional
        As on the command line: a table or plan, ``"3nm"``, ``"0ps"``.
    metadata : dict
        Acquisition metadata, see ``docs/store.md``.
    """

    raw: str = ""
    delays: str | None = None
    pixel_size: str | None = None
    time_zero: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


def create_from_raw(store: Path, parameters: IngestParameters, *, overwrite: bool = False) -> Run:
    """Make the run of a raw acquisition, its frames still to be written by the stage's tasks.

    A store of the same raw files and parameters is taken up again, finished or not.

    Raises
    ------
    UemError, FaultsError
        If the raw data are at fault, or another store is in the way and `overwrite` is false.
    """
    raw = inspect_raw(
        Path(parameters.raw),
        delays=parameters.delays,
        pixel_size=parameters.pixel_size,
        time_zero=parameters.time_zero,
        metadata=parameters.metadata,
    )
    digest = digest_of_raw(raw)
    if store.exists():
        found = _ingest_record(store)
        if found.get("digest") == digest and found.get("created"):
            return Run(store)
        # A store whose ingest did not finish holds nothing that could not be made again.
        if found.get("finished") and not overwrite:
            raise UemError(
                f"{store}: holds a run of other raw data or parameters; name another output or "
                f"use --overwrite"
            )
    metadata = dict(raw.metadata)
    if raw.vendor:
        metadata["vendor"] = raw.vendor
    theirs = metadata.pop("notes", None) or []
    notes = [*(theirs if isinstance(theirs, list) else [theirs]), *raw.notes]
    if notes:
        metadata["notes"] = notes
    counts: dict[Path, int] = {}
    for file in raw.files:
        counts[file] = counts.get(file, 0) + 1
    run = create_run(
        store,
        delays=raw.delays,
        shape=raw.shape,
        dtype=raw.dtype,
        pixel_size=raw.pixel_size,
        source_file=[
            f"{file.name}#{index}" if counts[file] > 1 else file.name
            for file, index in zip(raw.files, raw.indices, strict=True)
        ],
        metadata=metadata,
        digest=digest,
        parameters=parameters.model_dump(mode="json"),
        overwrite=True,
    )
    run.note("ingest", created=True)
    return run


def _ingest_record(store: Path) -> dict[str, Any]:
    try:
        return Run(store).stage("ingest")
    except UemError:
        # Only an empty folder may be taken over; anything else is the user's.
        if store.is_dir() and not any(store.iterdir()):
            return {}
        raise UemError(f"{store}: is there already and is not a run; name another output") from None


def digest_of_raw(raw: RawAcquisition) -> str:
    """Return the digest of raw files as they are now: names, sizes, dates, and what is known."""
    stats = [file.stat() for file in raw.files]
    return digest_of(
        "ingest",
        _VERSION,
        [(file.name, s.st_size, s.st_mtime_ns) for file, s in zip(raw.files, stats, strict=True)],
        list(raw.indices),
        raw.delays.tolist(),
        list(raw.pixel_size),
        raw.metadata,
    )


def _source(folder: Path, entry: str) -> tuple[Path, int]:
    name, _, index = entry.rpartition("#")
    if not (name and index.isdigit()):  # a '#' in the file's own name
        name, index = entry, "0"
    return (folder / name if folder.is_dir() else folder), int(index)


def _write_slab(run: Run, region: Region, parameters: IngestParameters) -> Receipt:
    sizes = run.sizes
    start, stop = region.span("time", sizes["time"])
    shape, dtype = (sizes["y"], sizes["x"]), run.group["intensity"].dtype.name
    slab = np.empty((stop - start, *shape), dtype)
    flags = []
    folder = Path(parameters.raw)
    sources = [_source(folder, str(entry)) for entry in run.read("source_file")[start:stop]]
    row = 0
    for file, frames in groupby(sources, key=itemgetter(0)):
        for image in read_images(file, [index for _, index in frames], shape, dtype):
            slab[row] = image
            flags.append(_fault(image))
            row += 1
    # Shard by shard: the encoded frames of a whole slab would be as much again.
    for field in fields(sizes):
        part = slab[:, *field.slices(("y", "x"), sizes)]
        run.write("intensity", part, Region(region.bounds + field.bounds))
    return {"flags": flags}


def _fault(image: np.ndarray) -> str:
    """Return why a frame cannot be used, or an empty string."""
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        return "NaN or infinite pixels"
    if image.min() == image.max():
        return "blank: all pixels are equal"
    if image.dtype.kind == "u":
        saturated = np.count_nonzero(image == np.iinfo(image.dtype).max) / image.size
        if saturated > 0.01:
            return f"saturated: {saturated:.0%} of the pixels"
    return ""


def _finish(
    run: Run, parameters: IngestParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    flags = np.empty(run.sizes["time"], object)
    for key, receipt in receipts.items():
        start, stop = Region.from_key(key).span("time", len(flags))
        flags[start:stop] = receipt["flags"]
    ok = flags == ""
    if ok.sum() < 3:
        raise UemError(
            f"{parameters.raw}: only {ok.sum()} of {len(ok)} frames can be used "
            f"(the first fault: {next(f for f in flags if f)}); check the files"
        )
    run.write("frame_ok", ok)
    run.write("frame_flag", flags)
    return {"frames": len(flags), "flagged": int((~ok).sum())}


INGEST = Stage(
    name="ingest",
    version=_VERSION,
    parameters=IngestParameters,
    create=lambda run, parameters: None,  # `create_from_raw` makes the store itself
    phases=(Phase("frames", lambda run, parameters: frame_slabs(run.sizes), _write_slab, _finish),),
)

__all__ = ["INGEST", "IngestParameters", "create_from_raw", "digest_of_raw"]
