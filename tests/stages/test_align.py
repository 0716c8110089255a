"""The align stage: drift found and given, gain that leaves the wave, facts in the record."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.align import sample_shifted
from uemdask.align.series_drift import drift_tiles, mean_drift
from uemdask.cube import create_run
from uemdask.cube.layout import frame_slabs
from uemdask.cube.summary import describe_run
from uemdask.errors import UemError
from uemdask.simulate import scenario, simulate
from uemdask.stages import STAGE_BY_NAME, StageParameters

pytestmark = pytest.mark.slow

SIZE, FRAMES = 160, 40


def stored(acquisition, path):
    run = create_run(
        path,
        delays=acquisition.delays,
        shape=acquisition.shape,
        dtype="uint16",
        pixel_size=acquisition.pixel_size,
        source_file=[f"frame_{i}.tif" for i in range(len(acquisition))],
    )
    for slab in frame_slabs(run.sizes):
        frames = np.stack([acquisition.frame(i) for i in range(*slab.span("time", 0))])
        run.write("intensity", frames, slab)
    run.finish("ingest")
    return run


def aligned(run, **settings):
    stage = STAGE_BY_NAME["align"]
    parameters = StageParameters.model_validate({"align": settings}).align
    stage.check(run, parameters)
    run.begin("align", digest="align", parameters=parameters.model_dump(mode="json"))
    stage.create(run, parameters)
    for phase in stage.phases:
        receipts = {
            region.key: phase.work(run, region, parameters)
            for region in phase.regions(run, parameters)
        }
        run.note("align", results=phase.finish(run, parameters, receipts))
    run.finish("align")
    return run


def rms(vectors):
    return float(np.sqrt(np.mean(np.sum(np.square(vectors), axis=-1))))


@pytest.fixture(scope="module")
def drifting():
    """Give a series that drifts by 1 px a frame and jumps by 10 px."""
    hard = {"drift_step": 1.0, "drift_total": 20.0, "drift_jumps": 1, "drift_jump": 10.0}
    return simulate(scenario("plane", seed=2, shape=(SIZE, SIZE), frames=FRAMES, **hard))


@pytest.fixture(scope="module")
def run(drifting, tmp_path_factory):
    return aligned(stored(drifting, tmp_path_factory.mktemp("align") / "run.zarr"))


def test_drift_of_a_pixel_a_frame_with_jumps(run, drifting):
    error = run.read("drift") - drifting.drift
    assert rms(error) < 0.1
    stated = run.read("drift_sd")
    assert 0.4 < rms(error - error.mean(axis=0)) / rms(stated) < 2.0
    # Zero is the mean of the frames before time zero, which make the reference.
    before = drifting.delays < 0
    np.testing.assert_allclose(run.read("drift")[before].mean(axis=0), 0.0, atol=1e-9)


def test_dense_contours_lead_astray_and_are_left(tmp_path):
    """Following goes with contours by 12 px here, out of reach of the search."""
    dense = simulate(scenario("bend_contours", seed=22, shape=(128, 128), frames=40))
    run = aligned(stored(dense, tmp_path / "run.zarr"))
    assert rms(run.read("drift") - dense.drift) < 0.1


def test_sign_is_that_of_the_contract(run):
    drift, gain = run.read("drift"), run.read("gain")
    reference = run.read("reference")
    frame = int(np.argmax(np.hypot(*drift.T)))
    image = np.asarray(run.group["intensity"][frame], np.float32) / gain[frame]
    there, covered = sample_shifted(image, drift[frame])
    wrong, seen = sample_shifted(image, -drift[frame])
    assert np.std((there - reference)[covered]) < 0.8 * np.std((wrong - reference)[seen])


def test_record_and_page_of_text(run):
    results = run.stage("align")["results"]
    assert results["registered"]
    assert results["unregistered_frames"] == []
    assert abs(results["time_zero_ps"]) < 3 * results["time_zero_sd_ps"]
    assert results["breathing_ghz"] is None
    text = describe_run(run.path)
    assert "standard error" in text
    assert "time zero is there or before" in text


def test_stored_frames_are_not_touched(run, drifting):
    np.testing.assert_array_equal(run.group["intensity"][5], drifting.frame(5))


@pytest.fixture
def table(tmp_path, drifting):
    """Return a function that writes a drift table."""

    def write(drift, head="frame,x,y"):
        path = tmp_path / "drift.csv"
        rows = [f"{i},{x:.6f},{y:.6f}" for i, (x, y) in enumerate(drift)]
        path.write_text("\n".join([head, *rows]), encoding="utf-8")
        return str(path)

    return write


def test_users_table_is_taken_as_it_is(tmp_path, drifting, table):
    run = stored(drifting, tmp_path / "run.zarr")
    aligned(run, drift_table=table(drifting.drift))
    np.testing.assert_allclose(run.read("drift"), drifting.drift, atol=1e-6)
    assert np.isnan(run.read("drift_sd")).all()
    # The same from a program that writes what brings the frames back, in nm.
    back = -drifting.drift * drifting.pixel_size[0]
    aligned(run, drift_table=table(back, "frame,x_nm,y_nm"), drift_sign="correction")
    np.testing.assert_allclose(run.read("drift"), drifting.drift, atol=1e-6)


def test_whole_pixels_are_a_start(tmp_path, drifting, table):
    run = stored(drifting, tmp_path / "run.zarr")
    start = np.round(drifting.drift) + np.array([3.0, 0.0])
    whole = table(start)
    aligned(run, drift_table=whole)
    assert rms(run.read("drift") - drifting.drift) < 0.1
    aligned(run, drift_table=whole, drift_refine=False)
    np.testing.assert_array_equal(run.read("drift"), start)


def test_a_table_of_another_run_is_refused(tmp_path, drifting, table):
    run = stored(drifting, tmp_path / "run.zarr")
    with pytest.raises(UemError, match="1 frames have no row"):
        aligned(run, drift_table=table(drifting.drift[:-1]))
    with pytest.raises(UemError, match="more than half of the image"):
        aligned(run, drift_table=table(drifting.drift + 500.0))


@pytest.mark.parametrize("wavelength", [20.0, 40.0])
def test_gain_removes_jitter_and_leaves_the_wave(tmp_path, wavelength):
    """Jitter of the beam goes to 0.2 %, the amplitude of a travelling wave stays to 1 %."""
    still = {"drift_total": 0.0, "contour_shift": 0.0, "contour_darkening": 0.0}
    a = simulate(
        scenario(
            "plane",
            seed=4,
            shape=(SIZE, SIZE),
            frames=60,
            wave_coverage=1.0,
            speed=18e-3 * 3 * wavelength,
            **still,
        )
    )
    run = aligned(stored(a, tmp_path / "run.zarr"), register_drift=False)
    ratio = run.read("gain") / a.gain
    assert np.std(np.diff(np.log(ratio))) / np.sqrt(2) < 0.002
    # What is divided out of the wave: the part of the gain's error that follows it.
    late = a.delays > 80
    turn = np.exp(-2e-3j * np.pi * 18.0 * a.delays[late])
    eaten = 2 * abs(np.mean((ratio[late] - ratio[late].mean()) * turn))
    assert eaten < 0.01 * 0.08


def test_a_breathing_flake_keeps_its_wave(tmp_path):
    a = simulate(
        scenario(
            "breathing", seed=3, shape=(SIZE, SIZE), frames=60, contour_shift=0.0, coverage=1.0
        )
    )
    run = aligned(stored(a, tmp_path / "run.zarr"))
    assert run.stage("align")["results"]["breathing_ghz"] == pytest.approx(18.0, rel=0.03)
    late = a.delays > 80
    turn = np.exp(-2e-3j * np.pi * 18.0 * a.delays[late])
    ratio = (run.read("gain") / a.gain)[late]
    eaten = 2 * abs(np.mean((ratio - ratio.mean()) * turn))
    # All of 8 % would be eaten by a gain that follows the brightness; jitter of 2.7 % limits this.
    assert eaten < 0.012


def test_large_frames_are_fitted_in_tiles_and_tiles_agree():
    assert [r.key for r in drift_tiles({"y": 300, "x": 384})] == ["all"]
    keys = [r.key for r in drift_tiles({"y": 4096, "x": 512})]
    assert len(keys) == 6
    assert "y=1792:2048,x=256:512" in keys
    random = np.random.default_rng(0)
    true = random.normal(0, 3, (50, 2))
    errors = [np.full((50, 2), s) for s in (0.02, 0.05, 0.05, 0.05)]
    drifts = [true + random.normal(0, e) + random.normal(0, 9, 2) for e in errors]
    # One tile went with a contour.
    drifts[3][:, 0] += np.linspace(0, 8, 50)
    drift, error = mean_drift(drifts, errors)
    left = drift - true
    left -= left.mean(axis=0)
    assert 0.6 < rms(left) / rms(error) < 1.6
    assert rms(left) < 0.035


def told(run):
    return run.stage("align")["results"].get("warnings", [])


@pytest.mark.parametrize("name", ["bend_contours", "half_flake"])
def test_a_table_of_the_wrong_sign_is_noticed(tmp_path, name):
    series = simulate(scenario(name, seed=2, shape=(128, 128), frames=24, drift_total=4.0))
    run = stored(series, tmp_path / "run.zarr")
    path = tmp_path / "drift.csv"
    rows = [f"{i},{x:.4f},{y:.4f}" for i, (x, y) in enumerate(series.drift)]
    path.write_text("\n".join(["frame,x,y", *rows]), encoding="utf-8")
    aligned(run, drift_table=str(path))
    assert told(run) == []
    left, without, opposite = run.stage("align")["results"]["table_left_px"]
    assert left < without < opposite
    aligned(run, drift_table=str(path), drift_sign="correction")
    (warning,) = told(run)
    assert "the drift table makes the series less steady" in warning
    assert warning.endswith("set align.drift_sign to drift")
    np.testing.assert_allclose(run.read("drift"), -series.drift, atol=1e-3)  # as told
    assert f"warning   {warning}" in describe_run(run.path)
    aligned(run, drift_table=str(path), drift_sign="correction", register_drift=False)
    assert told(run) == []


def test_a_table_of_another_series_is_noticed(tmp_path, table):
    still = simulate(scenario("plane", seed=2, shape=(128, 128), frames=24, drift_total=0.0))
    run = stored(still, tmp_path / "run.zarr")
    way = np.stack([np.linspace(0, 4.5, 24), np.linspace(0, -3.5, 24)], axis=1)
    aligned(run, drift_table=table(way))
    (warning,) = told(run)
    assert warning.endswith("check whose table it is")
