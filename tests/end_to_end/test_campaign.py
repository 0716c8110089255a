"""A campaign from raw folders to modes, as a user runs it and reads it."""

from __future__ import annotations

import json
import subprocess
import sys

import dask
import numpy as np
import pytest
import xarray as xr
import zarr

import uemdask as uem
from uemdask.cube import STAGES, VARIABLES, faults_of
from uemdask.execution.ledger import ledger_path
from uemdask.simulate import scenario, simulate, write_acquisition

pytestmark = pytest.mark.slow


def test_one_bad_run_does_not_stop_the_others(campaign, uemdask):
    states = json.loads(uemdask("status", campaign, "--json", expect=1).stdout)["runs"]
    by_name = {state["run"]: state for state in states}
    assert by_name["first"]["done"]
    assert by_name["second"]["done"]
    assert by_name["broken"]["failed_stage"] == "ingest"
    assert "frame_0020.tif" in by_name["broken"]["failed"]
    assert not (campaign.parent / "results" / "broken.zarr").exists()


def test_plain_xarray_reads_every_variable_without_a_warning(campaign):
    store = campaign.parent / "results" / "first.zarr"
    code = (
        "import sys, warnings; warnings.simplefilter('error'); import xarray;"
        "ds = xarray.open_zarr(sys.argv[1]);"
        "assert all(v.chunks for v in ds.data_vars.values());"
        "print(*ds.variables)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, store], capture_output=True, text=True, check=True
    )
    wanted = set(VARIABLES) - {"base_flow", "dark"}  # there are no dark images
    assert wanted <= set(done.stdout.split())
    with xr.open_zarr(store) as run:
        assert faults_of(run) == []
        for name in wanted:
            assert run[name].attrs["units"] == VARIABLES[name].units
            if not VARIABLES[name].coordinate:
                assert run[name].attrs["stage"] == VARIABLES[name].stage


def test_plain_zarr_reads_the_same_arrays(campaign):
    store = campaign.parent / "results" / "first.zarr"
    group = zarr.open_group(str(store), mode="r")
    with xr.open_zarr(store) as run:
        for name in ("intensity", "wave", "flow", "valid", "roi_feature", "mode", "source_file"):
            stored = group[name][...]
            if "scale_factor" in group[name].attrs:  # packed, as any reader of Zarr can see
                stored = stored * group[name].attrs["scale_factor"]
            np.testing.assert_array_equal(run[name].values, stored)


def test_results_are_what_they_say(campaign):
    run = uem.open_run(campaign.parent / "results" / "first.zarr")
    assert run.sizes["pair"] == run.sizes["time"] - 1
    np.testing.assert_array_equal(run["time_to"] - run["time_from"], np.diff(run["time"]))
    valid = run["valid"].values
    assert valid.any()
    assert np.isfinite(run["flow"].values).all()
    assert np.isfinite(run["speed"].values[valid]).all()
    assert np.isnan(run["speed"].values[~valid]).all()
    # speed from flow, pixel size and delay step
    flow = run["flow"].transpose("component", ...).values
    speed = np.hypot(*flow) * 3.0 / 5.0
    np.testing.assert_allclose(run["speed"].values[valid], speed[valid], rtol=3e-3)
    angle = np.degrees(np.arctan2(-flow[1], flow[0]))
    wrapped = (run["angle"].values - angle + 180) % 360 - 180
    assert np.abs(wrapped[valid]).max() <= 0.13
    assert list(run["roi"].values) == ["left half", "relevant"]
    fraction = run["roi_feature"].sel(feature="valid_fraction", roi="left half").values
    expected = valid[:, :, :48].mean(axis=(1, 2))
    np.testing.assert_allclose(fraction, expected, rtol=1e-6)
    assert float(run["mode_probability"].sum("mode_class")[0]) == pytest.approx(1)


