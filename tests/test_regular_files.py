"""Files that are files."""

import os
import socket

import pytest

from uemdask.cube import Run
from uemdask.errors import UemError
from uemdask.regular_files import check_regular, read_regular


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"1,2")
    assert read_regular(tmp_path / "a") == b"1,2"
    assert read_regular(tmp_path / "a", 3) == b"1,2"
    with pytest.raises(UemError, match="a: is longer than"):
        read_regular(tmp_path / "a", 2)


def test_what_is_not_there_and_folders_are_told_by_the_system(tmp_path):
    check_regular(tmp_path / "a")
    check_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "a")
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a device", "a link to a device"])
def test_what_may_never_end_is_refused(tmp_path, kind, monkeypatch):
    path = tmp_path / "a"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        monkeypatch.chdir(tmp_path)  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("a")
    else:
        path.symlink_to("/dev/zero")
    for function in (check_regular, read_regular):
        with pytest.raises(UemError, match=f"a: is {kind.removeprefix('a link to ')}, not a file"):
            function(path)


def test_a_store_behind_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    os.mkfifo(tmp_path / "a.zarr" / "zarr.json")
    with pytest.raises(UemError, match=r"zarr\.json: is a pipe, not a file; move it away"):
        Run(tmp_path / "a.zarr")
