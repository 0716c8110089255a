"""The cube: one run is one Zarr store is one flat xarray Dataset."""

from uemdask.cube.answer import Answer, answers_of
from uemdask.cube.contract import STAGES, VARIABLES, faults_of, validate
from uemdask.cube.creation import create_run
from uemdask.cube.export import export_run
from uemdask.cube.next_step import next_command
from uemdask.cube.opening import open_run
from uemdask.cube.store import Run, missing_stages
from uemdask.cube.summary import describe_run, onset_sentence

__all__ = [
    "STAGES",
    "VARIABLES",
    "Answer",
    "Run",
    "answers_of",
    "create_run",
    "describe_run",
    "export_run",
    "faults_of",
    "missing_stages",
    "next_command",
    "onset_sentence",
    "open_run",
    "validate",
]
