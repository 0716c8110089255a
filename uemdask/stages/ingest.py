"""Ingest: raw images into the cube, slab by slab."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.cube import Run, RunLike, create_run
from uemdask.cube.layout import Region, frame_slabs
from uemdask.cube.sidecar import remove_sidecar, sidecar
from uemdask.errors import FaultsError, UemError
from uemdask.readers import RawAcquisition, RawSettings, inspect_raw, name_from, raw_folder
from uemdask.readers.fingerprint import fingerprint
from uemdask.stages.counts import Brightness, check_describable, three_of
from uemdask.stages.digest import digest_of
from uemdask.stages.frame_writer import write_dark, write_slab
from uemdask.stages.outlier_frames import flag_outliers
from uemdask.stages.run_replacement import ingest_record, is_whole
from uemdask.stages.stage import Parameters, Phase, Receipt, Stage

_VERSION = 3

#: Blocks of all files that are read for the digest.
_BLOCKS = 2000
#: Fewest and most of them for one file.
_FEWEST, _MOST = 3, 256
#: Names in a note; more are counted.
_NAMED = 5


class IngestParameters(RawSettings, Parameters):
    """Where the raw data are and what is known of them.

    Attributes
    ----------
    raw : str
        Folder of frames, or a stack.
    """

    raw: str = ""


def raw_of(parameters: IngestParameters, *, every_file: bool = False) -> RawAcquisition:
    """Find out what the raw data are, see `uemdask.readers.inspect_raw`."""
    known = parameters.model_dump(exclude={"raw"})
    return inspect_raw(Path(parameters.raw), **known, every_file=every_file)


# ---- the store


def create_from_raw(
    store: Path, parameters: IngestParameters, *, overwrite: bool = False, anew: bool = False
) -> Run:
    """Make the run of a raw acquisition, its frames still to be written by the stage's tasks.

    A store of the same raw files and parameters is taken up again, finished or not, unless it is to
    be made `anew`. Where a whole run is to be replaced the new one is made beside it, see
    `uemdask.stages.run_replacement`.

    Raises
    ------
    UemError, FaultsError
        If the raw data are at fault, or another store is in the way and `overwrite` is false.
    """
    raw = raw_of(parameters)
    digest = digest_of_raw(raw)
    place = store
    if store.exists():
        if not anew and _goes_on(ingest_record(store), digest):
            return Run(store)
        if is_whole(store):
            if not overwrite:
                raise other_raw_data(store)
            place = sidecar(store, "new")
            if place.is_symlink():
                remove_sidecar(place)
            with suppress(UemError):  # ours, and damaged
                if _goes_on(ingest_record(place), digest):
                    return Run(place)
            shutil.rmtree(place, ignore_errors=True)
    folder = raw_folder(raw.path)
    return create_run(
        place,
        delays=raw.delays,
        shape=raw.shape,
        dtype=raw.stored_dtype,
        pixel_size=raw.pixel_size,
        source_file=[joined_names(names) for names in raw.source_names],
        scan_count=[len(images) for images in raw.repeats],
        dark=bool(raw.dark or raw.offset),
        metadata=metadata_of(raw),
        digest=digest,
        parameters=parameters.model_dump(mode="json"),
        facts={
            "created": True,
            "dtype": raw.dtype,
            "sources": sources_of(raw),
            "dark": [name_from(folder, file) for file in raw.dark],
            "offset": raw.offset,
            "images_in_file": raw.images_in_file,
            "pump_off": [name_from(folder, file) for file in raw.pump_off],
            "delays_from": raw.source,
            "origins": raw.origins,
        },
        overwrite=True,
    )


def sources_of(raw: RawAcquisition) -> list[list[list[Any]]]:
    """Return file, place in it and scan of the images of each delay."""
    folder = raw_folder(raw.path)
    return [
        [[name_from(folder, image.file), image.index, image.scan] for image in images]
        for images in raw.repeats
    ]


def metadata_of(raw: RawAcquisition) -> dict[str, Any]:
    """Return the acquisition metadata of raw data with the vendor's tags and all notes."""
    metadata = dict(raw.metadata)
    if raw.vendor:
        metadata["vendor"] = raw.vendor
    theirs = metadata.pop("notes", None) or []
    notes = [*(theirs if isinstance(theirs, list) else [theirs]), *raw.notes]
    return metadata | ({"notes": notes} if notes else {})


