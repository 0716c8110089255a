"""A task takes the memory of its region, however large the run, and what the plan says of it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from uemdask.cube import Run, create_run
from uemdask.cube.layout import frame_slabs, tiles
from uemdask.execution.requirements import needs_of
from uemdask.network import BASE_MODEL
from uemdask.stages import STAGE_BY_NAME, StageParameters
from uemdask.stages.train import use_model

pytestmark = pytest.mark.slow

FRAMES, HEIGHT, WIDTH = 24, 128, 1024
#: Stage and phase of which one task is done.
TASKS = [("spectrum", "map"), ("label", "pairs"), ("flow", "pairs")]
BAND = {"low": 16.0, "high": 20.0, "centre": 18.0, "significance": 9.0, "found": True}
RESULTS = {
    "align": {"registered": True, "followed_share": 1.0, "unregistered_frames": [],
              "noise": {"quantum": 1.0, "read": 0.0}, "lit_level": 1000.0},
    "spectrum": {"binning": 1,
                 "band": BAND, "noise_level": 0.05, "wave_noise": 0.002, "grey_scale": 0.1,
                 "wave_scale": 0.07, "wavelength_px": 40.0, "mean_modulation": [],
                 "directional": "none", "opposed_share": 0.0, "wave_number_px": 0.157},
    "label": {},
    "train": use_model(BASE_MODEL),
    "flow": {"label_error": [0.02, 0.2], "network_factor": [1.0, 1.0],
             "deviation_factor": [1.0, 1.0]},
}  # fmt: skip
#: What tasks add to the memory of a process, at most; a small one of each comes first. Linux
#: forgets the highest so far on a word, and free memory is given back before.
MEASURE = """
import ctypes, json, sys
from uemdask.cube import Run
from uemdask.execution.worker import limit_threads
from uemdask.stages import STAGE_BY_NAME, StageParameters

def memory(key):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(key))

limit_threads(1)
tasks, stores = json.loads(sys.argv[1]), sys.argv[2:]
found = {}
for stage, phase in tasks:
    parameters, work = getattr(StageParameters(), stage), STAGE_BY_NAME[stage].phase(phase)
    found[stage] = []
    for store in stores:
        run = Run(store)
        region = work.regions(run, parameters)[0]
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as highest:
            highest.write("5")
        before = memory("VmRSS")
        work.work(run, region, parameters)
        found[stage].append(memory("VmHWM") - before)
print(json.dumps(found))
"""


def aligned_run(path, height, width) -> Run:
    """Return a run of a wave along x of which each stage has begun, and nothing is written after
    the maps of alignment; what is not written is read as NaN, 0 or false."""
    delays = (np.arange(FRAMES) - 4) * 5.0
    run = create_run(
        path, delays=delays, shape=(height, width), dtype="uint16", pixel_size=(3.0, 3.0),
        source_file=[""] * FRAMES,
    )  # fmt: skip
    swing = np.cos(2e-3 * np.pi * 18 * delays[:, None] - 2 * np.pi * np.arange(width) / 40)
    counts = (1000 * (1 + 0.1 * (delays > 0)[:, None] * swing)).astype(np.uint16)
    for slab in frame_slabs(run.sizes):
        part = counts[slice(*slab.span("time", 0)), None]
        run.write("intensity", np.broadcast_to(part, (len(part), height, width)), slab)
    run.finish("ingest")
    whole = {
        "bad_pixel": False, "shaded": False, "unlit": False, "passed_light": 1.0,
        "reference": 1000.0,
    }  # fmt: skip
    for name, stage in STAGE_BY_NAME.items():
        if name not in {"align", "pairs", *RESULTS}:
            continue
        parameters = getattr(StageParameters(), name)
        run.begin(name, digest=name, parameters=parameters.model_dump(mode="json"))
        if name == "train":
            run.note("train", results=RESULTS["train"])
        stage.create(run, parameters)
        run.note(name, results=RESULTS.get(name, {}))
        if name == "align":
            for variable, value in whole.items():
                run.write(variable, np.full((height, width), value))
            for variable, value in {"drift": 0.0, "gain": 1.0, "gain_slope": 0.0}.items():
                shape = run.array(variable).shape
                run.write(variable, np.full(shape, value))
        if name == "spectrum":
            run.set_step("wave", 1e-4)
            wave = (0.1 * swing)[:, None].astype(np.float32)
            for tile in tiles(run.sizes):
                (_, rows, columns) = tile.slices(("time", "y", "x"), run.sizes)
                shape = (FRAMES, rows.stop - rows.start, columns.stop - columns.start)
                run.write("wave", np.broadcast_to(wave[..., columns], shape), tile)
                run.write("mask", np.ones(shape[1:], bool), tile)
                run.write("peak_amplitude", np.full(shape[1:], 0.1, np.float32), tile)
    return run


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Return a small run, one as wide as a field, and one four times as large."""
    folder = tmp_path_factory.mktemp("memory")
    sizes = {"small": (64, 64), "wide": (HEIGHT, WIDTH), "four": (HEIGHT, 4 * WIDTH)}
    return [aligned_run(folder / f"{name}.zarr", *size) for name, size in sizes.items()]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of a process")
def test_a_task_takes_the_memory_of_its_region(stores):
    words = [sys.executable, "-c", MEASURE, json.dumps(TASKS), *(str(run.path) for run in stores)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    needs = {need.stage: need.memory for need in needs_of(stores[-1].sizes, StageParameters())}
    for stage, _ in TASKS:
        _, wide, four_times = found[stage]
        assert four_times < 1.2 * wide, stage
        assert needs[stage] / 6 < four_times < 1.5 * needs[stage], stage
