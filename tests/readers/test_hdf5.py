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
        f"{path}: holds 2 images or stacks; name one with `dataset`: /flat/field (2, 24, 32) uint16"
        f"; /raw (4, 24, 32) uint16"
    )
    check_stack(path, stack[:2] + 7, dataset="/flat/field")
    with pytest.raises(UemError, match=r"no dataset named '/row'; name one of /flat/field"):
        describe_image(path, "/row")


def test_links_within_the_file_lead_to_their_dataset(path, stack):
    with h5py.File(path, "w") as file:
        file["raw/frames"] = stack
        file["entry/data"] = h5py.SoftLink("/raw/frames")
        file["entry/all"] = h5py.SoftLink("../raw")
        file["entry/lost"] = h5py.SoftLink("/nowhere")
        file["entry/circle"] = h5py.SoftLink("/entry/circle")
    check_stack(path, stack)
    check_stack(path, stack, dataset="/entry/data")
    with pytest.raises(UemError, match="no dataset named '/entry/circle'"):
        describe_image(path, "/entry/circle")


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


# ---- what lies in other files


def _secret(folder, stack):
    """Write a file that only its owner should choose to read."""
    stack.tofile(folder / "secret.bin")
    with h5py.File(folder / "secret.h5", "w") as file:
        file["a"] = stack


