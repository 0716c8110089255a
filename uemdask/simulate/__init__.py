"""Simulated raw acquisitions with exact truth."""

from uemdask.simulate.acquisition import Acquisition, simulate
from uemdask.simulate.defects import Defects
from uemdask.simulate.log import LogRow, image_name, write_log
from uemdask.simulate.random_scenarios import random_scenario
from uemdask.simulate.scenarios import SCENARIOS, Scenario, scenario
from uemdask.simulate.truth import Truth
from uemdask.simulate.waves import PlaneWave, RingWave, SpeedLaw, Wave
from uemdask.simulate.writing import DelaySource, write_acquisition

__all__ = [
    "SCENARIOS",
    "Acquisition",
    "Defects",
    "DelaySource",
    "LogRow",
    "PlaneWave",
    "RingWave",
    "Scenario",
    "SpeedLaw",
    "Truth",
    "Wave",
    "image_name",
    "random_scenario",
    "scenario",
    "simulate",
    "write_acquisition",
    "write_log",
]
