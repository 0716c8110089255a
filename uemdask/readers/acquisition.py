"""A raw acquisition: which images were taken at which delay and scan, and what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uemdask.errors import FaultsError, UemError
from uemdask.metadata import check_metadata, from_vendor
from uemdask.readers.delays import DelayTable, find_delays
from uemdask.readers.duplicates import without_copied_folders, without_copies
from uemdask.readers.file_sets import in_series_order
from uemdask.readers.frame_matching import (
    RawImage,
    ambiguous,
    joined,
    match_frames,
    one_scan,
    repeats_of,
    scan_notes,
)
from uemdask.readers.images import describe_image, is_image, read_image
from uemdask.readers.info import ImageInfo
from uemdask.readers.origins import origin_of, origins_of
from uemdask.readers.raw_files import RawFiles, is_without_probe, raw_files
from uemdask.readers.raw_settings import RawSettings
from uemdask.readers.yaml_text import read_yaml
from uemdask.units import Quantity, parse_counts, parse_delay, parse_pixel_size

_METADATA_NAME = "metadata.yaml"
#: Files that are opened to learn what frames are like; all are, where every file is checked.
_LOOKED_AT = 3
_THREADS = 8
#: Smallest number of delays that is a series.
_LEAST = 3


@dataclass(frozen=True)
class RawAcquisition:
    """A raw acquisition as it will be ingested.

    Attributes
    ----------
    path : Path
        Folder or stack it was found in.
    repeats : one tuple of RawImage per delay
        Images of each delay in the order of their scans, delays rising.
    delays : (time,) float64
        In ps from time zero, rising.
    shape, dtype
        Frame shape (y, x) in px and the camera's dtype.
    pixel_size : (y, x)
        In nm.
    dark, pump_off : tuple of Path
        Images without the beam, and without the pump; they are no frames.
    offset : float
        Counts that every pixel has without the beam, where there are no dark images.
    images_in_file : int, optional
        How many images each file has; None where that differs, and in one stack.
    dataset : str, optional
        Which of several arrays of the files.
    source : str
        Where the delays come from.
    metadata, vendor : dict
        Acquisition metadata in the documented spelling; the vendor's own tags, whole.
    notes : list of str
        What a person should know, one sentence each.
    origins : dict of str to str
        Where delays, pixel size, time zero, scans and special images were found or taken from.
    """

    path: Path
    repeats: tuple[tuple[RawImage, ...], ...]
    delays: np.ndarray
    shape: tuple[int, int]
    dtype: str
    pixel_size: tuple[float, float]
    dark: tuple[Path, ...] = ()
    pump_off: tuple[Path, ...] = ()
    offset: float = 0.0
    images_in_file: int | None = None
    dataset: str | None = None
    source: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    vendor: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)

    @property
    def scans(self) -> tuple[int, ...]:
        """Numbers of the scans, rising."""
        return tuple(sorted({image.scan for images in self.repeats for image in images}))

    @property
    def averaged(self) -> bool:
        """Whether some delay has several images."""
        return any(len(images) > 1 for images in self.repeats)

    @property
    def stored_dtype(self) -> str:
        """In what frames are stored: single precision where they are averaged, or come as half.

        Sums over a frame overflow in half precision.
        """
        return "float32" if self.averaged or np.dtype(self.dtype) == np.float16 else self.dtype

    @property
    def source_names(self) -> list[list[str]]:
        """Files of each delay from the raw folder, with the place in a stack as ``name#3``."""
        several = Counter(image.file for images in self.repeats for image in images)
        folder = raw_folder(self.path)

        def name(image: RawImage) -> str:
            file = name_from(folder, image.file)
            return f"{file}#{image.index}" if several[image.file] > 1 else file

        return [[name(image) for image in images] for images in self.repeats]


def raw_folder(raw: Path) -> Path:
    """Return the folder from which the files of an acquisition are named."""
    return raw if raw.is_dir() and not is_image(raw) else raw.parent


