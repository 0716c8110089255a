"""MRC, written by mrcfile and read against it and RosettaSciIO."""

import re
import struct

import mrcfile
import numpy as np
import pytest
from written_files import check_stack, write_mrc

from uemdask.errors import UemError
from uemdask.readers import describe_image, read_image


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float16", "float32"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_grey_mode(tmp_path, stack, dtype, byteorder):
    values = (stack % 100).astype(np.dtype(dtype).newbyteorder(byteorder))
    write_mrc(tmp_path / "a.mrc", values)
    check_stack(tmp_path / "a.mrc", values)


def test_the_pixel_size_and_the_header(tmp_path, stack):
    write_mrc(tmp_path / "a.mrcs", stack, nm=(2.5, 3.0))
    info = check_stack(tmp_path / "a.mrcs", stack)
    assert info.pixel_size == pytest.approx((2.5, 3.0))
    assert info.vendor["nx"] == 32
    assert info.vendor["cella"]["x"] == pytest.approx(32 * 30)
    assert info.vendor["labels"][0].startswith("Created by mrcfile.py")


@pytest.mark.parametrize("angstrom", [0.0, 1.0])
def test_a_pixel_size_that_nobody_set_is_not_taken_for_one(tmp_path, stack, angstrom):
    write_mrc(tmp_path / "a.mrc", stack, nm=(angstrom / 10, angstrom / 10))
    info = describe_image(tmp_path / "a.mrc")
    assert info.pixel_size is None
    assert info.no_pixel_size


def test_one_image(tmp_path, frame):
    with mrcfile.new(tmp_path / "a.mrc", frame(2)[::-1].copy()):
        pass
    check_stack(tmp_path / "a.mrc", frame(2)[np.newaxis])


def test_bytes_of_imod_have_no_sign(tmp_path, frame):
    values = frame(0, "uint8")
    with mrcfile.new(tmp_path / "a.mrc", values[::-1].view(np.int8).copy()) as file:
        extra = bytearray(file.header.extra2.tobytes())
        extra[48:56] = struct.pack("<ii", 1146047817, 0)
        file.header.extra2 = bytes(extra)
    check_stack(tmp_path / "a.mrc", values[np.newaxis])


def test_the_extended_header_of_fei(tmp_path, stack):
    write_mrc(tmp_path / "a.mrc", stack)
    dtype = mrcfile.dtypes.get_ext_header_dtype(b"FEI1")
    extended = np.zeros(len(stack), dtype)
    extended["Metadata size"] = dtype.itemsize
    extended["Pixel size X"], extended["Pixel size Y"] = 3e-9, 2e-9
    extended["HT"], extended["Application"] = 200000, b"EPU"
    with mrcfile.open(tmp_path / "a.mrc", mode="r+") as file:
        file.set_extended_header(extended)
        file.header.exttyp = b"FEI1"
    info = check_stack(tmp_path / "a.mrc", stack)
    assert info.pixel_size == pytest.approx((2, 3))
    assert len(info.vendor["extended"]) == len(stack)
    assert info.vendor["extended"][0]["HT"] == 200000
    assert info.vendor["extended"][0]["Application"] == "EPU"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # leaves it open
def test_rosettasciio_reads_the_same_pixels(tmp_path, stack):
    # It leaves the rows as they are stored, from the bottom up.
    rsciio = pytest.importorskip("rsciio.mrc")
    write_mrc(tmp_path / "a.mrc", stack)
    (theirs,) = rsciio.file_reader(str(tmp_path / "a.mrc"))
    np.testing.assert_array_equal(theirs["data"][:, ::-1], stack)
    info = describe_image(tmp_path / "a.mrc")
    assert info.pixel_size == pytest.approx([axis["scale"] for axis in theirs["axes"][1:]])


# ---- faults


def _change(path, place, data):
    content = bytearray(path.read_bytes())
    content[place : place + len(data)] = data
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("place", "data", "words"),
    [
        (12, struct.pack("<i", 3), r"holds pixels of MRC mode 3; save it as integers or reals$"),
        (12, struct.pack("<i", 4), r"is truncated, 7168 of 25600 bytes are there; copy it again$"),
        (12, struct.pack("<i", 77), r"cannot be opened as MRC \(.*; copy it again$"),
        (0, struct.pack("<i", 0), r"states a shape of \(4, 24, 0\); copy it again$"),
        (0, struct.pack("<i", -5), r"states a shape of \(4, 24, -5\); copy it again$"),
        (8, struct.pack("<i", 2**30), r"is truncated, 7168 of \d+ bytes are there; copy it again$"),
    ],
)
def test_a_damaged_header_is_told(tmp_path, stack, place, data, words):
    write_mrc(tmp_path / "a.mrc", stack)
    _change(tmp_path / "a.mrc", place, data)
    with pytest.raises(UemError, match=rf"a\.mrc: {words}"):
        describe_image(tmp_path / "a.mrc")


def test_complex_values_are_refused(tmp_path):
    with mrcfile.new(tmp_path / "a.mrc", np.zeros((4, 5), np.complex64)):
        pass
    with pytest.raises(UemError, match=r"a\.mrc: holds complex64 values; only integer or real"):
        describe_image(tmp_path / "a.mrc")


