"""Small runs."""

import numpy as np
import pytest

from uemdask.cube import Run, create_run

SHAPE = (40, 300)  # y, x: two chunks wide
COUNT = 20  # two slabs of frames


@pytest.fixture
def frames():
    return np.random.default_rng(1).integers(0, 60000, (COUNT, *SHAPE), dtype=np.uint16)


@pytest.fixture
def make(tmp_path):
    """Make an empty run; arguments as for `create_run`."""

    def make(name="a.zarr", **changes) -> Run:
        arguments = {
            "delays": np.arange(COUNT) * 5.0 - 30,
            "shape": SHAPE,
            "dtype": "uint16",
            "pixel_size": (3.0, 2.5),
            "source_file": [f"Überlauf_{i:03d}.tif" for i in range(COUNT)],
            "metadata": {"sample": "Germanium, keilförmig", "temperature": "293 K"},
        }
        return create_run(tmp_path / name, **(arguments | changes))

    return make


@pytest.fixture
def run(make, frames):
    """A run whose ingest is done."""
    run = make(digest="d0", parameters={"raw": "/raw"})
    run.write("intensity", frames)
    run.finish("ingest")
    return run


@pytest.fixture
def labelled(run):
    """A run with some variables of later stages."""
    sizes = run.sizes | {"component": 2, "pair": 3}
    run.begin("align", digest="d1", parameters={})
    run.put("component", ["x", "y"], sizes)
    run.put("gain", np.linspace(0.9, 1.1, COUNT), sizes)
    run.finish("align")
    run.begin("spectrum", digest="d2", parameters={"band": [30, 40]})
    run.put("mask", np.ones(SHAPE, bool), sizes)
    run.finish("spectrum")
    run.begin("pairs", digest="d3", parameters={})
    run.put("frame_from", np.arange(3), sizes)
    run.put("frame_to", np.arange(1, 4), sizes)
    run.finish("pairs")
    run.begin("label", digest="d4", parameters={"methods": ["dis"]})
    run.put("label_confidence", np.full((3, *SHAPE), 0.5, np.float32), sizes)
    run.finish("label")
    return run