def relative_name(raw: Path, file: Path) -> str:
    """Return the path of a file from the raw folder, with ``/``; whole if it lies elsewhere."""
    return name_from(raw_folder(raw), file)


def name_from(folder: Path, file: Path) -> str:
    """Return the path of a file from a folder, with ``/``; whole if it lies elsewhere.

    Examples
    --------
    >>> from pathlib import Path
    >>> name_from(Path("raw"), Path("raw/scan 1/a.tif"))
    'scan 1/a.tif'
    """
    return file.as_posix().removeprefix(f"{folder.as_posix().removesuffix('/')}/")


def inspect_raw(path: Path, *, every_file: bool = False, **known: Any) -> RawAcquisition:
    """Find out what a raw folder or stack holds, without reading a frame.

    Parameters
    ----------
    path : Path
        A folder of images, or one stack.
    every_file : bool
        Open every file to see whether it can be read and is like the others; a few otherwise.
    **known
        What is known of them, see `uemdask.readers.RawSettings`; all else is looked for.

    Raises
    ------
    UemError, FaultsError
        If something is missing, damaged or does not fit; all faults found are listed.
    """
    said = RawSettings.said(path, known)
    path = Path(path)
    given = _read_metadata(path) | said.metadata
    # Which images are special is not known of the acquisition, but how to read it.
    special = {key: given.pop(key, None) for key in ("dark", "pump_off")}
    where = f"{path}: metadata" if said.metadata else str(raw_folder(path) / _METADATA_NAME)
    metadata, notes = check_metadata(given, where)
    files = without_copied_folders(
        raw_files(
            path,
            dark=_text(said.dark, special["dark"]),
            pump_off=_text(said.pump_off, special["pump_off"]),
        )
    )
    infos = _look_at(path, files, said.dataset, every_file)
    info = infos[files.frames[0]]

    def look(file: Path) -> ImageInfo:
        return infos.get(file) or describe_image(file, said.dataset)

    def tags(file: Path) -> dict[str, Any]:
        return look(file).vendor

    files = in_series_order(path, files, infos, look)

    table, size, zero, counts = _all_of(
        path,
        lambda: _delays(path, files, said.delays, tags),
        lambda: _pixel_size(path, said.pixel_size, metadata, info),
        lambda: parse_delay(said.time_zero or metadata.get("time_zero", 0.0), what="time zero"),
        lambda: parse_counts(
            metadata.get("offset", 0.0) if said.offset is None else said.offset, what="offset"
        ),
    )
    images, pairing_notes = match_frames(path, files, info, table)
    images, copy_notes = without_copies(images, lambda image: _is_blank(image, info, said.dataset))
    all_notes = [*files.notes, *_notes_of(infos), *table.notes]
    all_notes += [*pairing_notes, *copy_notes, *notes]
    repeats = repeats_of(one_scan(path, images, said.scan))
    if counts and files.dark:
        raise UemError(
            f"{path}: has dark images ({files.dark[0].name}) and an offset of {counts:g} counts, "
            f"which they hold already; give one of them"
        )
    told_offset = origin_of(said.offset, "offset", said.metadata, metadata)
    origins = origins_of(
        path,
        files,
        info,
        table,
        images,
        given={
            "pixel size": origin_of(said.pixel_size, "pixel_size", said.metadata, metadata),
            "time zero": origin_of(said.time_zero, "time_zero", said.metadata, metadata),
            "offset": counts and f"{counts:g} counts, {told_offset}, taken off on reading",
            "dark": said.dark or special["dark"],
            "pump off": said.pump_off or special["pump_off"],
        },
    )
    metadata["time_zero"] = str(Quantity(zero, "ps"))
    if said.offset is not None:
        metadata["offset"] = str(Quantity(counts, "counts"))
    values = np.array([same[0].delay for same in repeats]) - zero
    if not np.isfinite(values).all():
        raise UemError(f"{table.source}: has delays that are not finite; give each frame a delay")
    if len(values) < _LEAST:
        of = "" if said.scan is None else f"scan {said.scan}: "
        raise UemError(
            f"{path}: {of}{len(values)} delays are too few for a series; at least {_LEAST} needed"
        )
    all_notes += scan_notes(repeats, averaged=said.scan is None) + _notes_on(images, values, files)
    return RawAcquisition(
        path=path,
        repeats=tuple(repeats),
        delays=values,
        shape=info.shape,
        dtype=info.dtype,
        pixel_size=size,
        dark=files.dark,
        pump_off=files.pump_off,
        offset=counts,
        images_in_file=None if len(files.frames) == 1 or files.sequences else info.frames,
        dataset=said.dataset,
        source=table.source,
        metadata={
            key: value
            for key, value in (from_vendor(info.vendor) | metadata).items()
            if key != "pixel_size"
        },
        vendor=info.vendor | ({"delays": dict(table.facts)} if table.facts else {}),
        notes=list(dict.fromkeys(all_notes)),
        origins=origins,
    )


