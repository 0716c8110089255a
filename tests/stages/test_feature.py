"""The sums of a region of interest: what a task finds, and what memory it holds."""

import json
import shutil
import tracemalloc

import numpy as np
import pytest

from uemdask.cube import Run
from uemdask.cube.layout import pair_fields
from uemdask.execution.requirements import needs_of
from uemdask.regions.roi_sums import QUANTITIES
from uemdask.stages import STAGE_BY_NAME, StageParameters

FEATURE = STAGE_BY_NAME["feature"]
SUMS = FEATURE.phase("sums")


@pytest.fixture
def flowing(waving, tmp_path):
    """Return a run whose flow is (3, 4) px everywhere, one pair after the other a bit more."""
    run = Run(shutil.copytree(waving.path, tmp_path / "flowing.zarr"))
    run.begin("flow", digest="flow", parameters={})
    run.note("flow", results={"region_error": 0.01, "region_turn": 0.5})
    for name in ("flow", "flow_sd", "valid"):
        run.create(name, run.sizes)
    for field in pair_fields(run.sizes):
        start, stop = field.span("pair", 0)
        more = 1 + 0.01 * np.arange(start, stop, dtype=np.float32)[:, None, None]
        image = np.ones((run.sizes["y"], run.sizes["x"]), np.float32)
        run.write("flow", np.stack([3 * more * image, 4 * more * image], axis=1), field)
        run.write("flow_sd", np.full((stop - start, 2, *image.shape), 0.1, np.float32), field)
        run.write("valid", np.broadcast_to(image > 0, (stop - start, *image.shape)), field)
    return run


def test_each_pair_is_summed_by_itself(flowing):
    parameters = StageParameters().feature
    for region in SUMS.regions(flowing, parameters):
        sums = np.asarray(SUMS.work(flowing, region, parameters)["sums"])
        pixels, speed = (sums[QUANTITIES.index(name), 0] for name in ("valid", "speed"))
        # 5 px of 3 nm in 5 ps.
        pairs = np.arange(*region.span("pair", 0))
        np.testing.assert_allclose(speed / pixels, 3 * (1 + 0.01 * pairs), rtol=1e-5)


def test_a_task_holds_no_more_than_is_foreseen(flowing):
    parameters = StageParameters()
    foreseen = {need.stage: need.memory for need in needs_of(flowing.sizes, parameters)}["feature"]
    region = SUMS.regions(flowing, parameters.feature)[0]
    SUMS.work(flowing, region, parameters.feature)  # imports
    tracemalloc.start()
    SUMS.work(flowing, region, parameters.feature)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert foreseen / 3 < peak < foreseen


def finished(run, parameters):
    """Take a run through all phases of the stage."""
    run.begin("feature", digest="feature", parameters=parameters.model_dump(mode="json"))
    for phase in FEATURE.phases:
        receipts = {r.key: phase.work(run, r, parameters) for r in phase.regions(run, parameters)}
        # As they come back from the ledger.
        run.note("feature", results=phase.finish(run, parameters, json.loads(json.dumps(receipts))))
    run.finish("feature")
    return run


def test_the_headline_is_that_of_the_wave_whatever_the_network_says(flowing):
    rois = [
        {"name": "left", "rectangle": {"x": [0, 400], "y": [0, 900]}},
        {"name": "nothing", "rectangle": {"x": [500, 800], "y": [0, 900]}},
    ]
    parameters = StageParameters.model_validate({"feature": {"rois": rois}}).feature
    run = finished(flowing, parameters)
    # 34 GHz; the phase turns once in 40 px along x and in 80 px along y, of 3 nm.
    k = np.hypot(1 / 40, 1 / 80) / 3
    assert run.read("roi_speed")[0] == pytest.approx(34e-3 / k, rel=0.005)
    assert run.read("roi_direction")[0] == pytest.approx(np.degrees(np.arctan2(-0.5, 1)), abs=0.3)
    assert run.read("roi_wavelength")[0] == pytest.approx(1 / k, rel=0.005)
    assert run.read("roi_frequency")[0] == pytest.approx(34.0, rel=0.005)
    assert 0 < run.read("roi_speed_sd")[0] < 0.02 * run.read("roi_speed")[0]
    assert run.read("roi_pair_speed").shape == (2, 19)
    assert np.isnan(run.read("roi_speed")[1])
    assert run.read("roi_speed_missing").tolist() == ["", "none of its pixels is relevant"]


def test_without_the_wave_the_headline_says_so(flowing):
    del flowing.group["wave"]
    run = finished(Run(flowing.path), StageParameters().feature)
    assert np.isnan(run.read("roi_speed")).all()
    assert run.read("roi_speed_missing").tolist() == ["the wave is not kept here"]
    assert np.isfinite(run.read("roi_feature")[0, 0]).all()


def test_a_task_of_the_fronts_holds_no_more_than_is_foreseen(flowing):
    parameters = StageParameters()
    foreseen = {need.stage: need.memory for need in needs_of(flowing.sizes, parameters)}["feature"]
    run = finished(flowing, parameters.feature)
    phase = FEATURE.phase("fronts")
    tracemalloc.start()
    phase.work(run, phase.regions(run, parameters.feature)[0], parameters.feature)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert foreseen / 4 < peak < foreseen
