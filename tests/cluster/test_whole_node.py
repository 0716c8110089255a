"""A pool whose jobs have one worker with all GPUs of a node: training has a process for each."""

from __future__ import annotations

import shutil

from uemdask.stages.training_history import history_path


def test_one_training_has_all_gpus_of_a_job(slurm, work, local, uemdask, json_lines):
    whole = {"name": "gpu", "cores": 2, "memory": "3GiB", "gpus": 2, "processes": 1}
    here = work("run0", pools=[{**whole, "directives": ["-C gpu"]}])
    done = uemdask("cluster", "check", "profile.yaml", expect=2, cwd=here.folder)
    assert "--gres=gpu:2" in done.stdout
    assert "CUDA_VISIBLE_DEVICES is '0,1'" in done.stderr

    # The pretend GPUs are no CUDA devices, so here the number is given.
    shutil.copytree(local / "run0.zarr", here.store("run0"))
    uemdask(
        *("run", here.store("run0"), "--cluster", "profile.yaml", "--only", "train"),
        *("--set", "train.processes=2", "--set", "train.adapt.steps=4"),
        *("--set", "train.adapt.finetune_steps=0", "--output", here.folder / "results"),
        cwd=here.folder,
    )
    (start, *_) = json_lines(history_path(here.folder / "results" / "models" / "run0.pt"))
    assert start["processes"] == 2
    assert start["threads"] == 2
