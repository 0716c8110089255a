"""Formats of image files by their endings, and folders that hold several of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uemdask.errors import UemError
from uemdask.readers.plugins import plugin_endings

#: Formats by file ending: what people call them, and the module that reads them. Those that
#: instruments write come before those that frames are exported to.
FORMATS: dict[str, tuple[str, str]] = {
    ".dm4": ("Gatan DM4", "digital_micrograph"),
    ".dm3": ("Gatan DM3", "digital_micrograph"),
    ".ser": ("FEI TIA", "tia"),
    ".emi": ("FEI TIA", "tia"),
    ".emd": ("EMD", "emd"),
    ".mrc": ("MRC", "mrc"),
    ".mrcs": ("MRC", "mrc"),
    ".nxs": ("NeXus", "hdf5"),
    ".nx5": ("NeXus", "hdf5"),
    ".h5": ("HDF5", "hdf5"),
    ".hdf5": ("HDF5", "hdf5"),
    ".hdf": ("HDF5", "hdf5"),
    ".nc": ("NetCDF", "netcdf"),
    ".nc4": ("NetCDF", "netcdf"),
    ".cdf": ("NetCDF", "netcdf"),
    ".zarr": ("Zarr", "zarr_store"),
    ".npy": ("NumPy", "npy"),
    ".tif": ("TIFF", "tiff"),
    ".tiff": ("TIFF", "tiff"),
    ".btf": ("TIFF", "tiff"),
}


def format_name(file: Path) -> str:
    """Return what people call the format of a file, by its ending."""
    ending = file.suffix.casefold()
    return ending if ending in plugin_endings() else FORMATS[ending][0]


def as_recorded(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return each frame once where a folder holds it in several formats, and notes on that.

    Files of one folder and one stem are one frame. The instrument's own format is taken, also
    that of a user's own reader, and an export of it left out.
    """
    endings = [*sorted(plugin_endings()), *FORMATS]
    best: dict[tuple[Path, str], Path] = {}
    for file in sorted(files, key=lambda file: endings.index(file.suffix.casefold())):
        best.setdefault(_frame(file), file)
    exports: dict[tuple[str, str], list[tuple[Path, Path]]] = {}
    for file in files:
        used = best[_frame(file)]
        if file != used:
            pair = (used.suffix, file.suffix)
            exports.setdefault(pair, []).append((used, file))
    notes = [
        f"{len(found)} frames are there as {native} and as {export}; the {native} files are used "
        f"({found[0][0].name}, not {found[0][1].name})"
        for (native, export), found in exports.items()
    ]
    return [file for file in files if best[_frame(file)] == file], notes


def check_one_format(path: Path, frames: Sequence[Path]) -> None:
    """Refuse frames of several formats: those of other names may be the same frames once more.

    Raises
    ------
    UemError
        With the files that stand out.
    """
    kinds: dict[str, list[Path]] = {}
    for file in frames:
        ending = file.suffix.casefold()
        kind = ending if ending in plugin_endings() else FORMATS[ending][1]
        kinds.setdefault(kind, []).append(file)
    if len(kinds) < 2:
        return
    most, *others = sorted(kinds.values(), key=len, reverse=True)
    counted = " and ".join(
        f"{len(files)} {format_name(files[0])} ({files[0].name}{', ...' if files[1:] else ''})"
        for files in (most, *others)
    )
    raise UemError(
        f"{path}: holds frames of several formats, {counted}; leave one format in the folder, or "
        f"name the folder of one"
    )


def _frame(file: Path) -> tuple[Path, str]:
    return file.parent, file.stem.casefold().removesuffix(".ome")
