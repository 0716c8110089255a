"""Frames and delays brought together: by file name where the table names files, else in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

from uemdask.errors import FaultsError, UemError
from uemdask.readers.delays import DelayTable, number_scans
from uemdask.readers.delays.delay_table import DECIMALS
from uemdask.readers.delays.order import disorder, unbroken
from uemdask.readers.fingerprint import copies_among
from uemdask.readers.folders import same_name
from uemdask.readers.info import ImageInfo
from uemdask.readers.raw_files import RawFiles

# Only so many names are listed in a note.
_NAMED = 5


@dataclass(frozen=True)
class RawImage:
    """One recorded image.

    Attributes
    ----------
    file, index : Path, int
        The file, and which image of it.
    delay : float
        In ps as the source of delays has it; NaN for an image without one.
    scan : int
        Counted from 1.
    """

    file: Path
    index: int = 0
    delay: float = float("nan")
    scan: int = 1


def match_frames(
    path: Path, raw: RawFiles, info: ImageInfo, table: DelayTable
) -> tuple[list[RawImage], list[str]]:
    """Give every image its delay and scan.

    Parameters
    ----------
    path : Path
        The raw folder or stack, for messages.
    raw : RawFiles
        Files of frames in their natural order, or one stack, or one stack for each scan. Rows that
        name images which are no frames are passed over.
    info : ImageInfo
        What one of them is like. Where it has several images and the rows name files, the images
        of a file are a burst: repeats of one delay.
    table : DelayTable
        The delays.

    Returns
    -------
    images : list of RawImage
        In the order of the table.
    notes : list of str
        What a person should know.

    Raises
    ------
    UemError, FaultsError
        If rows and images do not fit together; all that does not fit is listed.
    """
    files = raw.frames
    if table.files is not None and (len(files) > 1 or info.frames == 1):
        if raw.sequences and info.frames > 1:
            raise UemError(
                f"{table.source}: names files, each of which holds {info.frames} frames of a set; "
                f"give one delay per frame, in their order"
            )
        images, notes = _by_name(path, raw, table)
        if info.frames == 1:
            return images, notes
        burst = f"each file holds {info.frames} images of one delay, which are averaged"
        images = [replace(image, index=i) for image in images for i in range(info.frames)]
        return images, [*notes, burst]
    groups = _groups(raw, info)
    delays, scans = table.delays, table.scans
    places = [place for group in groups.values() for place in group]
    if len(groups) > 1 and scans is None and {len(g) for g in groups.values()} == {len(delays)}:
        scans = tuple(number + 1 for number in range(len(groups)) for _ in delays)
        delays *= len(groups)
    notes = []
    if _was_stopped(table, groups, info):
        notes.append(
            f"{Path(table.source).name} states {len(delays)} delays for {len(places)} frames: the "
            f"scan was stopped, and the last {len(delays) - len(places)} are left out"
        )
        delays, scans = delays[: len(places)], scans and scans[: len(places)]
    if len(delays) != len(places):
        counts = ", ".join(f"{group.name}: {len(inside)}" for group, inside in groups.items())
        each = f" ({counts}); give one delay per frame, of all scans or of one"
        guess = "".join(f" ({note})" for note in info.notes)
        if len(delays) == len(files) > 1 and info.frames > 1:
            guess += " (if each file is a burst at one delay, name the files beside the delays)"
        raise UemError(
            f"{table.source}: {len(delays)} delays for {len(places)} frames in {path}{guess}"
            f"{each if 1 < len(groups) <= _NAMED else '; give one delay per frame'}"
        )
    numbers = _scan_numbers(delays, scans)
    images = [
        RawImage(file, index, delay, scan)
        for (file, index), delay, scan in zip(places, delays, numbers, strict=True)
    ]
    if info.frames == 1:
        _check_order(path, images, table)
    return images, [*notes, *_doubled(images, told=scans is not None)]


def _was_stopped(
    table: DelayTable, groups: Mapping[Path, Sequence[tuple[Path, int]]], info: ImageInfo
) -> bool:
    """Return whether a table goes on where the frames end, and none of those can be missing."""
    if len(groups) != 1 or table.plan:
        return False
    (places,) = groups.values()
    whole = info.frames > 1 or unbroken([file for file, _ in places])
    return len(table.delays) > len(places) and whole


def _check_order(path: Path, images: Sequence[RawImage], table: DelayTable) -> None:
    """Refuse delays by the order of files whose names hold numbers in another order."""
    folders: dict[Path, list[RawImage]] = {}
    for image in images:
        folders.setdefault(image.file.parent, []).append(image)
    for inside in folders.values():
        found = disorder([image.file for image in inside], [image.delay for image in inside])
        if found:
            raise UemError(
                f"{path}: the numbers in the names do not rise with the delays of {table.source} "
                f"({found}); give `delays=FILE` with the columns file,delay_ps"
            )


def _groups(raw: RawFiles, info: ImageInfo) -> dict[Path, list[tuple[Path, int]]]:
    """Return the images of what may be a scan each: stacks, or folders of images."""
    if raw.sequences:
        return {sequence[0][0]: list(sequence) for sequence in raw.sequences}
    groups: dict[Path, list[tuple[Path, int]]] = {}
    for file in raw.frames:
        scan = file if info.frames > 1 else file.parent if raw.scan_folders else Path()
        groups.setdefault(scan, []).extend((file, index) for index in range(info.frames))
    return groups


def _by_name(path: Path, raw: RawFiles, table: DelayTable) -> tuple[list[RawImage], list[str]]:
    files, names = raw.frames, table.files or ()
    found = _Names(path, files)
    special = _Names(path, (*raw.dark, *raw.pump_off))
    scans: Sequence[int | None] | None = table.scans
    if scans is None and len(raw.scan_folders) > 1:
        scans = [_folder_number(raw.scan_folders, found.get(name)) for name in names]
    numbers = _scan_numbers(table.delays, scans)
    images: list[RawImage] = []
    gone: list[RawImage] = []
    after: list[RawImage] = []  # those gone since the last image
    for name, delay, scan in zip(names, table.delays, numbers, strict=True):
        file = found.get(name)
        if file is not None:
            images.append(RawImage(file, 0, delay, scan))
            after = []
        elif special.get(name) is None:
            gone.append(RawImage(Path(name), 0, delay, scan))
            after.append(gone[-1])
    # What one scan lacks another may have; a delay that is lost altogether may be a bad copy,
    # unless the rows only go on after the last image.
    there = {round(image.delay, DECIMALS) for image in images}
    lost = [image for image in gone if round(image.delay, DECIMALS) not in there]
    stopped = bool(images) and all(image in after for image in lost)
    covered = [image for image in gone if image not in lost]
    faults = [
        f"{str(image.file)!r}: named in the table but not in {path}; copy it there"
        for image in lost
        if not stopped
    ]
    counts = Counter(image.file for image in images)
    faults += [
        f"{file.name}: stands {count} times in the table; keep one row"
        for file, count in counts.items()
        if count > 1
    ]
    unnamed = [file for file in files if file not in counts]
    copies = copies_among([*counts, *unnamed]) if unnamed else {}
    faults += [
        f"{file.name}: has no delay in the table; add a row"
        for file in unnamed
        if file not in copies
    ]
    if faults:
        raise FaultsError(table.source, faults)
    notes = _doubled(images, told=scans is not None)
    if unnamed:
        more = ", ..." if len(unnamed) > 1 else ""
        notes.append(
            f"{len(unnamed)} images that no row names hold the same as others and are left out "
            f"({unnamed[0].name} is {copies[unnamed[0]].name}{more})"
        )
    if lost:
        notes.append(
            f"the last {len(lost)} of {len(names)} rows of {Path(table.source).name} name images "
            f"that are not there ({_listed(lost)}); the scan was stopped, and they are left out"
        )
    if covered:
        notes.append(
            f"{len(covered)} images that {Path(table.source).name} names are not there "
            f"({_listed(covered)}); the other scans stand for them"
        )
    return images, notes


def _listed(images: Sequence[RawImage]) -> str:
    named = ", ".join(image.file.name for image in images[:_NAMED])
    return named + (", ..." if len(images) > _NAMED else "")


def _folder_number(folders: Sequence[Path], file: Path | None) -> int | None:
    return folders.index(file.parent) + 1 if file is not None else None


class _Names:
    """Files by the names that a table may use for them."""

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        self._files: dict[str, Path] = {}
        counts = Counter(same_name(file.name) for file in files)
        for file in files:
            known = [file.as_posix()]
            if file.is_relative_to(folder):
                known.append(file.relative_to(folder).as_posix())
            if counts[same_name(file.name)] == 1:
                known.append(same_name(file.name))
            self._files |= dict.fromkeys(known, file)

    def get(self, name: str) -> Path | None:
        path = PureWindowsPath(name)  # splits at / and at \
        return self._files.get(path.as_posix()) or self._files.get(same_name(path.name))


def _scan_numbers(delays: Sequence[float], scans: Sequence[int | None] | None) -> tuple[int, ...]:
    """Return the scan of each image; a few delays that repeat are no second scan."""
    if scans is None and _few_repeat(delays):
        return (1,) * len(delays)
    return number_scans(delays, scans)


def _few_repeat(delays: Sequence[float]) -> bool:
    """Return whether less than half of the delays stand more than once."""
    counts = Counter(round(delay, DECIMALS) for delay in delays).values()
    return 2 * sum(count > 1 for count in counts) < len(counts)


def _doubled(images: Sequence[RawImage], *, told: bool) -> list[str]:
    """Say which delays are taken as repeats though nothing calls them scans."""
    counts = Counter((round(i.delay, DECIMALS), i.scan if told else 0) for i in images)
    delays = sorted({delay for (delay, _), count in counts.items() if count > 1})
    if not delays or not (told or _few_repeat([image.delay for image in images])):
        return []
    named = ", ".join(f"{delay:g}" for delay in delays[:_NAMED])
    more = ", ..." if len(delays) > _NAMED else ""
    within = " within a scan" if told else ""
    return [f"{named}{more} ps stand more than once{within}; their images are taken as repeats"]


def ambiguous(path: Path, files: Sequence[Path], table: DelayTable) -> bool:
    """Return whether rows name images by names that several folders have."""
    names = _Names(path, files)
    several = Counter(same_name(file.name) for file in files)
    return any(
        names.get(name) is None and several[same_name(PureWindowsPath(name).name)] > 1
        for name in table.files or ()
    )


def joined(tables: Sequence[DelayTable], files: Sequence[Sequence[Path]]) -> DelayTable:
    """Return one table of several folders' tables, each a scan (or more) of its own."""
    delays: list[float] = []
    names: list[str] = []
    scans: list[int] = []
    before = 0
    for table, frames in zip(tables, files, strict=True):
        here = _Names(frames[0].parent, frames)
        own = table.files or [frame.name for frame in frames]
        if len(own) != len(table.delays):
            raise UemError(
                f"{table.source}: {len(table.delays)} delays for {len(own)} frames in "
                f"{frames[0].parent}; give one delay per frame"
            )
        delays += table.delays
        names += [(here.get(name) or frames[0].parent / name).as_posix() for name in own]
        numbers = number_scans(table.delays, table.scans)
        scans += [before + number for number in numbers]
        before += max(numbers, default=0)
    return DelayTable(
        delays=tuple(delays),
        files=tuple(names),
        scans=tuple(scans),
        source=tables[0].source,
        origin=f"{tables[0].origin}, of each folder by itself",
        notes=tuple(note for table in tables for note in table.notes),
    )