def test_a_stack_of_volumes_is_refused(tmp_path, stack):
    with mrcfile.new(tmp_path / "a.mrc", stack.reshape(2, 2, 24, 32)):
        pass
    with pytest.raises(UemError, match=r"more than one axis, shape \(2, 2, 24, 32\); save one"):
        describe_image(tmp_path / "a.mrc")


def test_a_file_of_one_array_has_no_named_ones(tmp_path, stack):
    write_mrc(tmp_path / "a.mrc", stack)
    with pytest.raises(UemError, match=r"holds one array; leave out the dataset 'b'$"):
        describe_image(tmp_path / "a.mrc", "b")
    with pytest.raises(UemError, match=r"holds one array; leave out the dataset 'b'$"):
        read_image(tmp_path / "a.mrc", 0, (24, 32), "uint16", "b")


# ---- headers of older programs


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("name", "stamp", "words"),
    [
        (b"MAP ", b"\x44\0\0\0", r"has no known machine stamp \(0x44 0x00 0x00 0x00\); it"),
        (b"MAP ", b"\x44\x20\x20\x20", r"has no known machine stamp"),
        (b"\0\0\0\0", b"\0\0\0\0", r"has no known machine stamp \(.*\) and has no 'MAP'; it"),
        (b"\0\0\0\0", b"\x44\x44\0\0", r"has no 'MAP'"),
        (b"MAP\0", None, ""),
    ],
)
@pytest.mark.parametrize("dtype", ["i1", "i2", "f4"])
def test_headers_of_older_programs_are_read_with_a_note(tmp_path, order, name, stamp, words, dtype):
    stack = (np.arange(3 * 20 * 24) % 100).reshape(3, 20, 24).astype(dtype)
    _write_old(tmp_path / "a.mrc", stack, order, name, stamp, (0, 99))
    info = check_stack(tmp_path / "a.mrc", stack)
    assert info.pixel_size == pytest.approx((3.0, 3.0))
    if words or (stamp, order) == (b"\x44\x44\0\0", ">"):
        (note,) = info.notes
        assert re.search(rf"the header of a\.mrc .*{words}", note)
        assert note.endswith(f"read as {'little' if order == '<' else 'big'}-endian MRC")
    else:
        assert info.notes == ()


def _write_old(path, stack, order, name, stamp, limits):
    mode = {"i1": 0, "u1": 0, "i2": 1, "u2": 1, "f4": 2}[stack.dtype.str[1:]]
    frames, rows, columns = stack.shape
    header = bytearray(1024)
    struct.pack_into(f"{order}4i", header, 0, columns, rows, frames, mode)
    struct.pack_into(f"{order}3i", header, 28, columns, rows, frames)
    struct.pack_into(f"{order}3f", header, 40, columns * 30.0, rows * 30.0, frames * 30.0)
    struct.pack_into(f"{order}3i", header, 64, 1, 2, 3)
    struct.pack_into(f"{order}3f", header, 76, *limits, sum(limits) / 2)
    header[208:212] = name
    right = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
    header[212:216] = right if stamp is None else stamp
    turned = stack[:, ::-1].astype(stack.dtype.newbyteorder(order))
    path.write_bytes(bytes(header) + turned.tobytes())


def test_what_is_no_mrc_is_not_taken_for_an_old_one(tmp_path):
    (tmp_path / "a.mrc").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(UemError, match=r"a\.mrc: is no MRC file: its header has no known machine"):
        describe_image(tmp_path / "a.mrc")


@pytest.mark.parametrize(
    ("dtype", "limits", "note"),
    [
        ("u1", (60, 180), "values of 60 to 180, so that they are taken as unsigned"),
        ("u1", (130, 250), "values of 130 to 250, so that they are taken as unsigned"),
        ("i1", (-60, 100), ""),
        ("i1", (3, 100), ""),
        ("i1", (0, 0), "states no range, so that its bytes are taken as -128 to 127"),
        ("i1", (-60, 300), "values of -60 to 300, which its pixels cannot hold; they are taken as"),
        ("u2", (200, 40_000), "values of 200 to 40000, so that they are taken as unsigned"),
        ("i2", (-200, 30_000), ""),
        ("i2", (0, 0), ""),
    ],
)
def test_the_header_s_range_tells_whether_pixels_have_a_sign(tmp_path, dtype, limits, note):
    low, high = np.clip(limits, np.iinfo(dtype).min, np.iinfo(dtype).max)
    stack = np.linspace(low, max(high, low + 9), 3 * 20 * 24).reshape(3, 20, 24).astype(dtype)
    _write_old(tmp_path / "a.mrc", stack, "<", b"MAP ", None, limits)
    notes = check_stack(tmp_path / "a.mrc", stack).notes
    assert bool(notes) == bool(note)
    assert all(note in text for text in notes)


def test_axes_that_lie_another_way_are_refused(tmp_path, stack):
    write_mrc(tmp_path / "a.mrc", stack)
    _change(tmp_path / "a.mrc", 64, struct.pack("<3i", 2, 1, 3))
    with pytest.raises(UemError, match="columns, rows and sections lie along y, x, z; save it"):
        describe_image(tmp_path / "a.mrc")


def test_a_header_that_claims_a_long_extension_takes_no_memory(tmp_path, stack):
    write_mrc(tmp_path / "a.mrc", stack)
    _change(tmp_path / "a.mrc", 92, struct.pack("<i", 2**31 - 1))
    with pytest.raises(UemError, match="is truncated, 7168 of 2147490815 bytes are there"):
        describe_image(tmp_path / "a.mrc")
