"""One stack written in every format, for what must hold of all of them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import tifffile
import zarr
from dm_files import write_dm
from tia_files import write_ser


def check_stack(path, stack, dataset=None):
    """Compare what is announced and read with what was written; return what was announced."""
    from uemdask.readers import describe_image, read_images

    info = describe_image(path, dataset)
    assert (info.frames, info.shape, info.dtype) == (
        len(stack),
        stack.shape[1:],
        stack.dtype.newbyteorder("=").name,
    )
    order = [len(stack) - 1, *range(len(stack) - 1)]
    images = read_images(path, order, info.shape, info.dtype, dataset)
    for i, image in zip(order, images, strict=True):
        np.testing.assert_array_equal(image, stack[i])
        assert image.dtype.isnative
        assert image.flags.c_contiguous
    assert (info.pixel_size is None) == bool(info.no_pixel_size)
    json.dumps(info.vendor)  # kept in the run as it is
    return info


def write_tiff(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack, photometric="minisblack")


def write_imagej(path: Path, stack: np.ndarray) -> None:
    """Write one directory and the frames behind it, as ImageJ does."""
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TYX"})


def write_ome(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata={"axes": "TYX"})


def write_mrc(path: Path, stack: np.ndarray, nm: tuple[float, float] = (2.5, 3.0)) -> None:
    """Write frames, given as displayed, with a pixel size in nm along y, x."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Data array contains", RuntimeWarning)  # NaN on purpose
        file = mrcfile.new(path, stack[:, ::-1].copy())
    with file:
        file.set_image_stack()
        file.voxel_size = (nm[1] * 10, nm[0] * 10, 1)


def write_hdf5(path: Path, stack: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["entry/data"] = stack


def write_chunked(path: Path, stack: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=stack, chunks=(1, *stack.shape[1:]), compression="gzip")


def write_ncem(path: Path, stack: np.ndarray) -> None:
    """Write as ncempy does: time, y, x."""
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/series")
        group.attrs["emd_group_type"] = 1
        group["data"] = stack
        names = (("t", "[p_s]", 5.0), ("y", "[n_m]", 2.5), ("x", "[n_m]", 3.0))
        for number, (name, unit, step) in enumerate(names, 1):
            dim = group.create_dataset(
                f"dim{number}", data=step * np.arange(stack.shape[number - 1])
            )
            dim.attrs["name"], dim.attrs["units"] = name, unit


def write_velox(path: Path, stack: np.ndarray, unit: str = "m") -> None:
    """Write as Velox does: y, x, frame, and JSON for each frame."""
    text = {
        "Optics": {"AccelerationVoltage": "300000"},
        "BinaryResult": {
            "Detector": "BM-Ceta",
            "PixelSize": {"height": "2.5e-9", "width": "3e-9"},
            "PixelUnitX": unit,
            "PixelUnitY": unit,
        },
    }
    letters = np.frombuffer(json.dumps(text).encode().ljust(600, b"\0"), "u1")
    with h5py.File(path, "w") as file:
        file["Version"] = [json.dumps({"version": "8", "format": "Velox"})]
        group = file.create_group("Data/Image/26f60320a61d4f66a73efd8cde34ffa9")
        group.create_dataset(
            "Data", data=stack.transpose(1, 2, 0), chunks=(*stack.shape[1:], 1), compression="gzip"
        )
        group["Metadata"] = np.tile(letters[:, np.newaxis], (1, len(stack)))


def write_zarr(path: Path, stack: np.ndarray) -> None:
    zarr.create_array(str(path), data=stack, chunks=(1, *stack.shape[1:]))


def write_netcdf(path: Path, stack: np.ndarray) -> None:
    """Write NetCDF 4: an HDF5 file whose dimensions are scales with names and units."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("counts", data=stack)
        for axis, (name, unit, step) in enumerate(
            (("time", "ps", 5.0), ("y", "nm", 2.5), ("x", "nm", 3.0))
        ):
            scale = file.create_dataset(name, data=np.arange(stack.shape[axis]) * step)
            scale.attrs["units"] = unit
            scale.make_scale(name)
            data.dims[axis].attach_scale(scale)


def write_npy(path: Path, stack: np.ndarray) -> None:
    np.save(path, stack)


#: A file name in every format, and what writes it.
WRITERS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "a.tif": write_tiff,
    "a.dm3": lambda path, stack: write_dm(path, stack, version=3),
    "a.dm4": lambda path, stack: write_dm(path, stack, version=4),
    "a.mrc": write_mrc,
    "a_1.ser": write_ser,
    "velox.emd": write_velox,
    "ncem.emd": write_ncem,
    "a.h5": write_hdf5,
    "chunked.nxs": write_chunked,
    "a.nc": write_netcdf,
    "a.npy": write_npy,
    "a.zarr": write_zarr,
}
