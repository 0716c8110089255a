"""A driver killed with -9 in every phase of every stage, and between any two, loses nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from uemdask.execution import read_campaign
from uemdask.simulate import scenario, simulate, write_acquisition
from uemdask.stages import STAGE_BY_NAME

_SCRIPT = Path(__file__).with_name("kill_sweep.py")


@pytest.fixture
def campaign(tmp_path, quick):
    """Return a folder with a campaign in which every phase of every stage has something to do."""
    folder = tmp_path / "swept"
    write_acquisition(simulate(scenario("plane", shape=(64, 64), frames=30)), folder / "raw")
    tifffile.imwrite(folder / "raw" / "dark.tif", np.full((64, 64), 3, np.uint16))
    parameters = quick | {
        "label": {"methods": ["dis"], "base": True},
        "spectrum": {"directional": True},
        "flow": {"views": 1},
    }
    text = yaml.safe_dump(
        {
            "runs": [{"raw": "raw", "dark": "dark.tif"}],
            "model": "new",
            "parameters": parameters,
        }
    )
    (folder / "campaign.yaml").write_text(text)
    return folder


@pytest.mark.kills
@pytest.mark.timeout(7200)
def test_killed_everywhere_and_equal_to_an_undisturbed_run(campaign, tmp_path, drive, same_arrays):
    every = ["--every"] * (os.environ.get("UEMDASK_SWEEP") == "every")
    swept = subprocess.run(
        [sys.executable, _SCRIPT, campaign, *every], capture_output=True, text=True, timeout=7000
    )
    assert swept.returncode == 0, swept.stdout + swept.stderr
    places = json.loads(swept.stdout)
    phases = {
        (stage.name, phase.name) for stage in STAGE_BY_NAME.values() for phase in stage.phases
    }
    assert phases <= {(stage, phase) for stage, phase, *_ in places}
    assert set(STAGE_BY_NAME) == {stage for stage, *_ in places}

    plan = read_campaign(campaign / "campaign.yaml", output=tmp_path / "undisturbed")
    whole = drive(plan)
    assert whole.outcome.failed == {}
    same_arrays(tmp_path / "undisturbed" / "raw.zarr", campaign / "results" / "raw.zarr")