def _all_of(path: Path, *find: Callable[[], Any]) -> list[Any]:
    """Return what functions find out of an acquisition, or raise all that is at fault at once."""
    found: list[Any] = []
    errors: list[UemError] = []
    for one in find:
        try:
            found.append(one())
        except UemError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        faults = [fault for one in errors for fault in _faults_of(one, path)]
        raise FaultsError(str(path), faults)
    return found


def _faults_of(error: UemError, path: Path) -> list[str]:
    """Return the faults of an error without the name of the acquisition before them."""
    if not isinstance(error, FaultsError):
        return [str(error).removeprefix(f"{path}: ")]
    before = "" if error.subject == str(path) else f"{error.subject}: "
    return [f"{before}{fault}" for fault in error.faults]


def _text(given: str | None, known: Any) -> str | None:
    return given if given is not None else (None if known is None else str(known))


def _read_metadata(path: Path) -> dict[str, Any]:
    file = raw_folder(path) / _METADATA_NAME
    if not file.exists():
        return {}
    found = read_yaml(file)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UemError(f"{file}: holds no 'key: value' lines; write e.g. 'pixel_size: 3 nm'")
    return {str(key): value for key, value in found.items()}


def _look_at(
    path: Path, files: RawFiles, dataset: str | None, every_file: bool
) -> dict[Path, ImageInfo]:
    """Describe files, the first frame among them, and refuse those unlike the others."""
    frames, special = files.frames, (*files.dark, *files.pump_off)
    chosen = list(frames)
    if not every_file:
        places = np.unique(np.linspace(0, len(frames) - 1, _LOOKED_AT).astype(int))
        empty = [file for file in frames if file.is_file() and file.stat().st_size == 0]
        chosen = list(dict.fromkeys([*(frames[i] for i in places), *empty]))
    chosen += [file for file in (special if every_file else files.dark[:1]) if file not in chosen]

    def look(file: Path) -> ImageInfo | UemError:
        try:
            return describe_image(file, dataset)
        except UemError as error:
            return error

    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(chosen, pool.map(look, chosen), strict=True))
    wrong = [error for error in found.values() if isinstance(error, UemError)]
    infos = {file: info for file, info in found.items() if isinstance(info, ImageInfo)}
    faults = [str(error) for error in wrong] + _unlike(path, infos, frames)
    if len(wrong) == len(faults) == 1:
        raise wrong[0]
    if faults:
        raise FaultsError(str(path), faults)
    return infos


def _is_blank(image: RawImage, info: ImageInfo, dataset: str | None) -> bool:
    try:
        values = read_image(image.file, image.index, info.shape, info.dtype, dataset)
    except UemError:  # told when the frames are read
        return True
    return bool(values.min() == values.max())


