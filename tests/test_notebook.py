"""A notebook, from raw files to speed against delay: nothing stored, nothing computed early."""

import json

import dask
import numpy as np
import pytest
import xarray as xr

import uemdask
from uemdask.cube.store import RECORD
from uemdask.regions.front_speed import HEADLINE


def computed(*args, **kwargs):
    raise AssertionError("something was computed")


def notebook(raw, run):
    """Return every step from raw files to modes of regions, with the network of a run."""
    stages = json.loads(run.attrs[RECORD])["stages"]
    trained, found = (stages[name]["results"] for name in ("train", "flow"))
    rois = stages["feature"]["parameters"]["rois"]
    ds = uemdask.open_raw(raw, pixel_size="12nm")
    ds = ds.assign(uemdask.estimate_drift(ds))
    ds = ds.assign(uemdask.reference(ds))
    ds = ds.assign(uemdask.gain(ds))
    ratio = uemdask.aligned(ds).chunk(time=-1, y=256, x=256)
    spectrum = uemdask.mean_spectrum(ratio)
    band = uemdask.choose_band(spectrum)
    peaks = uemdask.peaks(ratio, band)
    wave = uemdask.band_pass(ratio, band, spectrum=spectrum, peaks=peaks).chunk(y=-1, x=-1)
    pairs = uemdask.pairs(ds.frame_ok, ds.time)
    labels = uemdask.estimate_labels(wave, pairs, peaks, methods=["dis"])
    network = uemdask.predict_flow(wave, pairs, peaks, trained["model"])
    names = ("label_error", "network_factor", "deviation_factor")
    known = {name: tuple(found[name]) for name in names if name in found}
    flow = uemdask.fuse_flow(network, labels, **known)
    reason = uemdask.invalid_reason(network, wave, labels, peaks)
    motion = uemdask.speed_angle(flow, reason == 0)
    features = uemdask.roi_features(
        motion.assign(mask=peaks.mask),
        rois,
        correlation_px=stages["feature"]["results"]["correlation_px"],
        systematic=found["region_error"],
        systematic_degree=found["region_turn"],
    )
    modes = uemdask.mode(features, peaks, ds, spectrum, band, rois)
    speeds = uemdask.headline(motion, wave, peaks, rois)
    parts = (ds, spectrum, peaks, pairs, labels, motion, features, modes, speeds)
    steps = {name: part[name] for part in parts for name in part.variables}
    return steps | {"wave": wave, "invalid_reason": reason}


@pytest.fixture(scope="module")
def run(wedge):
    """Return raw files, and the run that the pipeline made of them."""
    return wedge / "raw" / "wedge", uemdask.open_run(wedge / "wedge.zarr")


@pytest.fixture(scope="module")
def values(run):
    """Return what the notebook computes in its last line, built while nothing may be computed."""
    with dask.config.set(scheduler=computed):
        steps = notebook(*run)
    return dask.compute(steps, scheduler="threads", num_workers=2)[0]


#: How far a variable may be from what the pipeline stored: a step of what is stored, at a few
#: pixels, as OpenCV shares its work over threads.
EXACT = (
    "drift", "drift_sd", "gain", "gain_slope", "reference", "bad_pixel", "shaded", "unlit",
    "spectrum", "peak_count", "frequency",
    "peak_frequency", "peak_amplitude", "peak_phase", "peak_snr", "travel_index", "wavelength",
    "mask", "wave", "frame_from", "frame_to", "time_from", "time_to", "pair_time",
)  # fmt: skip
FEATURES = ("roi_feature", "roi_feature_sd", "mode_probability", "roi_travel_index",
            "roi_relevant_share", "roi_brightness_share", "roi_uniform_share",
            "roi_travelling_share")  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_it_has_the_numbers_of_the_pipeline(run, values, name):
    np.testing.assert_allclose(values[name].values, run[1][name].values, rtol=1e-6, atol=1e-9)
    assert values[name].attrs["units"] == run[1][name].attrs["units"]


@pytest.mark.parametrize("name", ["label", "label_confidence", "flow", "flow_sd", "speed", "angle"])
def test_motion_is_that_of_the_pipeline(run, values, name):
    wanted = run[1][name].values
    step = {"label": 1 / 128, "label_confidence": 1 / 255, "angle": 0.25}.get(name, 0.0)
    found = values[name].values
    assert np.mean(np.isnan(found) == np.isnan(wanted)) > 0.9999
    both = np.isfinite(found) & np.isfinite(wanted)
    np.testing.assert_allclose(found[both], wanted[both], rtol=1e-4, atol=step + 1e-6)


def test_so_are_valid_pixels(run, values):
    assert (values["valid"].values == run[1].valid.values).mean() > 0.9999
    reason = run[1].invalid_reason
    assert (values["invalid_reason"].values == reason.values).mean() > 0.9999
    assert values["invalid_reason"].attrs.items() <= reason.attrs.items()
    np.testing.assert_array_equal(reason == 0, run[1].valid)


@pytest.mark.parametrize("name", FEATURES)
def test_so_are_features_and_modes(run, values, name):
    np.testing.assert_allclose(values[name].values, run[1][name].values, rtol=1e-4, atol=1e-6)
    assert values["mode"].values.tolist() == run[1]["mode"].values.tolist()


@pytest.mark.parametrize("name", HEADLINE)
def test_so_are_headlines(run, values, name):
    found, wanted = values[name].values, run[1][name].values
    if name == "roi_speed_missing":
        assert found.tolist() == wanted.tolist()
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-3)


def test_what_is_in_memory_needs_no_dask(run, values):
    ds = run[1].isel(y=slice(0, 32)).compute()
    with dask.config.set(scheduler=computed):
        ratio = uemdask.aligned(ds)
        band = uemdask.choose_band(uemdask.mean_spectrum(ratio))
        assert uemdask.peaks(ratio, band).mask.chunks is None
        assert band.low < uemdask.choose_band(run[1]).centre < band.high


def test_cut_delays_are_refused_with_the_remedy(run):
    ratio = uemdask.aligned(run[1]).chunk(time=8)
    with pytest.raises(uemdask.UemError, match=r"in 6 chunks along 'time'.*chunk\(time=-1\)"):
        uemdask.mean_spectrum(ratio)


def test_a_graph_is_small(run):
    ds = run[1]
    frames = xr.concat([ds.intensity] * 4, "x").chunk(time=16, y=32, x=32)
    frames = frames.assign_coords(x=(np.arange(frames.sizes["x"]) + 0.5) * 12.0, y=ds.y)
    band = uemdask.choose_band(ds)
    found = uemdask.peaks(frames.chunk(time=-1).astype(np.float32), band)
    blocks = 2 * 8
    # Of each block: its parts with halos, the maps, and a few sums.
    assert len(found.mask.data.__dask_graph__()) < 60 * blocks


def test_one_added_line_does_it_on_a_cluster(run, values):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0"
    ):
        speed = notebook(*run)["roi_feature"].sel(feature="mean_speed").compute()
    np.testing.assert_allclose(speed, values["roi_feature"].sel(feature="mean_speed"), rtol=1e-4)
