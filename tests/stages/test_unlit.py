"""Pixels that see nothing have no say: a run with dark pixels beside it is the run without them."""

from __future__ import annotations

import numpy as np
import pytest

from uemdask.cube import create_run
from uemdask.cube.layout import Region, frame_slabs
from uemdask.cube.summary import describe_run
from uemdask.simulate import Defects, scenario, simulate
from uemdask.stages import STAGE_BY_NAME, StageParameters
from uemdask.stages.spectrum import _away_from_edges

pytestmark = pytest.mark.slow

SIZE, FRAMES, DARK = 128, 48, 14
STATISTICS = (
    "noise_level",
    "wave_noise",
    "wave_scale",
    "grey_scale",
    "wavelength_px",
    "wave_number_px",
    "travel_index",
    "relevant_share",
)


def through(path, frames, acquisition, stages=("align", "spectrum")):
    """Take frames (t, y, x) through the first stages."""
    run = create_run(
        path,
        delays=acquisition.delays,
        shape=frames.shape[1:],
        dtype=str(frames.dtype),
        pixel_size=acquisition.pixel_size,
        source_file=[f"{i}.tif" for i in range(len(frames))],
    )
    for slab in frame_slabs(run.sizes):
        run.write("intensity", frames[slice(*slab.span("time", 0))], slab)
    run.finish("ingest")
    for name in stages:
        stage, parameters = STAGE_BY_NAME[name], getattr(StageParameters(), name)
        run.begin(name, digest=name, parameters=parameters.model_dump(mode="json"))
        stage.create(run, parameters)
        for phase in stage.phases:
            receipts = {
                region.key: phase.work(run, region, parameters)
                for region in phase.regions(run, parameters)
            }
            run.note(name, results=phase.finish(run, parameters, receipts))
        run.finish(name)
    return run


@pytest.fixture(scope="module")
def acquisition():
    return simulate(scenario("plane", seed=5, shape=(SIZE, SIZE), frames=FRAMES))


@pytest.fixture(scope="module")
def frames(acquisition):
    return np.stack([acquisition.frame(i) for i in range(len(acquisition))])


@pytest.fixture(scope="module")
def bare(acquisition, frames, tmp_path_factory):
    return through(tmp_path_factory.mktemp("bare") / "bare.zarr", frames, acquisition)


@pytest.fixture(scope="module")
def beside_dark(acquisition, frames, tmp_path_factory):
    """Return the same run with a tenth more pixels, of 0.7 counts, at its right."""
    dark = np.random.default_rng(1).poisson(0.7, (len(frames), SIZE, DARK)).astype(frames.dtype)
    wide = np.concatenate([frames, dark], axis=2)
    return through(tmp_path_factory.mktemp("dark") / "dark.zarr", wide, acquisition)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_tenth_of_dark_pixels_moves_no_statistic(bare, beside_dark, name):
    found = beside_dark.stage("spectrum")["results"][name]
    assert found == pytest.approx(bare.stage("spectrum")["results"][name], rel=0.02)


def test_nor_the_band_the_drift_and_the_gain(acquisition, bare, beside_dark):
    bands = [run.stage("spectrum")["results"]["band"]["centre"] for run in (bare, beside_dark)]
    assert bands[1] == pytest.approx(bands[0], rel=0.005)
    for run in (bare, beside_dark):
        error = run.read("drift") - acquisition.drift
        assert np.sqrt(np.mean(np.square(error - error.mean(axis=0)))) < 0.05
    np.testing.assert_allclose(beside_dark.read("gain"), bare.read("gain"), rtol=0.01)
    assert beside_dark.stage("spectrum")["results"]["opposed_share"] < 0.01


def test_dark_pixels_are_unlit_and_never_relevant(beside_dark):
    assert beside_dark.read("unlit")[:, SIZE:].all()
    assert beside_dark.read("unlit")[8:-8, 8 : SIZE - 12].mean() < 0.001
    assert not beside_dark.read("mask")[beside_dark.read("unlit")].any()
    assert not beside_dark.read("wave")[:, beside_dark.read("unlit")].any()
    assert "unlit" in describe_run(beside_dark.path)


def test_a_beam_that_wanders_is_neither_drift_nor_a_wave(tmp_path):
    defects = Defects(beam_profile=0.03, beam_wander=3.0)
    acquisition = simulate(
        scenario("plane", seed=5, shape=(SIZE, SIZE), frames=FRAMES, defects=defects)
    )
    frames = np.stack([acquisition.frame(i) for i in range(len(acquisition))])
    run = through(tmp_path / "beam.zarr", frames, acquisition)
    error = run.read("drift") - acquisition.drift
    assert np.sqrt(np.mean(np.square(error - error.mean(axis=0)))) < 0.1
    assert run.stage("align")["results"]["beam_fall"] == pytest.approx(0.03, abs=0.03)
    assert run.read("unlit").mean() < 0.05
    # What the beam does is a plane across the frame; next to nothing of it is in the wave.
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    plane = np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1)
    wave = np.nan_to_num(run.read("wave")).reshape(FRAMES, -1)
    slope = np.linalg.lstsq(plane, wave.T, rcond=None)[0][1:]
    assert np.sqrt(np.mean(slope**2)) < 0.25 * wave.std()
    assert run.stage("spectrum")["results"]["travel_index"] > 0.9


def test_single_pixels_without_weight_have_no_rim(bare):
    lit = np.ones((SIZE, SIZE), bool)
    lit[::9, ::9] = False
    everywhere = _away_from_edges(bare, Region(), 0, np.ones_like(lit))
    np.testing.assert_array_equal(_away_from_edges(bare, Region(), 0, lit), everywhere)
    lit[:, 60:70] = False
    assert not _away_from_edges(bare, Region(), 0, lit)[:, 58:72].any()
