"""A reflected wave is found and taken out of the wave; what only stands is left alone."""

import dataclasses

import numpy as np
import pytest

from uemdask.cube import Run
from uemdask.evaluate import score_flow
from uemdask.execution import plan_campaign
from uemdask.simulate import SCENARIOS, Scenario, simulate, write_acquisition

pytestmark = pytest.mark.slow

STILL = {"drift_step": 0.0, "drift_total": 0.0, "drift_jumps": 0, "gain_jitter": 0.0}


@pytest.fixture
def processed(tmp_path, drive):
    """Return a function that takes a simulated acquisition as far as its labels."""

    def process(scenario: Scenario, **spectrum) -> Run:
        write_acquisition(simulate(scenario), tmp_path / "raw")
        settings = {
            "align": {"register_drift": False},  # nothing drifts here
            "label": {"methods": ["phase"], "base": False},
            "spectrum": spectrum,
        }
        plan = plan_campaign(
            {"runs": [{"raw": "raw"}], "parameters": settings}, name="wave", folder=tmp_path
        )
        done = drive(plan, only=("ingest", "align", "spectrum", "pairs", "label"))
        assert done.outcome.done == ["raw"], done.outcome.failed
        return Run(plan.runs[0].store)

    return process


def scenario_of(name: str, **changes) -> Scenario:
    small = {"shape": (144, 144), "delays": SCENARIOS[name].delays[:60], "frequency": 30.0}
    return dataclasses.replace(SCENARIOS[name], **(small | STILL | changes))


def error(run: Run, scenario: Scenario) -> float:
    truth = simulate(scenario).truth()
    inner = truth.mask.copy()
    inner[:16] = inner[-16:] = inner[:, :16] = inner[:, -16:] = False
    return score_flow(run.read("label"), truth.flow, inner, truth.present).epe_relative


@pytest.mark.parametrize("wanted", ["auto", False])
def test_a_reflected_wave_is_taken_out(processed, wanted):
    reflected = scenario_of("reflected", wave_coverage=1.0, speed=3.0)
    run = processed(reflected, directional=wanted)
    results = run.stage("spectrum")["results"]
    assert results["opposed_share"] == pytest.approx(0.35**2 / (1 + 0.35**2), abs=0.04)
    assert results["directional"] == ("all" if wanted == "auto" else "none")
    found = error(run, reflected)
    assert found < 0.06 if wanted == "auto" else found > 0.1


@pytest.mark.parametrize("name", ["plane", "standing"])
def test_a_lone_and_a_standing_wave_are_left_alone(processed, name):
    run = processed(scenario_of(name, wave_coverage=1.0, speed=3.0))
    assert run.stage("spectrum")["results"]["directional"] == "none"


def test_a_standing_wave_made_directional_has_no_confident_label(processed):
    standing = scenario_of("standing", wave_coverage=1.0, speed=3.0)
    run = processed(standing, directional=True)
    assert run.stage("spectrum")["results"]["directional"] == "all"
    assert np.mean(run.read("label_confidence") > 0.1) < 0.02


@pytest.mark.parametrize("wanted", ["auto", False])
def test_a_second_harmonic_that_coarse_steps_turn_round_is_taken_out(processed, wanted):
    # At three frames per period a second harmonic looks like a wave that comes back.
    delays = tuple(float(delay) for delay in [*range(-30, 250, 5), *range(250, 430, 10)])
    harmonic = scenario_of(
        "plane", delays=delays, shape=(112, 112), wave_coverage=1.0, speed=3.5, frequency=33.0,
        second_harmonic=0.25,
    )  # fmt: skip
    run = processed(harmonic, directional=wanted)
    assert run.stage("spectrum")["results"]["directional"] == (
        "aliased" if wanted == "auto" else "none"
    )
    found = error(run, harmonic)
    assert found < 0.018 if wanted == "auto" else found > 0.02
