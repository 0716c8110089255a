"""``ds.uem``: lazy, true to length, and equal to what the stages see."""

import dask
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import uemdask
from uemdask import FaultsError, UemError
from uemdask.spectrum import leaked_frames

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
    run.put("gain_slope", np.zeros((20, 2)), sizes)
    for name in ("bad_pixel", "shaded", "unlit"):
        run.put(name, np.zeros((SIZE, SIZE), bool), sizes)
    run.put("passed_light", np.ones((SIZE, SIZE), np.float32), sizes)
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
    assert np.nanmax(np.abs(ratio)) < 1e-3


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


# ---- a run of pairs and regions


DELAYS = np.arange(-60.0, 60.0, 5.0)
BAND = {"low": 30.0, "high": 38.0, "centre": 34.0, "significance": 9.0, "found": True}
ROIS = ["left", "right", "round, (1)"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a run whose wave is 1 everywhere and whose speed is the index of the pair."""
    count = len(DELAYS)
    run = uemdask.create_run(
        tmp_path_factory.mktemp("run") / "pairs.zarr",
        delays=DELAYS,
        shape=(16, 24),
        dtype="uint16",
        pixel_size=(2.0, 3.0),
        source_file=[f"{i}.tif" for i in range(count)],
        metadata={"notes": ["thin", "bent"], "vendor": {"Camera": {"gain": None}}, "mine": [True]},
    )
    sizes = run.sizes | {"component": 2, "pair": count - 1, "roi": 3, "feature": 2}
    run.finish("ingest")
    run.begin("spectrum", digest="", parameters={"window": 0.5})
    run.put("mask", np.eye(16, 24, dtype=bool), sizes)
    run.put("wave", np.ones((count, 16, 24)), sizes)
    run.note("spectrum", results={"band": BAND})
    run.finish("spectrum")
    start, end = DELAYS[:-1], DELAYS[1:]
    for name, values in (("time_from", start), ("time_to", end), ("pair_time", (start + end) / 2)):
        run.put(name, values, sizes)
    number = np.arange(count - 1.0)
    run.put("speed", np.broadcast_to(number[:, None, None], (count - 1, 16, 24)), sizes)
    run.put("angle", np.zeros((count - 1, 16, 24)), sizes)
    run.put("roi", ROIS, sizes)
    run.put("feature", ["mean_speed", "coherence"], sizes)
    run.put("feature_unit", ["nm/ps", "1"], sizes)
    run.put("roi_outline", ["{}", "{}", "{}"], sizes)
    features = np.arange(3)[:, None, None] * 1000.0 + np.array([0, 100])[:, None] + number
    run.put("roi_feature", features, sizes)
    run.put("roi_feature_sd", features / 10, sizes)
    run.put("mode", ["none", "standing", "travelling"], sizes)
    run.consolidate()
    return run.path


@pytest.fixture
def pairs(store):
    return uemdask.open_run(store)


def test_a_space_time_plot_is_blank_where_the_wave_cannot_be_told(pairs):
    plot = pairs.uem.space_time((5, 5), (60, 20))
    blank = np.isnan(plot.values)
    assert (blank.all(axis=1) == blank.any(axis=1)).all()
    untold = leaked_frames(DELAYS, centre=34.0, window=0.5)
    np.testing.assert_array_equal(blank.all(axis=1), untold)
    assert 3 < untold.sum() < (DELAYS < 0).sum()
    # What was recorded is what was recorded.
    assert pairs.uem.space_time((5, 5), (60, 20), variable="intensity").notnull().all()


def test_pairs_are_selected_by_the_delay_in_their_middle(pairs):
    assert float(pairs.speed.sel(pair_time=21, method="nearest")[0, 0]) == 16
    assert pairs.sel(pair_time=slice(0, 30)).sizes["pair"] == 6


def test_what_is_small_can_decide_what_to_keep(pairs):
    late = pairs.where(pairs.pair_time > 0, drop=True)
    assert late.sizes["pair"] == 11
    assert list(late["mode"].values[:, 0]) == ["none", "standing", "travelling"]
    assert pairs.intensity.where(pairs.frame_ok, drop=True).sizes["time"] == len(DELAYS)
    assert pairs.speed.where(pairs.mask, drop=True).sizes["x"] == 16
    strong = pairs.roi_feature.sel(feature="coherence", drop=True) > 1000
    assert pairs.roi_feature.where(strong, drop=True).sizes["roi"] == 2


@pytest.mark.parametrize("along", ["time_from", "pair_time"])
def test_features_of_several_regions_are_drawn_against_the_delay(pairs, along):
    plt.close("all")
    lines = pairs.roi_feature.sel(feature="mean_speed").plot(x=along, hue="roi")
    assert len(lines) == 3
    np.testing.assert_array_equal(lines[2].get_xdata(), pairs[along])
    plt.close("all")


def test_features_make_a_table(pairs, tmp_path):
    table = pairs.uem.features()
    assert len(table) == 3 * (len(DELAYS) - 1)
    row = table.loc[("round, (1)", 22.5)]
    assert row["time_from"] == 20
    assert row["time_to"] == 25
    assert row["coherence"] == 2116
    assert row["coherence_sd"] == pytest.approx(211.6)
    assert table.attrs["units"]["mean_speed"] == "nm/ps"
    table.to_csv(tmp_path / "features.csv")
    back = pd.read_csv(tmp_path / "features.csv")
    assert list(back) == ["roi", "pair_time", "time_from", "time_to", "mean_speed",
                          "mean_speed_sd", "coherence", "coherence_sd"]  # fmt: skip
    assert "roi_outline" not in pairs.roi_feature.to_dataframe()
    with pytest.raises(UemError, match="roi_feature_sd: not in this dataset"):
        pairs.drop_vars("roi_feature_sd").uem.features()


def test_a_run_can_be_written_as_netcdf(pairs, tmp_path):
    pairs.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as back:
        xr.testing.assert_allclose(back["speed"].variable, pairs["speed"].variable.compute())
        np.testing.assert_array_equal(back["roi"].values.astype(str), ROIS)
        assert back.attrs["vendor"] == '{"Camera": {"gain": null}}'
        assert back.uem.metadata()["notes"] == ["thin", "bent"]
        assert back.uem.metadata()["pixel_size"][1].value == 3.0


def test_an_image_is_drawn_as_displayed(pairs):
    plt.close("all")
    drawn = pairs.uem.show("speed", pair_time=21)
    top, bottom = drawn.axes.get_ylim()[::-1]
    assert top == 0
    assert bottom == 32  # y runs down
    assert drawn.axes.get_aspect() == 1
    assert drawn.axes.get_title() == "pair_time = 22.5 ps"
    assert float(drawn.get_array().mean()) == 16
    plt.close("all")
    angle = pairs.uem.show("angle", pair_time=-1000)
    assert angle.get_clim() == (-180, 180)
    _, ax = plt.subplots()
    assert pairs.uem.show(pairs.wave.mean("time"), ax=ax).axes is ax
    plt.close("all")


def test_what_is_no_image_is_said(pairs):
    with pytest.raises(UemError, match=r"speed: is no single image.* pair, y, x; choose one"):
        pairs.uem.show("speed")
    with pytest.raises(UemError, match="speed: has no time; choose by"):
        pairs.uem.show("speed", time=5)
    with pytest.raises(UemError, match="flow: not in this dataset"):
        pairs.uem.show("flow")
    with pytest.raises(UemError, match="roi: 'top' is none of left, right"):
        pairs.uem.show(pairs.speed * pairs.roi_feature[..., 0, 0], roi="top")


def test_plain_xarray_opens_the_run_without_a_warning(store):
    with xr.open_zarr(store) as plain:
        assert float(plain.uem.features()["mean_speed"].iloc[-1]) == 2022
        assert plain.uem.space_time((5, 5), (60, 20)).isnull().any()
        assert plain.uem.show("speed", pair_time=21) is not None
    plt.close("all")