def _unlike(path: Path, infos: dict[Path, ImageInfo], frames: Sequence[Path]) -> list[str]:
    """List the files that are not like most frames."""
    kinds = Counter((infos[f].shape, infos[f].dtype, infos[f].frames) for f in frames if f in infos)
    if not kinds:
        return []
    shape, dtype, count = kinds.most_common(1)[0][0]
    faults = []
    for file, info in infos.items():
        name = relative_name(path, file)
        if info.shape != shape:
            faults.append(
                f"{name}: is {info.shape[0]} x {info.shape[1]} px, the other frames are "
                f"{shape[0]} x {shape[1]}; move it out of the folder"
            )
        elif info.dtype != dtype and file in frames:
            faults.append(
                f"{name}: is {info.dtype}, the other frames are {dtype}; save all with one dtype"
            )
        elif info.frames != count and file in frames and not _of_a_set(info):
            faults.append(
                f"{name}: holds {info.frames} frames, the other files {count}; name one stack, or "
                f"save one frame per file"
            )
    return faults


def _of_a_set(info: ImageInfo) -> bool:
    return info.part is not None and len(info.part.files) > 1


def _notes_of(infos: dict[Path, ImageInfo]) -> list[str]:
    """Return what the files themselves leave to say, once for all of which it is true."""
    told: dict[str, list[str]] = {}
    for file, info in infos.items():
        for note in info.notes:
            told.setdefault(note.replace(file.name, "*"), []).append(note)
    return [
        notes[0] + (f" (so are {len(notes) - 1} more files)" if len(notes) > 1 else "")
        for notes in told.values()
    ]


def _delays(
    path: Path, files: RawFiles, given: str | None, tags: Callable[[Path], dict[str, Any]]
) -> DelayTable:
    """Find the delays of all frames, or of each folder of a scan by itself."""
    inside = [[f for f in files.frames if f.parent == folder] for folder in files.scan_folders]
    alone: UemError | None = None
    try:
        table = find_delays(path, files.frames, given, tags)
        if given is not None or len(inside) < 2 or not ambiguous(path, files.frames, table):
            return table
    except UemError as error:
        if given is not None or len(inside) < 2:
            raise
        alone = error
    tables: list[DelayTable] = []
    for folder, frames in zip(files.scan_folders, inside, strict=True):
        try:
            tables.append(find_delays(folder, frames, None, tags))
        except UemError:
            if tables or alone is None:  # other folders have theirs: this one's fault is told
                raise
            raise alone from None
    return joined(tables, inside)


def _notes_on(images: Sequence[RawImage], delays: np.ndarray, files: RawFiles) -> list[str]:
    notes = []
    no_probe = tuple(file for file in files.pump_off if is_without_probe(file))
    no_pump = tuple(file for file in files.pump_off if file not in no_probe)
    for special, what in (
        (files.dark, "dark images are taken off"),
        (no_pump, "pump-off images are set aside"),
        (no_probe, "images without the probe are set aside, `dark` would take them off"),
    ):
        if special:
            more = ", ..." if len(special) > 1 else ""
            notes.append(f"{len(special)} {what} ({special[0].name}{more})")
    if not (delays < 0).any():
        notes.append(
            "no frame before time zero; the mean of all frames will serve as the reference"
        )
    if not (delays > 0).any():
        notes.append("no frame after time zero; check the sign of the delays and the time zero")
    return notes


def _pixel_size(
    path: Path, given: str | None, known: dict[str, Any], info: ImageInfo
) -> tuple[float, float]:
    text = given if given is not None else known.get("pixel_size")
    if text is None and info.pixel_size is None:
        why = f" ({info.no_pixel_size})" if info.no_pixel_size else ""
        raise UemError(f"{path}: no pixel size in the files{why}; give `pixel_size='3nm'`")
    try:
        return parse_pixel_size(list(info.pixel_size or ()) if text is None else text)
    except UemError as error:
        raise UemError(f"{path}: {error}") from None
