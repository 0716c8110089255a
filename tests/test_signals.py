"""HyperSpy signals: there and back, lazily."""

import sys
from importlib.util import find_spec

import dask
import numpy as np
import pytest
import xarray as xr

import uemdask
from uemdask import UemError

needs_hyperspy = pytest.mark.skipif(
    find_spec("hyperspy") is None,
    reason="HyperSpy is not installed; 'pip install hyperspy' to test the way to it",
)
_SHAPE = (24, 40)  # y, x
_METADATA = {
    "sample": "Ge wedge",
    "beam_energy": "200 keV",
    "exposure": "10 s",
    "pump_fluence": "5 mJ/cm²",
    "date": "2024-05-03T14:30:00+02:00",
    "time_zero": "12 ps",
    "flake": "left",
    "vendor": {"ImageTags": {"My Own": {"Tag": 3}}},
}


def _open(folder, delays):
    count = len(delays)
    run = uemdask.create_run(
        folder / "run.zarr",
        delays=delays,
        shape=_SHAPE,
        dtype="uint16",
        pixel_size=(3.0, 2.5),
        source_file=[f"{i}.tif" for i in range(count)],
        metadata=_METADATA,
    )
    frames = np.random.default_rng(3).integers(0, 60000, (count, *_SHAPE), dtype=np.uint16)
    run.write("intensity", frames)
    run.finish("ingest")
    sizes = run.sizes | {"component": 2, "pair": 2, "frequency": 4}
    run.begin("align", digest="a", parameters={})
    run.put("component", ["x", "y"], sizes)
    run.put("gain", np.linspace(0.9, 1.1, count), sizes)
    run.finish("align")
    run.begin("spectrum", digest="b", parameters={})
    run.put("frequency", np.arange(4) * 12.5, sizes)
    run.put("spectrum", np.arange(4.0), sizes)
    run.put("mask", np.eye(*_SHAPE, dtype=bool), sizes)
    run.put("wave", np.random.default_rng(4).normal(size=frames.shape), sizes)
    run.finish("spectrum")
    run.begin("pairs", digest="c", parameters={})
    run.put("frame_from", np.array([0, 1]), sizes)
    run.put("frame_to", np.array([1, 2]), sizes)
    run.put("time_from", delays[:2], sizes)
    run.put("time_to", delays[1:3], sizes)
    run.finish("pairs")
    run.begin("flow", digest="d", parameters={})
    run.put("flow", np.random.default_rng(5).normal(size=(2, 2, *_SHAPE)), sizes)
    run.finish("flow")
    return uemdask.open_run(run.path)


@pytest.fixture(scope="module")
def even(tmp_path_factory):
    return _open(tmp_path_factory.mktemp("even"), np.arange(-10.0, 20.0, 5.0))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    return _open(tmp_path_factory.mktemp("uneven"), np.array([-10.0, -5, 0, 5, 50, 500]))


def test_without_hyperspy_a_sentence_says_what_to_install(even, monkeypatch):
    monkeypatch.setitem(sys.modules, "hyperspy", None)
    with pytest.raises(UemError, match="HyperSpy is not installed here; install it"):
        uemdask.to_hyperspy(even)


def _computed(*args, **kwargs):
    raise AssertionError("something was computed")


@needs_hyperspy
@pytest.mark.parametrize("spacing", ["even", "uneven"])
@pytest.mark.parametrize("variable", ["intensity", "wave", "mask", "flow", "spectrum", "gain"])
def test_a_variable_comes_back_as_it_was_and_no_image_is_computed(request, spacing, variable):
    dataset = request.getfixturevalue(spacing)
    with dask.config.set(scheduler=_computed):
        signal = uemdask.to_hyperspy(dataset, variable)
        back = uemdask.from_hyperspy(signal)
    assert signal._lazy
    array = dataset[variable]
    assert signal.axes_manager.signal_dimension == (2 if array.dims[-1] == "x" else 1)
    assert list(back.data_vars) == [variable]
    assert back[variable].dims == array.dims
    assert back[variable].dtype == array.dtype
    assert back[variable].chunks == array.chunks
    assert back[variable].attrs == array.attrs
    np.testing.assert_array_equal(back[variable].values, array.values)
    for name in set(back.coords):
        if back[name].dtype.kind == "f":
            np.testing.assert_allclose(back[name].values, dataset[name].values, rtol=1e-12)
            assert back[name].attrs["units"] == dataset[name].attrs["units"]
        else:
            assert list(back[name].values) == list(dataset[name].values)
    assert set(array.dims) - {"pair"} <= set(back.coords)
    assert {k: back.attrs[k] for k in _METADATA} == _METADATA
    if array.dims[-1] == "x":
        assert back.attrs["pixel_size"] == pytest.approx([3.0, 2.5])


@needs_hyperspy
def test_axes_have_the_units_and_places_of_the_run(even, uneven):
    x, y = uemdask.to_hyperspy(even, "wave").axes_manager.signal_axes
    assert (x.name, x.units, x.scale, x.offset) == ("x", "nm", pytest.approx(2.5), 1.25)
    assert (y.name, y.units, y.scale, y.offset) == ("y", "nm", pytest.approx(3.0), 1.5)
    (time,) = uemdask.to_hyperspy(even, "wave").axes_manager.navigation_axes
    assert (time.units, time.is_uniform, time.scale, time.offset) == ("ps", True, 5.0, -10.0)
    (time,) = uemdask.to_hyperspy(uneven, "wave").axes_manager.navigation_axes
    assert not time.is_uniform
    assert list(time.axis) == [-10, -5, 0, 5, 50, 500]


