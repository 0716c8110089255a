"""Write a simulated acquisition the way a microscope leaves it: TIFF files, delays, metadata."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import tifffile
import yaml

from uemdask.errors import UemError
from uemdask.simulate.acquisition import Acquisition
from uemdask.simulate.log import LogRow, image_name, write_log

#: Where the delays are written: ``delays.csv``, a log, or nowhere but in the names of the images.
DelaySource = Literal["table", "log", "names"]

_BEGAN = datetime(2024, 5, 3, 9, 0, 0)
_PER_IMAGE = timedelta(seconds=12)
# Streams of chance, apart from those of the acquisition.
_ORDER, _SHIFT = 101, 102


@dataclass(frozen=True)
class _Shot:
    """One image to be taken."""

    frame: int
    scan: int
    step: int
    name: str
    shift: tuple[float, float]


def write_acquisition(
    acquisition: Acquisition,
    out: Path | str,
    *,
    scans: int = 1,
    delays: DelaySource = "table",
    scan_drift: float = 0.0,
    on_frame: Callable[[int, int], None] | None = None,
) -> None:
    """Write images, delays, ``metadata.yaml`` and ``truth.npz``.

    One scan with a table is ``frame_0000.tif ...`` and ``delays.csv``, in the order of delays.
    Otherwise images are named as a microscope names them, ``plane_0_1_-30ps.tif`` (base, scan from
    0, step from 1, delay), and each scan takes the delays in a random order of its own. The TIFF
    files are 16 bit and carry the pixel size in nm as ImageJ writes and reads it. All is written
    beside the folder first and renamed at the end, so a folder that is there is whole.

    Parameters
    ----------
    acquisition : Acquisition
        What to write.
    out : Path or str
        Folder to make; its parents are made too. It may exist if it is empty.
    scans : int
        How often all delays are taken.
    delays : {"table", "log", "names"}
        ``delays.csv`` with the columns file, delay_ps and scan; a log ``plane.ulg``; or nothing but
        the names of the images.
    scan_drift : float
        Standard deviation by which every scan after the first lies elsewhere, px.
    on_frame : callable, optional
        Called with the number of images written and their total after each, for a progress bar.

    Raises
    ------
    UemError
        If the folder exists and holds something, or cannot be written.
    """
    if scans < 1 or delays not in get_args(DelaySource):
        raise UemError(
            f"{scans} scans with delays in {delays!r}: give at least one scan, and one of "
            f"{', '.join(get_args(DelaySource))}"
        )
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UemError(f"{out}: is a file; name a folder that is new or empty")
    if out.is_dir() and any(out.iterdir()):
        raise UemError(f"{out}: the folder is not empty; name a new one or empty it first")
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
    except OSError as error:
        raise UemError(f"{out}: cannot be made ({error}); name another folder") from error
    shots = _shots(acquisition, scans, delays, scan_drift)
    try:
        _write_images(partial, acquisition, shots, on_frame)
        if delays == "table":
            _write_table(partial, acquisition, shots, scans)
        elif delays == "log":
            _write_log(partial, acquisition, shots)
        (partial / "metadata.yaml").write_text(
            yaml.safe_dump(acquisition.metadata, allow_unicode=True, sort_keys=False),
            encoding="utf-8",
        )
        acquisition.truth().save(partial / "truth.npz")
        if out.is_dir():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise UemError(f"{out}: cannot be written ({error}); free space or rights") from error
    finally:
        # Nothing is left of a failed try, an interrupted one included.
        shutil.rmtree(partial, ignore_errors=True)


def _shots(
    acquisition: Acquisition, scans: int, delays: DelaySource, scan_drift: float
) -> list[_Shot]:
    """Return the images in the order in which they are taken."""
    total, scenario = len(acquisition), acquisition.scenario
    if scans == 1 and delays == "table":
        digits = max(4, len(str(total - 1)))
        still = (0.0, 0.0)
        return [_Shot(i, 1, i + 1, f"frame_{i:0{digits}d}.tif", still) for i in range(total)]
    shots = []
    for scan in range(1, scans + 1):
        order = np.random.default_rng([scenario.seed, _ORDER, scan]).permutation(total).tolist()
        x, y = np.random.default_rng([scenario.seed, _SHIFT, scan]).normal(0.0, 1.0, 2).tolist()
        away = (scan_drift * x, scan_drift * y) if scan > 1 else (0.0, 0.0)
        for step, frame in enumerate(order, 1):
            delay = float(acquisition.delays[frame])
            name = image_name(scenario.name, scan, step, delay, ".tif")
            shots.append(_Shot(frame, scan, step, name, away))
    return shots


def _write_images(
    folder: Path,
    acquisition: Acquisition,
    shots: list[_Shot],
    on_frame: Callable[[int, int], None] | None,
) -> None:
    per_nm = (1.0 / acquisition.pixel_size[1], 1.0 / acquisition.pixel_size[0])
    for done, shot in enumerate(shots, 1):
        tifffile.imwrite(
            folder / shot.name,
            acquisition.frame(shot.frame, scan=shot.scan, shift=shot.shift),
            imagej=True,
            resolution=per_nm,
            metadata={"axes": "YX", "unit": "nm"},
        )
        if on_frame is not None:
            on_frame(done, len(shots))


def _write_table(folder: Path, acquisition: Acquisition, shots: list[_Shot], scans: int) -> None:
    with (folder / "delays.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "delay_ps"] + ["scan"] * (scans > 1))
        for shot in shots:
            row = [shot.name, f"{acquisition.delays[shot.frame]:.10g}"]
            table.writerow(row + [str(shot.scan)] * (scans > 1))


def _write_log(folder: Path, acquisition: Acquisition, shots: list[_Shot]) -> None:
    name = acquisition.scenario.name
    rows = [
        LogRow(
            delay=float(acquisition.delays[shot.frame]),
            scan=shot.scan,
            step=shot.step,
            file=shot.name,
            taken=_BEGAN + i * _PER_IMAGE,
        )
        for i, shot in enumerate(shots)
    ]
    write_log(folder / f"{name}.ulg", rows, base=name)