def one_scan(path: Path, images: Sequence[RawImage], scan: int | None) -> list[RawImage]:
    """Return the images of one scan, or of all.

    Raises
    ------
    UemError
        If there is no such scan.
    """
    if scan is None:
        return list(images)
    chosen = [replace(image, scan=scan) for image in images if image.scan == scan]
    if not chosen:
        there = ", ".join(map(str, sorted({image.scan for image in images})))
        raise UemError(f"{path}: has no scan {scan}; there are {there}")
    return chosen


def repeats_of(images: Sequence[RawImage]) -> list[tuple[RawImage, ...]]:
    """Return the images of each delay, delays rising, repeats in the order of their scans."""
    by_delay: dict[float, list[RawImage]] = {}
    for image in images:
        by_delay.setdefault(round(image.delay, DECIMALS) + 0.0, []).append(image)
    return [
        tuple(sorted(by_delay[delay], key=lambda image: image.scan)) for delay in sorted(by_delay)
    ]


def scan_notes(repeats: Sequence[Sequence[RawImage]], *, averaged: bool) -> list[str]:
    """Say how many scans there are, and which delays some of them lack."""
    scans = sorted({image.scan for images in repeats for image in images})
    if len(scans) < 2:
        return []
    how = "averaged" if averaged else "kept apart"
    notes = [f"{len(scans)} scans of {len(repeats)} delays are {how}"]
    lacking = [
        (images[0].delay, len({image.scan for image in images}))
        for images in repeats
        if len({image.scan for image in images}) < len(scans)
    ]
    if lacking:
        named = ", ".join(f"{delay:g} ps: {n}" for delay, n in lacking[:_NAMED])
        more = ", ..." if len(lacking) > _NAMED else ""
        notes.append(
            f"{len(lacking)} delays are not in all {len(scans)} scans ({named}{more}); "
            f"the average is of those that are there"
        )
    return notes
