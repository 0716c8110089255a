"""A run with a plane wave in `wave`, made without frames and stages."""

import numpy as np
import pytest
from known_waves import plane_wave

from uemdask.cube import create_run
from uemdask.cube.layout import pair_fields, tiles
from uemdask.stages import STAGE_BY_NAME, StageParameters

#: The phase turns by 1/40 a pixel along x, by half of that along y.
LENGTH, ANGLE = 40 / np.hypot(1, 0.5), -np.degrees(np.arctan(0.5))
BAND = {"low": 30.0, "high": 38.0, "centre": 34.0, "significance": 9.0, "found": True}
RESULTS = {"band": BAND, "noise_level": 0.05, "wave_noise": 0.002, "grey_scale": 0.1,
           "wave_scale": 0.07, "wavelength_px": 40.0, "mean_modulation": [],
           "directional": "none", "binning": 1, "opposed_share": 0.0,
           "wave_power": [0.005] * 20}  # fmt: skip


@pytest.fixture(scope="module")
def waving(tmp_path_factory):
    """Return a labelled run of 20 frames of 300 x 280 px; the left half is relevant."""
    delays, shape = np.arange(20) * 5.0, (300, 280)
    run = create_run(
        tmp_path_factory.mktemp("stages") / "waving.zarr",
        delays=delays,
        shape=shape,
        dtype="uint16",
        pixel_size=(3.0, 3.0),
        source_file=[f"{i}.tif" for i in range(20)],
    )
    run.finish("ingest")
    for name in ("align", "spectrum", "pairs", "label"):
        parameters = getattr(StageParameters(), name)
        run.begin(name, digest=name, parameters=parameters.model_dump(mode="json"))
        STAGE_BY_NAME[name].create(run, parameters)
        if name == "spectrum":
            run.note(name, results=RESULTS)
            x = np.indices(shape)[1]
            wave = (
                0.1 * plane_wave(shape, delays, frequency=34, wavelength=LENGTH, angle=ANGLE).real
            )
            for tile in tiles(run.sizes):
                run.write("wave", wave[:, *tile.slices(("y", "x"), run.sizes)], tile)
                mask = (x < 140)[tile.slices(("y", "x"), run.sizes)]
                run.write("mask", mask, tile)
                run.write("peak_amplitude", np.full(mask.shape, 0.1, np.float32), tile)
        if name == "label":
            for field in pair_fields(run.sizes):
                count = np.subtract(*field.span("pair", 0)[::-1])
                run.write("label", np.full((count, 2, *shape), 5.0, np.float32), field)
                run.write("label_confidence", np.ones((count, *shape), np.float32), field)
        run.finish(name)
    return run
