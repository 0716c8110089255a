"""The sums of a region of interest: what a task finds, and what memory it holds."""

import shutil
import tracemalloc

import numpy as np
import pytest

from uemdask.cube import Run
from uemdask.cube.layout import pair_fields
from uemdask.execution.requirements import needs_of
from uemdask.regions.sums import QUANTITIES
from uemdask.stages import STAGE_BY_NAME, StageParameters

SUMS = STAGE_BY_NAME["feature"].phase("sums")


@pytest.fixture
def flowing(waving, tmp_path):
    """Return a run whose flow is (3, 4) px everywhere, one pair after the other a bit more."""
    run = Run(shutil.copytree(waving.path, tmp_path / "flowing.zarr"))
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
