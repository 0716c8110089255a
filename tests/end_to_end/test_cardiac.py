"""Real travelling waves from a camera, whose period is documented, through every stage."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import uemdask as uem
from uemdask.evaluate import (
    FrontSpeed,
    PulseFront,
    complex_amplitude,
    front_speed,
    phase_delay,
    pulse_front,
)
from uemdask.spectrum import smooth

pytestmark = pytest.mark.end_to_end

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


@dataclass(frozen=True)
class Estimates:
    arrival: FrontSpeed
    phase: FrontSpeed

    def disagreement(self, of: str) -> float:
        """Difference of the two estimates in combined standard errors."""
        values = [getattr(one, of) for one in (self.arrival, self.phase)]
        errors = [getattr(one, f"{of}_error") for one in (self.arrival, self.phase)]
        return float(abs(values[0] - values[1]) / np.hypot(*errors))


def front_of(run, period) -> PulseFront:
    """Front of the pulse from the frames as recorded, which no stage has touched."""
    recorded = run["intensity"].values.astype(np.float32)
    # The dye darkens as the tissue is activated. As smooth as the maps of the spectrum stage.
    recorded = smooth(recorded / recorded.mean(axis=0), 2.0)
    return pulse_front(recorded, run["time"].values, period=period, width=1.5, falling=True)


def speeds_of(run, front) -> Estimates:
    """Speed in px a frame by both ways, over the whole field: the pulse passes every pixel.

    The lamp was steady, so what the alignment took for brightness is the wave's, and is put back.
    (`mask` is made without it: it has holes where the rest of the wave changes its sign.)
    """
    spectrum = json.loads(run.attrs["uemdask"])["stages"]["spectrum"]["results"]
    frequency = spectrum["band"]["centre"]
    maps = (run[f"peak_{name}"].values for name in ("amplitude", "phase", "frequency"))
    delays, gain = run["time"].values, run["gain"].values
    Z = complex_amplitude(*maps, delays, frequency=frequency, gain=gain)
    return Estimates(
        arrival=front_speed(front.arrival, (1.0, 1.0)),
        phase=front_speed(phase_delay(Z, frequency), (1.0, 1.0)),
    )


@pytest.mark.parametrize(
    ("store", "name"), [("iso", "isoV"), ("control", "controlV"), ("infarct", "infarctV130")]
)
def test_phase_speed_and_slope_of_the_arrival_agree(store, name, request, tmp_path, uemdask):
    made = request.getfixturevalue(store)
    front = front_of(uem.open_run(made), PERIOD[name])
    # The fundamental sees the recovery too, which does not travel with the front. So look at the
    # harmonic that sees the front: where half a period is as long as the front is.
    fundamental = 1e3 / PERIOD[name]
    harmonic = round(front.knee_frequency / fundamental)
    low, high = (fundamental * (harmonic + side) for side in (-0.25, 0.25))
    copy = shutil.copytree(made, tmp_path / f"{name}.zarr")
    still = [] if store == "infarct" else STILL
    band = f"spectrum.band=[{low:.3f}, {high:.3f}]"
    uemdask("run", copy, "--only", "align", "--only", "spectrum", "--set", band, *still)
    found = speeds_of(uem.open_run(copy), front)
    for one in (found.arrival, found.phase):
        assert one.speed_error < 0.15 * one.speed
    assert found.disagreement("speed") < 2
    assert found.disagreement("angle") < 2


def test_phase_speed_of_the_fundamental_is_not_that_of_the_front(control):
    run = uem.open_run(control)
    found = speeds_of(run, front_of(run, PERIOD["controlV"]))
    assert found.phase.speed > 1.5 * found.arrival.speed
    assert found.disagreement("speed") > 2
