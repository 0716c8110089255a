"""Write a simulated acquisition the way a microscope leaves it: TIFF files, delays, metadata."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import tifffile
import yaml

from uemdask.errors import UemError
from uemdask.simulate.acquisition import Acquisition


def write_acquisition(
    acquisition: Acquisition,
    out: Path | str,
    *,
    on_frame: Callable[[int, int], None] | None = None,
) -> None:
    """Write ``frame_0000.tif ...``, ``delays.csv``, ``metadata.yaml`` and ``truth.npz``.

    The TIFF files are 16 bit and carry the pixel size in nm as ImageJ writes and reads it. All is
    written beside the folder first and renamed at the end, so a folder that is there is whole.

    Parameters
    ----------
    acquisition : Acquisition
        What to write.
    out : Path or str
        Folder to make; its parents are made too. It may exist if it is empty.
    on_frame : callable, optional
        Called with the number of frames written and their total after each, for a progress bar.

    Raises
    ------
    UemError
        If the folder exists and holds something, or cannot be written.
    """
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
    try:
        _write_into(partial, acquisition, on_frame)
        if out.is_dir():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise UemError(f"{out}: cannot be written ({error}); free space or rights") from error
    finally:
        # Nothing is left of a failed try, an interrupted one included.
        shutil.rmtree(partial, ignore_errors=True)


def _write_into(
    folder: Path, acquisition: Acquisition, on_frame: Callable[[int, int], None] | None
) -> None:
    total = len(acquisition)
    digits = max(4, len(str(total - 1)))
    names = [f"frame_{i:0{digits}d}.tif" for i in range(total)]
    per_nm = (1.0 / acquisition.pixel_size[1], 1.0 / acquisition.pixel_size[0])
    for i, name in enumerate(names):
        tifffile.imwrite(
            folder / name,
            acquisition.frame(i),
            imagej=True,
            resolution=per_nm,
            metadata={"axes": "YX", "unit": "nm"},
        )
        if on_frame is not None:
            on_frame(i + 1, total)
    with (folder / "delays.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "delay_ps"])
        table.writerows(
            (name, f"{delay:.10g}") for name, delay in zip(names, acquisition.delays, strict=True)
        )
    (folder / "metadata.yaml").write_text(
        yaml.safe_dump(acquisition.metadata, allow_unicode=True, sort_keys=False),
        encoding="utf-8",
    )
    acquisition.truth().save(folder / "truth.npz")
