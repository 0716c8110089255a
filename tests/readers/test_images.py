"""What must hold of every format."""

import logging
import os
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_files import WRITERS, check_stack, write_imagej, write_ome

from uemdask.errors import UemError
from uemdask.readers import describe_image, is_image, read_image, read_images
from uemdask.readers.formats import FORMATS

_FILES = [name for name in WRITERS if not name.endswith(".zarr")]
_HDF5 = {".emd", ".h5", ".nxs"}
_SHARED_HEADERS = [name for name in _FILES if Path(name).suffix not in _HDF5]


@pytest.fixture
def stack(frame):
    return np.stack([frame(i) for i in range(4)])


def _read_all(path):
    info = describe_image(path)
    return info, list(read_images(path, range(info.frames), info.shape, info.dtype))


@pytest.mark.parametrize("name", WRITERS)
def test_a_stack_is_read_as_it_was_written(tmp_path, stack, name):
    WRITERS[name](tmp_path / name, stack)
    assert is_image(tmp_path / name)
    check_stack(tmp_path / name, stack)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("dtype", ["int16", "uint16", "float32"])
def test_the_camera_s_dtype_is_kept(tmp_path, stack, name, dtype):
    WRITERS[name](tmp_path / name, stack.astype(dtype))
    check_stack(tmp_path / name, stack.astype(dtype))


@pytest.mark.parametrize("name", WRITERS)
def test_names_with_spaces_and_umlauts(tmp_path, stack, name):
    folder = tmp_path / "Messung 3 – Größe µm"
    folder.mkdir()
    WRITERS[name](folder / f"Übersicht {name}", stack)
    check_stack(folder / f"Übersicht {name}", stack)


@pytest.mark.parametrize("name", [*WRITERS, "imagej.tif", "a.ome.tif"])
def test_a_stack_is_never_in_memory(tmp_path, name):
    big = np.zeros((24, 512, 512), np.float32)
    big[:, 0, 0] = np.arange(24)
    writers = {**WRITERS, "imagej.tif": write_imagej, "a.ome.tif": write_ome}
    writers[name](tmp_path / name, big)
    _read_all_of_one(tmp_path / name)  # imports count for nothing
    frame = big[0].nbytes
    with _peak() as peak:
        info = describe_image(tmp_path / name)
    assert peak() < frame
    with _peak() as peak:
        values = [
            image[0, 0] for image in read_images(tmp_path / name, range(24), info.shape, info.dtype)
        ]
    assert values == list(range(24))
    assert peak() < 5 * frame


def _read_all_of_one(path):
    info = describe_image(path)
    read_image(path, 0, info.shape, info.dtype)


@contextmanager
def _peak():
    tracemalloc.start()
    highest = []
    try:
        yield lambda: highest[0]
        highest.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", WRITERS)
def test_pixels_that_are_not_finite_are_given_as_they_are(tmp_path, stack, name):
    values = stack.astype(np.float32)
    values[1, 2, 3], values[2, 0, 0] = np.nan, np.inf
    WRITERS[name](tmp_path / name, values)
    check_stack(tmp_path / name, values)


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_printed_or_warned(tmp_path, stack, name, capfd, caplog):
    WRITERS[name](tmp_path / name, stack)
    with caplog.at_level(logging.WARNING):
        check_stack(tmp_path / name, stack)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


# ---- faults


