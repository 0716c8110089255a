"""HDF5 and NeXus: a dataset by its path, by NeXus's default, or the only one."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from written_files import check_stack

from uemdask.errors import UemError
from uemdask.readers import describe_image, read_image


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (1, 24, 32)},
        {"chunks": (4, 7, 9), "compression": "gzip", "shuffle": True},
        {"chunks": True, "compression": "lzf"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [">u2", "<i4", "float32"])
def test_layouts_and_byte_orders(path, stack, options, dtype):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=stack.astype(dtype), **options)
    check_stack(path, stack.astype(dtype))


def test_a_codec_of_hdf5plugin(path, stack):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=stack, chunks=(1, 24, 32), **hdf5plugin.Bitshuffle())
    check_stack(path, stack)


def test_a_codec_that_is_not_installed_is_named(path, stack):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=stack, chunks=(1, 24, 32), **hdf5plugin.Zstd())
    code = (
        "import sys; sys.modules['hdf5plugin'] = None\n"
        "from pathlib import Path; from uemdask.readers import describe_image\n"
        "describe_image(Path(sys.argv[1]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
    )
    last = found.stderr.strip().splitlines()[-1]
    assert last.startswith(f"uemdask.errors.UemError: {path}: /a is compressed with ")
    assert last.endswith("does not know; run pip install 'uemdask[formats]'")


def test_one_image(path, frame):
    with h5py.File(path, "w") as file:
        file["image"] = frame(3)
    check_stack(path, frame(3)[np.newaxis])


def test_the_only_stack_is_taken_before_images_and_lists(path, stack):
    with h5py.File(path, "w") as file:
        file["entry/data"] = stack
        file["entry/dark"] = stack[0]
        file["entry/delays"] = np.arange(4.0)
        file["entry/complex"] = stack.astype(np.complex64)
        file["entry/ok"] = stack > 5
    check_stack(path, stack)
    check_stack(path, stack[:1], dataset="/entry/dark")
    check_stack(path, stack[:1], dataset="entry/dark")


def test_of_several_stacks_one_is_named(path, stack):
    with h5py.File(path, "w") as file:
        file["raw"], file["flat/field"] = stack, stack[:2] + 7
    with pytest.raises(UemError) as error:
        describe_image(path)
    assert str(error.value) == (
        f"{path}: holds 2 images or stacks; name one with --dataset: /flat/field (2, 24, 32) uint16"
        f"; /raw (4, 24, 32) uint16"
    )
    check_stack(path, stack[:2] + 7, dataset="/flat/field")
    with pytest.raises(UemError, match=r"no dataset named '/row'; name one of /flat/field"):
        describe_image(path, "/row")


def test_links_lead_to_their_dataset(tmp_path, path, stack):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["frames"] = stack
    with h5py.File(path, "w") as file:
        file["entry/data"] = h5py.ExternalLink("data.h5", "/frames")
        file["entry/lost"] = h5py.SoftLink("/nowhere")
    check_stack(path, stack)
    check_stack(path, stack, dataset="/entry/data")


# ---- NeXus


def _nexus(file, stack, unit="um"):
    file.attrs["default"] = "entry"
    entry = file.create_group("entry")
    entry.attrs["default"] = "plot"
    plot = entry.create_group("plot")
    plot.attrs["signal"], plot.attrs["axes"] = "counts", ["delay", "y", "x"]
    plot["counts"], plot["delay"] = stack, np.arange(len(stack)) * 5.0
    plot["y"], plot["x"] = np.arange(24) * 0.0025, 1 + np.arange(32) * 0.003
    for name in "yx":
        plot[name].attrs["units"] = unit
    file["entry/instrument/beam_energy"] = 200.0
    file["entry/instrument/beam_energy"].attrs["units"] = "keV"
    file["entry/title"] = "Größe"


def test_nexus_names_its_default_signal(path, stack):
    with h5py.File(path, "w") as file:
        _nexus(file, stack)
        file["entry/other"] = stack[::-1]
    info = check_stack(path, stack)
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    assert info.vendor["dataset"] == "/entry/plot/counts"
    assert info.vendor["entry"]["title"] == "Größe"
    assert info.vendor["entry"]["instrument"]["beam_energy"] == {"value": 200.0, "@units": "keV"}
    check_stack(path, stack, dataset="/entry/plot")  # a group with a signal
    check_stack(path, stack[::-1], dataset="/entry/other")


def test_a_default_that_is_a_curve_is_not_taken_for_images(path, stack):
    with h5py.File(path, "w") as file:
        _nexus(file, stack)
        file["entry/plot"].attrs["signal"] = "delay"
    check_stack(path, stack)


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ("1/nm", "its axes are in 1/nm, which is no length"),
        ("", "its axes have no unit of length"),
    ],
)
def test_axes_that_are_no_lengths(path, stack, unit, reason):
    with h5py.File(path, "w") as file:
        _nexus(file, stack, unit)
    info = describe_image(path)
    assert (info.pixel_size, info.no_pixel_size) == (None, reason)


def test_an_axis_without_even_steps_gives_no_pixel_size(path, stack):
    with h5py.File(path, "w") as file:
        _nexus(file, stack)
        file["entry/plot/x"][7] = 3
    info = describe_image(path)
    assert (info.pixel_size, info.no_pixel_size) == (None, "its axes have no even step")


# ---- faults


def test_a_file_without_images_tells_what_it_holds(path):
    with h5py.File(path, "w") as file:
        file["delays"] = np.arange(4.0)
        file["wave"] = np.zeros((3, 4, 5), np.complex64)
    with pytest.raises(UemError) as error:
        describe_image(path)
    assert str(error.value) == (
        f"{path}: holds no image of integer or real grey values, only /wave (3, 4, 5) complex64; "
        f"check the file"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((3, 4, 5), np.complex64), "holds complex64 values; only integer or real grey"),
        (np.zeros((3, 2, 4, 5), np.uint8), "images along more than one axis, shape (3, 2, 4, 5)"),
        (np.zeros((3, 0, 5), np.uint8), "holds no pixels (shape (3, 0, 5)); copy it again"),
        (np.zeros(7), "holds no images but an array of shape (7,); check the file"),
    ],
)
def test_a_named_dataset_that_is_no_series_of_images(path, values, words):
    with h5py.File(path, "w") as file:
        file["a"] = values
    with pytest.raises(UemError) as error:
        describe_image(path, "/a")
    assert words in str(error.value)


def test_frames_that_were_never_written_are_not_made_up(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4, 24, 32), "u2")
    with pytest.raises(UemError, match=r"a\.h5: /a was never written; copy the finished file$"):
        describe_image(path)


def test_frames_in_files_that_are_missing_are_not_made_up(tmp_path, path, stack):
    layout = h5py.VirtualLayout((4, 24, 32), "u2")
    for i in range(4):
        with h5py.File(tmp_path / f"frame_{i}.h5", "w") as part:
            part["a"] = stack[i]
        layout[i] = h5py.VirtualSource(f"frame_{i}.h5", "a", (24, 32))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("all", layout)
    check_stack(path, stack)
    (tmp_path / "frame_2.h5").unlink()
    with pytest.raises(UemError, match=r"/all lies in frame_2\.h5, which is missing; copy it"):
        read_image(path, 0, (24, 32), "uint16")
