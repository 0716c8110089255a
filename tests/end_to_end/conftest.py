"""Small simulated acquisitions, taken through the real command on a real Dask cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uemdask.simulate import scenario, simulate, write_acquisition

#: A network and a training that take seconds. Accuracy is the demo's and the benchmarks' matter.
TINY = {
    "unet": "{filters: [8, 16, 32]}",
    "training": "{pretrain_steps: 60, finetune_steps: 12, crop: 64, batch: 4,"
    " checkpoint_every: 0.5}",
}


#: Such a network is no second opinion on the labels: what is valid must not hang on it.
AGREES = 10.0


def write_raw(folder: Path, name: str = "plane", **overrides) -> Path:
    """Simulate a small acquisition: 96 px frames, 40 delays."""
    settings = {"shape": (96, 96), "frames": 40} | overrides
    write_acquisition(simulate(scenario(name, **settings)), folder)
    return folder


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Give the options of a training that takes seconds."""
    settings = [part for key, value in TINY.items() for part in ("--set", f"train.{key}={value}")]
    return ["--model", "new", *settings, "--set", f"flow.disagreement_limit={AGREES}"]


@pytest.fixture(scope="session")
def raw(tmp_path_factory) -> Path:
    """Give a small raw acquisition."""
    return write_raw(tmp_path_factory.mktemp("raw") / "plane")


@pytest.fixture(scope="session")
def campaign(tmp_path_factory, uemdask) -> Path:
    """Give a finished campaign of three runs, of which one has a truncated frame."""
    folder = tmp_path_factory.mktemp("campaign with ümlaut")
    for seed, name in enumerate(("first", "second", "broken")):
        write_raw(folder / "raw" / name, seed=seed)
    frame = folder / "raw" / "broken" / "frame_0020.tif"
    os.truncate(frame, frame.stat().st_size // 2)
    file = folder / "campaign.yaml"
    file.write_text(
        "output: results\n"
        "runs:\n  - raw: raw/*\n"
        "model: new\n"
        "one_model: each\n"
        "rois:\n  - {name: left half, rectangle: {x: [0, 48], y: [0, 96], unit: px}}\n"
        "  - {name: relevant, mask: mask}\n"
        f"parameters:\n  flow: {{disagreement_limit: {AGREES}}}\n  train:\n"
        + "".join(f"    {k}: {v}\n" for k, v in TINY.items()),
        encoding="utf-8",
    )
    done = uemdask("run", file, expect=1)
    assert "frame_0020.tif" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "distributed" not in done.stderr + done.stdout
    return file
