"""A campaign on two pools of Slurm jobs gives what a local cluster gives."""

from __future__ import annotations

import json
import time
from collections import Counter

from uemdask.cube import Run
from uemdask.execution import open_cluster, read_profile

RUNS = [f"run{number}" for number in range(6)]


def test_six_runs_and_a_broken_one(slurm, work, local, uemdask, receipts, same_arrays, done_tasks):
    before = len(slurm.ended())
    here = work(*RUNS, "broken")
    done = uemdask(*here.command, expect=1, cwd=here.folder)

    # The broken run is reported while the others finish, and leaves nothing half done.
    assert "frame_0020.tif" in done.stderr
    assert "6 of 7 runs done" in done.stdout
    assert not here.store("broken").exists()
    assert "Traceback" not in done.stdout + done.stderr
    assert "distributed" not in done.stdout + done.stderr

    # CPU stages ran in CPU jobs on CPU nodes; training and inference on the node with the GPU.
    pools = Counter()
    for name in RUNS:
        for task in done_tasks(here.store(name)):
            pools[task["stage"], task["worker"].split(".")[0]] += 1
        pools["train", Run(here.store(name)).stage("train")["results"]["worker"].split(".")[0]] += 1
    for (stage, pool), _ in pools.items():
        assert pool == ("gpu" if stage in ("train", "flow") else "cpu"), stage
    jobs = slurm.ended()[before:]
    assert {job.name for job in jobs} == {"uemdask-cpu", "uemdask-gpu"}
    for job in jobs:
        assert job.nodes == "gpu1" if job.name == "uemdask-gpu" else job.nodes.startswith("cpu")

    # Nothing is done twice, and the results are those of a local cluster.
    for name in RUNS:
        assert Run(here.store(name)).read("valid").any()  # there is something to compare
        assert max(Counter(receipts(here.store(name))).values()) == 1
        same_arrays(local / f"{name}.zarr", here.store(name))

    # No job, key or certificate is left; the logs are.
    assert slurm.waiting_or_running() == []
    assert [path.name for path in (here.folder / "uemdask-jobs").iterdir()] == ["logs"]

    # The dashboard is on loopback, and the way to it from elsewhere is told.
    assert "dashboard: http://127.0.0.1:" in done.stdout
    assert "ssh -N -L" in done.stdout

    status = uemdask("status", here.folder / "campaign.yaml", "--json", expect=1)
    states = json.loads(status.stdout)["runs"]
    assert [state["done"] for state in states] == [True] * 6 + [False]


def test_pools_grow_with_demand_and_shrink_to_nothing(slurm, work, until, monkeypatch):
    here = work("run0", idle=3.0)
    monkeypatch.chdir(here.folder)
    with open_cluster(read_profile(here.folder / "profile.yaml")) as cluster:
        assert slurm.waiting_or_running() == []
        tasks = [
            cluster.client.submit(time.sleep, 0.5, pure=False, resources={"CPU": 1})
            for _ in range(8)
        ]
        cluster.client.gather(tasks)
        assert len(slurm.running("uemdask-cpu")) == 2
        assert slurm.waiting_or_running("uemdask-gpu") == []
        del tasks
        until(lambda: slurm.waiting_or_running() == [], limit=30)
