"""Real travelling waves from a camera, whose period is documented, through every stage."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import uemdask as uem
from uemdask.spectrum import harmonic_amplitudes, harmonic_operator, local_wavevector, smooth

pytestmark = pytest.mark.slow

#: Frames from pulse to pulse, as the recordings are documented.
PERIOD = {"isoV": 150, "controlV": 150, "infarctV130": 130}

#: The samples were held still. What registration finds here, up to 0.09 px, is the wave.
STILL = ["--set", "align.register_drift=false"]


@pytest.fixture(scope="module")
def recordings() -> Path:
    folder = os.environ.get("UEMDASK_TEST_DATA")
    if not folder or not (Path(folder) / "cardiac_wave_cosmas").is_dir():
        pytest.skip("UEMDASK_TEST_DATA does not name a folder with cardiac_wave_cosmas")
    return Path(folder) / "cardiac_wave_cosmas"


@pytest.fixture(scope="module")
def ingest(recordings, tmp_path_factory, uemdask):
    """Ingest a recording, a frame a picosecond: its own rate is not documented."""

    def store_of(name: str) -> Path:
        store = tmp_path_factory.mktemp("cardiac") / f"{name}.zarr"
        options = ("--delays", "0:999:1 ps", "--pixel-size", "1nm")
        uemdask("ingest", recordings / f"{name}.tif", "-o", store, *options)
        return store

    return store_of


@pytest.fixture(scope="module")
def infarct(ingest, tiny, uemdask) -> Path:
    """Give a recording that went through every stage."""
    store = ingest("infarctV130")
    answer = uemdask("run", store, *tiny, "--set", "label.base=false")
    assert "1 of 1 runs done" in answer.stdout
    return store


@pytest.fixture(scope="module")
def control(ingest, uemdask) -> Path:
    """Give a recording with its spectrum, in the band that the stage chose."""
    store = ingest("controlV")
    uemdask("run", store, "--only", "align", "--only", "spectrum", *STILL)
    return store


@pytest.fixture(scope="module")
def iso(ingest, uemdask) -> Path:
    """Give a recording that is only ingested."""
    return ingest("isoV")


def has_period(run, period):
    """Check the period in frames, of the band and of the relevant pixels."""
    centre = json.loads(run.attrs["uemdask"])["stages"]["spectrum"]["results"]["band"]["centre"]
    assert 1e3 / centre == pytest.approx(period, rel=0.01)
    relevant = run["peak_frequency"].values[run["mask"].values]
    assert 1e3 / np.median(relevant) == pytest.approx(period, rel=0.01)


def test_documented_period_and_no_meaningless_flow(infarct):
    run = uem.open_run(infarct)
    has_period(run, PERIOD["infarctV130"])
    # The wavelength is ten times the field of view: most pairs have no meaningful flow.
    assert float(run["valid"].mean()) < 0.05
    assert np.isfinite(run["flow"].values).all()
    # Nothing drifts in these recordings, although the wave moves.
    assert float(np.abs(run["drift"]).max()) < 0.5


def test_a_train_of_pulses_has_the_period_of_the_pulses(control):
    # Its harmonics outshine the fundamental.
    has_period(uem.open_run(control), PERIOD["controlV"])


# ---- the speed of the front, from the phase of the spectrum stage and from its arrival


def front_of(run, period):
    """Slowness (y, x) of the front in frames a px, and frames that it takes to pass.

    From the frames as recorded, which no stage has touched: the periods are laid over each other,
    and the front is at a pixel where that falls most steeply (the dye darkens as the tissue is
    activated).
    """
    recorded = run["intensity"].values.astype(np.float32)
    recorded = smooth(recorded / recorded.mean(axis=0), 2.0)  # as smooth as the maps of the stage
    whole = len(recorded) // period * period
    pulse = recorded[:whole].reshape(-1, period, *recorded.shape[1:]).mean(axis=0)
    slope = ndimage.gaussian_filter1d(pulse, 1.5, axis=0, order=1, mode="wrap")
    turn = np.exp(2j * np.pi * slope.argmin(axis=0) / period)
    arrival = np.angle(turn * turn.mean().conj()) * period / (2 * np.pi)
    y, x = np.indices(arrival.shape).reshape(2, -1)
    plane = np.linalg.lstsq(np.stack([y, x, np.ones(x.size)], axis=1), arrival.ravel(), rcond=None)
    duration = np.ptp(pulse, axis=0) / -slope.min(axis=0)
    return plane[0][:2], float(np.median(duration))


def phase_slowness(run):
    """Slowness (y, x) of the phase in frames a px, over the whole field: the pulse is everywhere.

    The lamp was steady, so what the alignment took for brightness is the wave's, and is put back.
    Phases are taken in the middle of the record, where a peak a little off does not matter.
    """
    results = json.loads(run.attrs["uemdask"])["stages"]["spectrum"]["results"]
    delays = run["time"].values
    turns = 2e-3j * np.pi * (delays[0] + delays[-1]) / 2
    amplitude, phase, peak = (
        run[f"peak_{name}"].values.astype(np.float64)
        for name in ("amplitude", "phase", "frequency")
    )
    frequency = results["band"]["centre"]
    lamp = harmonic_amplitudes(run["gain"].values - 1, harmonic_operator(delays, [frequency]))[0]
    Z = amplitude * np.exp(1j * phase + turns * peak) + lamp * np.exp(turns * frequency)
    k_x, k_y = local_wavevector(Z.astype(np.complex64)).reshape(2, -1).mean(axis=1)
    return np.array([k_y, k_x]) / (2e-3 * np.pi * frequency)


def angle_between(one, other):
    return np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))


@pytest.mark.parametrize(
    ("store", "name"), [("iso", "isoV"), ("control", "controlV"), ("infarct", "infarctV130")]
)
def test_phase_speed_and_slope_of_the_arrival_agree(store, name, request, tmp_path, uemdask):
    made = request.getfixturevalue(store)
    arrival, duration = front_of(uem.open_run(made), PERIOD[name])
    # The fundamental sees the recovery too, which does not travel with the front. So look at the
    # harmonic that sees the front: where half a period is as long as the front is.
    fundamental = 1e3 / PERIOD[name]
    harmonic = round(500 / duration / fundamental)
    low, high = (fundamental * (harmonic + side) for side in (-0.25, 0.25))
    copy = shutil.copytree(made, tmp_path / f"{name}.zarr")
    still = [] if store == "infarct" else STILL
    band = f"spectrum.band=[{low:.3f}, {high:.3f}]"
    uemdask("run", copy, "--only", "align", "--only", "spectrum", "--set", band, *still)
    phase = phase_slowness(uem.open_run(copy))
    assert np.linalg.norm(phase) == pytest.approx(np.linalg.norm(arrival), rel=0.15)
    assert angle_between(phase, arrival) < 10


def test_phase_speed_of_the_fundamental_is_not_that_of_the_front(control):
    run = uem.open_run(control)
    arrival, _ = front_of(run, PERIOD["controlV"])
    assert np.linalg.norm(arrival) > 1.5 * np.linalg.norm(phase_slowness(run))
