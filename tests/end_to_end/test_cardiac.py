"""Real travelling waves from a camera, whose period is documented, through every stage."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import uemdask as uem

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def recordings() -> Path:
    folder = os.environ.get("UEMDASK_TEST_DATA")
    if not folder or not (Path(folder) / "cardiac_wave_cosmas").is_dir():
        pytest.skip("UEMDASK_TEST_DATA does not name a folder with cardiac_wave_cosmas")
    return Path(folder) / "cardiac_wave_cosmas"


def ingest(recordings, name, store, uemdask):
    """Ingest a recording, a frame a picosecond: its own rate is not documented."""
    stack = recordings / f"{name}.tif"
    uemdask("ingest", stack, "-o", store, "--delays", "0:999:1 ps", "--pixel-size", "1nm")


def has_period(run, period):
    """Check the period in frames, of the band and of the relevant pixels."""
    centre = run.attrs["uemdask"]["stages"]["spectrum"]["results"]["band"]["centre"]
    assert 1e3 / centre == pytest.approx(period, rel=0.01)
    relevant = run["peak_frequency"].values[run["mask"].values]
    assert 1e3 / np.median(relevant) == pytest.approx(period, rel=0.01)


def test_documented_period_and_no_meaningless_flow(recordings, tmp_path, tiny, uemdask):
    store = tmp_path / "infarct.zarr"
    ingest(recordings, "infarctV130", store, uemdask)
    answer = uemdask("run", store, *tiny)
    assert "1 of 1 runs done" in answer.stdout
    run = uem.open_run(store)
    has_period(run, 130)
    # The wavelength is ten times the field of view: most pairs have no meaningful flow.
    assert float(run["valid"].mean()) < 0.05
    assert np.isfinite(run["flow"].values).all()
    # Nothing drifts in these recordings, although the wave moves.
    assert float(np.abs(run["drift"]).max()) < 0.5


def test_a_train_of_pulses_has_the_period_of_the_pulses(recordings, tmp_path, uemdask):
    # Its harmonics outshine the fundamental.
    store = tmp_path / "control.zarr"
    ingest(recordings, "controlV", store, uemdask)
    uemdask("run", store, "--only", "align", "--only", "spectrum")
    has_period(uem.open_run(store), 150)
