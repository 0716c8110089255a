"""The truth file holds what the contract says, without pickle."""

import dataclasses

import numpy as np
import pytest

from uemdask.errors import FaultsError, UemError
from uemdask.simulate import Truth, scenario, simulate


@pytest.fixture(scope="module")
def truth():
    return simulate(
        scenario("ring", shape=(32, 40), frames=20, pixel_size=(3.0, 2.5), seed=4)
    ).truth()


def test_round_trip(truth, tmp_path):
    truth.save(tmp_path / "truth.npz")
    back = Truth.load(tmp_path / "truth.npz")
    assert back.mode == "travelling"
    for field in dataclasses.fields(Truth):
        if field.name != "mode":
            before, after = getattr(truth, field.name), getattr(back, field.name)
            assert after.dtype == before.dtype
            np.testing.assert_array_equal(after, before)


def test_numpy_alone_reads_the_file_without_pickle(truth, tmp_path):
    truth.save(tmp_path / "truth.npz")
    with np.load(tmp_path / "truth.npz", allow_pickle=False) as archive:
        assert set(archive.files) == {
            "flow",
            "mask",
            "present",
            "strength",
            "lit",
            "drift",
            "gain",
            "mode",
            "delays",
            "pixel_nm",
        }
        assert archive["flow"].shape == (19, 2, 32, 40)
        assert archive["flow"].dtype == np.float32
        assert archive["mask"].dtype == bool
        assert archive["present"].shape == (19,)
        assert archive["strength"].shape == (20, 32, 40)
        assert archive["lit"].all()
        assert archive["drift"].shape == (20, 2)
        assert str(archive["mode"]) == "travelling"
        assert archive["pixel_nm"].tolist() == [3.0, 2.5]


def test_one_pixel_size_stands_for_both(truth, tmp_path):
    arrays = {f.name: np.asarray(getattr(truth, f.name)) for f in dataclasses.fields(Truth)}
    np.savez(tmp_path / "truth.npz", **(arrays | {"pixel_nm": np.array(3.0)}))
    assert Truth.load(tmp_path / "truth.npz").pixel_nm.tolist() == [3.0, 3.0]


def test_missing_arrays_and_wrong_shapes_are_named(truth, tmp_path):
    np.savez(tmp_path / "a.npz", flow=truth.flow)
    with pytest.raises(FaultsError, match=r"(?s)mask: is missing.*gain: is missing"):
        Truth.load(tmp_path / "a.npz")
    arrays = {f.name: np.asarray(getattr(truth, f.name)) for f in dataclasses.fields(Truth)}
    np.savez(tmp_path / "b.npz", **(arrays | {"gain": np.ones(3)}))
    with pytest.raises(FaultsError, match=r"gain: has the shape \(3,\); \(20,\)"):
        Truth.load(tmp_path / "b.npz")


def test_no_file_and_no_truth_file_are_said_plainly(tmp_path):
    with pytest.raises(UemError, match="no such file"):
        Truth.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not a zip")
    with pytest.raises(UemError, match="is not a truth file"):
        Truth.load(tmp_path / "text.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(UemError, match="is not a truth file"):
        Truth.load(tmp_path / "array.npy")
