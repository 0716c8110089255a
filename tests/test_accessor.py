"""``ds.uem``: lazy, true to length, and equal to what the stages see."""

import dask
import numpy as np
import pytest

import uemdask
from uemdask import FaultsError, UemError

SIZE, STEP, LENGTH = 64, 2.0, 48.0  # px, nm per px, wavelength in nm


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Open a run with a plane wave along +x, whose frames drift and change in brightness."""
    delays = np.arange(20.0)
    run = uemdask.create_run(
        tmp_path_factory.mktemp("run") / "plane.zarr",
        delays=delays,
        shape=(SIZE, SIZE),
        dtype="uint16",
        pixel_size=(STEP, STEP),
        source_file=[f"{i}.tif" for i in range(20)],
    )
    sizes = run.sizes | {"component": 2}
    x = (np.arange(SIZE) + 0.5) * STEP
    wave = np.cos(2 * np.pi * (x - 2 * delays[:, None]) / LENGTH)
    wave = np.broadcast_to(wave[:, None, :], (20, SIZE, SIZE))
    drift = np.stack([np.arange(20) % 3, -(np.arange(20) % 2)], axis=1).astype(float)
    gain = 1 + 0.01 * np.arange(20)
    scene = 1000 + 20 * np.add.outer(np.arange(SIZE + 8), np.arange(SIZE + 8))
    frames = [
        g * scene[4 - int(dy) : 4 - int(dy) + SIZE, 4 - int(dx) : 4 - int(dx) + SIZE]
        for g, (dx, dy) in zip(gain, drift, strict=True)
    ]
    run.write("intensity", np.rint(frames).astype(np.uint16)[:16], _slab(0, 16))
    run.write("intensity", np.rint(frames).astype(np.uint16)[16:], _slab(16, 20))
    run.finish("ingest")
    run.put("component", ["x", "y"], sizes)
    run.put("drift", drift, sizes)
    run.put("gain", gain, sizes)
    run.put("bad_pixel", np.zeros((SIZE, SIZE), bool), sizes)
    run.put("reference", scene[4:-4, 4:-4].astype(np.float32), sizes)
    run.put("wave", wave, sizes)
    run.consolidate()
    return uemdask.open_run(run.path)


def _slab(start, stop):
    from uemdask.cube.layout import Region

    return Region((("time", start, stop),))


def test_building_computes_nothing(dataset):
    def computed(*args, **kwargs):
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=computed):
        dataset.uem.aligned()
        dataset.uem.space_time((10, 10), (90, 60))
        dataset.uem.roi(rectangle={"x": (0, 20), "y": (0, 20)})


def test_one_frame_reads_its_slab_alone(dataset, monkeypatch):
    from zarr.storage import LocalStore

    read = []

    async def get(self, key, *args, **kwargs):
        read.append(key)
        return await original(self, key, *args, **kwargs)

    original = LocalStore.get
    monkeypatch.setattr(LocalStore, "get", get)
    dataset.uem.aligned()[18].compute(scheduler="synchronous")
    chunks = [key for key in read if key.startswith("intensity/c/")]
    assert chunks == ["intensity/c/1/0/0"]  # not the frames 0 to 15, which are in another chunk


def test_aligned_frames_are_the_reference_where_nothing_else_changes(dataset):
    aligned = dataset.uem.aligned()
    assert aligned.dims == ("time", "y", "x")
    assert aligned.dtype == np.float32
    values, reference = aligned.values, dataset["reference"].values
    covered = values > 0
    assert covered.mean() > 0.9
    np.testing.assert_allclose(values[covered], np.broadcast_to(reference, values.shape)[covered],
                               rtol=1e-3)  # fmt: skip
    ratio = dataset.uem.aligned(ratio=True).values
    assert np.abs(ratio).max() < 1e-3


@pytest.mark.parametrize("tilt", [0, 30, 60])
def test_a_tilted_line_is_true_to_length(dataset, tilt):
    end = (14 + 100 * np.cos(np.radians(tilt)), 14 + 100 * np.sin(np.radians(tilt)))
    line = dataset.uem.space_time((14, 14), end)
    assert line.dims == ("time", "distance")
    assert line["distance"].values[-1] == pytest.approx(100, abs=STEP)
    distance = line["distance"].values
    expected = np.cos(
        2 * np.pi * (14 + distance * np.cos(np.radians(tilt)) - 2 * dataset["time"].values[:, None])
        / LENGTH
    )  # fmt: skip
    np.testing.assert_allclose(line.values, expected, atol=0.02)


def test_averaging_along_straight_fronts_changes_nothing(dataset):
    thin = dataset.uem.space_time((10, 64), (110, 64)).values
    wide = dataset.uem.space_time((10, 64), (110, 64), width=40).values
    np.testing.assert_allclose(thin, wide, atol=1e-3)


def test_faults_are_said(dataset):
    with pytest.raises(UemError, match="leaves the image"):
        dataset.uem.space_time((10, 10), (200, 10))
    with pytest.raises(UemError, match="both ends"):
        dataset.uem.space_time((10, 10), (10, 10))
    with pytest.raises(UemError, match="flow: not in this dataset"):
        dataset.uem.space_time((10, 10), (20, 10), variable="flow")
    with pytest.raises(UemError, match="intensity: not in this dataset"):
        dataset.drop_vars("intensity").uem.aligned()
    with pytest.raises(FaultsError):
        dataset.uem.roi(rectangle={"x": (20, 0), "y": (0, 20)})


def test_a_region_selects_its_pixels(dataset):
    inside = dataset.uem.roi(rectangle={"x": (0, 20), "y": (0, 40)})
    assert int(inside.sum()) == 10 * 20
    assert bool(inside.sel(x=1.0, y=39.0))
    assert not bool(inside.sel(x=21.0, y=1.0))
