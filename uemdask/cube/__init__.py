"""The cube: one run is one Zarr store is one flat xarray Dataset."""

from uemdask.cube.answer import ONE_WAY, Answer, answers_of, mode_statement, with_error
from uemdask.cube.contract import STAGES, VARIABLES, faults_of, validate
from uemdask.cube.creation import create_run
from uemdask.cube.export import export_run
from uemdask.cube.next_step import next_command
from uemdask.cube.run_dataset import open_run
from uemdask.cube.run_like import RunLike
from uemdask.cube.store import Run, missing_stages
from uemdask.cube.summary import describe_run, onset_sentence

__all__ = [
    "ONE_WAY",
    "STAGES",
    "VARIABLES",
    "Answer",
    "Run",
    "RunLike",
    "answers_of",
    "create_run",
    "describe_run",
    "export_run",
    "faults_of",
    "missing_stages",
    "mode_statement",
    "next_command",
    "onset_sentence",
    "open_run",
    "validate",
    "with_error",
]