def _external_storage(folder, file, stack):
    space = h5py.h5s.create_simple(stack.shape)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_external(bytes(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_UINT16, space, plan)


def _virtual(folder, file, stack):
    layout = h5py.VirtualLayout(stack.shape, "u2")
    layout[:] = h5py.VirtualSource(folder / "secret.h5", "a", stack.shape)
    file.create_virtual_dataset("a", layout)


def _link(folder, file, stack):
    file["a"] = h5py.ExternalLink(str(folder / "secret.h5"), "/a")


def _link_behind_a_link(folder, file, stack):
    file["out"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")
    file["a"] = h5py.SoftLink("/out/a")


def _virtual_of_external_storage(folder, file, stack):
    _external_storage(folder, file, stack)
    file.move("a", "inner")
    layout = h5py.VirtualLayout(stack.shape, "u2")
    layout[:] = h5py.VirtualSource(".", "inner", stack.shape)
    file.create_virtual_dataset("a", layout)


_OUTSIDE = {
    "external storage": _external_storage,
    "virtual": _virtual,
    "link": _link,
    "link behind a link": _link_behind_a_link,
    "virtual of external storage": _virtual_of_external_storage,
}


@pytest.mark.parametrize("dataset", [None, "a"])
@pytest.mark.parametrize("kind", _OUTSIDE)
def test_values_of_other_files_are_never_read(tmp_path, path, stack, kind, dataset):
    _secret(tmp_path, stack)
    with h5py.File(path, "w") as file:
        _OUTSIDE[kind](tmp_path, file, stack)
    words = (
        r"in another file \(.*secret|from other files \(.*secret|link into another file \(.*secret"
    )
    with pytest.raises(UemError, match=words):
        describe_image(path, dataset)
    with pytest.raises(UemError, match=words):
        read_image(path, 0, (24, 32), "uint16", dataset)


@pytest.mark.parametrize("kind", [kind for kind in _OUTSIDE if "behind" not in kind])
def test_other_files_are_no_axes_and_no_tags_either(tmp_path, path, stack, kind):
    _secret(tmp_path, np.arange(32, dtype=np.uint16))
    with h5py.File(path, "w") as file:
        _nexus(file, stack)
        plot = file["entry/plot"]
        del plot["x"]
        _OUTSIDE[kind](tmp_path, plot, np.arange(32, dtype=np.uint16))
        plot.move("a", "x")
    if "link" in kind:
        with pytest.raises(UemError, match="into another file"):
            describe_image(path)
        return
    info = describe_image(path)
    assert info.pixel_size is None
    assert "31" not in str(info.vendor["entry"]["plot"].get("x"))


def test_parts_of_the_file_itself_may_be_put_together(path, stack):
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(stack.shape, "u2")
        for i, image in enumerate(stack):
            file[f"parts/{i}"] = image
            layout[i] = h5py.VirtualSource(".", f"parts/{i}", image.shape)
        file.create_virtual_dataset("all", layout)
    check_stack(path, stack)


@pytest.mark.parametrize("back", [".", "/", "entry"])
def test_a_default_that_leads_in_a_circle_is_refused(path, stack, back):
    with h5py.File(path, "w") as file:
        file["entry/data"] = stack
        file.attrs["default"] = "entry"
        file["entry"].attrs["default"] = back
        file["entry/entry"] = h5py.SoftLink("/entry")
    with pytest.raises(UemError, match="'default' lead in a circle; name the frames with"):
        describe_image(path)
    check_stack(path, stack, dataset="/entry/data")


def test_a_chunk_that_would_fill_the_memory_is_refused(path):
    with h5py.File(path, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((4, 2**14, 2**14))
        plan.set_deflate(9)
        space = h5py.h5s.create_simple((400, 2**14, 2**14))
        data = h5py.Dataset(h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_UINT64, space, plan))
        data.id.write_direct_chunk((0, 0, 0), b"x")
    with pytest.raises(UemError, match="/a has chunks of 8 GiB, more than can be held; save it"):
        describe_image(path)


# ---- named axes


@pytest.mark.parametrize("order", ["yxt", "xyt", "tyx", "txy", "ytx", "xty"])
@pytest.mark.parametrize("how", ["nexus", "older nexus", "scales", "labels", "dims"])
def test_axes_lie_as_they_are_named(path, stack, order, how):
    places = ["tyx".index(letter) for letter in order]
    names = [{"t": "delay", "y": "y", "x": "x"}[letter] for letter in order]
    steps = {"delay": 5.0, "y": 2.5, "x": 3.0}
    with h5py.File(path, "w") as file:
        file["a"] = stack.transpose(places)
        for axis, name in enumerate(names):
            file[name] = np.arange(file["a"].shape[axis]) * steps[name]
            file[name].attrs["units"] = "ps" if name == "delay" else "nm"
            if how == "scales":
                file[name].make_scale(name)
                file["a"].dims[axis].attach_scale(file[name])
            elif how == "labels":
                file["a"].dims[axis].label = name
        if how == "nexus":
            file.attrs["signal"], file.attrs["axes"] = "a", names
        elif how == "older nexus":
            file["a"].attrs["axes"] = ":".join(names)
        elif how == "dims":
            file["a"].attrs["_ARRAY_DIMENSIONS"] = names
    info = check_stack(path, stack)
    assert info.notes == ()
    if "nexus" in how or how == "scales":
        assert info.pixel_size == pytest.approx((2.5, 3.0))


def test_matlab_lies_the_other_way_round(path, stack):
    with h5py.File(path, "w") as file:
        # Rows, columns, frames in MATLAB, whose first index runs fastest.
        file["movie"] = stack.transpose(0, 2, 1)
        file["movie"].attrs["MATLAB_class"] = np.bytes_("uint16")
    check_stack(path, stack)


def test_axes_without_names_are_told(path, stack):
    with h5py.File(path, "w") as file:
        file["a"] = stack
    note = "the axes of a.h5, shape (4, 24, 32), have no names and are taken as frame, y, x"
    assert describe_image(path).notes == (note,)


def test_an_axis_of_time_is_none_of_space(path, stack):
    with h5py.File(path, "w") as file:
        _nexus(file, stack)
        file["entry/plot/x"].attrs["units"] = "ps"
    words = r"its axis x is in ps, a time and no length \(delay 4, y 24 \(um\), x 32 \(ps\)\)"
    with pytest.raises(UemError, match=words):
        describe_image(path)


# ---- packed values


def test_packed_values_are_counts(path, stack):
    packed = stack.astype(np.int16) * 2
    packed[1, 5, 6] = -1
    with h5py.File(path, "w") as file:
        file["a"] = packed
        file["a"].attrs.update({"scale_factor": 0.5, "add_offset": 20.0, "_FillValue": -1})
    expected = stack.astype(np.float32) + 20
    expected[1, 5, 6] = np.nan
    check_stack(path, expected)


def test_nexus_scales_its_signal_too(path, stack):
    with h5py.File(path, "w") as file:
        _nexus(file, stack)
        file["entry/plot/scaling_factor"], file["entry/plot/offset"] = 0.25, -3.0
    check_stack(path, stack.astype(np.float32) * 0.25 - 3)