@needs_hyperspy
def test_the_metadata_stand_where_hyperspy_looks_for_them(even):
    signal = uemdask.to_hyperspy(even)
    tree = signal.metadata
    assert tree.Acquisition_instrument.TEM.beam_energy == 200.0
    assert tree.General.date == "2024-05-03"
    assert tree.General.title == "recorded intensity"
    assert tree.Signal.quantity == "intensity (counts)"
    assert signal.original_metadata.as_dictionary() == _METADATA["vendor"]


@needs_hyperspy
def test_a_signal_saved_by_hyperspy_comes_back(uneven, tmp_path):
    pytest.importorskip("h5py", reason="HyperSpy's own files need h5py")
    import hyperspy.api as hs

    uemdask.to_hyperspy(uneven, "intensity").save(tmp_path / "a.hspy")
    back = uemdask.from_hyperspy(hs.load(tmp_path / "a.hspy", lazy=True))
    xr.testing.assert_equal(
        back["intensity"].reset_coords(drop=True),
        uneven["intensity"].reset_coords(drop=True),
    )
    assert {k: back.attrs[k] for k in _METADATA} == _METADATA


def _stack(**changes):
    """Return a stack as HyperSpy reads one from a camera, its delays not known."""
    import hyperspy.api as hs

    image = {"units": "µm", "scale": 0.002, "offset": 0.0, "size": 4}
    axes = [{"name": "z", "units": "", "size": 3, "navigate": True}, image, dict(image)]
    for axis, change in changes.items():
        axes["zyx".index(axis)].update(change)
    tags = {"ImageTags": {"Microscope Info": {"Voltage": 200000.0}}}
    return hs.signals.Signal2D(np.zeros((3, 4, 4)), axes=axes, original_metadata=tags)


@needs_hyperspy
def test_a_stack_of_a_camera_becomes_a_run(tmp_path):
    new = uemdask.from_hyperspy(_stack(), delays=[-5, 0, 7.5])
    assert new["intensity"].dims == ("time", "y", "x")
    assert new.attrs["pixel_size"] == pytest.approx([2.0, 2.0])
    assert new.attrs["beam_energy"] == "200 keV"
    # As the page on metadata tells it.
    run = uemdask.create_run(
        tmp_path / "a.zarr",
        delays=new.time.values,
        shape=new.intensity.shape[1:],
        dtype=new.intensity.dtype.name,
        pixel_size=new.attrs["pixel_size"],
        source_file=["stack.dm4"] * new.sizes["time"],
        metadata={
            k: v for k, v in new.attrs.items() if k not in ("pixel_size", "pixel_size_units")
        },
    )
    run.write("intensity", new.intensity.values)
    run.finish("ingest")
    made = uemdask.open_run(run.path)
    assert list(made.time.values) == [-5, 0, 7.5]
    assert made.uem.metadata()["beam_energy"].value == 200.0


@needs_hyperspy
def test_units_of_others_are_converted():
    new = uemdask.from_hyperspy(_stack(z={"units": "fs", "scale": 500.0, "offset": -500.0}))
    np.testing.assert_allclose(new["time"].values, [-0.5, 0, 0.5])
    np.testing.assert_allclose(new["x"].values, [0, 2, 4, 6], atol=1e-12)
    given = uemdask.from_hyperspy(
        _stack(y={"units": "1/nm"}, x={"units": "1/nm"}), delays=[0, 1, 2], pixel_size="3 nm"
    )
    np.testing.assert_allclose(given["y"].values, [1.5, 4.5, 7.5, 10.5])


@needs_hyperspy
@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({}, {}, "axis z is in no unit, which is no unit of time; give delays"),
        ({"z": {"units": "nm"}}, {}, "axis z is in nm, which is no unit of time"),
        ({}, {"delays": [0, 1]}, "2 for 3 frames"),
        ({"y": {"units": "1/nm"}}, {"delays": [0, 1, 2]}, "give pixel_size='3nm'"),
    ],
)
def test_what_is_not_known_is_asked_for(changes, options, sentence):
    with pytest.raises(UemError, match=sentence):
        uemdask.from_hyperspy(_stack(**changes), **options)


@needs_hyperspy
def test_axes_that_are_not_of_a_run_are_refused():
    import hyperspy.api as hs

    with pytest.raises(UemError, match="are not those of a run"):
        uemdask.from_hyperspy(hs.signals.Signal1D(np.zeros(5)))
    with pytest.raises(UemError, match="are not those of a run"):
        uemdask.from_hyperspy(hs.signals.Signal2D(np.zeros((2, 2, 4, 4))))


@needs_hyperspy
@pytest.mark.parametrize(
    ("variable", "sentence"),
    [("speed", "not in this dataset"), ("source_file", "name a numeric variable")],
)
def test_variables_that_are_no_images_are_refused(even, variable, sentence):
    with pytest.raises(UemError, match=sentence):
        uemdask.to_hyperspy(even, variable)


@needs_hyperspy
def test_a_dataset_in_memory_gives_a_signal_in_memory(even):
    signal = uemdask.to_hyperspy(even.load(), "mask")
    assert not signal._lazy
    assert isinstance(signal.data, np.ndarray)
