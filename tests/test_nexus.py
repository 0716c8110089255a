"""NeXus files: what a reader of NeXus expects, all or nothing."""

import json

import dask
import numpy as np
import pytest

import uemdask
from uemdask import UemError
from uemdask.metadata import from_nexus

h5py = pytest.importorskip("h5py", reason="h5py is not installed; 'pip install h5py'")

_METADATA = {"sample": "Ge wedge", "beam_energy": "200 keV", "time_zero": "12 ps", "flake": "left"}
_TAGS = {"ImageTags": {"Voltage": 2e5, "µ": [1, 2]}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    run = uemdask.create_run(
        tmp_path_factory.mktemp("run") / "run.zarr",
        delays=np.array([-10.0, -5, 0, 50]),
        shape=(24, 40),
        dtype="uint16",
        pixel_size=(3.0, 2.5),
        source_file=[f"{i}.tif" for i in range(4)],
        metadata=_METADATA | {"vendor": _TAGS, "own": {"a/b": [1]}, "a/b": 2},
    )
    run.write("intensity", np.random.default_rng(1).integers(0, 9, (4, 24, 40), dtype=np.uint16))
    run.finish("ingest")
    sizes = run.sizes | {"component": 2, "pair": 2}
    run.put("component", ["x", "y"], sizes)
    run.put("mask", np.eye(24, 40, dtype=bool), sizes)
    run.put("time_from", np.array([-10.0, -5]), sizes)
    run.put("time_to", np.array([-5.0, 0]), sizes)
    run.put("frame_from", np.array([0, 1]), sizes)
    run.put("frame_to", np.array([1, 2]), sizes)
    run.put("flow", np.ones((2, 2, 24, 40), np.float32), sizes)
    run.consolidate()
    return uemdask.open_run(run.path)


def _tree(group):
    found = {f"@{key}": value for key, value in group.attrs.items()}
    for name, node in group.items():
        if isinstance(node, h5py.Group):
            found[name] = _tree(node)
        else:
            found[name] = node[()]
            found |= {f"{name}@{key}": value for key, value in node.attrs.items()}
    return found


def test_the_file_holds_the_data_with_axes_and_units(dataset, tmp_path):
    names = ["intensity", "mask", "flow"]
    uemdask.write_nexus(dataset, tmp_path / "a.nxs", names)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nxs"]
    with h5py.File(tmp_path / "a.nxs") as file:
        # As a viewer finds its way: default, default, signal, axes.
        data = file[file.attrs["default"]][file["entry"].attrs["default"]]
        signal = data[data.attrs["signal"]]
        assert data.attrs["NX_class"] == "NXdata"
        assert signal.attrs["units"] == "counts"
        np.testing.assert_array_equal(signal[...], dataset["intensity"].values)
        for place, axis in enumerate(data.attrs["axes"]):
            assert data.attrs[f"{axis}_indices"] == place
            np.testing.assert_array_equal(data[axis][...], dataset[axis].values)
            assert data[axis].attrs["units"] == dataset[axis].attrs["units"]
        flow = file["entry/flow"]
        assert list(flow.attrs["axes"]) == ["time_from", "component", "y", "x"]
        assert list(flow["component"].asstr()) == ["x", "y"]
        assert file["entry/mask/mask"].dtype == np.uint8
        assert json.loads(file["entry/collection/vendor"].asstr()[()]) == _TAGS


def test_the_metadata_come_back(dataset, tmp_path):
    uemdask.write_nexus(dataset, tmp_path / "a.nxs", ["mask"])
    with h5py.File(tmp_path / "a.nxs") as file:
        found = from_nexus(_tree(file))
    assert {name: found[name] for name in _METADATA} == _METADATA
    assert found["pixel_size"] == "3 nm, 2.5 nm"
    assert json.loads(found["own"]) == {"a/b": [1]}
    assert found["a_b"] == 2


@pytest.mark.parametrize(
    ("name", "variables", "sentence"),
    [
        ("a.nxs", ["speed"], "speed: not in this dataset; name some of .*intensity"),
        ("a.nxs", [], "no variable"),
        ("a.txt", ["mask"], "let it end in .nxs"),
        ("none/a.nxs", ["mask"], "cannot be written"),
    ],
)
def test_faults_are_sentences(dataset, tmp_path, name, variables, sentence):
    with pytest.raises(UemError, match=sentence):
        uemdask.write_nexus(dataset, tmp_path / name, variables)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_only_on_request_and_only_by_a_whole_one(dataset, tmp_path):
    path = tmp_path / "a.nxs"
    uemdask.write_nexus(dataset, path, ["mask"])
    before = path.read_bytes()
    with pytest.raises(UemError, match="is there already"):
        uemdask.write_nexus(dataset, path, ["intensity"])

    def fail(*args, **kwargs):
        raise OSError("disk full")

    with dask.config.set(scheduler=fail), pytest.raises(UemError, match="disk full"):
        uemdask.write_nexus(dataset, path, ["intensity"], overwrite=True)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.nxs"]
    uemdask.write_nexus(dataset, path, ["intensity"], overwrite=True)
    with h5py.File(path) as file:
        assert "intensity" in file["entry"]