def other_raw_data(store: Path) -> UemError:
    """Return what to say where a run of other raw data is in the way."""
    return UemError(
        f"{store}: holds a run of other raw data or parameters; name another output or use "
        f"`overwrite=True`"
    )


def _goes_on(record: Mapping[str, Any], digest: str) -> bool:
    """Return whether an ingest is of these raw data, and knows all that its tasks need."""
    return record.get("digest") == digest and bool(record.get("created"))


def joined_names(names: list[str]) -> str:
    """Return the files of the repeats of a frame as one text."""
    return " + ".join(names)


# ---- the digest


def digest_of_raw(raw: RawAcquisition) -> str:
    """Return the digest of raw files: names, sizes, samples of their bytes, and what is known.

    Dates do not count: a copy is the same data. Frames of a camera are noise, so that some blocks
    of a few KiB tell any two apart.

    Raises
    ------
    UemError
        If a file cannot be read.
    """
    files = list(dict.fromkeys(image.file for images in raw.repeats for image in images))
    blocks = min(max(_BLOCKS // len(files), _FEWEST), _MOST)
    prints = {file: fingerprint(file, blocks) for file in (*files, *raw.dark)}
    folder = raw_folder(raw.path)
    return digest_of(
        "ingest",
        _VERSION,
        [
            [
                (name_from(folder, image.file), prints[image.file], image.index, image.scan)
                for image in images
            ]
            for images in raw.repeats
        ],
        [(name_from(folder, file), prints[file]) for file in raw.dark],
        raw.dataset,
        raw.delays.tolist(),
        list(raw.pixel_size),
        raw.metadata,
    )


# ---- the stage


def _dark_regions(run: RunLike, parameters: IngestParameters) -> list[Region]:
    return [Region()] if "dark" in run else []


def _dark(run: Run, region: Region, parameters: IngestParameters) -> Receipt:
    record = run.stage("ingest")
    if record["offset"]:  # a dark image of one value: whoever reads frames takes it off
        run.write("dark", np.full((run.sizes["y"], run.sizes["x"]), record["offset"]))
        return {"faults": [], "images": 0}
    return write_dark(run, record["dark"], Path(parameters.raw), parameters.dataset)


def _check_dark(
    run: Run, parameters: IngestParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    _raise_faults(parameters, receipts)
    return {"dark_images": sum(receipt["images"] for receipt in receipts.values())}


def _frames(run: Run, region: Region, parameters: IngestParameters) -> Receipt:
    return write_slab(run, region, parameters.dataset, Path(parameters.raw))


def _raise_faults(parameters: IngestParameters, receipts: Mapping[str, Receipt]) -> None:
    faults = [fault for receipt in receipts.values() for fault in receipt["faults"]]
    if len(faults) == 1:
        raise UemError(faults[0])
    if faults:
        raise FaultsError(parameters.raw, faults)


def _finish(
    run: Run, parameters: IngestParameters, receipts: Mapping[str, Receipt]
) -> dict[str, Any]:
    _raise_faults(parameters, receipts)
    parts = list(receipts.values())

    def all_of(name: str) -> list[Any]:
        return [value for part in parts for value in part[name]]

    frames = [Brightness(*values) for values in all_of("brightness")]
    told = all_of("flags")
    check_describable(
        parameters.raw, [frame for frame, flag in zip(frames, told, strict=True) if not flag]
    )
    flags = flag_outliers(told, [f.level for f in frames], [f.contrast for f in frames])
    ok = np.array([not flag for flag in flags])
    if ok.sum() < 3:
        raise UemError(
            f"{parameters.raw}: only {ok.sum()} of {len(ok)} frames can be used "
            f"(the first fault: {next(f for f in flags if f)}); check the files"
        )
    run.write("frame_ok", ok)
    run.write("frame_flag", flags)
    means = {number: mean for part in parts for number, mean in part["means"].items()}
    missing = np.array(all_of("missing"))[ok]
    results = {
        "frames": len(flags),
        "mean_counts": [means[str(number)] for number in three_of(len(flags))],
        "equal": _equal_frames(run, parts, flags),
        "lacking": int(np.count_nonzero(missing)),
        "missing": round(float(missing.mean()), 6),
        "most_missing": round(float(missing.max()), 6),
        "flagged": int((~ok).sum()),
        "left_out": all_of("left_out"),
        "moved": sum(part["moved"] for part in parts),
        "largest_move": max(part["largest_move"] for part in parts),
        "unregistered": sum(part["unregistered"] for part in parts),
        "outlier_values": sum(part["outliers"] for part in parts),
    }
    if results["left_out"]:
        _name_used(run, all_of("used"))
    _add_notes(run, results)
    return results


def _equal_frames(run: Run, parts: list[Receipt], flags: list[str]) -> list[float]:
    """Return the delays of frames that are equal to the frame before them."""
    found = [number for part in parts for number in part["equal"]]
    start = 0
    for before, part in pairwise(parts):
        start += len(before["flags"])
        if before["ends"][1] == part["ends"][0] and not flags[start]:
            found.append(start)
    return [float(run.read("time")[number]) for number in sorted(found)]


def _name_used(run: Run, used: list[list[int]]) -> None:
    """Say of each frame which images are in it, now that some are not."""
    sources = run.stage("ingest")["sources"]
    several = Counter(name for images in sources for name, _, _ in images)
    names = [
        [f"{name}#{index}" if several[name] > 1 else name for name, index, _ in images]
        for images in sources
    ]
    run.write("scan_count", [len(places) for places in used])
    run.write(
        "source_file",
        [joined_names([names[i][place] for place in places]) for i, places in enumerate(used)],
    )


def _add_notes(run: Run, results: dict[str, Any]) -> None:
    notes = list(run.group.attrs.get("notes", []))
    left_out = results["left_out"]
    if left_out:
        more = ", ..." if len(left_out) > _NAMED else ""
        notes.append(
            f"{len(left_out)} repeats are left out of the average: "
            f"{', '.join(left_out[:_NAMED])}{more}"
        )
    if results["equal"]:
        named = ", ".join(f"{delay:g}" for delay in results["equal"][:_NAMED])
        more = ", ..." if len(results["equal"]) > _NAMED else ""
        notes.append(
            f"{len(results['equal'])} frames are equal to the frame before them to the last count "
            f"({named}{more} ps): a copy, or an image that the camera gave twice"
        )
    if results["lacking"]:
        share, most = (100 * results[name] for name in ("missing", "most_missing"))
        notes.append(
            f"{results['lacking']} frames lack pixels (NaN or infinite): {share:.2g} % of all, at "
            f"most {most:.2g} % of a frame"
        )
    if results["moved"]:
        notes.append(
            f"{results['moved']} repeats had moved, by up to {results['largest_move']:g} px, and "
            f"are brought onto the first"
        )
    if results["unregistered"]:
        notes.append(
            f"the shift of {results['unregistered']} repeats could not be found; they are averaged "
            f"where they lie"
        )
    if results["outlier_values"]:
        notes.append(
            f"{results['outlier_values']} values of single pixels, as of cosmic rays, are left out "
            f"of the average"
        )
    if notes:
        run.describe(notes=list(dict.fromkeys(notes)))


INGEST = Stage(
    name="ingest",
    version=_VERSION,
    parameters=IngestParameters,
    create=lambda run, parameters: None,  # `create_from_raw` makes the store itself
    phases=(
        Phase("dark", _dark_regions, _dark, _check_dark),
        Phase("frames", lambda run, parameters: frame_slabs(run.sizes), _frames, _finish),
    ),
)

__all__ = [
    "INGEST",
    "IngestParameters",
    "create_from_raw",
    "digest_of_raw",
    "other_raw_data",
    "raw_of",
]