@pytest.mark.parametrize("name", _FILES)
def test_an_empty_file_is_named(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UemError, match=r"is empty \(0 bytes\); copy it again from the instrument$"):
        describe_image(tmp_path / name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(UemError, match=rf"{name}: no such file; check the name$"):
        describe_image(tmp_path / name)
    with pytest.raises(UemError, match=rf"{name}: no such file; check the name$"):
        read_image(tmp_path / name, 0, (8, 8), "uint16")


@pytest.mark.parametrize("name", _FILES)
def test_a_folder_with_a_file_s_ending_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(UemError, match=rf"{name}: is a folder, not a file; name a file in it$"):
        describe_image(tmp_path / name)


@pytest.mark.parametrize("name", _FILES)
def test_a_text_is_no_image(tmp_path, name):
    (tmp_path / name).write_text("these are not the images you are looking for\n" * 50)
    with pytest.raises(UemError, match=rf"{name}: .*; (copy it again|check the file)$") as error:
        describe_image(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", _FILES)
def test_a_file_that_may_not_be_read_is_named(tmp_path, stack, name):
    WRITERS[name](tmp_path / name, stack)
    (tmp_path / name).chmod(0)
    with _another_user(tmp_path), pytest.raises(UemError) as error:
        describe_image(tmp_path / name)
    assert str(error.value) == (
        f"{tmp_path / name}: cannot be read (Permission denied); check the permissions"
    )


@contextmanager
def _another_user(folder):
    """Root may read everything: step down to nobody, who may enter the folder."""
    if os.geteuid() != 0:
        yield
        return
    modes = {parent: parent.stat().st_mode for parent in folder.parents}
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for parent, mode in modes.items():
            if parent in (folder.parent, folder.parent.parent):
                parent.chmod(mode)


@pytest.mark.parametrize("name", _FILES)
@pytest.mark.parametrize("share", [0.002, 0.02, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.97, 0.995, 0.9999])
def test_a_truncated_file_is_refused_or_whole(tmp_path, stack, name, share):
    path = tmp_path / name
    WRITERS[name](path, stack)
    whole, frames = _read_all(path)
    data = path.read_bytes()
    path.write_bytes(data[: max(1, min(int(share * len(data)), len(data) - 1))])
    logging.disable(logging.ERROR)
    try:
        info, found = _read_all(path)
    except UemError as error:
        _check_sentence(error, path)
    else:  # what was cut off was but filling at the end of the file
        assert info == whole
        np.testing.assert_array_equal(found, frames)
        assert share > 0.9
    finally:
        logging.disable(logging.NOTSET)


def _check_sentence(error, path):
    assert str(error).startswith(f"{path}: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", WRITERS)
def test_a_frame_beyond_the_end_is_named(tmp_path, stack, name):
    WRITERS[name](tmp_path / name, stack)
    with pytest.raises(UemError, match=rf"{name}: frame 9 cannot be read"):
        read_image(tmp_path / name, 9, stack.shape[1:], "uint16")


@pytest.mark.parametrize("name", WRITERS)
def test_frames_unlike_the_others_are_named(tmp_path, stack, name):
    WRITERS[name](tmp_path / name, stack)
    with pytest.raises(UemError, match=rf"{name}: frame 1 is \(24, 32\) px, the other frames are"):
        read_image(tmp_path / name, 1, (32, 24), "uint16")
    with pytest.raises(UemError, match=rf"{name}: frame 1 is uint16, the other frames are float32"):
        read_image(tmp_path / name, 1, (24, 32), "float32")


def test_damaged_bytes_give_a_result_or_an_error_for_people(tmp_path_factory, frame, answers):
    @given(st.data())
    @settings(max_examples=60)
    @answers
    def any_of_them(data):
        name = data.draw(st.sampled_from([n for n in _SHARED_HEADERS if n != "a.tif"]))
        path = tmp_path_factory.getbasetemp() / f"any{name}"
        path.unlink(missing_ok=True)
        WRITERS[name](path, np.stack([frame(0)[:8, :8]] * 2))
        content = bytearray(path.read_bytes())
        places = st.integers(0, len(content) - 1)
        for place in data.draw(st.lists(places, min_size=1, max_size=4)):
            content[place] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(content))
        try:
            info = describe_image(path)
            read_image(path, 0, info.shape, info.dtype)
        except UemError as error:
            _check_sentence(error, path)
            raise

    any_of_them()
    assert answers.share > 0.08


def test_a_foreign_ending_lists_what_can_be_read(tmp_path):
    (tmp_path / "a.jpg").write_text("x")
    with pytest.raises(
        UemError, match=r"'\.jpg' cannot be read; convert to one of \.btf, \.cdf, \.dm3"
    ):
        describe_image(tmp_path / "a.jpg")
    assert not is_image(tmp_path / "a.jpg")


def test_hidden_files_are_no_images(tmp_path):
    # As macOS leaves them beside every file on a share.
    assert not is_image(tmp_path / "._frame_1.tif")


def test_endings_in_capitals_count(tmp_path, stack):
    WRITERS["a.dm3"](tmp_path / "A.DM3", stack)
    assert is_image(tmp_path / "A.DM3")
    check_stack(tmp_path / "A.DM3", stack)


def test_every_format_of_the_table_is_tested_here():
    read = {FORMATS[Path(name).suffix][1] for name in WRITERS}
    assert read == {module for _, module in FORMATS.values()}


def test_importing_the_readers_imports_no_vendor_reader():
    code = (
        "import sys, uemdask.readers\n"
        "print(*sorted({'rsciio', 'h5py', 'mrcfile', 'hdf5plugin'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == ""
