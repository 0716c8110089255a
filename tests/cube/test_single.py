"""A variable of one chunk is read and written as Zarr does it."""

import numpy as np
import pytest
import zarr

from uemdask.cube import Run, create_run
from uemdask.cube.single import Single
from uemdask.errors import UemError

GIVEN = {
    "time": np.arange(12) * 0.5,
    "frame_ok": np.arange(12) % 2 == 0,
    "scan_count": np.arange(12, dtype=np.int32) - 3,
    "frame_flag": np.array(["", "blank", "Ü 𝄞"] * 3 + ["", "x", "a\0b"], object),
}


@pytest.fixture
def run(tmp_path):
    """A run so short that its delays are one chunk."""
    return create_run(
        tmp_path / "run.zarr", delays=GIVEN["time"], shape=(8, 8), dtype="uint16",
        pixel_size=(1.0, 1.0), source_file=[""] * 12,
    )  # fmt: skip


def of_zarr(run: Run, name: str, mode: str = "r") -> zarr.Array:
    return zarr.open_array(str(run.path / name), mode=mode)


@pytest.mark.parametrize("name", GIVEN)
def test_zarr_reads_what_was_written(run, name):
    assert isinstance(run._on_disk(name), Single)
    run.write(name, GIVEN[name])
    found = of_zarr(run, name)[:]
    assert found.tolist() == GIVEN[name].tolist()
    np.testing.assert_array_equal(run.read(name), found)
    assert run.read(name).dtype == found.dtype


@pytest.mark.parametrize("name", GIVEN)
def test_what_zarr_has_written_is_read_and_the_bytes_are_the_same(run, name):
    chunk = run.path / name / "c" / "0"
    run.write(name, GIVEN[name])
    ours = chunk.read_bytes()
    chunk.unlink()
    of_zarr(run, name, "r+")[:] = GIVEN[name]
    assert chunk.read_bytes() == ours
    assert run.read(name).tolist() == GIVEN[name].tolist()


def test_values_not_written_are_the_fill_value(run):
    run.create("gain", run.sizes)
    assert np.isnan(run.read("gain")).all()
    assert run.read("gain").shape == of_zarr(run, "gain")[:].shape


def test_where_all_values_are_the_fill_value_there_is_no_file_and_the_account_says_so(run):
    run.write("frame_ok", np.ones(12, bool))
    run.take_checksums()
    run.write("frame_ok", np.zeros(12, bool))
    assert not (run.path / "frame_ok" / "c" / "0").exists()
    assert run.take_checksums() == {"frame_ok/c/0": None}
    assert not run.read("frame_ok").any()


def test_what_is_read_may_be_changed(run):
    for name in GIVEN:
        values = run.read(name)
        values[:1] = values[1:2]
        assert values[0] == values[1]


def test_a_damaged_chunk_is_told(run):
    (run.path / "time" / "c" / "0").write_bytes(b"\x02\x01not blosc at all, and too short")
    with pytest.raises(UemError, match="'time' cannot be read"):
        run.read("time")


@pytest.mark.parametrize("name", GIVEN)
def test_a_chunk_that_is_cut_short_is_told_and_never_read_as_numbers(run, name):
    run.write(name, GIVEN[name])
    chunk = run.path / name / "c" / "0"
    whole = chunk.read_bytes()
    for length in {*range(0, len(whole), 8), len(whole) - 1}:
        chunk.write_bytes(whole[:length])
        with pytest.raises(UemError, match=f"'{name}' cannot be read"):
            run.read(name)
    chunk.write_bytes(whole)
    assert run.read(name).tolist() == GIVEN[name].tolist()


def test_what_has_several_chunks_is_left_to_zarr(run):
    run.create("frequency", run.sizes | {"frequency": 40})
    assert isinstance(run._on_disk("frequency"), Single)
    run.create("reference", run.sizes | {"y": 300})
    assert not isinstance(run._on_disk("reference"), Single)