def test_opening_and_building_an_analysis_computes_nothing(campaign):
    def computed(*args, **kwargs):
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=computed):
        run = uem.open_run(campaign.parent / "results" / "first.zarr")
        ratio = run.uem.aligned(ratio=True)
        line = run.uem.space_time((30, 30), (200, 150), width=12)
        mean = run["speed"].where(run.uem.roi(rectangle={"x": (0, 90), "y": (0, 90)})).mean()
    assert ratio.shape == run["intensity"].shape
    assert line.dims == ("time", "distance")
    assert np.isfinite(mean.compute())


def test_aligned_frames_are_what_the_stages_saw(campaign):
    run = uem.open_run(campaign.parent / "results" / "first.zarr")
    before = run["time"].values < 0
    aligned = run.uem.aligned().values[before]
    covered = (aligned > 0).all(axis=0)
    difference = (aligned.mean(axis=0) - run["reference"].values)[covered]
    assert np.abs(difference).mean() < 0.01 * float(run["reference"].mean())


def test_everything_done_means_nothing_to_do(campaign, uemdask, json_lines):
    results = campaign.parent / "results"
    before = {n: json_lines(ledger_path(results / f"{n}.zarr")) for n in ("first", "second")}
    uemdask("run", campaign, expect=1)
    after = {n: json_lines(ledger_path(results / f"{n}.zarr")) for n in ("first", "second")}
    assert before == after


def test_changed_parameters_redo_that_stage_and_later_ones_only(campaign, uemdask, json_lines):
    store = campaign.parent / "results" / "second.zarr"
    lines = json_lines(ledger_path(store))
    uemdask("run", store, "--only", "mode", "--only", "feature")
    new = json_lines(ledger_path(store))[len(lines) :]
    # Without the campaign's regions the features are others; the flow is not.
    assert {line["stage"] for line in new} == {"feature", "mode"}
    uemdask("run", campaign, expect=1)
    assert list(uem.open_run(store)["roi"].values) == ["left half", "relevant"]


def test_info_export_and_report(campaign, uemdask, tmp_path):
    results = campaign.parent / "results"
    text = uemdask("info", results / "first.zarr").stdout
    assert "all stages are done" in text
    uemdask("export", results / "first.zarr", tmp_path / "home.zarr")
    with xr.open_zarr(tmp_path / "home.zarr") as home:
        assert "wave" not in home.variables
        np.testing.assert_array_equal(
            home["flow"].values, uem.open_run(results / "first.zarr")["flow"].values
        )
    uemdask("report", tmp_path / "home.zarr")
    page = (tmp_path / "home.html").read_text(encoding="utf-8")
    assert "Motion" in page
    assert "No travelling wave found" not in page
    page = tmp_path / "page.html"
    uemdask("report", results / "first.zarr", "-o", page)
    assert "http" not in page.read_text(encoding="utf-8").replace("http://www.w3.org", "")
    uemdask("report", campaign)


def test_status_table_names_every_stage(campaign, uemdask):
    text = uemdask("status", campaign, expect=1).stdout
    assert all(stage in text for stage in STAGES)
    assert "2 done, 1 failed, 0 left" in text


def test_bad_usage_is_one_sentence_and_exit_code_two(tmp_path, uemdask):
    done = uemdask("run", tmp_path / "nothing.zarr", expect=2)
    assert "nothing.zarr" in done.stderr
    assert "Traceback" not in done.stderr
    (tmp_path / "c.yaml").write_text("runs: [{raw: a, colour: red}]\nspeed: 3\n")
    done = uemdask("run", tmp_path / "c.yaml", expect=2)
    assert "colour" in done.stderr
    assert "speed" in done.stderr


def test_no_wave_gives_no_valid_pixel_and_says_so(tmp_path, tiny, uemdask):
    quiet = simulate(scenario("no_wave", shape=(96, 96), frames=40))
    write_acquisition(quiet, tmp_path / "quiet")
    uemdask("run", tmp_path / "quiet", "--output", tmp_path / "out", *tiny)
    run = uem.open_run(tmp_path / "out" / "quiet.zarr")
    assert float(run["valid"].mean()) < 0.05
    assert str(run["mode"].values[0]) == "none"
